"""Clocks are wrong, jump, or stand on an odd day: times are bounded, and keys, sessions and limits go on."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.workers.partitions import extend_partitions
from app.workers.resources import open_worker_resources
from tests.support.browser import ORIGIN, PASSWORD, Browser, add_person
from tests.support.clock import SetClock
from tests.support.grove import Grove, bearer, open_grove
from tests.support.party import Party, event
from tests.support.rollups import counted
from tests.support.waiting import until

HOUR = timedelta(hours=1)
LIMIT = {"name": "limited", "kind": "server", "rate_limit": 1, "rate_burst": 3}
# A leap day; the hours before and after Berlin's clocks go forward, and back: at both 01:00 UTC.
LEAP_DAY = datetime(2028, 2, 29, 23, 30, tzinfo=UTC)
FORWARD = datetime(2028, 3, 26, 2, 30, tzinfo=UTC)
BACK = datetime(2028, 10, 29, 2, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, clock: SetClock) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url, clock=clock, public_url=ORIGIN) as running, running.worker():
        yield running
        clock.ahead = timedelta(0)


@pytest.fixture
async def party(grove: Grove, clock: SetClock) -> Party:
    """A client of its own for each test, whose days are Berlin's and whose partitions are months."""
    clock.ahead = timedelta(0)
    placement = {"kind": "schema", "partitionInterval": "month"}
    return Party(
        grove, await grove.make_client(f"c{token_hex(4)}", timezone="Europe/Berlin", placement=placement), clock
    )


@pytest.mark.fault(22)
async def test_a_sender_whose_clock_is_ten_years_off_is_told_so_and_its_other_events_are_stored(
    party: Party, clock: SetClock
) -> None:
    now = clock()
    times = [now.replace(year=now.year + years, day=1) for years in (-10, 10)]
    off = [event(occurred_at=at.isoformat()) for at in times]
    ahead = event(occurred_at=(now + HOUR / 2).isoformat())
    attempt = await party.send(off[0], event(), off[1], ahead)
    assert (attempt.answer["accepted"], attempt.rejected) == (2, {0: "too_old", 2: "in_the_future"})
    rows = await party.fetch("SELECT received_at, occurred_at FROM {schema}.events ORDER BY occurred_at")
    assert all(attempt.began <= row["received_at"] <= clock() for row in rows), "when it came is for the server to say"
    assert rows[0]["occurred_at"] == rows[0]["received_at"]
    assert await party.judge() == []


@pytest.mark.fault(22)
async def test_a_servers_clock_that_jumps_an_hour_breaks_no_key_session_or_limit(
    grove: Grove, party: Party, clock: SetClock
) -> None:
    made = await grove.http.post(f"{party.client.path}/keys", json=LIMIT, headers=party.client.admin)
    limited = bearer(made.json()["key"])
    await add_person(grove, party.client, "ana@x.example")
    browser = Browser(grove)
    entered = await browser.log_in(party.client.id, "ana@x.example", PASSWORD)
    assert entered.status_code == 303

    for ahead in (timedelta(0), HOUR, timedelta(0), -HOUR, timedelta(0)):
        began = time.monotonic()
        clock.ahead = ahead
        statuses = [(await party.send(event(), headers=limited)).status for _ in range(8)]
        assert statuses.count(202) <= 3 + (time.monotonic() - began), "a jump fills no bucket"
        assert (await party.send(event())).status == 202
        assert (await browser.get(f"/{party.client.id}/")).status_code == 200

    async def is_let_through() -> bool:
        return (await party.send(event(), headers=limited)).status == 202

    await until(is_let_through, within_s=5)
    received = await party.fetch("SELECT DISTINCT date_bin('1 hour', received_at, 'epoch') FROM {schema}.events")
    assert len(received) >= 3
    assert await party.judge() == []


@pytest.mark.fault(22)
@pytest.mark.parametrize("day", [LEAP_DAY, FORWARD, BACK], ids=["leap day", "forward", "back"])
async def test_odd_days_have_their_partitions_and_every_hour_of_them_is_counted(
    grove: Grove, party: Party, clock: SetClock, day: datetime
) -> None:
    clock.set(day)
    async with open_worker_resources(grove.settings, clock=clock) as resources:
        await extend_partitions(resources)
    times = [day - minutes * timedelta(minutes=30) for minutes in range(-1, 12)]
    attempt = await party.send(*(event(occurred_at=at.isoformat()) for at in times), event())
    assert attempt.answer["accepted"] == len(times) + 1
    parts = await party.fetch("SELECT DISTINCT tableoid::regclass::text AS name FROM {schema}.events ORDER BY 1")
    months = {f"{at:%Y_%m}" for at in times}
    assert {row["name"].strip('"')[-7:] for row in parts} == months
    async with counted(grove, party.client.id) as store:
        for now in (clock(), clock() + timedelta(days=2)):
            await store.catch_up(now)
            (row,) = await store.fetch("SELECT sum(n) AS n FROM {{fn}}event_counts($1, $2)", times[-1], day + HOUR)
            assert row["n"] == len(times) + 1
    assert await party.judge() == []
