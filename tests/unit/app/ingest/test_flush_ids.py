"""Ids of flushes: nobody makes one twice, and time orders them."""

from app.ingest.flush_ids import FlushIds


def test_ids_of_a_process_only_grow_and_fit_into_a_bigint() -> None:
    ids = FlushIds()
    made = [ids.next() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert made[0] > 0
    assert made[-1] < 2**63


def test_two_processes_make_no_id_in_common_at_the_same_time() -> None:
    one, other = FlushIds(), FlushIds()
    made = [(one.next(), other.next()) for _ in range(1_000)]
    assert not {first for first, _ in made} & {second for _, second in made}


def test_a_later_process_makes_larger_ids() -> None:
    first = FlushIds().next()
    later = FlushIds()
    assert max(later.next() for _ in range(50)) > first
