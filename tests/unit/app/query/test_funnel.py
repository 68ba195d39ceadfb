"""Following visitors through a funnel."""

from collections import defaultdict
from datetime import date, timedelta
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as some

from app.query.funnel import Piece, count_reached

DAY = date(2026, 3, 1)
# Who did what when, in units of which a day has ten.
Event = tuple[int, str, int]


def _pieces(events: list[Event], *, per_piece: int = 1_000) -> list[Piece]:
    pieces = []
    for (day, name), found in groupby(sorted(events, key=_day_and_name), key=_day_and_name):
        records = [visitor.to_bytes(4) + at.to_bytes(8, signed=True) for visitor, _, at in found]
        firsts = range(0, len(records), per_piece)
        pieces += [(DAY + timedelta(days=day), name, b"".join(records[at : at + per_piece])) for at in firsts]
    return pieces


def _day_and_name(event: Event) -> tuple[int, str]:
    return event[2] // 10, event[1]


def _follow(steps: list[str], events: list[Event]) -> list[int]:
    """Count slowly, one visitor after the other."""
    of_visitor: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for visitor, name, at in events:
        of_visitor[visitor].append((at, name))
    reached = [0] * len(steps)
    for done in of_visitor.values():
        last = -100
        for place, step in enumerate(steps):
            later = [at for at, name in done if name == step and at > last]
            if not later:
                break
            last = min(later)
            reached[place] += 1
    return reached


def test_nobody_did_anything() -> None:
    assert count_reached(["look", "buy"], []) == [0, 0]


def test_a_step_counts_only_after_the_one_before() -> None:
    events = [(0, "look", 1), (0, "buy", 2), (1, "buy", 1), (1, "look", 2), (2, "look", 5), (2, "buy", 5)]
    assert count_reached(["look", "buy"], _pieces(events)) == [3, 1]


def test_the_same_step_twice_is_done_at_two_times() -> None:
    events = [(0, "look", 1), (0, "look", 12), (1, "look", 1)]
    assert count_reached(["look", "look"], _pieces(events)) == [2, 1]


@given(
    some.lists(some.tuples(some.integers(0, 5), some.sampled_from("abc"), some.integers(-20, 39)), max_size=60),
    some.lists(some.sampled_from("abcd"), min_size=1, max_size=4),
    some.integers(1, 4),
)
def test_many_are_followed_as_one_by_one(events: list[Event], steps: list[str], per_piece: int) -> None:
    assert count_reached(steps, _pieces(events, per_piece=per_piece)) == _follow(steps, events)
