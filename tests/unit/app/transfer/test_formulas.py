"""Texts that a spreadsheet would run are made harmless, exactly reversibly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.formulas import bare, defended


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_formula_becomes_text(text: str) -> None:
    assert defended(text) == "'" + text


@pytest.mark.parametrize("text", ["", "hello", "1+1", "a=b", " =x"])
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert defended(text) == text


@given(st.text() | st.text(alphabet="'=+-@\t\r\nx", max_size=5))
def test_what_was_defended_is_bare_again(text: str) -> None:
    assert bare(defended(text)) == text


def test_values_that_are_no_texts_are_left_alone() -> None:
    assert bare(None) is None
