"""Bodies are split so that each event is judged alone."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.body import MAX_BODY_BYTES
from app.ingest.limits import MAX_KEYS
from app.ingest.outcomes import Code
from app.ingest.splitting import MAX_EVENTS, diagnose, split_envelope, split_events
from tenants.errors import InputRefused

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_one_object_is_one_event() -> None:
    assert [bytes(raw) for raw in split_events(b' {"name": "a"} ')] == [b'{"name": "a"}']


@given(st.lists(JSON, min_size=1, max_size=8))
def test_an_array_gives_its_elements_in_order(values: list[object]) -> None:
    raws = split_events(json.dumps(values).encode())
    assert [json.loads(bytes(raw)) for raw in raws] == values


@given(st.lists(JSON, max_size=5))
def test_a_lone_surrogate_costs_nobody_its_neighbours(values: list[object]) -> None:
    body = json.dumps([*values, {"name": "\ud800"}, *values]).encode()
    raws = [bytes(raw) for raw in split_events(body)]
    assert [json.loads(raw) for raw in raws] == [*values, {"name": "\ud800"}, *values]
    assert [diagnose(raw) is None for raw in raws] == [True] * len(values) + [False] + [True] * len(values)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[", b"[1,", b"[1]x", b"[1,,2]", b"[1,]", b'{"a":01}', b'["\\q"]', b'{"a":NaN}', b"[}", b"nul",
     b'[{"a":"\\ud800"}, {"b": }]', b'[{"a":"\\ud800"}', b'[{"a":"\\ud800"}]]',
     b'["a]', b'["a\\"]', b'["a\\', b'[1,"a\\",2]', b'["a\\"', b'[{"a":"b]},"c"]'],
)  # fmt: skip
def test_broken_syntax_refuses_the_request(body: bytes) -> None:
    with pytest.raises(InputRefused) as refused:
        split_events(body)
    assert refused.value.code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"[" + b",".join([b"{}"] * (MAX_EVENTS + 1)) + b"]"])
def test_no_events_or_too_many_refuse_the_request(body: bytes) -> None:
    with pytest.raises(InputRefused) as refused:
        split_events(body)
    assert refused.value.code == "event_count"


def test_too_many_events_refuse_the_request_before_any_is_looked_at() -> None:
    with pytest.raises(InputRefused) as refused:
        split_events(b"[" + b"nul," * (MAX_EVENTS + 1) + b'"\\ud800"')
    assert refused.value.code == "event_count"


def test_as_many_events_as_there_may_be_keep_a_lone_surrogate_to_itself() -> None:
    raws = [bytes(raw) for raw in split_events(b"[" + b"1," * (MAX_EVENTS - 1) + b'"\\ud800"]')]
    assert raws == [b"1"] * (MAX_EVENTS - 1) + [b'"\\ud800"']


def test_members_around_events_are_read_beside_a_lone_surrogate_unless_there_are_more_than_keys_of_an_event() -> None:
    few = b",".join(b'"k%d":%d' % (place, place) for place in range(MAX_KEYS - 2))
    body = b'{"a":"\\ud800","events":[1,2],' + few + b"}"
    events, around = split_envelope(body, "events", most=10, most_bytes=MAX_BODY_BYTES)
    assert events is not None
    assert [bytes(raw) for raw in events] == [b"1", b"2"]
    assert len(around) == MAX_KEYS - 1
    assert split_envelope(body[:-1] + b',"z":1}', "events", most=10, most_bytes=MAX_BODY_BYTES) == (None, {})


def _fill(before: bytes, again: bytes, after: bytes) -> bytes:
    return before + again * (MAX_BODY_BYTES // len(again)) + after


@pytest.mark.parametrize(
    "hostile",
    [_fill(b'["', b'\\"', b""), _fill(b"[", b'"\\",', b'"\\ud800"]'), _fill(b"[", b"1,", b'"\\ud800"]'),
     _fill(b"{", b'"":1,', b'"":"\\ud800"}'), _fill(b'{"', b'\\"', b""), _fill(b'{"a":"\\ud800', b'\\"', b""),
     _fill(b'{"a":"\\ud800","', b'\\"', b'" }'), _fill(b'{"a":"\\ud800","b"', b" ", b"}")],
    ids=lambda hostile: hostile[:20].decode() + hostile[-9:].decode(),
)  # fmt: skip
def test_no_body_takes_longer_than_its_length_allows(hostile: bytes) -> None:
    began = time.process_time()
    with suppress(InputRefused):
        split_events(hostile)
    with suppress(InputRefused):
        split_envelope(hostile, "events", most=10, most_bytes=MAX_BODY_BYTES)
    assert time.process_time() - began < 5


def test_an_event_nested_beyond_measure_costs_nobody_its_neighbours() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    raws = [bytes(raw) for raw in split_events(b'[{"name":"a"},' + deep + b',{"name":"b"}]')]
    assert raws == [b'{"name":"a"}', deep, b'{"name":"b"}']
    found = diagnose(deep)
    assert found is not None
    assert found.code is Code.TOO_DEEP


def test_a_number_of_thousands_of_digits_beside_a_lone_surrogate_refuses_neither_request_nor_neighbours() -> None:
    long = b'{"n":' + b"9" * 5000 + b"}"
    both = b'{"name":"\\ud800","n":' + b"9" * 5000 + b"}"
    assert [bytes(raw) for raw in split_events(b"[" + b",".join([b"1", long, both]) + b"]")] == [b"1", long, both]
    found = diagnose(both)
    assert found is not None
    assert (found.code, found.pointer) == (Code.LONE_SURROGATE, "/name")


def test_depth_behind_a_lone_surrogate_is_named_too() -> None:
    found = diagnose(b'{"name":"\\ud800","a":' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    assert found is not None
    assert found.code is Code.TOO_DEEP


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (b'{"a":{"b/c":["x","\\ud800"]}}', Code.LONE_SURROGATE, "/a/b~1c/1"),
        (b'{"\\udfff":1}', Code.LONE_SURROGATE, ""),
        (b'{"a":"\xff"}', Code.INVALID_UTF8, ""),
    ],
)
def test_what_is_wrong_with_an_event_is_named(raw: bytes, code: Code, pointer: str) -> None:
    found = diagnose(raw)
    assert found is not None
    assert (found.code, found.pointer) == (code, pointer)
