"""How many questions of one person and one client are answered at once."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest

from app.auth.sessions import StaffMember
from app.gateway.turns import Turns
from tenants.errors import QueueFull
from tenants.ids import TenantId


def member(client_id: str) -> StaffMember:
    return StaffMember(
        staff_id=uuid.uuid4(), client_id=TenantId(client_id), email="ana@maple.example", name="", role="viewer",
        csrf="", session=b"", expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )  # fmt: skip


async def hold(turns: Turns, who: StaffMember, until: asyncio.Event) -> None:
    async with turns.take(who):
        await until.wait()


async def test_one_persons_questions_leave_places_to_the_others_and_one_clients_to_the_other_clients() -> None:
    turns, over = Turns(of_person=2, of_client=3, wait_s=0.05), asyncio.Event()
    ana, ben, cleo = member("maple"), member("maple"), member("oak")
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(hold(turns, who, over)) for who in (ana, ana, ben)]
        await asyncio.sleep(0)
        for who in (ana, ben):
            with pytest.raises(QueueFull):
                async with turns.take(who):
                    pass
        async with turns.take(cleo):
            assert not any(task.done() for task in held)
        over.set()
    async with turns.take(ana):
        pass


async def test_who_waits_is_served_when_a_place_becomes_free() -> None:
    turns, over = Turns(of_person=1, of_client=1, wait_s=5), asyncio.Event()
    ana = member("maple")
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(turns, ana, over))
        await asyncio.sleep(0)
        waiting = group.create_task(hold(turns, ana, over))
        await asyncio.sleep(0)
        assert not waiting.done()
        over.set()
    assert turns._lanes == {}  # noqa: SLF001 - nothing is kept of who is not there
