"""The logs of the engines."""

from pathlib import Path

from app.embedded.logfile import open_log, tail_of


def test_a_long_log_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_bytes(b"x" * 5_000_001)
    open_log(path).close()
    assert path.stat().st_size == 0
    assert (tmp_path / "engine.log.old").stat().st_size == 5_000_001


def test_a_short_log_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_text("first\n")
    with open_log(path) as log:
        log.write(b"second\n")
    assert tail_of(path) == "first\nsecond"


def test_no_log_has_no_tail(tmp_path: Path) -> None:
    assert tail_of(tmp_path / "engine.log") == ""
