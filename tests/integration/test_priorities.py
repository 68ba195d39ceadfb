"""Where Postgres is on this machine, questions give way to events, and a crowd of one client to other questions."""

import asyncio
from pathlib import Path

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import Databases
from tenants.placement import Placement, Purpose
from tenants.priorities import CROWDED, QUESTION, Priority, find_priority
from tests.support.waiting import until

OWN_PID = "SELECT pg_catalog.pg_backend_pid()"

tells_sessions_apart = pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel does not tell sessions apart (autogroup)"
)


def nice_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/autogroup").read_text().rpartition(" ")[2])


@tells_sessions_apart
async def test_questions_give_way_to_events_and_a_crowd_of_one_client_to_other_questions(
    databases: Databases, placement: Placement
) -> None:
    async with databases.unit(placement, Purpose.WRITE) as unit:
        assert nice_of(await unit.fetchval(OWN_PID)) == 0
    may_end = asyncio.Event()

    async def ask() -> int:
        async with databases.unit(placement, Purpose.READ) as unit:
            nice = nice_of(await unit.fetchval(OWN_PID))
            assert await unit.fetchval("SHOW max_parallel_workers_per_gather") == "0"
            await may_end.wait()
        return nice

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    await asyncio.sleep(0.3)  # who is not root may change a priority every tenth of a second
    may_end.set()
    assert sorted(await asyncio.gather(*asking)) == [QUESTION, CROWDED, CROWDED]

    async def is_usual() -> bool:
        return await ask() == QUESTION

    await until(is_usual, within_s=5)


@tells_sessions_apart
async def test_only_a_postgres_of_this_machine_is_touched(postgres: EmbeddedPostgres) -> None:
    assert find_priority("postgresql://grove@db.example.com:5432/grove", postgres.pid or 0) is None
    assert find_priority("postgresql://grove@127.0.0.1:5432/grove", 1) is None
    assert find_priority("postgresql://grove@127.0.0.1:5432/grove", 2**22 + 1) is None
    assert find_priority("postgresql://grove@[::1]:5432/grove", postgres.pid or 0) is not None
    assert find_priority("postgresql://grove@localhost/grove", postgres.pid or 0) is not None


def test_what_could_not_be_changed_is_tried_again(tmp_path: Path) -> None:
    session = tmp_path / "autogroup"
    session.mkdir()  # which cannot be written to

    priority = Priority(session)
    priority.lower(QUESTION)
    session.rmdir()
    priority.lower(QUESTION)
    assert session.read_text() == str(QUESTION)
    session.write_text("")
    priority.lower(QUESTION)
    assert session.read_text() == ""
