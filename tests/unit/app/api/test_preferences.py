"""How long a caller is willing to wait, as `Prefer` says it."""

import pytest

from app.api.preferences import wait_of


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ('wait="10"', 10),
        ("WAIT = 5", 5),
        ("respond-async, wait=20", 20),
        ("wait=7; strict", 7),
        ("wait=0", 0),
        ("wait=3600", 60),
        ("wait=-1", None),
        ("wait=ten", None),
        ("wait", None),
        ("wait=٣", None),
        ("return=minimal", None),
        ("wait=1, wait=2", 1),
    ],
)
def test_the_wait_preference_is_read_or_ignored(header: str | None, seconds: int | None) -> None:
    assert wait_of(header) == seconds
