"""Do random faults to one server under load, and judge what it stored: `make faults N=200 SEED=…`.

Prints the seed, each fault, and what was found; ends with a status other than 0 if that is anything.
"""

import asyncio
import logging
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from app.settings import Settings
from app.supervisor import Supervisor
from tenants.clock import utc_now
from tests.support.grove import own_database
from tests.support.history import Finding
from tests.support.injections import FAULTS, Fault, World
from tests.support.proxy import proxy_to
from tests.support.rollups import counted_of
from tests.support.servers import Server
from tests.support.target import Target

WEB_PROCESSES = 2
CONNECTIONS = 3
# Of this share of moments two faults happen at once.
TWO_AT_ONCE = 0.25
# After a fault each client must be served again; so many requests show that.
SERVED = 5
# Of so many findings the first ones are told.
TOLD = 50


class Drawn(msgspec.Struct, frozen=True):
    """A fault that will be done."""

    fault: Fault
    target: int
    dose: float
    at_once: bool


def draw(seed: int, count: int, targets: int) -> list[Drawn]:
    """Draw faults; the same seed draws the same ones."""
    lots = random.Random(seed)  # noqa: S311 - it must be repeatable
    return [
        Drawn(lots.choice(FAULTS), lots.randrange(targets), lots.random(), lots.random() < TWO_AT_ONCE)
        for _ in range(count)
    ]


@asynccontextmanager
async def open_world(server: Server) -> AsyncIterator[World]:
    """Onboard the clients: two in schemas, one in a database of its own that is reached by a line."""
    async with own_database(server.database_url) as url, proxy_to(url) as line:
        clients = [await server.make_client() for _ in range(2)]
        apart = await server.make_client(placement={"kind": "database", "url": line.url})
        clients.append(msgspec.structs.replace(apart, database_url=url))
        yield World(server, line, [Target(client, connections=CONNECTIONS) for client in clients])


async def run_mix(server: Server, seed: int, count: int) -> list[Finding]:
    """Do so many faults, and find what they did that they should not have."""
    async with open_world(server) as world:
        findings = []
        async with AsyncExitStack() as stack:
            for target in world.targets:
                await stack.enter_async_context(target.load)
            await require_service(world)
            drawn = draw(seed, count, len(world.targets))
            while drawn:
                several = drawn[: 2 if drawn[0].at_once else 1]
                drawn = drawn[len(several) :]
                try:
                    await do(world, several)
                except TimeoutError:
                    findings.append(Finding("hang", " and ".join(name(each) for each in several)))
        for target in world.targets:
            findings += await target.examine() + await roll_up(world, target)
        tell_sums(world)
        return findings


async def do(world: World, several: list[Drawn]) -> None:
    """Do a fault or two, and wait until everybody is served again.

    Errors: TimeoutError if somebody is not.
    """
    started = time.monotonic()
    await asyncio.gather(*(each.fault(world, world.targets[each.target], each.dose) for each in several))
    await require_service(world)
    click.echo(f"{time.monotonic() - started:5.1f} s  {' and '.join(name(each) for each in several)}")


async def require_service(world: World) -> None:
    """Wait until each client is served.

    Errors: TimeoutError.
    """
    await asyncio.gather(*(target.load.await_acked(SERVED) for target in world.targets))


async def roll_up(world: World, target: Target) -> list[Finding]:
    """Roll up what is left, and compare with a recount."""
    async with counted_of(world.server.settings, target.client.id) as rollups:
        await rollups.catch_up(utc_now())
        return [Finding("rollups", str(difference)) for difference in await rollups.differences()]


def name(drawn: Drawn) -> str:
    """Name a fault, and whom and how hard it hit."""
    return f"{drawn.fault.__name__}({drawn.target}, {drawn.dose:.2f})"


def tell_sums(world: World) -> None:
    """Print what the clients went through."""
    statuses = Counter(outcome.status for target in world.targets for outcome in target.load.outcomes)
    acked = sum(len(target.history.promised) for target in world.targets)
    told = ", ".join(f"{n} of {status or 'no answer'}" for status, n in sorted(statuses.items()))
    click.echo(f"{acked} events acknowledged; requests: {told}")


@click.command()
@click.option("--count", envvar="N", default=200, help="How many faults.")
@click.option("--seed", envvar="SEED", type=int, default=lambda: secrets.randbelow(10**6), help="What is drawn.")
def main(count: int, seed: int) -> None:
    """Run a mix with the server that it needs."""
    click.echo(f"{count} faults, SEED={seed}")
    logging.disable()  # clients' tables are out of reach again and again
    started = time.monotonic()
    with TemporaryDirectory(prefix="grove-faults-") as folder:
        settings = Settings(data_dir=Path(folder) / "data", port=0, web_processes=WEB_PROCESSES, log_level="warning")
        with Supervisor(settings, quiet=True) as supervisor:
            findings = asyncio.run(run_mix(Server(supervisor), seed, count))
    for finding in findings[:TOLD]:
        click.echo(f"FOUND {finding.what}: {finding.detail}")
    click.echo(f"{len(findings)} findings in {time.monotonic() - started:.0f} s; SEED={seed}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
