"""What is said in other words becomes the event that it is in ours, and what is wrong with it is told in theirs."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncpg.pgproto.pgproto import UUID

from app.api.dialect_docs import DESCRIBED
from app.auth.credentials import KEY_FIELDS
from app.ingest.dialects.core import COLLECT_PATH, NAMES
from app.ingest.dialects.ingest import INGEST_PATH
from app.ingest.dialects.segment import BATCH_PATH, IDENTIFY_PATH, PAGE_PATH, TRACK_PATH
from app.ingest.dialects.spoken import DIALECTS, find_dialect
from app.ingest.dialects.tracking import TRACK_BATCH_PATH, TRACK_EVENT_PATH
from app.ingest.event import EVENT_COLUMNS, Arrival, Event
from app.ingest.flush import Submission
from app.ingest.outcomes import IngestAnswer
from app.ingest.routes import read_submission
from tenants.errors import InputRefused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = UUID("00000000-0000-4000-8000-000000000001")


def hear(path: str, body: object) -> tuple[Submission, list[str]]:
    """Take a body through its dialect and the steps; return also the pointers of what was refused."""
    dialect = find_dialect(path)
    assert dialect is not None
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    arrival = Arrival(key_id=KEY, received_at=NOW, oldest=NOW - timedelta(days=730), accepts_chat=True)
    heard = dialect.hear(raw, arrival)
    submission = read_submission(raw, arrival, heard)
    answer = IngestAnswer(accepted=0, duplicates=0, rejected=[refused.answer for refused in submission.refused])
    return submission, [each.pointer for each in heard.tell(answer).rejected]


def told(path: str, event: object) -> dict[str, Any]:
    """Take one event, and return its columns that are not empty."""
    submission, pointers = hear(path, event)
    assert pointers == []
    (made,) = submission.events
    return columns(made)


def columns(event: Event) -> dict[str, Any]:
    row = dict(zip(EVENT_COLUMNS, event.record, strict=True))
    row["properties"] = json.loads(row["properties"])
    row["amount"] = None if row["amount"] is None else float(row["amount"])
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("described", DESCRIBED, ids=lambda each: each.name)
def test_every_documented_example_is_taken(described: Any) -> None:
    assert described.examples
    for example in described.examples.values():
        body = json.loads(json.dumps(example["value"]).replace("2026-11-03", "2026-02-03"))
        if isinstance(body, dict):
            body.pop("schema_id", None)  # of a schema that nobody has here
        submission, pointers = hear(described.dialect.path, body)
        assert submission.events
        assert pointers == []


@pytest.mark.parametrize(
    ("event", "money"),
    [
        ({"properties": {"order_value": 12, "currency": "EUR"}}, (12, "EUR")),
        ({"properties": {"total": "49.90", "order_currency": "eur"}}, (49.9, "EUR")),
        ({"amount": 5, "properties": {"amount": 7, "currency": "EUR"}}, (5, "EUR")),
        ({"amount": None, "currency": "USD", "properties": {"amount": "much", "value": 7, "currency": 3}}, (7, "USD")),
        ({"properties": {"total": 10**14, "currency": "points"}}, (None, None)),
        ({"event_type": "visit", "properties": {"value": 7, "currency": "EUR"}}, (None, None)),
    ],
)
def test_what_properties_of_commerce_say_of_money_counts_and_stays_a_property(event: Any, money: Any) -> None:
    row = told(INGEST_PATH, {"event_type": "purchase"} | event)
    assert (row.get("amount"), row.get("currency")) == money
    assert row["properties"] == event["properties"]


def test_no_two_documented_messages_share_an_id() -> None:
    said = json.dumps([[example["value"] for example in described.examples.values()] for described in DESCRIBED])
    ids = re.findall(r'"messageId": "([^"]+)"', said)
    assert len(ids) == len(set(ids)) == 8


def test_term_and_content_of_a_segment_campaign_are_kept() -> None:
    campaign = {"name": "spring", "source": "news", "term": "oak", "content": "top"}
    row = told(TRACK_PATH, {"event": "x", "context": {"campaign": campaign}, "properties": {"utm_content": "own"}})
    assert (row["utm_source"], row["utm_campaign"]) == ("news", "spring")
    assert row["properties"] == {"utm_term": "oak", "utm_content": "own"}


@pytest.mark.parametrize(("said", "name"), NAMES.items())
def test_each_category_and_type_of_a_service_has_its_name(said: tuple[str, str], name: str) -> None:
    row = told(COLLECT_PATH, {"category": said[0], "event_type": said[1]})
    assert (row["name"], row["category"]) == (name, said[0])
    assert row["properties"] == ({} if name == said[1] else {"original_type": said[1]})


def test_a_services_order_is_a_purchase_with_its_amount_items_and_visitor() -> None:
    event = {
        "category": "order", "event_type": "payment_completed", "order_id": 1007, "user_id": 88, "session_id": "",
        "order_total": "49.90", "payment_method": "card", "timestamp": "2026-03-01T09:00:00", "colour": "red",
        "data": {"currency": "eur", "page_url": "/paid", "items": [{"id": 3, "quantity": "2", "price": "24.95"}]},
    }  # fmt: skip
    row = told(COLLECT_PATH, event)
    assert (row["name"], row["user_id"], row["amount"], row["currency"]) == ("purchase", "88", 49.9, "EUR")
    assert (row["occurred_at"], row["page_path"]) == (NOW - timedelta(hours=3), "/paid")
    assert row["properties"] == {
        "order_id": "1007", "payment_method": "card", "original_type": "payment_completed", "colour": "red",
        "items": [{"id": 3, "product_id": "3", "quantity": 2, "price": 24.95}],
    }  # fmt: skip
    assert "session_id" not in row


def test_a_completed_checkout_is_a_purchase_if_it_names_its_order() -> None:
    event = {"category": "user", "event_type": "checkout_complete"}
    assert told(COLLECT_PATH, event)["name"] == "checkout_complete"
    assert told(COLLECT_PATH, event | {"data": {"order_id": "o-1"}})["name"] == "purchase"


def test_what_the_script_of_before_sends_is_understood() -> None:
    shared = {
        "event_name": None, "session_id": "s-1", "visitor_id": "v-1", "timestamp": int(NOW.timestamp() * 1000),
        "url": "https://a.example/ahead", "path": "/ahead", "referrer": None, "viewport_width": 900,
    }  # fmt: skip
    page = {"url": "https://a.example/x?utm_source=letter", "path": "/x", "title": "X", "utm_source": "letter"}
    bought = {
        "funnel_step": "purchase", "order_id": "o-1", "order_value": 9.5, "order_currency": "USD",
        "order_items": [{"product_id": "p-1", "quantity": 1, "price": 9.5}],
    }  # fmt: skip
    events = [
        shared | {"event_type": "pageview", "properties": page},
        shared | {"event_type": "ecommerce", "properties": bought},
        shared | {"event_type": "custom", "event_name": "letter_ordered", "properties": {}},
        shared | {"event_type": "performance", "properties": {"metric": "lcp", "value": 1200}},
        shared | {"event_type": "identify", "properties": {"user_id": "u-1", "traits": {"plan": "gold"}}},
    ]
    submission, pointers = hear(TRACK_BATCH_PATH, {"events": events})
    assert pointers == []
    viewed, paid, custom, fast, known = map(columns, submission.events)
    assert [row["name"] for row in (viewed, paid, custom, fast, known)] == [
        "page_view", "purchase", "letter_ordered", "web_vitals", "identify",
    ]  # fmt: skip
    assert (viewed["page_path"], viewed["page_title"], viewed["utm_source"]) == ("/x", "X", "letter")
    assert (viewed["occurred_at"], viewed["visitor_id"], viewed["session_id"]) == (NOW, "v-1", "s-1")
    assert (paid["amount"], paid["currency"], paid["properties"]["items"]) == (9.5, "USD", bought["order_items"])
    assert (fast["properties"]["lcp"], known["user_id"]) == (1200, "u-1")


def test_web_vitals_have_the_properties_of_the_sdks_event_wherever_they_stand() -> None:
    vitals = {"lcp": 1200.5, "cls": 0.1, "inp": None}
    alone = told(TRACK_EVENT_PATH, {"event_type": "web_vitals", "web_vitals": vitals})
    beside = told(TRACK_EVENT_PATH, {"event_type": "page_view", "url": "https://a.example/", "web_vitals": vitals})
    assert (alone["name"], beside["name"]) == ("web_vitals", "page_view")
    assert alone["properties"] == beside["properties"] == {"lcp": 1200.5, "cls": 0.1}


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (COLLECT_PATH, {"event_type": "rated", "data": {"total": "high", "query": 7}}),
        (
            TRACK_EVENT_PATH,
            {"event_type": "custom", "event_name": "rated", "properties": {"total": "high", "query": 7}},
        ),
        (TRACK_PATH, {"event": "rated", "properties": {"total": "high", "query": 7}}),
    ],
)
def test_what_is_no_commerce_keeps_its_properties_as_they_are(path: str, event: object) -> None:
    assert told(path, event)["properties"] == {"total": "high", "query": 7}


@pytest.mark.parametrize(
    ("path", "event", "place"),
    [
        (TRACK_PATH, {"event": "Products Searched"}, "properties"),
        (TRACK_PATH, {"event": "Signed Up"}, "properties"),
        (TRACK_PATH, {"event": "Order Completed"}, "properties"),
        (COLLECT_PATH, {"event_type": "search"}, "data"),
        (TRACK_EVENT_PATH, {"event_type": "registration"}, "properties"),
    ],
)
def test_what_is_no_money_stays_a_property(path: str, event: dict[str, Any], place: str) -> None:
    odd = {"value": "blue", "total": [1], "revenue": "NaN", "currency": "dollars", "order_currency": 7}
    row = told(path, event | {place: odd})
    assert row["properties"].items() >= odd.items()
    assert not {"amount", "currency"} & row.keys()


def test_the_first_that_is_money_counts() -> None:
    said = {"total": "much", "revenue": "1e2", "value": 5, "currency": "euros", "order_currency": "eur"}
    row = told(TRACK_PATH, {"event": "Order Completed", "properties": said})
    assert (row["amount"], row["currency"]) == (100, "EUR")
    left = {"total": "much", "value": 5, "currency": "euros", "original_type": "Order Completed"}
    assert row["properties"] == left
    # One that could not be stored is none either.
    assert "amount" not in told(TRACK_PATH, {"event": "Refund", "properties": {"value": "99999999999999.9999999"}})


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (COLLECT_PATH, {"event_type": "page_view", "data": {"page_url": "/a?utm_source=x&q=1#b"}}),
        (COLLECT_PATH, {"event_type": "page_view", "url": "/ahead#?utm_source=y", "path": "/a"}),
        (TRACK_EVENT_PATH, {"event_type": "page_view", "url": "/b?utm_source=x", "path": "/a"}),
        (PAGE_PATH, {"properties": {"url": "/a?q=1&utm_source=x"}}),
    ],
)
def test_an_address_without_a_host_is_a_path_and_a_campaign(path: str, event: dict[str, Any]) -> None:
    row = told(path, event)
    assert (row["page_path"], row.get("page_url")) == ("/a", None)
    assert row.get("utm_source") == (None if "url" in event and "#" in event["url"] else "x")


def test_each_kind_of_segment_message_has_its_outcome() -> None:
    message = {"messageId": None, "userId": "u-1", "anonymousId": "a-1"}
    messages = [
        message | {"type": "track", "event": "Product Viewed", "properties": {"product_id": 7, "price": "2.50"}},
        message | {"type": "page", "name": "Home", "context": {"page": {"url": "https://a.example/home"}}},
        message | {"type": "screen", "name": "Main"},
        message | {"type": "identify", "traits": {"plan": "gold"}},
        message | {"type": "group", "groupId": "g-1", "traits": {"staff": 3}},
        {"type": "alias", "userId": "u-1", "previousId": "a-0"},
    ]
    submission, pointers = hear(BATCH_PATH, {"batch": messages, "context": {"campaign": {"name": "spring"}}})
    assert pointers == []
    rows = list(map(columns, submission.events))
    assert [row["name"] for row in rows] == [
        "product_view", "page_view", "screen_view", "identify", "group", "identify",
    ]  # fmt: skip
    assert rows[0]["properties"] == {"product_id": "7", "price": 2.5, "original_type": "Product Viewed"}
    assert (rows[1]["page_path"], rows[1]["properties"]) == ("/home", {"name": "Home"})
    assert rows[4]["properties"] == {"group_id": "g-1", "staff": 3}
    assert (rows[5]["user_id"], rows[5]["visitor_id"]) == ("u-1", "a-0")
    assert {row["utm_campaign"] for row in rows} == {"spring"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/t", "x"), ("/v1/p", "page_view"), ("/v1/s", "screen_view"), ("/v1/screen/", "screen_view"),
        ("/v1/i", "identify"), ("/v1/g", "group"), ("/v1/group", "group"), ("/v1/a", "identify"),
        ("/v1/alias", "identify"),
    ],
)  # fmt: skip
def test_the_paths_of_segments_libraries_say_what_is_sent_there(path: str, name: str) -> None:
    row = told(path, {"event": "x", "userId": "u-1", "previousId": "a-0", "anonymousId": "a-1"})
    assert (row["name"], row["visitor_id"]) == (name, "a-0" if path in {"/v1/a", "/v1/alias"} else "a-1")


@pytest.mark.parametrize("path", ["/v1/import/", "/v1/b"])
def test_the_paths_of_segments_libraries_take_batches(path: str) -> None:
    submission, _ = hear(path, {"batch": [{"type": "track", "event": "x"}, {"type": "page"}], "writeKey": "k"})
    assert [event.wire.name for event in submission.events] == ["x", "page_view"]


def test_a_senders_wrong_clock_is_put_right_and_a_repeat_is_no_conflict() -> None:
    day = timedelta(days=1)
    message = {"type": "track", "event": "x", "messageId": "m-1", "timestamp": (NOW + day).isoformat()}
    first, _ = hear(BATCH_PATH, {"batch": [message], "sentAt": (NOW + day + timedelta(minutes=1)).isoformat()})
    again, _ = hear(BATCH_PATH, {"batch": [message], "sentAt": (NOW + day + timedelta(minutes=2)).isoformat()})
    assert first.events[0].occurred_at == NOW - timedelta(minutes=1)
    assert again.events[0].occurred_at == NOW - timedelta(minutes=2)
    assert first.events[0].digest == again.events[0].digest
    for sent_at in ("soon", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1e300):
        refused, pointers = hear(TRACK_PATH, message | {"sentAt": sent_at})
        assert (refused.events, pointers) == ([], ["/timestamp"])


@pytest.mark.parametrize(
    ("path", "event", "pointer"),
    [
        (COLLECT_PATH, {"category": "user"}, "/event_type"),
        (COLLECT_PATH, {"event_type": 7}, "/event_type"),
        (COLLECT_PATH, {"event_type": "created", "category": "order", "amount": "much"}, "/amount"),
        (COLLECT_PATH, {"event_type": "login", "data": [1]}, "/data"),
        (COLLECT_PATH, {"event_type": "login", "ip_address": 7}, "/ip_address"),
        (COLLECT_PATH, {"event_type": "view", "category": "product", "data": {"depth": 10**30}}, "/data/depth"),
        (COLLECT_PATH, {"event_type": "login", "colour": 10**30}, "/colour"),
        (COLLECT_PATH, {"event_type": "search", "currency": "euros"}, "/currency"),
        (TRACK_EVENT_PATH, {"event_type": "purchase", "order_id": "o", "amount": []}, "/amount"),
        (TRACK_EVENT_PATH, {"event_type": "custom", "event_name": "n" * 129}, "/event_name"),
        (TRACK_EVENT_PATH, {"event_type": "page_view", "timestamp": "today"}, "/timestamp"),
        (TRACK_EVENT_PATH, {"event_type": "page_view", "title": 7}, "/title"),
        (TRACK_EVENT_PATH, {"event_type": "page_view", "web_vitals": {"lcp": 10**30}}, "/web_vitals/lcp"),
        (TRACK_PATH, {"userId": "u-1"}, "/event"),
        (PAGE_PATH, {"properties": {"url": "/" + "a" * 2048}}, "/properties/url"),
        (PAGE_PATH, {"context": {"page": {"url": 7}}}, "/context/page/url"),
        (PAGE_PATH, {"properties": {"url": 7}}, "/properties/url"),
        (IDENTIFY_PATH, {"userId": ["u-1"]}, "/userId"),
        (IDENTIFY_PATH, {"userId": "u-1", "traits": {"age": 10**30}}, "/traits/age"),
        (BATCH_PATH, {"batch": [{"type": 7}]}, "/type"),
    ],
)
def test_a_refusal_points_to_where_it_was_said(path: str, event: object, pointer: str) -> None:
    submission, pointers = hear(path, event)
    assert (submission.events, pointers) == ([], [pointer])


def test_an_event_that_cannot_be_read_costs_none_of_its_neighbours() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    good = b'{"type": "track", "event": "good"}'
    body = b'{"sentAt": "\\ud800", "batch": [%b, %b, {"event": "\\ud800"}, {"\\ud800": 1}, 7, %b]}' % (good, deep, good)
    submission, pointers = hear(BATCH_PATH, body)
    assert [event.index for event in submission.events] == [0, 5]
    assert pointers == ["", "/event", "", ""]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"batch": [1}', b'{"batch": 7}', b'{"batch": []}', b'{"batch": [], "sentAt": "\\ud800", x}',
        json.dumps({"batch": [{}] * 1001}).encode(), json.dumps({"batch": [{}], "context": "c" * 40_000}).encode(),
        json.dumps({"batch": [{}] * 2, "context": {"page": {"url": "u" * 10_000}}}).encode(),
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(InputRefused):
        hear(BATCH_PATH, body)


def test_a_batch_of_web_events_holds_a_hundred_at_most() -> None:
    event = {"event_type": "page_view"}
    assert len(hear(TRACK_BATCH_PATH, [event] * 100)[0].events) == 100
    for body, pointer, said in (({"events": []}, "", "1 to 100 events, not 0"), ({"events": "x"}, "/events", "array")):
        with pytest.raises(InputRefused, match=said) as refused:
            hear(TRACK_BATCH_PATH, body)
        assert refused.value.field == pointer
    with pytest.raises(InputRefused):
        hear(TRACK_BATCH_PATH, {"events": [event] * 101})


@pytest.mark.parametrize("name", KEY_FIELDS)
@pytest.mark.parametrize(
    ("path", "event"),
    [(COLLECT_PATH, {"event_type": "x"}), (TRACK_EVENT_PATH, {"event_type": "x"}), (TRACK_PATH, {"event": "x"})],
)
def test_a_key_in_an_event_is_not_stored(name: str, path: str, event: dict[str, Any]) -> None:
    assert told(path, event | {name: "grv_w_" + "x" * 32 + "_yyyyyy"})["properties"] == {}


def test_what_events_share_is_split_once_and_an_event_of_its_own_mind_has_its_own() -> None:
    crowd = {f"n{number}": number for number in range(2000)}
    around = {"context": {"page": {"url": "https://a.example/shared", **crowd}, "sessionId": "s-1"}}
    events = [
        {"type": "track", "event": "x", "context": {"page": {"path": "/own"}, "sessionId": 7}},
        *[{"type": "track", "event": "x"}] * 999,
    ]
    rows = list(map(columns, hear(BATCH_PATH, {"batch": events, **around})[0].events))
    assert (rows[0]["page_path"], rows[0]["session_id"], rows[0].get("page_url")) == ("/own", "7", None)
    assert {(row["page_path"], row["session_id"]) for row in rows[1:]} == {("/shared", "s-1")}
    # To split it for each event takes some twenty times as long as all else.
    assert _cost({"batch": events, **around}) < 4 * _cost({"batch": events})


def _cost(body: object) -> float:
    """Measure how long a batch is listened to, in seconds of the processor."""
    dialect, raw = DIALECTS[BATCH_PATH], json.dumps(body).encode()
    arrival = Arrival(key_id=KEY, received_at=NOW, oldest=NOW - timedelta(days=730), accepts_chat=True)
    times = []
    for _ in range(3):
        began = time.process_time()
        dialect.hear(raw, arrival)
        times.append(time.process_time() - began)
    return min(times)
