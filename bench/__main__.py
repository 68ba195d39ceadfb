"""`make bench`: ingest as a share of what this machine can do at all, everything in one run against one Postgres.

Starts a server as `grove serve` does (one web process, a worker, embedded engines, fsync and synchronous commits on)
in a throwaway folder, and a second one with two web processes, and loads them from other processes over 32 and 256
connections. Prints tables, then one line of JSON. `bench/README.md` says what each row means and what came of it.
Whether every acknowledged event is there, once, is checked as well; if not, the exit status is 1.
`ARGS=--rounds=1` makes it short. Ratios compare between machines, figures do not.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench.rounds import Report, Rounds, Sizes
from bench.stand import open_stand
from tenants.clock import utc_now

AT_LEAST = {"batches_to_copy": 0.45, "singles_to_least": 0.8}
AT_MOST = {
    "cpu_singles_two_to_one": 1.1,
    "cpu_batches_two_to_one": 1.1,
    "ack_p99_ms": 30.0,
    "group_commit_p99_ms": 5.0,
}


@click.command()
@click.option("--rounds", default=Sizes().rounds, show_default=True, help="How often everything is measured.")
def main(rounds: int) -> None:
    """Measure ingest against the limits of this machine."""
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    try:
        report = run(folder / "data", Sizes(rounds=rounds))
    finally:
        shutil.rmtree(folder)
    show(report)
    print(msgspec.json.encode(report).decode())
    sys.exit(0 if report.stored["missing"] == report.stored["doubled"] == 0 else 1)


def run(folder: Path, sizes: Sizes) -> Report:
    """Start everything, measure, and stop it."""
    console = Console(stderr=True)
    with (
        console.status("Starting servers …") as status,
        open_stand(folder / "one") as stand,
        open_stand(folder / "two", web_processes=2) as pair,
    ):

        async def measure() -> Report:
            await stand.check_durable()
            await stand.age_log()
            await pair.age_log()
            rounds = Rounds(stand, pair, sizes, utc_now, await stand.schemas())
            await rounds.warm_up()
            for number in range(sizes.rounds):
                status.update(f"Round {number + 1} of {sizes.rounds} …")
                await rounds.run_round(number)
            status.update("Latencies …")
            await rounds.measure_latency()
            return await rounds.report()

        return asyncio.run(measure())


def show(report: Report) -> None:
    """Print a report for people."""
    rates = Table("per second (median)", "", title="Rates")
    for name, rate in report.rates.items():
        rates.add_row(name.replace("_", " "), f"{rate:,.0f}")
    ratios = Table("share", "", "aim", title="Ratios")
    for name, ratio in report.ratios.items():
        ratios.add_row(name.replace("_", " "), f"{ratio:.2f}", _aim(name))
    half = Table("single posts at half load", "", "aim", title="Half load")
    for name, value in report.half_load.items():
        half.add_row(name.replace("_", " "), f"{value:,.1f}", _aim(name))
    cpu = Table("CPU s per 100,000 events", "web process", "Postgres", title="Cost")
    for name, seconds in report.cpu_s_per_100k.items():
        cpu.add_row(name, f"{seconds['server']:.1f}", f"{seconds['postgres']:.1f}")
    latency = Table("single posts, ms", "p50", "p95", "p99", title="Latency")
    for clients, parts in report.latency_ms.items():
        latency.add_row(f"{clients} clients", *(f"{value:.1f}" for value in parts.values()))
    for table in (rates, ratios, half, cpu, latency):
        Console().print(table)
    print(f"Acknowledged {report.stored['acked']:,}: {report.stored['missing']} missing, "
          f"{report.stored['doubled']} doubled. Answers: {report.statuses}")  # fmt: skip


def _aim(name: str) -> str:
    if name in AT_LEAST:
        return f"≥ {AT_LEAST[name]}"
    return f"≤ {AT_MOST[name]}" if name in AT_MOST else ""


if __name__ == "__main__":
    main()
