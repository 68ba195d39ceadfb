"""What a flush counts is put down to the hour and the key of each request."""

from datetime import UTC, datetime, timedelta

from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import Arrival
from app.ingest.flush import Flush, answers, count_outcomes, settle
from app.ingest.outcomes import IngestAnswer
from app.ingest.routes import read_submission

HOUR = datetime(2026, 11, 21, 9, tzinfo=UTC)
ONE, OTHER = (UUID(f"00000000-0000-4000-8000-00000000000{n}") for n in (1, 2))


def flush(*arrivals: tuple[datetime, UUID]) -> Flush:
    return Flush(
        id=1,
        submissions=[
            read_submission(
                b'{"name": "page_view"}', Arrival(key_id=key_id, received_at=at, oldest=HOUR, accepts_chat=True)
            )
            for at, key_id in arrivals
        ],
    )


def test_neighbours_of_different_hours_days_and_keys_are_counted_apart() -> None:
    late = HOUR + timedelta(minutes=59, seconds=59.9)
    next_day = HOUR + timedelta(days=1, minutes=1)
    arrivals = (HOUR, ONE), (late, ONE), (late, OTHER), (HOUR + timedelta(hours=1), ONE), (next_day, ONE), (late, ONE)
    written = flush(*arrivals)
    counts = count_outcomes(written, settle(written, written.claims(), {}))
    assert sorted(counts) == [
        (HOUR, ONE, "stored", "", 3),
        (HOUR, OTHER, "stored", "", 1),
        (HOUR + timedelta(hours=1), ONE, "stored", "", 1),
        (HOUR + timedelta(days=1), ONE, "stored", "", 1),
    ]


def test_who_sent_only_new_events_is_told_how_many() -> None:
    written = flush((HOUR, ONE), (HOUR, OTHER))
    assert answers(written, settle(written, {}, {})) == [IngestAnswer(accepted=1, duplicates=0)] * 2
