"""What can become of an event: exactly one outcome each, counted and answered.

Shape: the codes here are the stable vocabulary of `rejected[].code`, of quarantine rows and of usage counts.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Outcome(StrEnum):
    """The one recorded outcome of a received event."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    FILTERED = "filtered"


def sum_outcomes(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Add up counts (`outcome`, `n`) by outcome, in the order of their first."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["outcome"]] = sums.get(row["outcome"], 0) + row["n"]
    return sums


class Code(StrEnum):
    """Why an event was quarantined."""

    NOT_AN_OBJECT = "not_an_object"
    REQUIRED = "required"
    WRONG_TYPE = "wrong_type"
    INVALID = "invalid"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_TIME = "invalid_time"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"
    NUL_BYTE = "nul_byte"
    LONE_SURROGATE = "lone_surrogate"
    INVALID_UTF8 = "invalid_utf8"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TOO_DEEP = "too_deep"
    TOO_MANY_KEYS = "too_many_keys"
    STRING_TOO_LONG = "string_too_long"
    EVENT_TOO_LARGE = "event_too_large"
    SESSION_REQUIRED = "session_required"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    CHAT_TABLES_READ_ONLY = "chat_tables_read_only"
    UNSTORABLE = "unstorable"


class FilterReason(StrEnum):
    """Why an event was passed over."""

    BOT = "bot"
    IGNORED = "ignored"  # a webhook of a kind that means nothing here
    TEST = "test"
    STALE = "stale"  # a webhook about what was long ago


class Filtered(Exception):
    """Nobody wants this event; raised by the steps, counted, and kept nowhere."""

    def __init__(self, reason: FilterReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Refusal(Exception):
    """One event cannot be stored; raised by the steps, recorded whole in quarantine."""

    def __init__(self, code: Code, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.pointer = pointer
        self.detail = detail


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was put in quarantine."""

    index: int
    event_id: str | None
    code: Code
    pointer: str
    detail: str


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A duplicate whose body is not the one that was stored first."""

    index: int
    event_id: str


class IngestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request's events; the counts and the length of `rejected` add up to what was sent."""

    accepted: int
    duplicates: int
    filtered: int = 0
    conflicts: list[Conflict] = []
    rejected: list[Rejected] = []
