"""A client is suspended, moved or removed while its events wait to be flushed: each sender is told the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.grove import Grove, open_grove
from tests.support.history import Attempt
from tests.support.party import Party, event
from tests.support.waiting import until

WAITING = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'"
# What a process hears of a client that was changed elsewhere.
TOLD = "INSERT INTO grove.revocations (kind, subject) VALUES ('client', $1)"
# The name of a client's schema is in those of its functions, too.
FUNCTIONS_RENAMED = """
SELECT format('ALTER ROUTINE %s RENAME TO %I', p.oid::regprocedure, replace(p.proname, $1::text, $2::text))
FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = $2::text::regnamespace
"""


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url, delete_grace_days=0) as running, running.worker():
        yield running


@pytest.fixture
async def party(grove: Grove) -> Party:
    """A client of its own for each test, with an event."""
    party = Party(grove, await grove.make_client(f"c{token_hex(4)}"))
    assert (await party.send(event())).status == 202
    return party


@asynccontextmanager
async def held_up(grove: Grove, party: Party) -> AsyncIterator[tuple[asyncpg.Connection, asyncio.Task[Attempt]]]:
    """Hand out a request whose flush waits, and the transaction that it waits for, which is committed at the end."""
    schema = (await grove.placement_of(party.client.id)).schema
    holder = await asyncpg.connect(grove.settings.main_url)
    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {quote(schema)}.event_ids")
            sending = asyncio.create_task(party.send(event(), event(), {"name": 7}))

            async def waits() -> bool:
                return bool((await party.fetch(WAITING, schema))[0]["n"])

            await until(waits, within_s=10)
            yield holder, sending
    finally:
        await holder.close()


async def send_until(party: Party, status: int) -> None:
    """Send until the answer has this status; a change reaches every process within a second."""

    async def answers() -> bool:
        return (await party.send(event())).status == status

    await until(answers, within_s=5)


@pytest.mark.fault(26)
async def test_what_was_taken_before_a_client_was_suspended_is_stored(grove: Grove, party: Party) -> None:
    async with held_up(grove, party) as (_, sending):
        suspended = await grove.http.post(f"{party.client.path}/suspend", headers=grove.platform)
        assert suspended.is_success, suspended.text
    assert (await sending).status == 202
    await send_until(party, 403)
    assert await party.judge() == []


@pytest.mark.fault(26)
async def test_what_waits_for_a_place_that_its_client_has_left_is_refused_for_now_and_goes_to_the_new_one(
    grove: Grove, party: Party
) -> None:
    old, new = (await grove.placement_of(party.client.id)).schema, f"t_{token_hex(8)}"
    async with held_up(grove, party) as (holder, sending):
        await holder.execute(f"ALTER SCHEMA {quote(old)} RENAME TO {quote(new)}")
        for rename in await holder.fetch(FUNCTIONS_RENAMED, old, new):
            await holder.execute(rename[0])
        await holder.execute("UPDATE grove.placements SET schema_name = $1 WHERE client_id = $2", new, party.client.id)
        await holder.execute(TOLD, party.client.id)
    assert (await sending).status == 503
    await send_until(party, 202)
    again = [sent.body for sent in (await sending).events]
    assert (await party.send(*again)).answer["accepted"] == 2
    assert await party.judge() == []


@pytest.mark.fault(26)
async def test_what_waits_for_a_client_that_is_removed_is_not_acknowledged(grove: Grove, party: Party) -> None:
    neighbour = Party(grove, await grove.make_client(f"c{token_hex(4)}"))
    place = await grove.placement_of(party.client.id)
    async with held_up(grove, party) as (holder, sending):
        beside = await neighbour.send(event())
        await holder.execute(f"DROP SCHEMA {quote(place.schema)} CASCADE")
    assert (beside.status, (await sending).status) == (202, 503)
    gone = await grove.http.delete(party.client.path, headers=grove.platform | {"Prefer": "wait=30"})
    assert gone.is_success, gone.text
    await send_until(party, 401)
    assert await neighbour.judge() == []
    schemas = await neighbour.fetch("SELECT FROM pg_namespace WHERE nspname = $1", place.schema)
    roles = await neighbour.fetch("SELECT FROM pg_roles WHERE rolname = $1", place.writer_role)
    assert (schemas, roles) == ([], [])
