"""Questions about web events, compared with answers counted slowly in plain Python, while half is still pending."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import to_builtins

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.stats import count_stats
from app.query.spec import Period
from app.query.web import WebAnalyst
from tenants.clock import utc_now
from tenants.placement import Purpose
from tests.support.grove import Grove, open_grove
from tests.support.rollups import Counted, counted
from tests.support.web_recount import (
    KINDS,
    STEPS,
    WAYS,
    Told,
    converted,
    grouped,
    minute,
    rank,
    sessions_of,
    tell,
    there,
    total,
    went,
    write,
)

ZONE = ZoneInfo("Europe/Berlin")
NOW = utc_now().replace(microsecond=0)
FROM, TO = NOW - timedelta(days=40), NOW - timedelta(hours=7)


TOLD = tell(NOW, 900)
INSIDE = [event for event in TOLD if FROM <= event.at < TO]


@pytest.fixture(scope="module")
async def store(postgres: EmbeddedPostgres) -> AsyncIterator[Counted]:
    async with open_grove(postgres.url) as grove:
        async with grove.worker():
            client = await grove.make_client("weaver", timezone=ZONE.key)
        async with counted(grove, "weaver") as opened:
            await send(grove, client.server, TOLD[::2])
            await opened.catch_up(NOW)
            await send(grove, client.server, TOLD[1::2])
            yield opened


async def send(grove: Grove, headers: dict[str, str], told: list[Told]) -> None:
    answer = await grove.http.post("/api/v1/events", json=[write(each) for each in told], headers=headers)
    assert answer.json()["accepted"] == len(told)


def local(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def monday(at: datetime) -> date:
    return local(at) - timedelta(days=local(at).weekday())


async def assert_summary(store: Counted) -> None:
    period = Period(from_at=FROM, to_at=TO, zone=ZONE)
    answer = to_builtins(
        (await WebAnalyst(store.databases).summary(store.client, period, most=10)).answer(),
        builtin_types=(datetime, date),
    )
    visits = [visit for visit in sessions_of(TOLD) if FROM <= visit[0].at < TO]
    days, pages = answer.pop("days"), answer.pop("pages")
    assert (sum(day["events"] for day in days), pages[0]["views"] > 1) == (len(INSIDE), True)
    assert answer == total(TOLD, FROM, TO) | {
        "tz": ZONE.key,
        "previous": total(TOLD, FROM - (TO - FROM), FROM),
        **{kind: grouped(visits, kind) for kind in KINDS},
    }
    assert {each["name"] for each in answer["channels"]} == {channel for _, _, channel, _ in WAYS} | {"unknown"}
    assert answer["previous"]["conversions"]["count"] > 0
    async with store.databases.unit(store.client.placement, Purpose.READ) as db:
        stats = await count_stats(db, FROM, TO, now=NOW)
    assert stats.last_event is not None
    assert stats.last_event.occurred_at == max(INSIDE).at


async def test_a_summary_and_the_period_before_it(store: Counted) -> None:
    await assert_summary(store)


async def test_days(store: Counted) -> None:
    rows = await WebAnalyst(store.databases).daily(store.client, FROM, TO)
    assert [row["day"] for row in rows] == [local(FROM) + timedelta(days=n) for n in range(len(rows))]
    assert rows[-1]["day"] == local(TO - timedelta(microseconds=1))
    for row in rows:
        there = [event for event in INSIDE if local(event.at) == row["day"]]
        views = sum(event.name == "page_view" for event in there)
        assert (row["events"], row["page_views"]) == (len(there), views)
        assert row["visitors"] == len({event.visitor for event in there})


async def test_pages(store: Counted) -> None:
    rows = await WebAnalyst(store.databases).pages(store.client, FROM, TO, most=3)
    views = [event for event in INSIDE if event.name == "page_view"]
    counts = sorted(Counter(event.page for event in views).items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    assert [tuple(row) for row in rows] == [
        (page, n, len({event.visitor for event in views if event.page == page})) for page, n in counts
    ]


async def test_retention(store: Counted) -> None:
    rows = await WebAnalyst(store.databases).retention(store.client, FROM, TO)
    met: dict[date, set[str]] = {}
    for event in INSIDE:
        met.setdefault(monday(event.at), set()).add(event.visitor)
    found = {(row["first_week"], row["weeks_later"]): row["visitors"] for row in rows}
    for first, those in met.items():
        for later, these in met.items():
            if later >= first:
                assert found.get((first, (later - first).days // 7), 0) == len(those & these)


async def test_what_happens_now(store: Counted) -> None:
    answer = to_builtins(
        (await WebAnalyst(store.databases).recent(store.client, NOW, most=10)).answer(), builtin_types=(datetime, date)
    )
    since = NOW - timedelta(minutes=30)
    events = [event for event in TOLD if since <= event.at < NOW]
    views = [event for event in events if event.name == "page_view"]
    visits = [visit for visit in sessions_of(TOLD) if any(event in events for event in visit)]
    starts = [since + timedelta(minutes=n) for n in range(30)]
    expected = {
        "at": NOW,
        "visitors": len({event.visitor for event in events if event.at >= NOW - timedelta(minutes=5)}),
        "last_30_minutes": {
            "events": len(events), "page_views": len(views), "visitors": len({event.visitor for event in events}),
            **went(visits), "conversions": converted(events, visits),
            "minutes": [minute(at, events) for at in starts],
            "pages": [
                {"page": page, "views": n, "visitors": len({event.visitor for event in views if event.page == page})}
                for page, n in rank(Counter(event.page for event in views))
            ],
            **{kind: there(visits, kind) for kind in KINDS},
        },
    }  # fmt: skip
    assert answer == expected
    assert answer["visitors"] > 0 < answer["last_30_minutes"]["conversions"]["count"]
    assert answer["last_30_minutes"]["average_duration_s"] > 0


@pytest.mark.parametrize("steps", [STEPS, ("add_to_cart", "product_view"), ("purchase", "purchase", "page_view")])
async def test_funnels(store: Counted, steps: tuple[str, ...]) -> None:
    reached: Any = Counter()
    for visitor in {event.visitor for event in INSIDE}:
        step = 0
        for event in sorted(INSIDE):
            if event.visitor == visitor and step < len(steps) and event.name == steps[step]:
                step += 1
                reached[step] += 1
    answer = await WebAnalyst(store.databases).funnel(store.client, FROM, TO, steps=steps)
    assert answer == [reached[step] for step in range(1, len(steps) + 1)]
    assert answer[-1] > 0


async def test_a_summary_is_the_same_once_all_is_counted_also_where_an_older_release_counted(store: Counted) -> None:
    counted_days = "SELECT count(*) FILTER (WHERE by_channel) AS whole, count(*) AS n FROM {{schema}}.rollup_visit_days"
    await store.catch_up(NOW)
    await assert_summary(store)
    async with store.writing() as db:
        for change in (
            "DELETE FROM {{schema}}.rollup_visits WHERE dimension > 5",
            "UPDATE {{schema}}.rollup_visits SET bounces = NULL",
            "UPDATE {{schema}}.rollup_visit_days SET by_channel = false",
        ):
            await db.execute(db.placement.render(change))
    await assert_summary(store)
    assert await store.differences() == []
    await store.catch_up(NOW)
    ((whole, n),) = await store.fetch(counted_days)
    assert whole == n > 40
    assert await store.differences() == []
    await assert_summary(store)
    async with store.writing() as db:
        await db.execute(db.placement.render("UPDATE {{schema}}.rollup_visits SET bounces = bounces + 1"))
    assert {each.kind for each in await store.differences()} == {"visits"}


async def test_the_routes_answer_for_the_client_of_the_key(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url) as grove:
        async with grove.worker():
            mine, other = await grove.make_client("maple"), await grove.make_client("birch")
        now = utc_now()  # the tests may have been collected longer ago than the realtime answer looks back
        events = [Told(now - timedelta(minutes=3, seconds=-n), name, "v1", "s1", "/") for n, name in enumerate(STEPS)]
        events.append(Told(now - timedelta(minutes=1), "page_view", "v2", "s2", "/pricing"))
        await send(grove, mine.server, events)
        ask = "/api/v1/analytics"

        summary = (await grove.http.get(f"{ask}/summary", headers=mine.server)).json()
        counts = [summary[name] for name in ("events", "page_views", "visitors", "sessions")]
        assert (counts, len(summary["days"])) == ([4, 1, 2, 2], 30)
        assert summary["pages"] == [{"page": "/pricing", "views": 1, "visitors": 1}]
        realtime = await grove.http.get(f"{ask}/realtime", headers=mine.admin)
        assert realtime.json()["visitors"] == 2
        question = {"steps": ["product_view", "purchase", "page_view"]}
        funnel = await grove.http.post(f"{ask}/funnel/analyze", json=question, headers=mine.server)
        assert funnel.json() == {
            "total_entries": 1,
            "steps": [
                {"name": "product_view", "entries": 1, "drop_off_rate": 0.0},
                {"name": "purchase", "entries": 1, "drop_off_rate": 0.0},
                {"name": "page_view", "entries": 0, "drop_off_rate": 100.0},
            ],
            "overall_conversion_rate": 0.0,
        }

        assert (await grove.http.get(f"{ask}/summary", headers=other.server)).json()["events"] == 0
        assert (await grove.http.get(f"{ask}/summary", headers=mine.browser)).status_code == 403
        assert (await grove.http.get(f"{ask}/summary", headers=grove.platform)).status_code == 403
        assert (await grove.http.get(f"{ask}/summary")).status_code == 401
        refused = await grove.http.post(f"{ask}/funnel/analyze", json={"steps": ["one"]}, headers=mine.server)
        assert refused.status_code == 400


async def test_days_are_those_of_the_clients_zone_from_its_first_event_on(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url) as grove:
        async with grove.worker():
            client = await grove.make_client("dawn", timezone="Asia/Tokyo")
        midnight = datetime.combine((NOW - timedelta(days=3)).date(), datetime.min.time(), ZoneInfo("Asia/Tokyo"))
        at = [midnight + timedelta(minutes=minute) for minute in (-1, 0, 14, 16, 60 * 24 - 1)]
        await send(grove, client.server, [Told(each, "page_view", "v1", "s1", "/") for each in at])
        days = [midnight.date() - timedelta(days=1), midnight.date(), midnight.date() + timedelta(days=1)]

        async def summarise(**zone: str) -> list[tuple[str, int, int, int]]:
            asked = {"from": days[0].isoformat(), "to": days[2].isoformat()} | zone
            answer = await grove.http.get("/api/v1/analytics/summary", params=asked, headers=client.server)
            return [tuple(day.values()) for day in answer.json()["days"]]

        expected = [(days[0].isoformat(), 1, 1, 1), (days[1].isoformat(), 4, 4, 1), (days[2].isoformat(), 0, 0, 0)]
        assert await summarise() == expected  # nothing is rolled up yet
        async with counted(grove, "dawn") as opened:
            await opened.catch_up(NOW)
        assert await summarise() == expected
        in_utc = [(days[0].isoformat(), 4, 4, 1), (days[1].isoformat(), 1, 1, 1), (days[2].isoformat(), 0, 0, 0)]
        assert await summarise(tz="UTC") == in_utc
        change = {"timezone": "America/New_York"}
        changed = await grove.http.patch(client.path, json=change, headers=grove.platform)
        assert changed.status_code == 200, changed.text
        moved = Counter(each.astimezone(ZoneInfo("America/New_York")).date().isoformat() for each in at)
        async with asyncio.timeout(10):  # until the change is heard of
            while {day: events for day, events, *_ in await summarise() if events} != moved:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
