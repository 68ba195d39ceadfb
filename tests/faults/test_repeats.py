"""The same event comes again: as it was, changed, at another client, after midnight, or for another partition."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from uuid import uuid4

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.clock import utc_now
from tests.support.clock import SetClock
from tests.support.grove import Grove, open_grove
from tests.support.party import Party, event

PARTITIONS = "SELECT DISTINCT tableoid::regclass::text AS name FROM {schema}.events"


@pytest.fixture(scope="module")
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, clock: SetClock) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url, clock=clock) as running, running.worker():
        yield running


@pytest.fixture
async def party(grove: Grove, clock: SetClock) -> Party:
    """A client of its own for each test."""
    clock.ahead = timedelta(0)
    return Party(grove, await grove.make_client(f"c{token_hex(4)}"), clock)


@pytest.mark.fault(21)
async def test_the_same_body_again_is_one_row_and_another_body_is_a_conflict(party: Party) -> None:
    first = event()
    other = first | {"name": "click"}
    answers = [(await party.send(*sent)).answer for sent in ((first,), (first, other), (other, first, first))]
    assert [answer["accepted"] for answer in answers] == [1, 0, 0]
    assert [answer["duplicates"] for answer in answers] == [0, 2, 3]
    assert [[each["index"] for each in answer["conflicts"]] for answer in answers] == [[], [1], [0]]
    assert [row["name"] for row in await party.fetch("SELECT name FROM {schema}.events")] == ["page_view"]
    assert await party.judge() == []


@pytest.mark.fault(21)
async def test_the_same_id_of_two_clients_is_a_row_of_each(grove: Grove, party: Party) -> None:
    neighbour = Party(grove, await grove.make_client(f"c{token_hex(4)}"), party.history.clock)
    shared = event()
    for each in (party, neighbour, party, neighbour):
        await each.send(shared)
    assert [[each.answer["accepted"] for each in one.history.attempts] for one in (party, neighbour)] == [[1, 0]] * 2
    assert [*await party.judge(), *await neighbour.judge()] == []


@pytest.mark.fault(21)
async def test_an_event_that_comes_again_after_midnight_or_for_another_partition_is_one_row(
    party: Party, clock: SetClock
) -> None:
    now = utc_now()
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    clock.set(midnight - timedelta(minutes=1))
    event_id, times = f"{uuid4()}", (clock(), clock() - timedelta(days=366))
    late, early = (event(event_id=event_id, occurred_at=at.isoformat()) for at in times)
    await party.send(late)
    clock.set(midnight + timedelta(hours=1))
    assert clock().date() > now.date()
    assert (await party.send(late, early)).answer["duplicates"] == 2
    assert (await party.send(event(occurred_at=early["occurred_at"]))).answer["accepted"] == 1
    assert len(await party.fetch(PARTITIONS)) == 2, "the last one shows that it would have been another partition"
    assert len(await party.fetch("SELECT FROM {schema}.events")) == 2
    assert await party.judge() == []
    hours = await party.fetch("SELECT DISTINCT hour FROM {schema}.outcome_counts")
    assert {row["hour"].date() for row in hours} == {now.date(), clock().date()}
