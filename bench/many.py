"""`make bench WHAT=many`: 2,000 clients on one server, as compared with ten of them, in one run.

Starts a server as `grove serve` does in a throwaway folder, makes the clients at the first revision, and prints:
- how long it took to migrate all of them (aim: 180 s), and to find that there is nothing to migrate (aim: 5 s);
- p99 of posts and p95 of a dashboard's question at a steady pace, of ten clients and of all in turn, medians of the
  rounds and their ratio (aim: 1.25);
- the memory of the Postgres processes that serve, at the start and after each round, and how many there are.
`ARGS="--clients 300 --rounds 2"` makes it short. Ratios compare between machines, figures do not.
"""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.status import Status
from rich.table import Table

from app.settings import Settings
from app.supervisor import Supervisor
from bench.cpu import cpu_seconds
from bench.crowd import Crowd, Outcome, Stream, open_crowd
from bench.population import Inhabitant, populate
from migrations.fanout import migrate_clients
from tenants.clock import utc_now
from tenants.control import SERVING_LOGIN, ControlPlane
from tenants.vault import Vault

FEW = 10
QUESTION = "/api/v1/analytics/summary"
EVENTS = 5
_SERVING = "SELECT pid FROM pg_stat_activity WHERE usename = $1 AND backend_type = 'client backend'"


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what. Units: requests per second, seconds."""

    clients: int
    rounds: int
    posts: float
    questions: float
    seconds: float


class Report(msgspec.Struct, kw_only=True):
    """What a run found. Units: seconds, milliseconds, MB of memory that is each process's own."""

    made_s: float = 0
    migrated_s: float = 0
    migrated_cpu_s: float = 0
    nothing_s: float = 0
    post_p99: dict[str, list[float]] = {}
    question_p95: dict[str, list[float]] = {}
    backends: list[dict[str, float]] = []
    statuses: dict[str, int] = {}

    def ratio(self, figures: dict[str, list[float]]) -> float:
        """Compare all clients with few."""
        return round(median(figures["all"]) / median(figures["few"]), 2)


@click.command()
@click.option("--clients", default=2_000, show_default=True)
@click.option("--rounds", default=5, show_default=True, help="How often few and all are measured, in turn.")
@click.option("--posts", default=40.0, show_default=True, help="Posts per second.")
@click.option("--questions", default=8.0, show_default=True, help="Questions per second.")
@click.option("--seconds", default=8.0, show_default=True, help="How long each is measured.")
def main(clients: int, rounds: int, posts: float, questions: float, seconds: float) -> None:
    """Measure what many clients on one server cost each of them."""
    sizes = Sizes(clients=clients, rounds=rounds, posts=posts, questions=questions, seconds=seconds)
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    try:
        settings = Settings(data_dir=folder / "data", port=0, log_level="warning")
        with (
            Console(stderr=True).status("Starting a server …") as status,
            Supervisor(settings, quiet=True) as supervisor,
        ):
            report = asyncio.run(measure(supervisor, sizes, status))
    finally:
        shutil.rmtree(folder)
    show(report)
    print(msgspec.json.encode(report).decode())


async def measure(supervisor: Supervisor, sizes: Sizes, status: Status) -> Report:
    """Make the clients, migrate them, and measure."""
    report, url = Report(), supervisor.settings.main_url
    control = ControlPlane(url)
    try:
        began, made = time.monotonic(), [0]

        def note() -> None:
            made[0] += 1
            status.update(f"{made[0]} of {sizes.clients} clients …")

        inhabitants = await populate(control, url, sizes.clients, now=utc_now(), on_done=note)
        report.made_s = round(time.monotonic() - began, 1)
        await _migrate(supervisor, control, report, status)
    finally:
        await control.close()
    with open_crowd(supervisor.settings.port) as crowd:
        await _compare(crowd, url, inhabitants, sizes, report, status)
    return report


async def _migrate(supervisor: Supervisor, control: ControlPlane, report: Report, status: Status) -> None:
    settings, postgres = supervisor.settings, supervisor.engines.postgres
    vault, done = Vault(settings.key_material), [0]

    def note(_client_id: str) -> None:
        done[0] += 1
        status.update(f"{done[0]} migrated …")

    before, began = cpu_seconds(postgres.pid) if postgres else 0.0, time.monotonic()
    found = await migrate_clients(control, vault=vault, main_url=settings.main_url, on_done=note)
    if found.laggards:
        message = f"not migrated: {found.laggards[:3]}"
        raise RuntimeError(message)
    report.migrated_s = round(time.monotonic() - began, 1)
    report.migrated_cpu_s = round((cpu_seconds(postgres.pid) if postgres else 0.0) - before, 1)
    began = time.monotonic()
    await migrate_clients(control, vault=vault, main_url=settings.main_url)
    report.nothing_s = round(time.monotonic() - began, 2)


async def _compare(
    crowd: Crowd, url: str, inhabitants: list[Inhabitant], sizes: Sizes, report: Report, status: Status
) -> None:
    keys = [each.key for each in inhabitants]
    sides = {"few": keys[:FEW], "all": keys}
    status.update("Touching every client once …")
    report.backends.append(await memory_of_backends(url))
    await asyncio.to_thread(
        crowd.run, len(keys) / sizes.posts, utc_now(),
        posts=Stream(keys=keys, rate=sizes.posts, events=EVENTS, in_turn=True),
        questions=Stream(keys=keys, rate=sizes.posts, path=QUESTION, in_turn=True),
    )  # fmt: skip
    for number in range(sizes.rounds):
        status.update(f"Round {number + 1} of {sizes.rounds} …")
        for side in sides if number % 2 == 0 else reversed(sides):
            posts = Stream(keys=sides[side], rate=sizes.posts, events=EVENTS)
            questions = Stream(keys=sides[side], rate=sizes.questions, path=QUESTION)
            found = await asyncio.to_thread(crowd.run, sizes.seconds, utc_now(), posts=posts, questions=questions)
            _note(report, side, found)
        report.backends.append(await memory_of_backends(url))


def _note(report: Report, side: str, found: dict[str, Outcome]) -> None:
    report.post_p99.setdefault(side, []).append(found["posts"].p99)
    report.question_p95.setdefault(side, []).append(found["questions"].p95)
    for outcome in found.values():
        for answer, count in outcome.statuses.items():
            report.statuses[answer] = report.statuses.get(answer, 0) + count


async def memory_of_backends(url: str) -> dict[str, float]:
    """Add up what the Postgres processes that serve have for themselves, shared buffers not counted."""
    connection = await asyncpg.connect(url)
    try:
        pids = [row["pid"] for row in await connection.fetch(_SERVING, SERVING_LOGIN)]
    finally:
        await connection.close()
    own = [_own_mb(pid) for pid in pids]
    return {"processes": len(own), "sum_mb": round(sum(own), 1), "most_mb": round(max(own, default=0.0), 1)}


def _own_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def show(report: Report) -> None:
    """Print a report for people."""
    table = Table("ms", "ten clients", "all", "ratio", "aim", title="At a steady pace (medians)")
    for name, figures in (("p99 of posts", report.post_p99), ("p95 of questions", report.question_p95)):
        few, many = median(figures["few"]), median(figures["all"])
        table.add_row(name, f"{few:.1f}", f"{many:.1f}", f"{report.ratio(figures):.2f}", "≤ 1.25")
    memory = Table(
        "serving processes", "their own memory, MB", "most of one", title="Memory, at the start and per round"
    )
    for each in report.backends:
        memory.add_row(*(f"{value:.0f}" for value in each.values()))
    for shown in (table, memory):
        Console().print(shown)
    print(f"Made in {report.made_s} s; migrated in {report.migrated_s} s (aim: 180; CPU of Postgres: "
          f"{report.migrated_cpu_s} s); nothing to migrate seen in {report.nothing_s} s (aim: 5). "
          f"Answers: {report.statuses}")  # fmt: skip


if __name__ == "__main__":
    main()
