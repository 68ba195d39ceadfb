"""What is taken out of text; the corpus is the browser's too."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.enrichment.redaction import REDACTED, is_secret_parameter, is_secret_property, redact_text

CORPUS = json.loads((Path(__file__).parents[4] / "data/redaction.json").read_text())
CARDS = ("4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "30569309025904")
AROUND = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Nd"]), max_size=30)


@pytest.mark.parametrize("case", CORPUS["cases"] + CORPUS["server"], ids=lambda case: case["in"])
def test_the_corpus_is_redacted_as_it_says(case: dict[str, str]) -> None:
    assert redact_text(case["in"]) == case["out"]


@given(text=st.text(max_size=300))
def test_what_was_redacted_stays_as_it_is(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(before=AROUND, after=AROUND, card=st.sampled_from(CARDS), gap=st.sampled_from(["", " ", "-", ".", "+", "%20"]))
def test_no_card_number_is_left_whatever_stands_around_it(before: str, after: str, card: str, gap: str) -> None:
    written = gap.join(re.findall(r".{1,4}", card))
    assert written not in redact_text(f"{before}{written}{after}")


@given(
    before=st.text(max_size=20).filter(lambda text: "@" not in text),
    after=st.text(max_size=20),
    local=st.from_regex(r"[a-z]{1,10}([.+_-][a-z0-9]{1,8})?", fullmatch=True),
    at=st.sampled_from(["@", "%40"]),
)
def test_no_address_is_left_whatever_stands_around_it(before: str, after: str, local: str, at: str) -> None:
    assert f"{local}{at}shop.example" not in redact_text(f"{before}{local}{at}shop.example {after}")


@given(
    name=st.sampled_from(["password", "reset_token", "X-Api-Key", "user[email]", "SID"]),
    value=st.from_regex(r"[A-Za-z0-9]{5,40}", fullmatch=True),
)
def test_no_value_of_a_secret_parameter_is_left(name: str, value: str) -> None:
    redacted = redact_text(f"https://shop.example/a?b=1&{name}={value}&c=2")
    assert redacted == f"https://shop.example/a?b=1&{name}={REDACTED}&c=2"


@pytest.mark.parametrize("name", ["q", "page", "utm_source", "product_id", "keyword", "shipping", "author", "passage"])
def test_what_only_sounds_like_a_secret_is_none(name: str) -> None:
    assert not is_secret_parameter(name)
    assert not is_secret_property(name)


@pytest.mark.parametrize(
    "hostile",
    ["a" * 32_000, "a@" * 16_000, "%41" * 10_000 + "@", "1 " * 16_000, "4" * 32_000, "?" * 32_000 + "=",
     "://a@" * 8_000, "?a" * 16_000 + "=", "token" * 6_000 + ":", "a%" * 16_000, "a@" + "a." * 16_000],
)  # fmt: skip
def test_no_text_takes_longer_than_its_length_allows(hostile: str) -> None:
    began = time.process_time()
    redact_text(hostile)
    assert time.process_time() - began < 1
