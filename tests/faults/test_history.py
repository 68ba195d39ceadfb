"""The judge of the fault tests is judged: it finds each kind of wrong that is done to a store on purpose."""

from uuid import uuid4

import pytest

from tests.support.history import History
from tests.support.servers import Client

WRONGS = {
    "lost": "DELETE FROM {schema}.events WHERE event_id = (SELECT min(event_id::text)::uuid FROM {schema}.events)",
    "doubled": "INSERT INTO {schema}.events SELECT * FROM {schema}.events LIMIT 1",
    "foreign": "UPDATE {schema}.events SET event_id = gen_random_uuid() "
    "WHERE event_id = (SELECT min(event_id::text)::uuid FROM {schema}.events)",
    "unequal": "UPDATE {schema}.sessions SET events = events + 1",
}


@pytest.mark.parametrize("wrong", WRONGS)
async def test_a_store_that_was_tampered_with_is_found_out(client: Client, wrong: str) -> None:
    async with client.load(connections=2) as load:
        await load.await_acked(4)
    assert await client.judge(load.history) == []
    await client.fetch(WRONGS[wrong])
    assert wrong in {finding.what for finding in await client.judge(load.history)}


def test_what_was_not_acknowledged_may_be_stored_or_not() -> None:
    history = History()
    stored, absent = uuid4(), uuid4()
    history.send([stored, absent])
    assert history.compare([stored]) == []
