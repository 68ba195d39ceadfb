"""Web processes behind a PgBouncer in transaction mode: it may restart, and no statement is another's."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from asyncpg.pgproto.pgproto import UUID

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.event import Arrival
from app.ingest.flush import Flush
from app.ingest.routes import read_submission
from app.ingest.sink import PostgresSink
from tenants.clock import utc_now
from tenants.databases import Databases
from tenants.errors import StoreUnavailable
from tenants.placement import Placement, Purpose
from tests.support.grove import Grove, open_grove
from tests.support.load import make_events
from tests.support.party import Party
from tests.support.pooler import Pooler, pooler_before
from tests.support.pools import open_databases
from tests.support.waiting import until

pytestmark = pytest.mark.fault(11)

# Fewer than there are connections of ours, so that these change hands all the time.
POOL_SIZE = 2
ROUNDS = 20


@pytest.fixture
async def setting(durable_postgres: EmbeddedPostgres) -> AsyncIterator[tuple[Pooler, list[Party]]]:
    """A client, and two applications behind a pooler that send its events."""
    async with open_grove(durable_postgres.url) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")
        async with pooler_before(grove.settings.main_url, size=POOL_SIZE) as pooler:
            behind = msgspec.structs.replace(grove.settings, pooler=pooler.host)
            apart = Grove(behind, grove.app, grove.http, "", grove.recorder)
            async with apart.twin() as one, apart.twin() as other:
                yield pooler, [Party(each, client) for each in (one, other)]


async def test_many_share_few_connections_and_the_pooler_restarts(
    setting: tuple[Pooler, list[Party]],
) -> None:
    pooler, senders = setting
    for _ in range(ROUNDS):
        answers = await asyncio.gather(
            *(act() for each in senders for act in (each.send_new, each.ask_totals, each.send_new))
        )
        assert {answer.status_code for answer in answers} == {202, 200}

    sending = asyncio.gather(*(send_on(each) for each in senders for _ in range(4)))
    await pooler.stop()
    await asyncio.sleep(0.5)
    await pooler.start()
    assert {status for statuses in await sending for status in statuses} == {202}
    await until(lambda: are_answered(senders), within_s=10)
    one, other = senders
    one.history = one.history | other.history
    assert await one.judge() == []


async def are_answered(senders: list[Party]) -> bool:
    """Ask each, and tell whether all were answered."""
    return {(await each.ask_totals()).status_code for each in senders} == {200}


async def send_on(sender: Party) -> list[int]:
    """Send again and again, also while the pooler is away, which the sink waits for."""
    return [(await sender.send_new()).status_code for _ in range(ROUNDS)]


async def test_statements_that_the_server_has_forgotten_are_prepared_again(durable_postgres: EmbeddedPostgres) -> None:
    async with open_grove(durable_postgres.url) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")
        placement = await grove.placement_of(client.id)
        # One connection for each purpose, so that it is known which one is used.
        async with open_databases(ingest=1, query=1, observe=grove.recorder.observe) as databases:
            sink = PostgresSink(databases)
            await sink.store(placement, one_event())
            await forget(databases, placement, Purpose.WRITE)
            (answer,) = await sink.store(placement, one_event())
            assert answer.accepted == 1

            assert await count(databases, placement) == 2
            await forget(databases, placement, Purpose.READ)
            with pytest.raises(StoreUnavailable):  # of which a caller is told when to come back
                await count(databases, placement)
            assert await count(databases, placement) == 2


async def forget(databases: Databases, placement: Placement, purpose: Purpose) -> None:
    """Have the server forget what was prepared on a connection, as a pooler does between its clients."""
    async with databases.unit(placement, purpose) as unit:
        await unit.execute("DEALLOCATE ALL")


async def count(databases: Databases, placement: Placement) -> int:
    """Count the client's events."""
    async with databases.unit(placement, Purpose.READ) as unit:
        return int(await unit.fetchval(placement.render("SELECT count(*) FROM {{schema}}.events")))


def one_event() -> Flush:
    """Make a flush of one event."""
    now = utc_now()
    arrival = Arrival(key_id=UUID(bytes(16)), received_at=now, oldest=now - timedelta(days=1), accepts_chat=True)
    (body,) = make_events([uuid4()])
    return Flush(id=secrets.randbits(62) + 1, submissions=[read_submission(body, arrival)])
