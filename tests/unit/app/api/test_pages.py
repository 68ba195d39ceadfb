"""Pages and their cursors."""

import base64

import pytest

from app.api.pages import decode_cursor, encode_cursor, page_of
from tenants.errors import InputRefused


def test_a_page_with_more_behind_it_tells_where_to_go_on() -> None:
    page = page_of([1, 2, 3], 2, show=str, key=lambda row: row)
    assert page.data == ["1", "2"]
    assert decode_cursor(page.meta.next, int) == 2


def test_the_last_page_leads_nowhere() -> None:
    assert page_of([1, 2], 2, show=str, key=lambda row: row).meta.next is None
    assert page_of([], 2, show=str, key=lambda row: row).data == []


def test_a_cursor_is_read_back_as_it_was_written() -> None:
    key = ("2026-11-21T00:00:00Z", 7)
    assert decode_cursor(encode_cursor(key), tuple[str, int]) == key


@pytest.mark.parametrize("cursor", ["", "!", "nonsense", "é", base64.urlsafe_b64encode(b'{"a":1}').decode(), "bnVsbA"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        decode_cursor(cursor, tuple[str, int])
    assert refusal.value.code == "bad_cursor"


def test_no_cursor_means_from_the_start() -> None:
    assert decode_cursor(None, int) is None
