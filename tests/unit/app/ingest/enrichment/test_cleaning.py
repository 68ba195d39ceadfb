"""Redaction of properties and ids: what is suspicious is looked into, and nothing else is touched."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.enrichment.cleaning import clean_id, clean_properties, clean_value, is_suspicious

SECRETS = (
    "ana@shop.example",
    "4111 1111 1111 1111",
    "4111\t1111 \u2013 1111\u202f1111",
    "https://shop.example/r?token=abcdef",
)
NAMES = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20) | st.sampled_from(SECRETS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def cleaned(value: dict[str, Any], **options: Any) -> Any:
    return json.loads(clean_properties(json.dumps(value, **options)))


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        ({"from": "ana@shop.example"}, {"from": "REDACTED"}),
        ({"a": [{"b": "ana@shop.example"}]}, {"a": [{"b": "REDACTED"}]}),
        ({"ana@shop.example": 1}, {"REDACTED": 1}),
        ({"card": 4111111111111111}, {"card": "REDACTED"}),
        ({"n": 4111111111111111}, {"n": "REDACTED"}),
        ({"password": "x", "n": 1}, {"password": "REDACTED", "n": 1}),
        ({"cardNumber": {"last": "1111"}}, {"cardNumber": {"last": "1111"}}),
        ({"ip": "203.0.113.7", "zip": "75001"}, {"ip": "REDACTED", "zip": "75001"}),
        ({"ip_address": "203.0.113.7"}, {"ip_address": "REDACTED"}),
        ({"token": None, "secret": ""}, {"token": None, "secret": ""}),
        ({"x_forwarded_for": "203.0.113.7", "forwarded": True}, {"x_forwarded_for": "REDACTED", "forwarded": True}),
        ({"order_id": "4567890123007"}, {"order_id": "4567890123007"}),
        ({"items": [{"productId": 4567890123007}]}, {"items": [{"productId": 4567890123007}]}),
        ({"sku": "4111 1111 1111 1111"}, {"sku": "REDACTED"}),
        ({"order_id": "ana@shop.example"}, {"order_id": "REDACTED"}),
    ],
)
def test_properties_lose_what_they_must_not_hold(properties: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert cleaned(properties) == wanted


def test_escapes_hide_nothing() -> None:
    assert clean_properties('{"a":"ana\\u0040shop.example"}') == '{"a":"REDACTED"}'
    assert clean_properties('{"p\\u0061ssword":"x"}') == '{"password":"REDACTED"}'
    assert clean_properties('{"a":"\\u0034111111111111111"}') == '{"a":"REDACTED"}'


@pytest.mark.parametrize("text", ['{"a":1}', '{"price": 19.90}', '{"a": "Größe"}', '{"discount":"10%"}', '{"a":"b=c"}'])
def test_properties_that_hold_nothing_stay_to_the_letter(text: str) -> None:
    assert clean_properties(text) == text


def test_numbers_keep_every_digit_beside_what_is_redacted() -> None:
    text = '{"a":"ana@shop.example","n":0.1000000000000000055511151231257827,"big":9223372036854775807}'
    assert clean_properties(text) == text.replace("ana@shop.example", "REDACTED")


@given(value=st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_would_be_redacted_is_found_suspicious(value: dict[str, Any]) -> None:
    for ensure_ascii in (True, False):
        text = json.dumps(value, ensure_ascii=ensure_ascii)
        assert is_suspicious(text) or clean_value(value) == value


@given(value=st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_clean_is_json_without_secrets(value: dict[str, Any]) -> None:
    clean = clean_properties(json.dumps(value))
    assert isinstance(msgspec.json.decode(clean), dict)
    assert not any(secret in clean for secret in SECRETS)


def test_an_address_as_id_becomes_a_hash_of_this_client_alone() -> None:
    ours, theirs = clean_id("Ana@shop.example", b"ours"), clean_id("ana@shop.example", b"theirs")
    assert ours == clean_id("ana@shop.example", b"ours") != theirs
    assert "ana" not in (ours or "")


@pytest.mark.parametrize("given", [None, "u-1", "50%", "@ana"])
def test_other_ids_stay(given: str | None) -> None:
    assert clean_id(given, b"") == given
