"""`make bench WHAT=fair`: what one client's trouble costs the others, each kind of trouble in turn with quiet.

Starts a server as `grove serve` does in a throwaway folder, with a client `loud` of many events and a small rate, one
`away` in a database of its own behind a proxy, and quiet ones that post and ask at a steady pace. Prints the p99 of the
quiet ones' posts and questions, medians of the alternations and their ratio (aim: 1.3), and what the loud one was
answered, while
- `loud` posts at 20 times its rate;
- the database of `away` takes two seconds more for each answer, or is down, and `away` goes on posting;
- `loud` asks for a thousand heavy answers of its dashboards.
`ARGS="--rounds 2 --seconds 4"` makes it short, `--only` measures one kind of trouble. Ratios compare between machines,
figures do not.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import asyncpg
import click
import httpx
import msgspec
from rich.console import Console
from rich.status import Status
from rich.table import Table

from app.settings import Settings
from app.supervisor import Supervisor
from bench.crowd import Crowd, Outcome, Stream, open_crowd
from bench.made_up import Shape, fill
from tenants.clock import utc_now
from tenants.registry import with_database
from tests.support.proxy import Proxy, proxy_to

QUIET = 5
QUESTION = "/api/v1/analytics/summary"
TIMES = 20
SLOW_S = 2.0
CROWD = 1_000
AT_ONCE = 300
SETTLE_S = 30
AIM = 1.3


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what. Units: requests per second, seconds."""

    rounds: int
    seconds: float
    posts: float
    questions: float
    rate: int
    events: int


class Waits(msgspec.Struct, kw_only=True):
    """The p99 of one kind of the quiet ones' requests, with and without trouble. Units: milliseconds."""

    quiet: list[float] = []
    noisy: list[float] = []

    @property
    def ratio(self) -> float:
        """Compare noisy with quiet."""
        return round(median(self.noisy) / median(self.quiet), 2)


class Trouble(msgspec.Struct, kw_only=True):
    """What a kind of trouble cost the others; `answers` are the loud one's."""

    posts: Waits = msgspec.field(default_factory=Waits)
    questions: Waits = msgspec.field(default_factory=Waits)
    answers: dict[str, int] = {}
    retry_after: dict[str, int] = {}
    failed: int = 0


class Kind(NamedTuple):
    """A kind of trouble: what is sent, and what is done to a database meanwhile."""

    stream: Stream
    meanwhile: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Alternations of quiet and noisy for each kind.")
@click.option("--seconds", default=6.0, show_default=True, help="How long each side of one lasts.")
@click.option("--posts", default=40.0, show_default=True, help="Posts per second of the quiet ones.")
@click.option("--questions", default=10.0, show_default=True, help="Questions per second of the quiet ones.")
@click.option("--rate", default=20, show_default=True, help="Events per second that the limited one may send.")
@click.option("--events", default=300_000, show_default=True, help="How many events the heavy questions are about.")
@click.option("--only", help="Measure the kinds of trouble alone whose name holds this.")
def main(only: str | None, **given: Any) -> None:
    """Measure what one client's trouble costs the others."""
    sizes = Sizes(**given)
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    settings = Settings(data_dir=folder / "data", port=0, log_level="error")
    try:
        with Console(stderr=True).status("Starting a server …") as status, Supervisor(settings, quiet=True) as running:
            troubles = asyncio.run(measure(running, sizes, status, only or ""))
    finally:
        shutil.rmtree(folder)
    show(troubles)
    print(msgspec.json.encode(troubles).decode())


async def measure(supervisor: Supervisor, sizes: Sizes, status: Status, only: str) -> dict[str, Trouble]:
    """Make the clients and measure each kind of trouble whose name holds `only`."""
    url = supervisor.settings.main_url
    admin = await asyncpg.connect(url)
    await admin.execute("CREATE DATABASE bench_away TEMPLATE template0")
    async with proxy_to(with_database(url, "bench_away")) as proxy:
        keys = [await _make(supervisor, f"quiet-{number}") for number in range(QUIET)]
        loud = await _make(supervisor, "loud")
        limited = await _make(supervisor, "limited", rateLimit=sizes.rate, rateBurst=sizes.rate)
        away = await _make(supervisor, "away", placement={"kind": "database", "url": proxy.url})
        status.update("Making events …")
        schema = await admin.fetchval("SELECT schema_name FROM grove.placements WHERE client_id = 'loud'")
        await fill(url, schema, Shape(events=sizes.events, visitors=20_000), utc_now())
        kinds = {name: kind for name, kind in _kinds(limited, loud, away, proxy, sizes).items() if only in name}
        quiet = {
            "posts": Stream(keys=keys, rate=sizes.posts, events=5),
            "questions": Stream(keys=keys, rate=sizes.questions, path=QUESTION),
        }
        with open_crowd(supervisor.settings.port) as crowd:
            await asyncio.to_thread(crowd.run, 3, utc_now(), **quiet)
            # As a minute later Postgres would by itself: what it knows nothing of, it plans for as if it were empty.
            await admin.execute("ANALYZE")
            await admin.close()
            troubles = {name: Trouble() for name in kinds}
            for number in range(sizes.rounds):
                for name, kind in kinds.items():
                    status.update(f"Round {number + 1} of {sizes.rounds}: {name} …")
                    await _alternate(crowd, quiet, kind, troubles[name], sizes, noisy_first=number % 2 == 1)
    return troubles


def _kinds(limited: str, loud: str, away: str, proxy: Proxy, sizes: Sizes) -> dict[str, Kind]:
    asking = Stream(keys=[loud], rate=CROWD / sizes.seconds, path=QUESTION, connections=AT_ONCE)
    posting = Stream(keys=[away], rate=sizes.posts / 2, events=5, connections=200)

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        proxy.delay_s = SLOW_S
        yield
        proxy.delay_s = 0.0

    @asynccontextmanager
    async def down() -> AsyncIterator[None]:
        await proxy.stop()
        yield
        await proxy.start()

    return {
        "20 times its rate": Kind(Stream(keys=[limited], rate=sizes.rate * TIMES, events=1, connections=100)),
        "own database slow": Kind(posting, slow),
        "own database down": Kind(posting, down),
        "a thousand questions": Kind(asking),
    }


async def _alternate(
    crowd: Crowd, quiet: dict[str, Stream], kind: Kind, trouble: Trouble, sizes: Sizes, *, noisy_first: bool
) -> None:
    for noisy in (noisy_first, not noisy_first):
        if not noisy:
            found = await asyncio.to_thread(crowd.run, sizes.seconds, utc_now(), **quiet)
            trouble.posts.quiet.append(found["posts"].p99)
            trouble.questions.quiet.append(found["questions"].p99)
            continue
        async with kind.meanwhile():
            found = await asyncio.to_thread(crowd.run, sizes.seconds, utc_now(), **quiet, noise=kind.stream)
        trouble.posts.noisy.append(found["posts"].p99)
        trouble.questions.noisy.append(found["questions"].p99)
        trouble.failed += sum(
            n for name in quiet for answer, n in found[name].statuses.items() if answer not in {"200", "202"}
        )
        _add(trouble, found["noise"])


def _add(trouble: Trouble, noise: Outcome) -> None:
    for totals, counts in ((trouble.answers, noise.statuses), (trouble.retry_after, noise.retry_after)):
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count


async def _make(supervisor: Supervisor, client_id: str, **wanted: object) -> str:
    async with httpx.AsyncClient(timeout=SETTLE_S + 5) as http:
        answer = await http.post(
            f"{supervisor.url}/api/v1/clients",
            json={"id": client_id, "name": client_id.title(), **wanted},
            headers={"Authorization": f"Bearer {supervisor.platform_key}", "Prefer": f"wait={SETTLE_S}"},
        )
    answer.raise_for_status()
    return str(answer.json()["keys"]["server"])


def show(troubles: dict[str, Trouble]) -> None:
    """Print a report for people."""
    table = Table(
        "trouble of one client", "others'", "p99, quiet", "noisy", "ratio", "aim", "its answers", "Retry-After",
        title="ms",
    )  # fmt: skip
    for name, trouble in troubles.items():
        for what, waits in (("posts", trouble.posts), ("questions", trouble.questions)):
            table.add_row(
                name, what, f"{median(waits.quiet):.1f}", f"{median(waits.noisy):.1f}", f"{waits.ratio:.2f}",
                f"≤ {AIM}", f"{trouble.answers}", f"{_span(trouble.retry_after)}",
            )  # fmt: skip
    Console().print(table)
    print(f"Requests of the others that failed: {sum(trouble.failed for trouble in troubles.values())}")


def _span(retry_after: dict[str, int]) -> str:
    seconds = sorted(int(text) for text in retry_after)
    return f"{seconds[0]} to {seconds[-1]} s" if seconds else ""


if __name__ == "__main__":
    main()
