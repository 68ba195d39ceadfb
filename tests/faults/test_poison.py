"""A batch with events that nobody can store: each of them alone goes to quarantine, and its neighbours are stored."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from secrets import token_hex
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.retelling import retell
from tenants.clock import utc_now
from tests.support.grove import Grove, open_grove
from tests.support.party import Party, event
from tests.support.rollups import counted

MB = 1024 * 1024


def described(properties: bytes) -> bytes:
    """Make an event of its properties."""
    return b'{"name":"a","properties":' + properties + b"}"


POISON = [
    ("nul_byte", described(b'{"x":"\\u0000"}')),
    ("nul_byte", described(b'{"x":"\\u0000","x":1}')),
    ("number_out_of_range", described(b'{"x":1e400}')),
    ("number_out_of_range", described(b'{"x":1e-20000}')),
    ("number_out_of_range", described(b'{"x":1e-20000,"x":1}')),
    ("number_out_of_range", described(b'{"x":0e2000000000}')),
    ("number_out_of_range", described(b'{"x":0.' + b"1" * 20_000 + b"}")),
    ("number_out_of_range", described(b'{"x":' + b"9" * 9_000 + b"}")),
    ("number_out_of_range", b'{"name":"a","amount":1e1000000}'),
    ("number_out_of_range", described(b'{"x":%d}' % 2**63)),
    ("number_out_of_range", b'{"name":"a","amount":%d}' % 2**63),
    ("number_out_of_range", b'{"name":"a","schema":{"name":"s","version":%d}}' % 2**63),
    ("lone_surrogate", described(b'{"x":"\\ud800"}')),
    ("invalid_utf8", described(b'{"x":"\xff"}')),
    ("too_deep", described(b'{"x":' + b"[" * 40 + b"]" * 40 + b"}")),
    ("too_deep", described(b'{"x":' + b"[" * 40_000 + b"]" * 40_000 + b"}")),
    ("invalid_time", b'{"name":"a","occurred_at":"2026-02-30T00:00:00Z"}'),
    ("too_old", b'{"name":"a","occurred_at":"1999-01-01T00:00:00Z"}'),
    ("string_too_long", described(b'{"x":"' + b"x" * 50_000 + b'"}')),
    ("event_too_large", described(b'{"x":"' + b"x" * 4 * MB + b'"}')),
    ("too_many_keys", described(b"{" + b",".join(b'"k%d":1' % n for n in range(1_100)) + b"}")),
    ("wrong_type", b'{"name":7}'),
    ("required", b'{"session_id":"s"}'),
    ("not_an_object", b'"page_view"'),
]


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture
async def party(grove: Grove) -> Party:
    """A client of its own for each test."""
    return Party(grove, await grove.make_client(f"c{token_hex(4)}"))


@pytest.mark.fault(20)
async def test_each_poison_goes_to_quarantine_whole_and_alone(party: Party) -> None:
    good = [json.dumps(event()).encode() for _ in POISON]
    attempt = await party.send(*(each for pair in zip(good, POISON, strict=True) for each in (pair[0], pair[1][1])))
    assert attempt.answer["accepted"] == len(good)
    assert list(attempt.rejected.items()) == [(2 * n + 1, code) for n, (code, _) in enumerate(POISON)]
    kept = await party.fetch("SELECT code, body, detail FROM {schema}.quarantine ORDER BY id")
    assert sorted((row["code"], row["body"]) for row in kept) == sorted(POISON)
    assert all(row["detail"] for row in kept)
    assert await party.judge() == []


@pytest.mark.fault(20)
async def test_a_request_beyond_the_limit_is_refused_whole_and_its_other_events_are_stored_without_the_poison(
    party: Party,
) -> None:
    good = [event() for _ in range(3)]
    poison = described(b'{"x":"' + b"x" * 10 * MB + b'"}')
    assert (await party.send(good[0], poison, *good[1:])).status == 413
    assert await party.judge() == []
    assert (await party.send(*good)).answer["accepted"] == len(good)
    assert await party.judge() == []


@pytest.mark.fault(20)
async def test_what_only_the_database_refuses_goes_to_quarantine_alone(party: Party) -> None:
    lost = utc_now() - timedelta(days=400)
    (partition,) = await party.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = '{schema}.events'::regclass "
        "AND inhrelid::regclass::text LIKE '%events\\_' || $1 || '%'",
        f"{lost:%Y}",
    )
    await party.fetch(f"DROP TABLE {partition['name']}")
    attempt = await party.send(event(), event(event_id="lost", occurred_at=lost.isoformat()), event())
    assert (attempt.answer["accepted"], attempt.rejected) == (2, {1: "unstorable"})
    (kept,) = await party.fetch("SELECT body FROM {schema}.quarantine")
    assert json.loads(kept["body"])["event_id"] == "lost"
    assert await party.judge() == []


# More than an index takes, however well it is compressed.
LONG = token_hex(6_000)
TEXTS: list[dict[str, Any]] = [
    *({name: LONG} for name in ("name", "category", "session_id", "visitor_id", "user_id", "currency")),
    {"schema": LONG},
    *({"page": {name: LONG[:2_048]}} for name in ("url", "path", "title", "referrer")),
    *({"context": {name: LONG}} for name in ("device", "browser", "os", "country", "referrer")),
    {"context": {"utm": dict.fromkeys(("source", "medium", "campaign", "term", "content"), LONG[:2_048])}},
    {"name": "identify", "user_id": "u", "properties": {"plan": LONG, LONG: 1}},
    {"name": "lead_captured", "properties": dict.fromkeys(("name", "email", "phone", "source"), LONG[:2_048])},
    {"name": "chat_message", "properties": {"role": "user", "text": LONG, "intent": LONG[:2_048]}},
    {"name": "agent_connected", "properties": {"agent": LONG[:2_048]}},
]
SAID = ("order_id", "product_id", "payment_method", "payment_id", "refund_id", "term", "currency", "button", "form")
COMMERCE = ("purchase", "order_created", "refund", "product_view", "add_to_cart", "search", "registration", "click")


def commercial(name: str) -> dict[str, Any]:
    """Make an event that says everything of commerce at length."""
    said = dict.fromkeys(SAID, LONG)
    return event(name=name, amount=3, currency="EUR", properties=said | {"items": [{"product_id": LONG}]})


@pytest.mark.fault(20)
async def test_texts_that_no_index_would_take_are_stored_counted_and_told_again(grove: Grove, party: Party) -> None:
    sent = [*(event(**fields) for fields in TEXTS), *map(commercial, COMMERCE)]
    attempt = await party.send(*sent)
    assert attempt.status == 202
    assert set(range(len(TEXTS), len(sent))).isdisjoint(attempt.rejected)
    assert "unstorable" not in attempt.rejected.values()
    assert await party.judge() == []
    async with counted(grove, party.client.id) as store:
        assert await retell(store.databases, store.client.placement, now=utc_now()) > len(COMMERCE) - 1
        await store.catch_up(utc_now() + timedelta(days=2))
        assert await store.differences() == []


@pytest.mark.fault(20)
async def test_what_an_index_refuses_goes_to_quarantine_alone(party: Party) -> None:
    await party.fetch("CREATE INDEX ON {schema}.events ((properties ->> 'x'))")
    poisoned, other = await asyncio.gather(
        party.send(event(), event(properties={"x": LONG}), event()), party.send(event())
    )
    assert (poisoned.answer["accepted"], poisoned.rejected) == (2, {1: "unstorable"})
    assert other.answer["accepted"] == 1
    assert await party.judge() == []


@pytest.mark.fault(20)
async def test_who_sends_what_can_be_stored_does_not_wait_for_those_who_sent_much_that_cannot(party: Party) -> None:
    answered = list[str]()

    async def send(who: str, *events: dict[str, Any] | bytes) -> int:
        attempt = await party.send(*events)
        answered.append(who)
        return attempt.status

    # What the steps do not know of yet, and the database will not have.
    await party.fetch("ALTER TABLE {schema}.events ADD CHECK (properties ->> 'x' <> 'poison')")
    poison = [described(b'{"x":"poison"}') for _ in range(200)]
    first = asyncio.create_task(send("good", event()))  # while it is stored, the others gather
    much = [asyncio.create_task(send("much", *poison)) for _ in range(3)]
    little = asyncio.create_task(send("little", event(), poison[0]))
    good = [asyncio.create_task(send("good", event())) for _ in range(3)]
    assert set(await asyncio.gather(first, *much, little, *good)) == {202}
    assert answered == [*["good"] * 4, "little", *["much"] * 3]
    assert await party.judge() == []
