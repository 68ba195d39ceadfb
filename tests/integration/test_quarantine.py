"""Quarantine: what was refused is inspected, mended, stored exactly once, or purged; the books stay balanced."""

import asyncio
import base64
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.flush_ids import FlushIds
from app.ingest.quarantine import edit_quarantined
from app.ingest.replay import Replay
from app.workers.outcomes import compact_outcomes
from app.workers.quarantine import purge_old_quarantine
from app.workers.resources import open_worker_resources
from tenants.clock import utc_now
from tenants.databases import Databases
from tenants.placement import Placement, Purpose, TenantContext
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.rollups import counted
from tests.support.waiting import until

PATH = "/api/v1/quarantine"
EVENTS = "/api/v1/events"


class Ward:
    """A Grove, and a client of it that no other test has."""

    def __init__(self, grove: Grove, client: MadeClient, schema: str) -> None:
        self.grove = grove
        self.client = client
        self._schema = schema

    async def ask(self, method: str, path: str, key: str = "server", **wanted: Any) -> httpx.Response:
        """Ask with one of the client's keys."""
        return await self.grove.http.request(method, path, headers=getattr(self.client, key), **wanted)

    async def send(self, *events: Any, **headers: str) -> dict[str, Any]:
        """Send events."""
        answer = await self.grove.http.post(EVENTS, json=list(events), headers=self.client.server | headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def send_bytes(self, body: bytes) -> None:
        """Send a body as it is."""
        answer = await self.grove.http.post(EVENTS, content=body, headers=self.client.server)
        assert answer.status_code == 202, answer.text

    async def refused(self, **wanted: Any) -> list[dict[str, Any]]:
        """List what is in quarantine."""
        answer = await self.ask("GET", PATH, params=wanted)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    async def replay(self, row: dict[str, Any]) -> dict[str, Any]:
        """Replay one."""
        answer = await self.ask("POST", f"{PATH}/{row['id']}/replay")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def edit(self, row: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        """Edit one."""
        answer = await self.ask("PATCH", f"{PATH}/{row['id']}", json={"event": event})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def fate(self, event_id: str) -> dict[str, Any]:
        """Ask what became of an event."""
        answer = await self.ask("GET", f"{EVENTS}/{event_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def outcomes(self) -> dict[str, int]:
        """Read the client's usage."""
        answer = await self.ask("GET", f"{self.client.path}/usage", "admin")
        usage = answer.json()
        assert usage["received"] == sum(usage["outcomes"].values())
        return dict(usage["outcomes"])

    async def told(self) -> dict[str, int]:
        """Read what the platform was told of the client."""
        rows = await self.rows("SELECT outcome, n FROM grove.outcome_hours WHERE client_id = $1", self.client.id)
        return {row["outcome"]: row["n"] for row in rows}

    async def rows(self, sql: str, *args: Any) -> list[Any]:
        """Ask the client's tables as the administrator."""
        return await fetch_in(self.grove.settings.main_url, self._schema, sql, *args)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture
async def ward(grove: Grove) -> Ward:
    """A client of its own for each test."""
    client = await grove.make_client(f"ward-{uuid.uuid4().hex[:12]}")
    return Ward(grove, client, (await grove.placement_of(client.id)).schema)


async def test_refused_events_are_listed_the_latest_first_in_pages(ward: Ward) -> None:
    for number in range(5):
        await ward.send({"event_id": f"bad-{number}", "name": number})
    first = (await ward.ask("GET", PATH, params={"limit": 3})).json()
    rest = (await ward.ask("GET", PATH, params={"limit": 3, "cursor": first["meta"]["next"]})).json()
    listed = [row["event_id"] for row in first["data"] + rest["data"]]
    assert sorted(listed) == [f"bad-{number}" for number in range(5)]
    assert [row["id"] for row in first["data"]] == sorted((row["id"] for row in first["data"]), reverse=True)
    assert rest["meta"]["next"] is None
    assert {row["code"] for row in first["data"]} == {"wrong_type"}


async def test_refused_events_are_found_by_code_key_and_time(ward: Ward) -> None:
    await ward.send(
        {"event_id": "typed", "name": 7}, {"event_id": "old", "name": "a", "occurred_at": "1999-01-01T00:00:00Z"}
    )
    (typed,) = await ward.refused(code="wrong_type")
    assert typed["event_id"] == "typed"
    assert [row["event_id"] for row in await ward.refused(key=typed["key_id"], code="too_old")] == ["old"]
    assert await ward.refused(key=str(uuid.uuid4())) == []
    now = utc_now()
    assert await ward.refused(to=(now - timedelta(hours=1)).isoformat()) == []
    assert len(await ward.refused(**{"from": (now - timedelta(hours=1)).isoformat()})) == 2


@pytest.mark.parametrize(
    ("body", "encoding", "shown"),
    [
        (b'{"name": 7, "n": 1}', "json", {"name": 7, "n": 1}),
        (rb'{"name": "\ud800"}', "text", r'{"name": "\ud800"}'),
        (b'{"name": "\xff"}', "base64", base64.b64encode(b'{"name": "\xff"}').decode()),
    ],
)
async def test_a_body_is_shown_as_what_it_is(ward: Ward, body: bytes, encoding: str, shown: object) -> None:
    await ward.send_bytes(b"[" + body + b"]")
    (row,) = await ward.refused()
    whole = (await ward.ask("GET", f"{PATH}/{row['id']}")).json()
    assert (whole["encoding"], whole["body"], whole["body_bytes"]) == (encoding, shown, len(body))


async def test_a_mended_event_is_stored_once_and_its_count_moves(ward: Ward) -> None:
    await ward.send({"event_id": "mended", "name": 7, "session_id": "s"}, {"name": "fine"})
    assert await ward.outcomes() == {"stored": 1, "quarantined": 1}
    (row,) = await ward.refused()
    edited = await ward.edit(row, {"event_id": "mended", "name": "page_view", "session_id": "s"})
    assert edited["edited_at"] is not None
    assert (await ward.replay(row))["outcome"] == "stored"
    assert await ward.outcomes() == {"stored": 2}
    assert await ward.refused() == []
    assert (await ward.fate("mended"))["fate"] == "stored"
    stored = await ward.rows("SELECT received_at, session_id FROM {schema}.events WHERE name = 'page_view'")
    assert [(each["received_at"], each["session_id"]) for each in stored] == [
        (datetime.fromisoformat(row["received_at"]), "s")
    ]
    assert [each["events"] for each in await ward.rows("SELECT events FROM {schema}.sessions")] == [1]
    assert (await ward.send({"event_id": "mended", "name": "page_view", "session_id": "s"}))["duplicates"] == 1


async def test_an_edit_is_kept_to_the_byte_and_so_is_its_money(ward: Ward) -> None:
    await ward.send({"event_id": "rich", "name": 7})
    (row,) = await ward.refused()
    event = b'{"name":"purchase", "amount":99999999999.123456, "currency":"EUR", "properties":{"n":1.10}}'
    answer = await ward.ask("PATCH", f"{PATH}/{row['id']}", content=b'{"event": %b}' % event)
    assert (answer.status_code, answer.json()["body_bytes"]) == (200, len(event))
    shown = await ward.ask("GET", f"{PATH}/{row['id']}")
    assert event in answer.content
    assert event in shown.content
    assert (await ward.replay(row))["outcome"] == "stored"
    stored = await ward.rows("SELECT amount::text FROM {schema}.events WHERE name = 'purchase'")
    assert [each["amount"] for each in stored] == ["99999999999.123456"]


@pytest.mark.parametrize("event", ["[]", "7", "null", '"text"'])
async def test_an_event_is_only_replaced_by_an_object(ward: Ward, event: str) -> None:
    await ward.send({"event_id": "kept", "name": 7})
    (row,) = await ward.refused()
    answer = await ward.ask("PATCH", f"{PATH}/{row['id']}", content=f'{{"event": {event}}}')
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/event")


async def test_a_replay_after_a_setting_was_changed_stores_what_was_sent(ward: Ward) -> None:
    at = utc_now() - timedelta(days=740)
    await ward.send({"event_id": "long ago", "name": "page_view", "occurred_at": at.isoformat()})
    (row,) = await ward.refused(code="too_old")
    again = await ward.replay(row)
    assert (again["outcome"], again["code"]) == ("quarantined", "too_old")
    await ward.rows("UPDATE grove.clients SET retention_days = 1000 WHERE id = $1", ward.client.id)
    await ward.rows("INSERT INTO grove.revocations (kind, subject) VALUES ('client', $1)", ward.client.id)
    async with asyncio.timeout(5):
        while (await ward.replay(row))["outcome"] == "quarantined":  # noqa: ASYNC110 - until the change is heard of
            await asyncio.sleep(0.05)
    assert [each["occurred_at"] for each in await ward.rows("SELECT occurred_at FROM {schema}.events")] == [at]
    assert await ward.outcomes() == {"stored": 1}


async def test_an_event_from_a_clock_that_ran_ahead_is_stored_when_its_time_has_come(ward: Ward) -> None:
    await ward.send({"event_id": "early", "name": "a", "occurred_at": (utc_now() + timedelta(hours=2)).isoformat()})
    (row,) = await ward.refused(code="in_the_future")
    await ward.rows(
        "UPDATE {schema}.quarantine SET body = convert_to(replace(convert_from(body, 'utf8'), $1, $2), 'utf8')",
        "+00:00",
        "+02:00",
    )
    assert (await ward.replay(row))["outcome"] == "stored"


async def test_what_is_refused_again_stays_with_its_new_reason(ward: Ward) -> None:
    await ward.send({"event_id": "hopeless", "name": 7})
    (row,) = await ward.refused()
    await ward.edit(row, {"event_id": "hopeless", "name": "chat_message"})
    again = await ward.replay(row)
    assert (again["outcome"], again["code"], again["pointer"]) == ("quarantined", "session_required", "/session_id")
    (kept,) = await ward.refused()
    assert (kept["id"], kept["received_at"], kept["code"]) == (row["id"], row["received_at"], "session_required")
    assert kept["edited_at"] is not None
    assert kept["replayed_at"] is not None
    assert await ward.outcomes() == {"quarantined": 1}
    usage = (await ward.ask("GET", f"{ward.client.path}/usage", "admin")).json()
    assert usage["data"][0]["outcomes"] == [{"outcome": "quarantined", "reason": "session_required", "count": 1}]


async def test_an_edit_that_comes_while_its_event_is_replayed_is_kept(ward: Ward) -> None:
    await ward.send({"event_id": "busy", "name": 7})
    (row,) = await ward.refused()
    settings, ids = ward.grove.settings, [uuid.UUID(row["id"])]

    async def edit(client: TenantContext) -> None:
        databases = Databases(settings)
        async with databases.unit(client.placement, Purpose.WRITE) as db:
            await edit_quarantined(db, ids[0], b'{"name": "mended"}', now=utc_now())
        await databases.close()

    with ThreadPoolExecutor(1) as thread:
        async with counted(ward.grove, ward.client.id) as store:
            edits: list[Future[None]] = []

            def interfere(_placement: Placement, _purpose: Purpose, sql: str, _args: Sequence[Any]) -> None:
                if "replayed_at =" in sql and not edits:
                    edits.append(thread.submit(lambda: asyncio.run(edit(store.client))))
                    await_lock_wait(settings.main_url, edits[0])

            databases = Databases(settings, observe=interfere)
            (replayed,) = await Replay(databases, store.client, FlushIds(1), now=utc_now()).run(ids)
            await databases.close()
    edits[0].result()
    assert replayed.outcome == "quarantined"
    whole = (await ward.ask("GET", f"{PATH}/{row['id']}")).json()
    assert whole["body"] == {"name": "mended"}
    assert (await ward.replay(row))["outcome"] == "stored"


def await_lock_wait(url: str, waiting: Future[None]) -> None:
    """Wait until somebody waits for a lock on a row of quarantine, or has given up."""
    with psycopg.connect(url, autocommit=True) as admin:
        query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%edited_at%'"
        while not waiting.done() and admin.execute(query).fetchone() is None:
            time.sleep(0.01)


async def test_an_event_that_is_named_twice_is_told_once(ward: Ward) -> None:
    await ward.send({"event_id": "named", "name": 7})
    (row,) = await ward.refused()
    answer = (await ward.ask("POST", f"{PATH}/replay", json={"ids": [row["id"], row["id"]]})).json()
    assert (answer["quarantined"], len(answer["data"])) == (1, 1)


async def test_events_are_replayed_by_name_or_by_selection_not_by_both(ward: Ward) -> None:
    await ward.send({"event_id": "named", "name": 7})
    (row,) = await ward.refused()
    answer = await ward.ask("POST", f"{PATH}/replay", json={"ids": [row["id"]], "code": "too_old"})
    assert (answer.status_code, answer.json()["code"]) == (400, "named_and_selected")


async def test_what_only_the_database_refuses_stays_and_its_neighbours_are_stored(ward: Ward) -> None:
    await ward.send({"name": 1}, {"name": 2}, {"name": 3})
    for number, row in enumerate(await ward.refused()):
        await ward.edit(row, {"name": f"mended-{number}"})
    await ward.rows("ALTER TABLE {schema}.events ADD CONSTRAINT picky CHECK (name <> 'mended-1')")
    answer = (await ward.ask("POST", f"{PATH}/replay", json={})).json()
    assert (answer["stored"], answer["quarantined"]) == (2, 1)
    assert [row["code"] for row in await ward.refused()] == ["unstorable"]
    assert await ward.outcomes() == {"stored": 2, "quarantined": 1}


async def test_replaying_twice_stores_one(ward: Ward) -> None:
    await ward.send({"event_id": "twice", "name": 7})
    (row,) = await ward.refused()
    await ward.edit(row, {"name": "a"})
    assert (await ward.replay(row))["outcome"] == "stored"
    assert (await ward.ask("POST", f"{PATH}/{row['id']}/replay")).status_code == 404
    assert len(await ward.rows("SELECT FROM {schema}.events")) == 1
    assert await ward.outcomes() == {"stored": 1}


async def test_many_replays_at_once_store_each_event_once(ward: Ward) -> None:
    await ward.send(*({"event_id": f"e{number}", "name": 7} for number in range(30)))
    await ward.rows("UPDATE {schema}.quarantine SET body = convert_to('{\"name\": \"a\"}', 'utf8')")
    answers = await asyncio.gather(*(ward.ask("POST", f"{PATH}/replay", json={}) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["stored"] for answer in answers) == 30
    assert await ward.outcomes() == {"stored": 30}
    assert len(await ward.rows("SELECT DISTINCT event_id FROM {schema}.events")) == 30


async def test_a_replay_beside_the_same_event_sent_again_stores_one(ward: Ward) -> None:
    await ward.send({"event_id": "both", "name": 7})
    (row,) = await ward.refused()
    await ward.edit(row, {"event_id": "both", "name": "a"})
    replayed, sent = await asyncio.gather(ward.replay(row), ward.send({"event_id": "both", "name": "a"}))
    assert {replayed["outcome"], "stored" if sent["accepted"] else "duplicate"} == {"stored", "duplicate"}
    assert len(await ward.rows("SELECT FROM {schema}.events")) == 1
    assert await ward.outcomes() == {"stored": 1, "duplicate": 1}


async def test_one_request_refused_twice_and_replayed_is_stored_once(ward: Ward) -> None:
    for _ in range(2):
        await ward.send({"name": 7}, **{"Idempotency-Key": "the same"})
    rows = await ward.refused()
    assert len({row["event_uuid"] for row in rows}) == 1
    for row in rows:
        await ward.edit(row, {"name": "a"})
    assert sorted([(await ward.replay(row))["outcome"] for row in rows]) == ["duplicate", "stored"]
    assert (await ward.send({"name": "a"}, **{"Idempotency-Key": "the same"}))["duplicates"] == 1


async def test_replays_of_a_selection_go_on_from_page_to_page(ward: Ward) -> None:
    await ward.send(*({"event_id": f"e{number}", "name": 7} for number in range(5)), {"name": "chat_message"})
    await ward.rows(
        "UPDATE {schema}.quarantine SET body = convert_to('{\"name\": \"a\"}', 'utf8') WHERE code = 'wrong_type'"
    )
    order: dict[str, Any] = {"code": "wrong_type", "limit": 3}
    first = (await ward.ask("POST", f"{PATH}/replay", json=order)).json()
    second = (await ward.ask("POST", f"{PATH}/replay", json=order | {"cursor": first["meta"]["next"]})).json()
    assert (first["stored"], second["stored"], second["meta"]["next"]) == (3, 2, None)
    assert [row["code"] for row in await ward.refused()] == ["session_required"]


async def test_purging_deletes_what_was_named_and_leaves_the_counts(ward: Ward) -> None:
    await ward.send({"event_id": "a", "name": 1}, {"event_id": "b", "name": 2}, {"name": "chat_message"})
    rows = await ward.refused(code="wrong_type")
    assert (await ward.ask("DELETE", f"{PATH}/{rows[0]['id']}")).status_code == 204
    assert (await ward.ask("DELETE", f"{PATH}/{rows[0]['id']}")).status_code == 404
    nothing = await ward.ask("POST", f"{PATH}/purge", json={})
    assert (nothing.status_code, nothing.json()["code"]) == (400, "nothing_selected")
    assert (await ward.ask("POST", f"{PATH}/purge", json={"code": "session_required"})).json() == {"purged": 1}
    assert [row["id"] for row in await ward.refused()] == [rows[1]["id"]]
    assert (await ward.ask("POST", f"{PATH}/purge", json={"all": True})).json() == {"purged": 1}
    assert await ward.outcomes() == {"quarantined": 3}
    assert (await ward.fate("b"))["fate"] == "unknown"


async def test_what_was_done_is_in_the_audit_log(ward: Ward) -> None:
    await ward.send({"event_id": "a", "name": 1}, {"name": 2})
    rows = await ward.refused()
    await ward.edit(rows[0], {"name": "a"})
    await ward.replay(rows[0])
    await ward.ask("DELETE", f"{PATH}/{rows[1]['id']}")
    entries = (await ward.ask("GET", f"{ward.client.path}/audit", "admin")).json()["data"]
    assert [entry["action"] for entry in entries[:3]] == ["quarantine.purge", "quarantine.replay", "quarantine.edit"]
    assert entries[1]["detail"] == {"id": rows[0]["id"], "replayed": 1, "stored": 1}


async def test_the_audit_log_tells_what_was_selected_unless_nothing_was_there(ward: Ward) -> None:
    await ward.send(*({"event_id": f"e{number}", "name": 7} for number in range(3)), {"name": "chat_message"})
    rows = await ward.refused(code="wrong_type")
    before, key = "2020-01-01T00:00:00Z", rows[0]["key_id"]
    for path, order in (
        ("replay", {"code": "wrong_type", "key": key, "from": before}),
        ("replay", {"ids": [rows[0]["id"]]}),
        ("purge", {"code": "nothing"}),
        ("purge", {"ids": [rows[0]["id"], rows[1]["id"]]}),
        ("purge", {"to": before}),
        ("purge", {"from": before}),
        ("purge", {"all": True}),
    ):
        assert (await ward.ask("POST", f"{PATH}/{path}", json=order)).status_code == 200
    entries = (await ward.ask("GET", f"{ward.client.path}/audit", "admin")).json()["data"]
    assert [(entry["action"], entry["detail"]) for entry in entries[:4]] == [
        ("quarantine.purge", {"purged": 2, "from": before}),
        ("quarantine.purge", {"purged": 2, "ids": 2}),
        ("quarantine.replay", {"replayed": 1, "stored": 0, "ids": 1}),
        ("quarantine.replay", {"replayed": 3, "stored": 0, "code": "wrong_type", "key": key, "from": before}),
    ]


async def test_a_named_replay_goes_on_nowhere(ward: Ward) -> None:
    await ward.send({"event_id": "named", "name": 7})
    (row,) = await ward.refused()
    answer = await ward.ask("POST", f"{PATH}/replay", json={"ids": [row["id"]], "cursor": "Im5vbmUi"})
    assert (answer.status_code, answer.json()["code"]) == (400, "named_and_selected")


@pytest.mark.parametrize("path", ["replay", "purge"])
@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({"code": "a\0"}, "/code"),
        ({"from": "9999-01-01T00:00:00Z"}, "/from"),
        ({"to": "9999-01-01T00:00:00Z"}, "/to"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "/from"),
    ],
)
async def test_what_is_wrong_in_an_order_is_pointed_at(
    ward: Ward, path: str, order: dict[str, str], pointer: str
) -> None:
    answer = await ward.ask("POST", f"{PATH}/{path}", json=order)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


async def test_a_cursor_in_an_order_is_pointed_at(ward: Ward) -> None:
    answer = await ward.ask("POST", f"{PATH}/replay", json={"cursor": "none of ours"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/cursor")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("from=2026-01-02&to=2026-01-01", "from"),
        ("limit=1&limit=2", "limit"),
        ("code=a&code=b", "code"),
        ("key=00000000-0000-4000-8000-000000000001&key=00000000-0000-4000-8000-000000000002", "key"),
    ],
)
async def test_a_list_that_cannot_be_meant_is_refused(ward: Ward, query: str, parameter: str) -> None:
    answer = await ward.ask("GET", f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, parameter)


async def test_every_method_of_a_path_is_told(ward: Ward) -> None:
    answer = await ward.ask("OPTIONS", f"{PATH}/{uuid.uuid4()}")
    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, OPTIONS, PATCH")


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", f"{PATH}/replay"), ("POST", f"{PATH}/purge")])
async def test_only_keys_that_may_read_see_the_quarantine(ward: Ward, method: str, path: str) -> None:
    wanted: dict[str, Any] = {} if method == "GET" else {"json": {"all": True} if "purge" in path else {}}
    statuses = {
        kind: (await ward.ask(method, path, kind, **wanted)).status_code for kind in ("admin", "server", "browser")
    }
    assert statuses == {"admin": 200, "server": 200, "browser": 403}
    platform = await ward.grove.http.request(method, path, headers=ward.grove.platform, **wanted)
    assert platform.status_code == 403


async def test_old_quarantine_is_purged_by_a_job(ward: Ward) -> None:
    await ward.send({"event_id": "old", "name": 1}, {"event_id": "new", "name": 2})
    await ward.rows(
        "UPDATE {schema}.quarantine SET received_at = received_at - interval '31 days' WHERE event_id = 'old'"
    )
    async with open_worker_resources(ward.grove.settings, observe=ward.grove.recorder.observe) as resources:
        assert await purge_old_quarantine(resources) >= 1
    assert [row["event_id"] for row in await ward.refused()] == ["new"]


async def test_compaction_keeps_the_books_of_replays_and_tells_the_platform(ward: Ward) -> None:
    await ward.send({"event_id": "a", "name": 1}, {"event_id": "b", "name": "fine"})
    long_ago = timedelta(hours=30)
    await ward.rows("UPDATE {schema}.outcome_counts SET hour = hour - $1::interval", long_ago)
    await ward.rows("UPDATE {schema}.quarantine SET received_at = received_at - $1::interval", long_ago)
    async with open_worker_resources(ward.grove.settings, observe=ward.grove.recorder.observe) as resources:
        await compact_outcomes(resources)
        assert await ward.told() == {"stored": 1, "quarantined": 1}
        (row,) = await ward.refused()
        await ward.edit(row, {"name": "a"})
        await ward.replay(row)
        await ward.rows("ALTER TABLE grove.outcome_hours RENAME TO away")
        await compact_outcomes(resources)  # which cannot tell
        await ward.rows("ALTER TABLE grove.away RENAME TO outcome_hours")
        await compact_outcomes(resources)
        assert await ward.told() == {"stored": 2, "quarantined": 0}
    kept = await ward.rows("SELECT flush, outcome, reason, n FROM {schema}.outcome_counts ORDER BY outcome")
    assert [tuple(each) for each in kept] == [(0, "quarantined", "wrong_type", 0), (0, "stored", "", 2)]


async def test_a_replayed_event_is_in_the_rollups_once(ward: Ward) -> None:
    await ward.send({"name": "page_view", "session_id": "s", "visitor_id": "v"}, {"name": 7, "event_id": "late"})
    (row,) = await ward.refused()
    async with counted(ward.grove, ward.client.id) as rollups:
        await rollups.catch_up(utc_now())
        await ward.edit(row, {"name": "page_view", "session_id": "s", "visitor_id": "w"})

        async def marked(events: int) -> bool:
            marks = await ward.rows("SELECT events FROM grove.rollup_marks WHERE client_id = $1", ward.client.id)
            return [mark["events"] for mark in marks] == [events]

        await until(lambda: marked(1), within_s=10)
        assert (await ward.replay(row))["outcome"] == "stored"
        assert await marked(2)
        assert await rollups.differences() == []
        await rollups.catch_up(utc_now())
        assert await rollups.differences() == []
        held = await rollups.fetch("SELECT count(*) FROM {{schema}}.rollup_pending WHERE flush > 0")
        assert held[0][0] == 0
