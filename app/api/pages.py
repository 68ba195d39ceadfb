"""Pages of a list: what a cursor is, and the shape of the answer.

Called by every route that lists; a cursor is opaque to callers and holds the sort key of the last row given.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from tenants.errors import InputRefused

T = TypeVar("T")
Row = TypeVar("Row")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_BIGINT = 2**63

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many to answer with at most.")]
Cursor = Annotated[str | None, QueryParameter(description="`meta.next` of the page before.")]


class PageMeta(msgspec.Struct, frozen=True):
    """Where a list goes on."""

    next: Annotated[str | None, msgspec.Meta(description="Give it as `cursor` for the next page; null on the last.")]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list."""

    data: list[T]
    meta: PageMeta


def page_of(rows: Sequence[Row], limit: int, *, show: Callable[[Row], T], key: Callable[[Row], Any]) -> Page[T]:
    """Make a page of rows, of which one more than `limit` was asked for to see whether there are more."""
    shown = rows[:limit]
    more = encode_cursor(key(shown[-1])) if len(rows) > limit else None
    return Page(data=[show(row) for row in shown], meta=PageMeta(next=more))


def encode_cursor(key: Any) -> str:
    """Write a sort key as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[T]) -> T | None:
    """Read a cursor back.

    Errors: InputRefused if it is none of ours.
    """
    if cursor is None:
        return None
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
        _check_storable(key)
    except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise InputRefused("This is no cursor of this list.", field="cursor", code="bad_cursor") from error
    return key


def _check_storable(part: object) -> None:
    """Refuse what no column of a database could hold, so that nothing of the kind is ever asked for.

    Errors: ValueError, OverflowError.
    """
    match part:
        case datetime():
            if part.tzinfo is None:
                raise ValueError("a time without a zone")
            part.astimezone(UTC)
        case int():
            if not -_BIGINT <= part < _BIGINT:
                raise OverflowError("a number beyond 64 bits")
        case str():
            if "\0" in part:
                raise ValueError("a text with NUL")
        case tuple():
            for each in part:
                _check_storable(each)
        case msgspec.Struct():
            _check_storable(msgspec.structs.astuple(part))
