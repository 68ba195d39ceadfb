"""A request rehearses if it says so clearly; what is not clear is refused rather than stored."""

from typing import cast

import pytest
from litestar.types import Scope

from app.ingest.rehearsal import rehearses
from tenants.errors import InputRefused


def asked(query: bytes) -> Scope:
    return cast("Scope", {"type": "http", "query_string": query})


@pytest.mark.parametrize("query", [b"debug=1", b"key=k&debug=1", b"DEBUG=1", b"debug=%31", b"%64ebug=1", b"Debug=1&"])
def test_one_rehearses_however_it_is_written(query: bytes) -> None:
    assert rehearses(asked(query))


@pytest.mark.parametrize("query", [b"", b"debug=0", b"key=grv_1", b"key=a%20b", b"debugger=1", b"sent=debug", b"\xff%"])
def test_what_does_not_ask_for_it_stores(query: bytes) -> None:
    assert not rehearses(asked(query))


@pytest.mark.parametrize(
    "query",
    [
        b"debug", b"debug=", b"debug=true", b"debug=yes", b"debug=01", b"debug=1%00", b"debug=%201", b"debug=2",
        b"debug=1&debug=0", b"debug=1&debug=1", b"debug=0&DEBUG=1", b"debug=1&%64ebug", b"debug=\xff", b"debug=1;key=k",
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_by_name(query: bytes) -> None:
    with pytest.raises(InputRefused) as refusal:
        rehearses(asked(query))
    assert refusal.value.field == "debug"
