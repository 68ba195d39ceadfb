"""The soak's own arithmetic: what it calls growth, a leak, a loss; and its events are what it takes them for."""

import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import Arrival
from app.ingest.outcomes import Refusal
from app.ingest.steps import read_event
from bench.soak.checks import Bytes, Kept, ids_of
from bench.soak.report import Report, growth, judge, percentiles_ms, trends
from bench.soak.samples import Held, Sample, read_held
from bench.soak.story import Made, Story
from bench.soak.traffic import Ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIB = 1024


def report(**changes: object) -> Report:
    flat = [Sample(at, {"web": Held(1, 100 * MIB, 120 * MIB, 20, 4)}, {}) for at in range(12)]
    good = Report(
        minutes=60, clients=1, capacity=400, rate=200, events=3, cores=(0.5, 1.0), statuses={202: 3},
        ack_ms={"p99": 9.0}, visible_ms={"p99": 40.0}, answer_ms={}, unseen=0, unanswered=0, memory=trends(flat),
        shared_limit=MIB, files={"web": (20, 20)}, connections={"grove_app": (5, 4)}, most_connections=9,
        series=(60, 60), rows={}, log_bytes=0, kept=Kept(acked=3), bytes_per_event={"events": Bytes(1.0, 1.0)},
    )  # fmt: skip
    return msgspec.structs.replace(good, **changes)


def missed(found: Report) -> list[str]:
    return [aim.name for aim in judge(found) if not aim.met]


def made(fate: str) -> Made:
    return Made(uuid.uuid4(), b"{}", fate)


def test_growth_is_from_the_second_sixth_to_the_last_and_leaves_the_start_out() -> None:
    mib = [10, 60, 100, 102, 99, 101, 500, 100, 103, 104, 108, 110]
    early, late, share = growth([each * MIB for each in mib])
    assert (early, late) == (101 * MIB, 109 * MIB)
    assert share == pytest.approx(8 / 101)


def test_a_small_process_is_measured_by_a_size_that_can_be_measured() -> None:
    assert growth([MIB] * 6 + [2 * MIB] * 6)[2] == pytest.approx(0.05)


def test_percentiles_come_from_the_durations_in_order() -> None:
    found = percentiles_ms([each / 1000 for each in range(100, 0, -1)])
    assert found == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 100.0}
    assert percentiles_ms([]) == {}


def test_a_server_that_stayed_as_it_was_misses_no_aim() -> None:
    assert missed(report()) == []


@pytest.mark.parametrize(
    ("changes", "aim"),
    [
        ({"files": {"web": (20, 21)}}, "no files left open"),
        ({"connections": {"grove_app": (5, 6)}}, "no connections left open"),
        ({"visible_ms": {"p99": 1000.1}}, "visible within a second (p99)"),
        ({"visible_ms": {}}, "visible within a second (p99)"),
        ({"unseen": 1}, "visible within a second (p99)"),
        ({"statuses": {202: 2, 503: 1}}, "every request acknowledged"),
        ({"unanswered": 1}, "every question answered"),
        ({"kept": Kept(missing=1)}, "stored exactly once"),
        ({"kept": Kept(doubled=1)}, "stored exactly once"),
        ({"kept": Kept(foreign=1)}, "stored exactly once"),
        ({"kept": Kept(surprises=["x"])}, "each event had its outcome"),
        ({"kept": Kept(unreconciled=["x"])}, "usage equals what was told"),
        ({"kept": Kept(rollup_differences=["x"])}, "rollups equal a recount"),
    ],
)
def test_each_fault_misses_its_aim(changes: dict[str, object], aim: str) -> None:
    assert missed(report(**changes)) == [aim]


def test_memory_that_grows_and_shared_memory_beyond_its_limit_miss_their_aims() -> None:
    held = [{"web": Held(pss=100 * MIB * (20 + at) // 20), "postgres shared": Held(pss=2 * MIB)} for at in range(12)]
    samples = [Sample(at, each, {}) for at, each in enumerate(held)]
    assert missed(report(memory=trends(samples))) == ["web: memory flat", "shared memory within its limit"]


def test_a_ledger_believes_an_answer_only_as_far_as_it_goes() -> None:
    ledger, sent = Ledger(), [made("stored"), made("quarantined"), made("duplicate"), made("stored")]
    answer = {"accepted": 2, "duplicates": 1, "rejected": [{"index": 1}]}
    assert ledger.note(sent, 202, msgspec.json.encode(answer))
    assert (list(ids_of(ledger.acked)), ledger.surprises) == ([sent[0].id, sent[3].id], [])
    assert ledger.outcomes == {"stored": 2, "duplicate": 1, "quarantined": 1}

    assert not ledger.note([lost := made("stored"), made("quarantined")], 503, b"")
    assert (list(ids_of(ledger.unsure)), ledger.statuses) == ([lost.id], {202: 1, 503: 1})

    answer = {"accepted": 0, "duplicates": 1, "rejected": []}
    assert ledger.note([made("stored")], 202, msgspec.json.encode(answer))
    assert ledger.surprises == ["{'stored': 1} was answered by {'stored': 0, 'duplicate': 1, 'quarantined': 0}"]


def test_what_a_story_calls_poison_is_refused_and_all_else_can_be_stored() -> None:
    story = Story(7, lambda: NOW)
    arrival = Arrival(key_id=UUID(bytes(16)), received_at=NOW, oldest=NOW - timedelta(days=30), accepts_chat=True)
    fates: dict[str, set[uuid.UUID]] = {"stored": set(), "duplicate": set(), "quarantined": set()}
    chats = 0
    for _ in range(5_000):
        event = story.next()
        fates[event.fate].add(event.id)
        if event.fate == "quarantined":
            with pytest.raises(Refusal):
                read_event(event.body, 0, arrival)
            continue
        found = read_event(event.body, 0, arrival)
        assert found.id == event.id
        chats += found.chat is not None
        story.remember(event)
    assert fates["duplicate"] < fates["stored"]
    assert fates["quarantined"]
    assert 200 < chats < 2_000


def test_an_open_file_of_a_process_is_seen(tmp_path: Path) -> None:
    before = read_held(os.getpid(), {})["supervisor"]
    with (tmp_path / "open").open("w"):
        after = read_held(os.getpid(), {})["supervisor"]
    assert after.files == before.files + 1
    assert before.pss > MIB
