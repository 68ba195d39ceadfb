"""The steps of an event: what is taken, what is refused, and with which code and pointer."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import EVENT_COLUMNS, Arrival, Event
from app.ingest.limits import MAX_DEPTH, MAX_EVENT_BYTES, MAX_KEYS, MAX_STRING
from app.ingest.outcomes import Code, Refusal
from app.ingest.steps import read_event, uuid7
from tenants.schemas import EventSchema, FieldType

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = UUID("00000000-0000-4000-8000-000000000001")
SHOP = EventSchema(
    id=uuid.UUID(int=1), name="shop", description="", version=2, published=2,
    versions={2: {"purchase": {"items": FieldType.ARRAY}}},
)  # fmt: skip


def arrival(**changes: Any) -> Arrival:
    given: dict[str, Any] = {"key_id": KEY, "received_at": NOW, "oldest": NOW - timedelta(days=730)}
    return Arrival(**({"accepts_chat": True} | given | changes))


def read(event: object, **changes: Any) -> Event:
    raw = event if isinstance(event, bytes) else json.dumps(event).encode()
    return read_event(raw, 0, arrival(**changes))


def column(event: Event, name: str) -> Any:
    return event.record[EVENT_COLUMNS.index(name)]


@pytest.mark.parametrize(
    ("event", "code", "pointer"),
    [
        ({}, Code.REQUIRED, "/name"),
        ([], Code.NOT_AN_OBJECT, ""),
        (1, Code.NOT_AN_OBJECT, ""),
        (None, Code.NOT_AN_OBJECT, ""),
        ({"name": 1}, Code.WRONG_TYPE, "/name"),
        ({"name": ""}, Code.INVALID, "/name"),
        ({"name": "x" * 129}, Code.INVALID, "/name"),
        ({"name": "x", "colour": 1}, Code.UNKNOWN_FIELD, "/colour"),
        ({"name": "x", "context": {"devise": "a"}}, Code.UNKNOWN_FIELD, "/context/devise"),
        ({"name": "x", "context": {"device": 1}}, Code.WRONG_TYPE, "/context/device"),
        ({"name": "x", "session_id": 7}, Code.WRONG_TYPE, "/session_id"),
        ({"name": "x", "occurred_at": "yesterday"}, Code.INVALID_TIME, "/occurred_at"),
        ({"name": "x", "occurred_at": "2026-02-30T00:00:00Z"}, Code.INVALID_TIME, "/occurred_at"),
        ({"name": "x", "occurred_at": "2026-02-01T00:00:00"}, Code.INVALID_TIME, "/occurred_at"),
        ({"name": "x", "occurred_at": 1_700_000_000}, Code.WRONG_TYPE, "/occurred_at"),
        ({"name": "x", "occurred_at": "2016-01-01T00:00:00Z"}, Code.TOO_OLD, "/occurred_at"),
        ({"name": "x", "occurred_at": "0001-01-01T00:00:00Z"}, Code.TOO_OLD, "/occurred_at"),
        ({"name": "x", "occurred_at": "2036-01-01T00:00:00Z"}, Code.IN_THE_FUTURE, "/occurred_at"),
        ({"name": "x", "occurred_at": "9999-12-31T23:59:59Z"}, Code.IN_THE_FUTURE, "/occurred_at"),
        ({"name": "x\0"}, Code.NUL_BYTE, "/name"),
        ({"name": "x", "properties": {"a": ["\0"]}}, Code.NUL_BYTE, "/properties/a/0"),
        ({"name": "x", "properties": {"a\0": 1}}, Code.NUL_BYTE, "/properties"),
        ({"name": "x", "properties": {"a": 2**63}}, Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        ({"name": "x", "properties": {"a": -(2**63) - 1}}, Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":[1e400]}}', Code.NUMBER_OUT_OF_RANGE, "/properties/a/0"),
        (b'{"name":"x","properties":{"a":-1E+400}}', Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":1e-20000}}', Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":{"b":[0,-0E-16384]}}}', Code.NUMBER_OUT_OF_RANGE, "/properties/a/b/1"),
        (b'{"name":"x","properties":{"a":0e1073741824}}', Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":1e-%d,"b":"@"}}' % 10**30, Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":0e%s}}' % (b"9" * 9000), Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":0.%s}}' % (b"1" * 16384), Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":%s}}' % (b"9" * 9000), Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":-%s}}' % (b"9" * 100_000), Code.NUMBER_OUT_OF_RANGE, ""),
        (b'{"name":"x","properties":{"a":1e-20000,"a":1}}', Code.NUMBER_OUT_OF_RANGE, "/properties/a"),
        (b'{"name":"x","properties":{"a":"\\u0000","a":1}}', Code.NUL_BYTE, "/properties/a"),
        (b'{"name":"x","properties":{"a":"\xff","b":1e5}}', Code.INVALID_UTF8, "/properties"),
        (b'{"name":"x","amount":1e1000000}', Code.NUMBER_OUT_OF_RANGE, "/amount"),
        (b'{"name":"x","amount":"-1e9999999"}', Code.NUMBER_OUT_OF_RANGE, "/amount"),
        (b'{"name":"x","amount":1e400}', Code.NUMBER_OUT_OF_RANGE, "/amount"),
        ({"name": "x", "amount": "NaN"}, Code.NUMBER_OUT_OF_RANGE, "/amount"),
        (
            {"name": "chat_message", "session_id": "s", "properties": {"role": "bot", "cost": "1e200000"}},
            Code.NUMBER_OUT_OF_RANGE,
            "/properties/cost",
        ),
        (
            {"name": "chat_message", "session_id": "s", "properties": {"role": "bot", "cost": "NaN"}},
            Code.NUMBER_OUT_OF_RANGE,
            "/properties/cost",
        ),
        ({"name": "x", "amount": 10**14}, Code.NUMBER_OUT_OF_RANGE, "/amount"),
        ({"name": "x", "amount": "99999999999999.9999999"}, Code.NUMBER_OUT_OF_RANGE, "/amount"),
        ({"name": "x", "currency": "euro"}, Code.INVALID, "/currency"),
        ({"name": "x", "properties": []}, Code.WRONG_TYPE, "/properties"),
        ({"name": "x", "properties": "a"}, Code.WRONG_TYPE, "/properties"),
        ({"name": "x", "properties": {"a": "b" * (MAX_STRING + 1)}}, Code.STRING_TOO_LONG, "/properties/a"),
        ({"name": "x", "properties": {"a": ["b" * MAX_STRING] * 5}}, Code.EVENT_TOO_LARGE, ""),
        ({"name": "x", "properties": dict.fromkeys(map(str, range(MAX_KEYS)), 1)}, Code.TOO_MANY_KEYS, "/properties"),
        (b'{"name":"x","properties":{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}}", Code.TOO_DEEP, None),
        (b"[" * 5000 + b"]" * 5000, Code.TOO_DEEP, None),
        (b'{"name":"\\ud800"}', Code.LONE_SURROGATE, "/name"),
        (b'{"name":"x\xff"}', Code.INVALID_UTF8, ""),
        ({"name": "page_loaded"}, Code.SESSION_REQUIRED, "/session_id"),
        ({"name": "chat_message", "session_id": "s"}, Code.REQUIRED, "/properties/role"),
        ({"name": "csat", "session_id": "s", "properties": {"score": "good"}}, Code.WRONG_TYPE, "/properties/score"),
        (
            {"name": "chat_message", "session_id": "s", "properties": {"role": "bot", "tokens_in": 2**63}},
            Code.NUMBER_OUT_OF_RANGE,
            "/properties/tokens_in",
        ),
    ],
)
def test_a_bad_event_is_refused_by_name(event: object, code: Code, pointer: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        read(event)
    assert refused.value.code is code
    assert pointer is None or refused.value.pointer == pointer
    assert refused.value.detail


def test_a_chat_event_is_refused_where_the_tables_are_only_read() -> None:
    with pytest.raises(Refusal) as refused:
        read({"name": "widget_opened", "session_id": "s"}, accepts_chat=False)
    assert refused.value.code is Code.CHAT_TABLES_READ_ONLY


@pytest.mark.parametrize(
    ("utm", "given", "kept"),
    [
        ({"term": "oak", "content": "b"}, '{"a":1.50}', '{"utm_term":"oak","utm_content":"b","a":1.50}'),
        ({"term": "oak", "content": "b"}, '{"utm_term": null}', '{"utm_content":"b","utm_term":null}'),
        ({"term": "", "source": "x"}, '{"a": 1}', '{"a": 1}'),
        ({"content": "card 4111 1111 1111 1111"}, "{}", '{"utm_content":"card REDACTED"}'),
    ],
)
def test_what_of_a_campaign_has_no_column_is_a_property(utm: dict[str, str], given: str, kept: str) -> None:
    raw = json.dumps({"name": "x", "context": {"utm": utm}})[:-1] + f', "properties": {given}}}'
    assert column(read(raw.encode()), "properties") == kept


def test_everything_that_is_sent_reaches_its_column() -> None:
    event = read(
        {
            "name": "purchase",
            "event_id": "018f0000-0000-7000-8000-000000000000",
            "category": "order",
            "occurred_at": "2026-02-28T23:00:00+01:00",
            "session_id": "s",
            "visitor_id": "v",
            "user_id": "u",
            "page": {"url": "https://x.test/cart?utm_source=news&utm_campaign=spring", "title": "Cart"},
            "context": {"device": "mobile", "browser": "Firefox", "os": "Android", "country": "DE"},
            "amount": "12.50",
            "currency": "EUR",
            "schema": {"name": "shop", "version": 2},
            "properties": {"items": [1, 2]},
        },
        schemas={"shop": SHOP},
    )
    said = dict(zip(EVENT_COLUMNS, event.record, strict=True))
    assert {name: str(value) for name, value in said.items() if value is not None} == {
        "event_id": "018f0000-0000-7000-8000-000000000000",
        "name": "purchase",
        "category": "order",
        "occurred_at": "2026-02-28 23:00:00+01:00",
        "received_at": "2026-03-01 12:00:00+00:00",
        "session_id": "s",
        "visitor_id": "v",
        "user_id": "u",
        "page_url": "https://x.test/cart?utm_source=news&utm_campaign=spring",
        "page_path": "/cart",
        "page_title": "Cart",
        "utm_source": "news",
        "utm_campaign": "spring",
        "device": "mobile",
        "browser": "Firefox",
        "os": "Android",
        "country": "DE",
        "amount": "12.500000",
        "currency": "EUR",
        "schema_name": "shop",
        "schema_version": "2",
        "properties": '{"items": [1, 2]}',
        "key_id": str(KEY),
        "channel": "campaign",
    }


def test_an_id_that_is_no_uuid_becomes_the_same_uuid_every_time() -> None:
    first, second = read({"name": "x", "event_id": "order-1"}), read({"name": "y", "event_id": "order-1"})
    assert first.id == second.id == uuid.uuid5(uuid.NAMESPACE_OID, "order-1")
    assert first.tracked


def test_an_idempotency_key_gives_ids_that_repeat() -> None:
    first = read({"name": "x"}, idempotency_key="k")
    assert first.tracked
    assert first.id == read({"name": "x"}, idempotency_key="k").id
    assert first.id != read({"name": "x"}, idempotency_key="other").id


def test_without_any_id_an_event_gets_a_uuid_of_its_time() -> None:
    event = read({"name": "x"})
    assert not event.tracked
    assert uuid.UUID(str(event.id)).version == 7
    assert int.from_bytes(uuid7(NOW).bytes[:6], "big") == int(NOW.timestamp() * 1000)


def test_a_repeat_with_another_body_has_another_digest() -> None:
    first, other = read({"name": "x", "event_id": "a"}), read({"name": "y", "event_id": "a"})
    assert first.digest == read({"name": "x", "event_id": "a"}).digest
    assert first.digest != other.digest


def test_an_event_without_a_time_happened_when_it_came() -> None:
    assert column(read({"name": "x"}), "occurred_at") == NOW


def test_the_limits_are_inclusive() -> None:
    read({"name": "x" * 128, "properties": {"a": "b" * MAX_STRING, "n": 2**63 - 1, "m": -(2**63)}})
    read({"name": "x", "occurred_at": (NOW + timedelta(hours=1)).isoformat()})
    read({"name": "x", "occurred_at": (NOW - timedelta(days=730)).isoformat()})
    body = b'{"name":"x","properties":{}}'
    read(body + b" " * (MAX_EVENT_BYTES - len(body)))


@pytest.mark.parametrize(
    ("sent", "kept"), [("1e-30000", "0.000000"), ("12.3456785", "12.345678"), ("-0.1", "-0.100000"), ("7", "7.000000")]
)
def test_amounts_are_kept_to_the_millionth(sent: str, kept: str) -> None:
    assert str(column(read({"name": "x", "amount": sent}), "amount")) == kept
