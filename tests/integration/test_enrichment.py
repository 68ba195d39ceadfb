"""Events of browsers over HTTP: what is found out, what is left out, and what is nowhere to be found."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.statements import statement
from app.workers.resources import open_worker_resources
from app.workers.salts import destroy_old_salts
from tenants.clock import utc_now
from tenants.ids import TenantId, quote
from tenants.visitors import VisitorRules, rules_of
from tests.support.clock import SetClock
from tests.support.countries import write_countries
from tests.support.shop import ClientShop, open_shop
from tests.support.waiting import until

PATH = "/api/v1/events"
ADDRESS = "81.2.69.142"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/131.0.0.0 Safari/537.36"
PHONE = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36"
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


class Shop(ClientShop):
    """An application with one client, whose time a test sets and whose visitors it is."""

    clock: SetClock

    async def browse(self, *events: dict[str, Any], agent: str = WINDOWS, source: str = ADDRESS, **headers: str) -> Any:
        """Send events as a browser at an address does, through the one proxy that is believed."""
        sent = {"User-Agent": agent, "X-Forwarded-For": f"6.6.6.6, {source}"} | headers
        return await self.send(self.client.browser | sent, *events)

    async def send(self, headers: dict[str, str], *events: dict[str, Any], path: str = PATH) -> Any:
        """Send events and return the answer."""
        answer = await self.http.post(path, json=list(events), headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()

    async def rules(self, **visitors: Any) -> dict[str, Any]:
        """Change what may be collected."""
        answer = await self.http.patch(self.client.path, json={"visitors": visitors}, headers=self.client.admin)
        assert answer.status_code == 200, answer.text
        wanted = rules_of(answer.json()["visitors"])
        await until(lambda: self._serves_by(wanted), within_s=3)
        return dict(answer.json()["visitors"])

    async def _serves_by(self, wanted: VisitorRules) -> bool:
        """Look into the process, which hears of a change within a second."""
        routes = self.app._app._routes  # noqa: SLF001 - what is cached, nothing shows from without
        client = await routes.state.registry.get_client(TenantId(self.client.id))
        return bool(client.rules == wanted)

    async def stored(self, sent: dict[str, Any]) -> asyncpg.Record:
        """Read how an event was stored."""
        (row,) = await self.rows("SELECT * FROM {schema}.events WHERE event_id = $1", uuid.UUID(sent["event_id"]))
        return row

    async def visit(self, at: datetime | None = None, page: str = "/", **how: Any) -> asyncpg.Record:
        """View a page, now or at a time that it then is, and read how that was stored."""
        if at is not None:
            self.clock.set(at)
        sent = view(page, occurred_at=self.clock().isoformat())
        assert (await self.browse(sent, **how))["accepted"] == 1
        return await self.stored(sent)

    async def everything(self) -> str:
        """Write down every row of every table, of Grove and of the client."""
        tables = await self.rows(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = ANY ($1)",
            ["grove", self.schema],
        )
        asked = "SELECT t::text AS row FROM {} AS t"
        rows = [await self.rows(asked.format(table["name"])) for table in tables]
        return "\n".join(row["row"] for found in rows for row in found)


@pytest.fixture(scope="module")
async def shop(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    networks: dict[str, dict[str, Any]] = {
        "81.2.69.0/24": {"country": {"iso_code": "GB"}},
        "89.0.0.0/8": {"country_code": "DE"},
    }
    path = write_countries(tmp_path_factory.mktemp("geo") / "countries.mmdb", networks)
    clock = SetClock()
    wanted = {"timezone": "America/New_York"}
    async with open_shop(Shop, postgres.url, wanted=wanted, clock=clock, geoip_db_path=path) as shop:
        shop.clock = clock
        yield shop
        clock.ahead = timedelta(0)


@pytest.fixture(autouse=True)
async def as_usual(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.rules(bots="filter", privacy="off", traits=[], geo=True)


def view(page: str = "/", **fields: Any) -> dict[str, Any]:
    url = f"https://maple.example{page}"
    return {"name": "page_view", "event_id": str(uuid.uuid4()), "page": {"url": url}} | fields


def address() -> str:
    """Make up an address that nobody else in these tests has."""
    number = uuid.uuid4().bytes
    return f"89.{number[0]}.{number[1]}.{number[2]}"


async def test_what_a_browser_does_not_say_is_found_out(shop: Shop) -> None:
    sent = view("/shoes")
    sent["page"]["referrer"] = "https://www.google.com/"
    await shop.browse(sent, agent=PHONE)
    row = await shop.stored(sent)
    assert [row[name] for name in ("device", "browser", "os", "country", "channel", "search_engine", "is_bot")] == [
        "mobile", "Chrome", "Android", "GB", "organic search", "Google", None
    ]  # fmt: skip
    assert row["visitor_id"].startswith("~")
    assert row["session_id"].startswith("~")


async def test_what_the_sender_says_counts(shop: Shop) -> None:
    context = {"device": "kiosk", "browser": "Own", "os": "Own", "country": "NP"}
    sent = view(context=context, session_id="s-1", visitor_id="v-1")
    await shop.browse(sent)
    row = await shop.stored(sent)
    assert {name: row[name] for name in context} == context
    assert (row["session_id"], row["visitor_id"]) == ("s-1", "v-1")


async def test_a_server_is_no_visitor_unless_it_says_whom_it_speaks_for(shop: Shop) -> None:
    alone, speaking = view(), view(context={"ip": ADDRESS, "user_agent": PHONE})
    await shop.send(shop.client.server | {"User-Agent": CRAWLER, "X-Forwarded-For": ADDRESS}, alone, speaking)
    row = await shop.stored(alone)
    assert [row[name] for name in ("device", "country", "visitor_id", "session_id")] == [None] * 4
    row = await shop.stored(speaking)
    assert [row[name] for name in ("device", "country")] == ["mobile", "GB"]
    assert row["session_id"].startswith("~")


async def test_a_browser_speaks_for_nobody_else(shop: Shop) -> None:
    sent = view(context={"ip": "89.1.1.1", "user_agent": PHONE})
    await shop.browse(sent)
    row = await shop.stored(sent)
    assert (row["device"], row["country"]) == ("desktop", "GB")


async def test_a_country_that_a_header_names_is_not_believed(shop: Shop) -> None:
    row = await shop.visit(None, "/", **{"CF-IPCountry": "FR", "X-Country-Code": "FR"})
    assert row["country"] == "GB"


async def test_a_client_may_do_without_countries(shop: Shop) -> None:
    assert (await shop.rules(geo=False))["geo"] is False
    assert (await shop.visit())["country"] is None


async def test_events_of_bots_are_passed_over_and_counted(shop: Shop) -> None:
    counted = "SELECT coalesce(sum(n), 0) FROM {schema}.outcome_counts WHERE outcome = 'filtered' AND reason = 'bot'"
    before = (await shop.rows(counted))[0][0]
    answer = await shop.browse(view(), view(), agent=CRAWLER)
    assert answer == {"accepted": 0, "duplicates": 0, "filtered": 2, "conflicts": [], "rejected": []}
    assert (await shop.rows(counted))[0][0] == before + 2
    metrics = (await shop.http.get("/metrics")).text
    assert 'grove_events_total{outcome="filtered"}' in metrics


async def test_a_rehearsal_says_that_a_bot_would_be_passed_over(shop: Shop) -> None:
    headers = shop.client.browser | {"User-Agent": CRAWLER}
    sent = view()
    answer = await shop.send(headers, sent, path=f"{PATH}?debug=1")
    assert (answer["filtered"], answer["accepted"]) == (1, 0)
    assert [(event["outcome"], event["code"], event["event_id"]) for event in answer["events"]] == [
        ("filtered", "bot", sent["event_id"])
    ]


async def test_a_client_may_keep_what_bots_send_with_a_flag_or_without(shop: Shop) -> None:
    await shop.rules(bots="flag")
    assert (await shop.visit(agent=CRAWLER))["is_bot"] is True
    await shop.rules(bots="keep")
    assert (await shop.visit(agent=CRAWLER))["is_bot"] is None


async def test_a_bad_event_of_a_bot_is_quarantined_like_any(shop: Shop) -> None:
    answer = await shop.browse({"name": 1}, view(), agent=CRAWLER)
    assert (answer["filtered"], [each["code"] for each in answer["rejected"]]) == (1, ["wrong_type"])


NOON = datetime(2026, 11, 25, 17, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 26, 5, tzinfo=UTC)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


async def sessions_of(shop: Shop, *visits: tuple[datetime, str]) -> list[int]:
    """View pages at times, from one place; tell which of them were one session, by numbers in order of appearance."""
    source, seen = address(), list[str]()
    for at, page in visits:
        session = (await shop.visit(at, page, source=source))["session_id"]
        seen.append(session)
    return [list(dict.fromkeys(seen)).index(session) for session in seen]


async def test_a_session_ends_after_half_an_hour_without_an_event(shop: Shop) -> None:
    visits = ((NOON, "/"), (NOON + minutes(29), "/a"), (NOON + minutes(58), "/b"), (NOON + minutes(89), "/c"))
    assert await sessions_of(shop, *visits) == [0, 0, 0, 1]


async def test_a_session_ends_at_midnight_where_the_client_is(shop: Shop) -> None:
    visits = ((MIDNIGHT - minutes(5), "/"), (MIDNIGHT - minutes(1), "/a"), (MIDNIGHT + minutes(1), "/b"))
    assert await sessions_of(shop, *visits) == [0, 0, 1]


async def test_another_campaign_begins_another_session(shop: Shop) -> None:
    news, ads = "/?utm_source=news", "/?utm_source=ads&utm_medium=cpc"
    visits = ((NOON, "/"), (NOON + minutes(1), news), (NOON + minutes(2), "/a"), (NOON + minutes(3), ads))
    assert await sessions_of(shop, *visits, (NOON + minutes(4), ads)) == [0, 1, 1, 2, 2]


async def test_every_process_finds_the_same_session_and_visitor(shop: Shop) -> None:
    source = address()
    first = await shop.visit(NOON, source=source)
    async with shop.twin(clock=shop.clock) as twin:
        sent = view("/a", occurred_at=(NOON + minutes(20)).isoformat())
        headers = shop.client.browser | {"User-Agent": WINDOWS, "X-Forwarded-For": source}
        shop.clock.set(NOON + minutes(20))
        answer = await twin.http.post(PATH, json=sent, headers=headers)
        assert answer.json()["accepted"] == 1
    row = await shop.stored(sent)
    assert row["session_id"] == first["session_id"]


async def test_a_visit_whose_events_come_to_two_processes_at_once_is_one_session(shop: Shop) -> None:
    headers = shop.client.browser | {"User-Agent": WINDOWS, "X-Forwarded-For": address()}
    shop.clock.set(NOON + minutes(10))
    sent = [view(occurred_at=(NOON + timedelta(seconds=at)).isoformat()) for at in range(40)]
    async with shop.twin(clock=shop.clock) as twin:
        both = cycle((shop, twin))
        answers = await asyncio.gather(*(next(both).http.post(PATH, json=each, headers=headers) for each in sent))
    assert {answer.json()["accepted"] for answer in answers} == {1}
    ids = [uuid.UUID(each["event_id"]) for each in sent]
    rows = await shop.rows("SELECT DISTINCT visitor_id, session_id FROM {schema}.events WHERE event_id = ANY ($1)", ids)
    sessions = await shop.rows("SELECT * FROM {schema}.sessions WHERE visitor_id = $1", rows[0]["visitor_id"])
    assert (len(rows), [session["events"] for session in sessions]) == (1, [40])


async def test_events_of_one_request_share_a_session_whatever_their_order(shop: Shop) -> None:
    source = address()
    shop.clock.set(NOON + minutes(60))
    sent = [view(occurred_at=(NOON + minutes(at)).isoformat()) for at in (40, 0, 20, 55)]
    await shop.browse(*sent, source=source)
    rows = [await shop.stored(each) for each in sent]
    assert len({row["session_id"] for row in rows}) == 1
    (session,) = await shop.rows("SELECT * FROM {schema}.sessions WHERE session_id = $1", rows[0]["session_id"])
    assert (session["events"], session["started_at"], session["ended_at"]) == (4, NOON, NOON + minutes(55))


async def test_a_visitor_is_the_same_all_day_and_another_one_tomorrow(shop: Shop) -> None:
    source = address()
    morning, evening = await shop.visit(NOON, source=source), await shop.visit(MIDNIGHT - minutes(1), source=source)
    tomorrow = await shop.visit(MIDNIGHT + minutes(1), source=source)
    assert morning["visitor_id"] == evening["visitor_id"] != tomorrow["visitor_id"]
    days = await shop.rows("SELECT day FROM {schema}.visitor_salts")
    assert [str(row["day"]) for row in days] == ["2026-11-26"]


async def test_another_browser_another_place_and_another_site_are_other_visitors(shop: Shop) -> None:
    source = address()
    how = [{}, {"agent": PHONE}, {"source": address()}, {"Origin": "https://other.example"}]
    ids = [(await shop.visit(NOON, **({"source": source} | each)))["visitor_id"] for each in how]
    again = await shop.visit(NOON, source=source)
    assert len(set(ids)) == 4
    assert again["visitor_id"] == ids[0]


async def test_a_salt_is_destroyed_when_its_day_is_over_though_nobody_visits(shop: Shop) -> None:
    await shop.visit(NOON, source=address())

    async def days_left() -> set[str]:
        return {str(row["day"]) for row in await shop.rows("SELECT day FROM {schema}.visitor_salts")}

    async def job(at: datetime) -> int:
        async with open_worker_resources(shop.settings, clock=lambda: at) as resources:
            return await destroy_old_salts(resources)

    await job(MIDNIGHT - minutes(1))
    assert "2026-11-25" in await days_left()
    assert await job(MIDNIGHT + minutes(1)) == 1
    assert "2026-11-25" not in await days_left()


async def test_whoever_is_identified_was_the_visitor_before(shop: Shop) -> None:
    await shop.rules(traits=["plan", "seats"])
    source, user = address(), f"u-{uuid.uuid4()}"
    before = await shop.visit(NOON, source=source)
    traits = {"plan": "pro", "seats": 3, "name": "Ana", "email": "ana@maple.example", "tags": ["a"]}
    sent: dict[str, Any] = {"name": "identify", "event_id": str(uuid.uuid4()), "user_id": user, "properties": traits}
    await shop.browse(sent, source=source)
    after = await shop.visit(MIDNIGHT + minutes(1), source=source)
    (person,) = await shop.rows("SELECT * FROM {schema}.persons WHERE user_id = $1", user)
    assert json.loads(person["traits"]) == {"plan": "pro", "seats": 3}
    theirs = await shop.rows("SELECT event_id FROM {schema}.person_events WHERE person_id = $1", user)
    assert {row["event_id"] for row in theirs} == {before["event_id"], uuid.UUID(sent["event_id"])}
    assert after["visitor_id"] != before["visitor_id"]
    assert json.loads((await shop.stored(sent))["properties"]) == {}


async def test_later_traits_win_whatever_order_they_come_in(shop: Shop) -> None:
    await shop.rules(traits=["plan", "name", "seats"])
    user = f"u-{uuid.uuid4()}"
    shop.clock.set(NOON)
    for at, traits in ((-1, {"plan": "pro", "name": "Ana"}), (-2, {"plan": "free", "seats": 1})):
        when = (NOON + minutes(at)).isoformat()
        await shop.browse({"name": "identify", "user_id": user, "properties": {"traits": traits}, "occurred_at": when})
    (person,) = await shop.rows("SELECT * FROM {schema}.persons WHERE user_id = $1", user)
    assert json.loads(person["traits"]) == {"plan": "pro", "name": "Ana", "seats": 1}
    assert (person["first_seen_at"], person["last_seen_at"]) == (NOON - minutes(2), NOON - minutes(1))


async def test_strict_privacy_keeps_no_id_that_a_browser_brings(shop: Shop) -> None:
    await shop.rules(privacy="strict", traits=["plan"])
    sent = view(visitor_id="kept-for-years", session_id="kept", user_id="u-strict")
    identify = {
        "name": "identify",
        "user_id": "u-strict",
        "visitor_id": "kept-for-years",
        "properties": {"plan": "pro"},
    }
    await shop.browse(sent, identify)
    row = await shop.stored(sent)
    assert row["user_id"] is None
    assert [row["visitor_id"][0], row["session_id"][0]] == ["~", "~"]
    for secret in ("kept-for-years", "u-strict"):
        assert secret not in await shop.everything()


async def test_balanced_privacy_makes_a_browsers_visitor_another_one_every_day(shop: Shop) -> None:
    await shop.rules(privacy="balanced")
    ids = []
    for at in (NOON, NOON + minutes(90), MIDNIGHT + minutes(1)):
        shop.clock.set(at)
        sent = view(visitor_id="v-balanced", session_id="s-balanced")
        await shop.browse(sent, source=address())
        ids.append((await shop.stored(sent))["visitor_id"])
    assert ids[0] == ids[1] != ids[2]
    assert "v-balanced" not in await shop.everything()


async def test_privacy_does_not_take_the_session_of_a_conversation(shop: Shop) -> None:
    await shop.rules(privacy="strict")
    await shop.browse({"name": "widget_opened", "session_id": "chat-1"})
    assert await shop.rows('SELECT FROM {schema}."UserEvents" WHERE "sessionId" = \'chat-1\'')


async def test_nothing_of_the_corpus_is_left_wherever_it_was(shop: Shop) -> None:
    corpus = json.loads((Path(__file__).parents[1] / "data/redaction.json").read_text())
    secrets = [case["in"] for case in corpus["cases"] + corpus["server"] if case["in"] != case["out"]]
    events = [
        {
            "name": "page_view", "user_id": f"u{index}", "session_id": f"c{index}",
            "page": {"url": secret, "title": secret, "referrer": secret, "path": secret},
            "context": {"utm": {"source": secret, "medium": secret, "campaign": secret}},
            "properties": {"said": secret, "deep": [{"said": secret}], secret: 1},
        }
        for index, secret in enumerate(secrets)
    ]  # fmt: skip
    messages = [
        {"name": "chat_message", "session_id": "c", "properties": {"role": "user", "text": secret}}
        for secret in secrets
    ]
    answer = await shop.send(shop.client.server, *events, *messages)
    assert answer["accepted"] == 2 * len(secrets), answer
    everything = await shop.everything()
    assert [secret for secret in secrets if secret in everything] == []
    for leak in ("ana@", "ana%40", "4111111111111111", "4111 1111", "opensesame", "d0c5a7e8f1"):
        assert leak not in everything


async def test_a_lead_keeps_its_address_and_its_event_does_not(shop: Shop) -> None:
    said = {"name": "Ana", "email": "lead@maple.example"}
    sent: dict[str, Any] = {
        "name": "lead_captured",
        "session_id": "c",
        "event_id": str(uuid.uuid4()),
        "properties": said,
    }
    await shop.send(shop.client.server, sent)
    (lead,) = await shop.rows('SELECT email FROM {schema}."Leads" WHERE id = $1', uuid.UUID(sent["event_id"]))
    assert lead["email"] == "lead@maple.example"
    assert "lead@" not in (await shop.stored(sent))["properties"]


async def test_no_address_of_a_visitor_is_in_the_store_or_the_log(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    source, spoken_for = address(), address()
    await shop.browse(view(), {"name": 1}, source=source)
    await shop.browse(view(), source=source, agent=CRAWLER)
    speaking = {"ip": spoken_for, "user_agent": WINDOWS}
    sent = (view(context=speaking), view(context=speaking, properties={"ip": spoken_for}))
    await shop.send(shop.client.server, *sent, {"name": "", "context": speaking})
    refused = await shop.http.post(PATH, content=b"{", headers=shop.client.browser | {"X-Forwarded-For": source})
    assert refused.status_code == 400
    everything, logged = await shop.everything(), "".join(capfd.readouterr())
    assert "page_view" in everything
    for secret in (source, spoken_for):
        assert secret not in everything
        assert secret not in logged


async def replay(shop: Shop, sent: dict[str, Any], mended: dict[str, Any]) -> asyncpg.Record:
    """Mend an event that was refused, replay it, and read how it was stored."""
    listed = await shop.http.get("/api/v1/quarantine", headers=shop.client.server)
    (row,) = [each for each in listed.json()["data"] if each["event_id"] == sent["event_id"]]
    path = f"/api/v1/quarantine/{row['id']}"
    edited = await shop.http.patch(path, json={"event": sent | mended}, headers=shop.client.server)
    assert edited.status_code == 200, edited.text
    answer = await shop.http.post(f"{path}/replay", headers=shop.client.server)
    assert answer.json()["outcome"] == "stored", answer.text
    return await shop.stored(sent)


async def test_what_is_replayed_is_held_to_the_strictest_privacy_where_there_is_any(shop: Shop) -> None:
    await shop.rules(privacy="balanced")
    sent = view(visitor_id="v-refused", session_id="s-refused", properties=[])
    await shop.browse(sent)
    row = await replay(shop, sent, {"properties": {"from": "ana@shop.example"}})
    assert [row["visitor_id"], row["session_id"]] == [None, None]
    assert json.loads(row["properties"]) == {"from": "REDACTED"}


async def test_a_bots_event_that_somebody_replays_is_stored_with_a_flag(shop: Shop) -> None:
    sent = view(context={"user_agent": CRAWLER, "ip": ADDRESS}, properties=[])
    await shop.send(shop.client.server, sent)
    assert (await replay(shop, sent, {"properties": {}}))["is_bot"] is True


CROWD = """
CREATE SCHEMA crowd;
CREATE TABLE crowd.sessions (LIKE {schema}.sessions INCLUDING ALL);
INSERT INTO crowd.sessions (session_id, visitor_id, started_at, ended_at, events, page_views, entry_event, exit_event)
SELECT '~' || n, 'v' || n, now(), now(), 1, 1, gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 2000) AS n;
"""


async def test_to_find_the_sessions_of_some_visitors_those_of_others_are_passed_by(shop: Shop) -> None:
    asked = statement(await shop.placement_of("maple"), "open_visits").replace(quote(shop.schema), "crowd")
    connection = await asyncpg.connect(shop.settings.main_url)
    try:
        await connection.execute(CROWD.replace("{schema}", quote(shop.schema)))
        times = utc_now() - minutes(30), utc_now() + minutes(30)
        found = await connection.fetch(asked, ["v7", "v1999", "w"], *times)
        plan = await connection.fetch("EXPLAIN ANALYZE " + "\n".join(asked.splitlines()[3:]), ["v7", "v1999"], *times)
    finally:
        await connection.execute("DROP SCHEMA crowd CASCADE")
        await connection.close()
    assert {row["session_id"] for row in found} == {"~7", "~1999"}
    assert "Rows Removed by Filter" not in str(plan)


async def test_no_reader_sees_a_salt(shop: Shop) -> None:
    await shop.visit(NOON, source=address())
    (place,) = await shop.rows("SELECT reader_role, login_role FROM grove.placements WHERE client_id = 'maple'")
    for role in (place["reader_role"], place["login_role"]):
        asked = "SELECT has_table_privilege($1, '{schema}.visitor_salts', 'SELECT')"
        assert (await shop.rows(asked, role))[0][0] is False


async def test_the_rules_are_changed_one_by_one(shop: Shop) -> None:
    assert await shop.rules(bots="flag") == {"bots": "flag", "privacy": "off", "traits": [], "geo": True}
    assert await shop.rules(traits=["plan"]) == {"bots": "flag", "privacy": "off", "traits": ["plan"], "geo": True}


@pytest.mark.parametrize(
    ("visitors", "pointers"),
    [
        ({"bots": "shoot"}, ["/visitors/bots"]),
        ({"privacy": "none", "traits": ["", "ok", "x" * 65]},
         ["/visitors/privacy", "/visitors/traits/0", "/visitors/traits/2"]),
        ({"traits": ["t"] * 51}, ["/visitors/traits"]),
        ({"colour": 1}, ["/visitors/colour"]),
    ],
)  # fmt: skip
async def test_wrong_rules_are_refused_with_a_pointer_each(
    shop: Shop, visitors: dict[str, Any], pointers: list[str]
) -> None:
    answer = await shop.http.patch(shop.client.path, json={"visitors": visitors}, headers=shop.client.admin)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
