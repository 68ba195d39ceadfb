"""`make bench`: ingest as a share of what this machine can do at all, everything in one run against one Postgres.

Starts a server as `grove serve` does (one web process, a worker, embedded engines, fsync and synchronous commits on)
in a throwaway folder, and loads it from another process over 32 connections. Prints a table, then one line of JSON:
- batches of 100 events over HTTP as a share of raw binary `COPY` of the same rows (one connection, batches of 100, each
  its own commit, into an identical table); aim: 0.35;
- single posts as a share of the lesser of durable one-row inserts by 16 `pgbench` clients and our own server's bare 202
  route (an ASGI route mounted like the collection endpoint; that of a plain handler is told beside it); aim: 0.6;
- CPU seconds per 100,000 events of the web process and of Postgres, latencies of single posts for 1 and 200 clients;
- whether every acknowledged event is there, once. If not, the exit status is 1.
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

AIMS = {"batches_to_copy": 0.35, "singles_to_least": 0.6}


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
    with console.status("Starting a server …") as status, open_stand(folder) as stand:

        async def measure() -> Report:
            await stand.check_durable()
            rounds = Rounds(stand, sizes, utc_now, await stand.schemas())
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
        ratios.add_row(name.replace("_", " "), f"{ratio:.2f}", f"≥ {AIMS[name]}" if name in AIMS else "")
    cpu = Table("CPU s per 100,000 events", "web process", "Postgres", title="Cost")
    for name, seconds in report.cpu_s_per_100k.items():
        cpu.add_row(name, f"{seconds['server']:.1f}", f"{seconds['postgres']:.1f}")
    latency = Table("single posts, ms", "p50", "p95", "p99", title="Latency")
    for clients, parts in report.latency_ms.items():
        latency.add_row(f"{clients} clients", *(f"{value:.1f}" for value in parts.values()))
    for table in (rates, ratios, cpu, latency):
        Console().print(table)
    print(f"Acknowledged {report.stored['acked']:,}: {report.stored['missing']} missing, "
          f"{report.stored['doubled']} doubled. Answers: {report.statuses}")  # fmt: skip


if __name__ == "__main__":
    main()
