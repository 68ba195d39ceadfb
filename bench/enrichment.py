"""`make bench WHAT=enrichment`: what enriching events costs, as a share of ingest without it.

Starts two servers like `bench` does, one of which takes events past the enrichment, and loads them in turns: batches
and single posts, from a server that says all of its visitors and from browsers that say nothing; where nothing is
found out, they say it. Prints a table and one line of JSON; before it, microseconds per event and step.
"""

import shutil
import tempfile
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from statistics import median

import click
import msgspec
from asyncpg.pgproto.pgproto import UUID
from litestar.types import ASGIApp
from rich.console import Console
from rich.table import Table

from app.ingest import steps
from app.ingest.enrichment import pipeline
from app.ingest.enrichment.countries import FETCHED
from app.ingest.enrichment.sender import Sender
from app.ingest.event import Arrival
from app.ingest.visits import name_visitors, place_sessions
from bench import bare
from bench.events import make_events
from bench.load import Job
from bench.rounds import BATCH, CONNECTIONS, EVENTS_PATH, MANY_CONNECTIONS
from bench.stand import Stand, open_stand
from tenants.clock import utc_now
from tests.support.countries import write_countries

AIM = 0.85
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
# What is sent: requests of a round, events in each, whether browsers send them, and over how many connections.
LOADS = {
    "batches": (150, BATCH, False, CONNECTIONS), "singles": (2_500, 1, False, MANY_CONNECTIONS),
    "batches of browsers": (150, BATCH, True, CONNECTIONS),
    "singles of browsers": (2_500, 1, True, MANY_CONNECTIONS), "the same over 32": (2_500, 1, True, CONNECTIONS),
}  # fmt: skip
NETWORKS = {"89.0.0.0/16": {"country_code": "DE"}}
_STEP_EVENTS, _WIDTH = 5_000, 120


def create_without() -> ASGIApp:
    """Build the application of a web process that enriches nothing; paths and campaigns it has always read."""
    pipeline.STEPS = pipeline.VISITOR_STEPS = tuple(step for step in pipeline.STEPS if step[0] == "campaign")
    setattr(steps, "find_visit", lambda _draft, _arrival: None)  # noqa: B010 - the type checker would have none of it
    return bare.create()


class Turns:
    """Loads two servers in turns, and remembers rates and CPU."""

    def __init__(self, enriching: Stand, other: Stand) -> None:
        self._stands = {"on": enriching, "off": other}
        self._seed = 0
        self.rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.cpu: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)

    def take(self, number: int, *, share: float = 1) -> None:
        """Send every load to both; who is first alternates."""
        for name, load in LOADS.items():
            for side in sorted(self._stands, reverse=number % 2 == 0):
                self._send(name, side, load, share)

    def _send(self, name: str, side: str, load: tuple[int, int, bool, int], share: float) -> None:
        stand, self._seed = self._stands[side], self._seed + 1
        requests, events, browsers, connections = round(load[0] * share), *load[1:]
        job = Job(
            port=stand.port, path=EVENTS_PATH, key=stand.browser_key if browsers else stand.key, seed=self._seed,
            requests=requests, events_per_request=events, connections=connections, now=utc_now(),
            agent=AGENT if browsers else None, told=side == "off" or not browsers,
        )  # fmt: skip
        stand.load.prepare(job)
        web, postgres = stand.cpu()
        result = stand.load.go()
        if set(result.statuses) != {"202"} or result.short:
            message = f"{name} with enrichment {side}: {result.statuses}, {len(result.short)} not stored whole"
            raise RuntimeError(message)
        self.rates[name, side].append(requests * events / result.seconds)
        web_after, postgres_after = stand.cpu()
        spent = web_after - web, postgres_after - postgres
        self.cpu[name, side].append((spent[0] / (requests * events) * 1e6, spent[1] / (requests * events) * 1e6))

    def forget(self) -> None:
        """Forget what was measured while everything got warm."""
        self.rates.clear()
        self.cpu.clear()


@click.command()
@click.option("--rounds", default=6, show_default=True, help="How often everything is measured.")
def main(rounds: int) -> None:
    """Measure ingest with and without enrichment."""
    show_steps()
    folder = Path(tempfile.mkdtemp(prefix="grove-enrichment-"))
    try:
        (folder / "on").mkdir()
        write_countries(folder / "on" / FETCHED, NETWORKS)
        with (
            open_stand(folder / "on") as enriching,
            open_stand(folder / "off", web_target="bench.enrichment:create_without") as other,
        ):
            turns = Turns(enriching, other)
            turns.take(0, share=0.1)
            turns.forget()
            for number in range(rounds):
                turns.take(number)
    finally:
        shutil.rmtree(folder)
    show(turns)


def show(turns: Turns) -> None:
    """Print a report."""
    columns = "events/s on", "off", "ratio", "aim", "CPU µs on: web + Postgres", "off", "ratio"
    table = Table("", *columns, title="Enrichment")
    ratios = {}
    for name in LOADS:
        on, off = (median(turns.rates[name, side]) for side in ("on", "off"))
        (web_on, postgres_on), (web_off, postgres_off) = (
            (median(web), median(postgres))
            for web, postgres in (zip(*turns.cpu[name, side], strict=True) for side in ("on", "off"))
        )
        cpu = (web_off + postgres_off) / (web_on + postgres_on)
        ratios[name] = {"rate": round(on / off, 3), "cpu": round(cpu, 3)}
        table.add_row(
            name, f"{on:,.0f}", f"{off:,.0f}", f"{on / off:.2f}", f"≥ {AIM}", f"{web_on:.1f} + {postgres_on:.1f}",
            f"{web_off:.1f} + {postgres_off:.1f}", f"{cpu:.2f}",
        )  # fmt: skip
    Console(width=_WIDTH).print(table)
    print(msgspec.json.encode(ratios).decode())


def show_steps() -> None:
    """Print what each step costs per event, in this process alone, and what it is to place the events of a flush."""
    table = Table("step", "CPU µs per event", title="Steps, for events of browsers")
    for name, spent in _measure_steps().items():
        table.add_row(name, f"{min(spent):.2f}")
    Console().print(table)


def _measure_steps() -> dict[str, list[float]]:
    now, key = utc_now(), UUID("00000000-0000-4000-8000-000000000001")
    sender = Sender(is_browser=True, agent=AGENT, address="89.0.1.1", subject=b"x")
    arrival = Arrival(key_id=key, received_at=now, oldest=now - timedelta(days=730), accepts_chat=True, sender=sender)
    raws = make_events(1, _STEP_EVENTS, now, told=False)
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(7):
        wires = [steps.decode_event(raw) for raw in raws]
        drafts = [steps.make_draft(wire, bytes(wire.properties).decode(), sender, is_chat=False) for wire in wires]
        for name, step in pipeline.VISITOR_STEPS:
            began = time.process_time()
            for draft in drafts:
                step(draft, arrival)
            spent[name].append(_us_since(began))
        began = time.process_time()
        events = [steps.read_event(raw, 0, arrival) for raw in raws]
        spent["all: from bytes to a row"].append(_us_since(began))
        began = time.process_time()
        for start in range(0, len(events), BATCH):
            place_sessions(name_visitors(events[start : start + BATCH], bytes(32)), {})
        spent["visitor and session, of a hundred events"].append(_us_since(began))
    return spent


def _us_since(began: float) -> float:
    return (time.process_time() - began) / _STEP_EVENTS * 1e6


if __name__ == "__main__":
    main()
