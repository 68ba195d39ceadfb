"""Faults that can be done to a running server and its clients, each over when its function returns.

Used by `tests.faults.mix`, which draws from FAULTS; a fault's `dose` is between 0 and 1, and drawn too.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import asyncpg
import msgspec
import redis.asyncio

from app.embedded.errors import EngineFailed
from app.embedded.keeper import Keeper
from tenants.clock import utc_now
from tenants.ids import quote
from tests.support.history import fetch_in
from tests.support.load import make_events
from tests.support.proxy import Cut, Proxy
from tests.support.rollups import counted_of
from tests.support.servers import Server
from tests.support.target import Target

LONGEST_S = 1.5


class World(msgspec.Struct, frozen=True):
    """What can be hurt: a server with engines of its own, and the line to the database of one of its clients."""

    server: Server
    line: Proxy
    targets: list[Target]


Fault = Callable[[World, Target, float], Awaitable[object]]


async def kill_backend(world: World, _target: Target, dose: float) -> None:
    """Kill one of the processes of Postgres that serve us, whereupon all its connections are lost."""
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'grove' ORDER BY pid"
    pids = [row["pid"] for row in await fetch_in(world.server.database_url, "", sql)]
    strike(pids[int(dose * len(pids))], signal.SIGKILL)
    await world.server.await_database()


async def end_backends(world: World, _target: Target, dose: float) -> None:
    """End some of our connections in Postgres, politely."""
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'grove' AND hashint4(pid) % 100 < $1"
    )
    await fetch_in(world.server.database_url, "", sql, int(dose * 100))


async def kill_postgres(world: World, _target: Target, _dose: float) -> None:
    """Kill the postmaster."""
    strike_engine(world.server.engines.postgres, signal.SIGKILL)
    await world.server.await_database()


async def restart_postgres(world: World, _target: Target, _dose: float) -> None:
    """Have Postgres send everybody away and stop; its keeper starts it again."""
    strike_engine(world.server.engines.postgres, signal.SIGINT)
    await asyncio.sleep(0.2)
    await world.server.await_database()


async def kill_web_worker(world: World, _target: Target, dose: float) -> None:
    """Kill one of the web processes."""
    _, *workers = world.server.web_pids
    if workers:
        strike(workers[int(dose * len(workers))], signal.SIGKILL)


async def kill_web(world: World, _target: Target, _dose: float) -> None:
    """Kill the web server with all its processes."""
    for pid in world.server.web_pids:
        strike(pid, signal.SIGKILL)


async def freeze_web_worker(world: World, _target: Target, dose: float) -> None:
    """Let one of the web processes stand still."""
    _, *workers = world.server.web_pids
    for pid in workers[:1]:
        strike(pid, signal.SIGSTOP)
        await asyncio.sleep(LONGEST_S * dose)
        strike(pid, signal.SIGCONT)


async def kill_worker(world: World, _target: Target, _dose: float) -> None:
    """Kill the process that does jobs and rollups."""
    for pid in world.server.worker_pids:
        strike(pid, signal.SIGKILL)


async def kill_redis(world: World, _target: Target, _dose: float) -> None:
    """Kill Redis."""
    strike_engine(world.server.engines.valkey, signal.SIGKILL)


async def flush_redis(world: World, _target: Target, _dose: float) -> None:
    """Have Redis forget everything."""
    await _tell_redis(world, "FLUSHALL")


async def pause_redis(world: World, _target: Target, dose: float) -> None:
    """Have Redis answer nobody."""
    await _tell_redis(world, "CLIENT", "PAUSE", str(int(LONGEST_S * dose * 1000)))


async def cut_line(world: World, _target: Target, _dose: float) -> None:
    """Cut all connections to a client's own database."""
    await world.line.sever()


async def close_line(world: World, _target: Target, dose: float) -> None:
    """Let nobody connect to a client's own database for a while."""
    await world.line.stop()
    await asyncio.sleep(LONGEST_S * dose)
    await world.line.start()


async def silence_line(world: World, _target: Target, dose: float) -> None:
    """Drop what goes to and from a client's own database for a while."""
    world.line.hold()
    await asyncio.sleep(LONGEST_S * dose)
    world.line.let_go()


async def slow_line(world: World, _target: Target, dose: float) -> None:
    """Delay the answers of a client's own database for a while."""
    world.line.delay_s = dose / 10
    await asyncio.sleep(LONGEST_S)
    world.line.delay_s = 0.0


async def cut_commit(world: World, _target: Target, dose: float) -> None:
    """Cut the next COMMIT on its way to a client's own database, or its answer."""
    world.line.cut = Cut.BEFORE_COMMIT if dose < 1 / 2 else Cut.AFTER_COMMIT
    await asyncio.sleep(LONGEST_S / 3)
    world.line.cut = None


async def lock_table(_world: World, target: Target, dose: float) -> None:
    """Lock a client's events."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # Postgres may be struck at the same time
        holder = await asyncpg.connect(target.client.database_url, timeout=5)
        await holder.execute(f"BEGIN; LOCK TABLE {quote(target.client.schema)}.events IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(LONGEST_S * dose)
        holder.terminate()


async def roll_up_beside(world: World, target: Target, _dose: float) -> None:
    """Roll a client's events up here, while the worker may be at it."""
    with suppress(Exception):  # whatever is struck at the same time; what is left of it is found in the end
        async with counted_of(world.server.settings, target.client.id) as rollups:
            await rollups.roll_up(500)


async def repeat_events(_world: World, target: Target, dose: float) -> None:
    """Send events again that were acknowledged."""
    ids = sorted(target.history.promised)[: 1 + int(20 * dose)]
    answer = await target.send(make_events(ids))
    if answer["duplicates"] != len(ids):
        target.complain(f"{len(ids)} events were repeated, and {answer['duplicates']} recognised")


async def send_twice_at_once(_world: World, target: Target, dose: float) -> None:
    """Send new events by two connections at the same time."""
    ids = [uuid4() for _ in range(1 + int(20 * dose))]
    answers = await asyncio.gather(*(target.send(make_events(ids)) for _ in range(2)))
    if sum(answer["accepted"] for answer in answers) > len(ids):
        target.complain(f"{len(ids)} events were sent twice, and accepted more than once")


async def send_poison(_world: World, target: Target, dose: float) -> None:
    """Send events that nobody can store among others."""
    ids = [uuid4() for _ in range(1 + int(20 * dose))]
    poison = [b'{"name":7}', b'"page_view"', b'{"name":"a","properties":{"x":"\\u0000"}}', b'{"session_id":"s"}']
    answer = await target.send([*make_events(ids), *poison])
    if len(answer["rejected"]) != len(poison):
        target.complain(f"of {len(poison)} poisonous events {len(answer['rejected'])} were refused")


async def send_late(_world: World, target: Target, dose: float) -> None:
    """Send events that happened up to thirty days ago."""
    ids = [uuid4() for _ in range(1 + int(20 * dose))]
    await target.send(make_events(ids, occurred_at=utc_now() - timedelta(days=30 * dose)))


FAULTS: tuple[Fault, ...] = (
    kill_backend, end_backends, kill_postgres, restart_postgres, kill_web_worker, kill_web, freeze_web_worker,
    kill_worker, kill_redis, flush_redis, pause_redis, cut_line, close_line, silence_line, slow_line, cut_commit,
    lock_table, roll_up_beside, repeat_events, send_twice_at_once, send_poison, send_late,
)  # fmt: skip


def strike(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def strike_engine(engine: Keeper | None, number: signal.Signals) -> None:
    """Send a signal to an engine, unless it is being started again after another one."""
    assert engine is not None
    with suppress(EngineFailed):
        strike(engine.pid, number)


async def _tell_redis(world: World, *words: str) -> None:
    assert world.server.engines.valkey is not None
    async with redis.asyncio.Redis.from_url(world.server.engines.valkey.url, socket_timeout=5) as connection:
        with suppress(redis.exceptions.RedisError, OSError):  # it may be struck at the same time
            await connection.execute_command(*words)  # type: ignore[no-untyped-call]
