"""Ids of flushes: nobody makes one twice, and time orders them."""

from app.ingest.flush_ids import FlushIds
from tenants.models import FLUSH_MAKERS

LAST = FLUSH_MAKERS.maxvalue or 0


def test_ids_of_a_maker_only_grow_and_fit_into_a_bigint() -> None:
    for maker in (0, LAST):
        ids = FlushIds(maker)
        made = [ids.next() for _ in range(10_000)]
        assert made == sorted(set(made))
        assert made[0] > 0
        assert made[-1] < 2**63


def test_two_makers_make_no_id_in_common_at_the_same_time() -> None:
    makers = [FlushIds(number) for number in (0, 1, 2**22, LAST - 1, LAST)]
    made = [maker.next() for _ in range(1_000) for maker in makers]
    assert len(set(made)) == len(made)


def test_a_later_maker_makes_larger_ids() -> None:
    first = FlushIds(LAST).next()
    later = FlushIds(0)
    assert max(later.next() for _ in range(50)) > first
