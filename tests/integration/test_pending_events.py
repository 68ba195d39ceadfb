"""What is not rolled up yet is read by its index, also by a connection that knew the table when it was empty."""

import asyncpg

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.grove import open_grove
from tests.support.party import Party
from tests.support.waiting import until

FLUSHES, EVENTS_EACH = 40, 5
# Of the partitions of events: how often an index told which rows are meant, and how often all were gone through.
SCANS = """
SELECT sum(s.idx_scan)::int AS by_index, sum(s.seq_scan)::int AS through_all FROM pg_stat_user_tables AS s
WHERE s.schemaname = $1 AND s.relname LIKE 'events\\_2%'
"""
# Who makes a function anew must set this anew, too. The visits of pending flushes are no events.
READERS = """
SELECT p.proname, p.proconfig FROM pg_proc AS p
WHERE p.pronamespace = $1::regnamespace AND pg_get_function_sqlbody(p.oid) LIKE '%rollup_pending%'
    AND p.proname NOT LIKE '%\\_visit\\_ranges'
"""


async def test_pending_events_of_a_young_table_are_read_by_their_index(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url, query_connections=1) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")

        party = Party(grove, client)

        async def count() -> int:
            return int((await party.ask_totals()).json()["events"])

        schema = (await grove.placement_of("maple")).schema
        database = await asyncpg.connect(grove.settings.main_url)
        await database.execute("SET stats_fetch_consistency = none")
        assert await count() == 0  # and the connection remembers how it asked
        for _ in range(FLUSHES):
            assert (await party.send_new(EVENTS_EACH)).json()["accepted"] == EVENTS_EACH
        before = await database.fetchrow(SCANS, schema)

        async def is_told() -> bool:
            assert await count() == FLUSHES * EVENTS_EACH  # with which the server tells of the time before
            return bool((await database.fetchrow(SCANS, schema))["by_index"] > before["by_index"])

        await until(is_told, within_s=15)
        assert (await database.fetchrow(SCANS, schema))["through_all"] == before["through_all"]
        readers = await database.fetch(READERS, quote(schema))
        assert len(readers) >= 5
        assert {tuple(row["proconfig"] or ()) for row in readers} == {("enable_seqscan=off", "jit=off")}
        await database.close()
