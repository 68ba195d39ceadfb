"""The judge of the fault tests is judged: it finds each kind of wrong that is done to a store on purpose."""

import pytest

from tests.support.history import Finding, History
from tests.support.servers import Client

WRONGS = {
    "lost": "DELETE FROM {schema}.events WHERE event_id = (SELECT min(event_id::text)::uuid FROM {schema}.events)",
    "doubled": "INSERT INTO {schema}.events SELECT * FROM {schema}.events LIMIT 1",
    "foreign": "UPDATE {schema}.events SET event_id = gen_random_uuid() "
    "WHERE event_id = (SELECT min(event_id::text)::uuid FROM {schema}.events)",
    "altered": "UPDATE {schema}.events SET name = 'another'",
    "unequal": "UPDATE {schema}.outcome_counts SET n = n + 1 WHERE flush = (SELECT min(flush) FROM {schema}.events)",
    "sessions": "UPDATE {schema}.sessions SET events = events + 1",
    "rollups": "UPDATE {schema}.rollup_pending SET events = events + 1",
}
WELL = b'{"event_id":"one","name":"page_view"}'


@pytest.mark.parametrize("wrong", WRONGS)
async def test_a_store_that_was_tampered_with_is_found_out(client: Client, wrong: str) -> None:
    async with client.load(connections=2) as load:
        await load.await_acked(4)
    assert await client.judge(load.history) == []
    await client.fetch(WRONGS[wrong])
    assert wrong in {finding.what for finding in await client.judge(load.history)}


async def test_what_nobody_answered_may_be_stored_wholly_or_not_at_all(client: Client) -> None:
    absent, stored = History(), History()
    absent.begin(client.key, [WELL])
    assert await client.judge(absent) == []
    async with client.load(connections=1) as load:
        await load.await_acked(1)
    for attempt in load.history.attempts:
        unanswered = stored.begin(client.key, [event.body for event in attempt.events])
        unanswered.end(0)
    assert await client.judge(stored) == []
    refused = stored.attempts[0]
    refused.status = 429
    assert Finding("unequal", f"{len(stored.attempts) * 5} counted as received") in await client.judge(stored)
    refused.status, refused.events = 0, refused.events[1:]
    assert {finding.what for finding in await client.judge(stored)} == {"foreign", "unequal"}
