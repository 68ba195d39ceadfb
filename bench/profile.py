"""`make bench WHAT=profile`: microseconds of CPU per event, by step, for single posts and for batches of 100.

Starts a server like `bench` does, with `bench.steps` in its web process. Threads and Postgres are read from /proc.
Prints two tables in Markdown, which `bench/README.md` keeps.
"""

import os
import shutil
import tempfile
from pathlib import Path

import click
import httpx
import msgspec

from bench.cpu import children_of
from bench.load import Job
from bench.rounds import BATCH, EVENTS_PATH, MANY_CONNECTIONS
from bench.stand import Stand, open_stand
from bench.steps import STEPS_PATH, Spent
from tenants.clock import utc_now

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_decode = msgspec.json.Decoder(dict[str, Spent]).decode


@click.command()
@click.option(
    "--events", default=20_000, show_default=True, help="How many single posts; ten times as many in batches."
)
def main(events: int) -> None:
    """Tell where the time of an event goes."""
    folder = Path(tempfile.mkdtemp(prefix="grove-profile-"))
    try:
        with open_stand(folder / "data", web_target="bench.steps:create") as stand:
            for seed, (name, requests, per_request) in enumerate(
                (("warm-up", 1_000, 1), ("single posts", events, 1), ("batches of 100", events // 10, BATCH)), start=1
            ):
                report = measure(stand, seed, requests, per_request)
                if name != "warm-up":
                    print(f"\n### {name}\n\n{report}")
    finally:
        shutil.rmtree(folder)


def measure(stand: Stand, seed: int, requests: int, per_request: int) -> str:
    """Send requests and return the table of what they cost, as Markdown."""
    job = Job(
        port=stand.port, path=EVENTS_PATH, key=stand.key, seed=seed, requests=requests,
        events_per_request=per_request, connections=MANY_CONNECTIONS, now=utc_now(),
    )  # fmt: skip
    events = requests * per_request
    stand.load.prepare(job)
    _steps(stand)
    web, (_, postgres) = children_of(stand.web)[0], stand.cpu()
    before = _threads(web)
    result = stand.load.go()
    steps, after, (_, postgres_after) = _steps(stand), _threads(web), stand.cpu()
    spent = [(name, step.cpu_ns / 1000 / events, step) for name, step in steps.items()]
    lines = [f"| step | µs per event | calls per {per_request} events | ms each, with waiting |", "|---|--:|--:|--:|"]
    for name, cpu_us, step in sorted(spent, key=lambda row: -row[1]):
        if step.calls > requests / 1000 or cpu_us > 1:
            each = f"{step.wall_ns / step.calls / 1e6:.2f}" if step.calls else ""
            lines.append(f"| {name} | {cpu_us:.1f} | {step.calls / requests:.2f} | {each} |")
    main = (after[str(web)] - before[str(web)]) / events * 1e6
    others = (sum(after.values()) - sum(before.values())) / events * 1e6 - main
    sums = {
        "**main thread of the web process**, meter included": main,
        "HTTP server's own threads": others,
        "Postgres": (postgres_after - postgres) / events * 1e6,
    }
    lines += [f"| {name} | {cpu_us:.1f} | | |" for name, cpu_us in sums.items()]
    return (
        "\n".join(lines) + f"\n\n{events / result.seconds:,.0f} events/s with the meter on; answers {result.statuses}."
    )


def _steps(stand: Stand) -> dict[str, Spent]:
    return _decode(httpx.get(f"http://127.0.0.1:{stand.port}{STEPS_PATH}").raise_for_status().content)


def _threads(pid: int) -> dict[str, float]:
    """Read the CPU seconds of a process's threads, by their ids; the main one's is that of the process."""
    found = {}
    for entry in Path(f"/proc/{pid}/task").iterdir():
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
        found[entry.name] = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return found


if __name__ == "__main__":
    main()
