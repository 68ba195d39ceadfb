"""Who has a connection next: no client holds all, nobody waits behind another's crowd, shares count."""

import asyncio
from collections import Counter

import pytest

from tenants import fair_share
from tenants.errors import QueueFull, StoreUnavailable
from tenants.fair_share import FEW_CLIENTS, FairShare
from tenants.ids import TenantId

LOUD, QUIET = TenantId("loud"), TenantId("quiet")


async def settle() -> None:
    """Let all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


class Crowd:
    """Turns that last until they are ended."""

    def __init__(self, pool: FairShare) -> None:
        self.pool = pool
        self.holding: list[tuple[TenantId, asyncio.Event]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, tenant_id: TenantId, times: int = 1, *, share: int = 1, timeout_s: float = 5) -> None:
        """Ask for turns."""
        self.tasks += [asyncio.create_task(self._hold(tenant_id, share, timeout_s)) for _ in range(times)]

    async def end_first(self) -> TenantId:
        """End the turn that began first; return whose it was."""
        whose, end = self.holding.pop(0)
        end.set()
        await settle()
        return whose

    async def end_all(self) -> None:
        """End all turns, as they come."""
        while self.holding:
            await self.end_first()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _hold(self, tenant_id: TenantId, share: int, timeout_s: float) -> None:
        async with self.pool.turn(tenant_id, share, timeout_s=timeout_s):
            end = asyncio.Event()
            self.holding.append((tenant_id, end))
            await end.wait()


async def test_a_client_holds_its_most_and_others_find_room() -> None:
    crowd = Crowd(FairShare(4, most=2))
    crowd.come(LOUD, 100)
    await settle()
    assert [whose for whose, _ in crowd.holding] == [LOUD, LOUD]
    crowd.come(QUIET)
    await settle()
    assert [whose for whose, _ in crowd.holding] == [LOUD, LOUD, QUIET]
    await crowd.end_all()
    assert [task.exception() for task in crowd.tasks] == [None] * 101


async def test_who_comes_late_is_not_behind_anothers_crowd() -> None:
    crowd = Crowd(FairShare(2, most=2))
    crowd.come(LOUD, 50)
    await settle()
    crowd.come(QUIET)
    await settle()
    await asyncio.sleep(0.01)  # its turns have cost something by now
    assert await crowd.end_first() == LOUD
    assert QUIET in [whose for whose, _ in crowd.holding]
    await crowd.end_all()


@pytest.mark.parametrize(("share", "least", "most"), [(1, 40, 60), (3, 65, 85)])
async def test_those_who_wait_have_time_by_their_shares(
    monkeypatch: pytest.MonkeyPatch, share: int, least: int, most: int
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    crowd = Crowd(FairShare(1, most=1))
    crowd.come(LOUD, 100, share=share, timeout_s=1_000)
    crowd.come(QUIET, 100, timeout_s=1_000)
    await settle()
    served: Counter[TenantId] = Counter()
    for _ in range(100):
        now[0] += 1.0
        served[await crowd.end_first()] += 1
    assert least <= served[LOUD] <= most
    await crowd.end_all()


async def test_the_excess_is_told_when_its_line_will_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(fair_share, "_NEWEST", 1.0)
    monkeypatch.setattr(fair_share, "MOST_WAITING", 10)
    crowd = Crowd(FairShare(4, most=2))
    crowd.come(LOUD)
    await settle()
    now[0] = 3.0
    await crowd.end_first()  # each is expected to take three seconds from now on
    crowd.come(LOUD, 12)
    await settle()
    with pytest.raises(QueueFull) as full:
        await refused(crowd.pool, LOUD)
    assert full.value.retry_after_s == 18  # twelve, two at once
    await crowd.end_all()


async def test_who_waits_too_long_is_told_whose_doing_it_is() -> None:
    crowd = Crowd(FairShare(2, most=1))
    crowd.come(LOUD)
    await settle()
    with pytest.raises(QueueFull):
        await refused(crowd.pool, LOUD, timeout_s=0.01)
    crowd.come(TenantId("third"))
    await settle()
    with pytest.raises(StoreUnavailable):
        await refused(crowd.pool, QUIET, timeout_s=0.01)
    await crowd.end_all()


@pytest.mark.parametrize("moment", ["waiting", "given"])
async def test_who_goes_away_leaves_no_place_taken(moment: str) -> None:
    pool = FairShare(1, most=1)
    crowd = Crowd(pool)
    crowd.come(LOUD)
    await settle()
    crowd.come(QUIET)
    await settle()
    if moment == "given":
        crowd.holding[0][1].set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    crowd.tasks[1].cancel()
    await settle()
    await crowd.end_all()
    for tenant_id in (LOUD, QUIET):
        async with asyncio.timeout(1), pool.turn(tenant_id, 1, timeout_s=1):
            pass


async def test_idle_clients_are_forgotten_and_those_that_had_more_than_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pool = FairShare(1, most=1)
    crowd = Crowd(pool)
    crowd.come(LOUD)
    await settle()
    now[0] = 5.0
    await crowd.end_first()  # it has had five seconds more than whoever comes anew
    for number in range(10 * FEW_CLIENTS):
        async with pool.turn(TenantId(f"c{number}"), 1, timeout_s=1):
            pass
    assert pool.remembered <= 2 * FEW_CLIENTS
    for each in (TenantId("holder"), LOUD, QUIET):
        crowd.come(each)
        await settle()
    assert [await crowd.end_first() for _ in range(3)] == ["holder", QUIET, LOUD]
    await crowd.end_all()


async def refused(pool: FairShare, tenant_id: TenantId, *, timeout_s: float = 5) -> None:
    """Ask for a turn that is not to be had."""
    async with pool.turn(tenant_id, 1, timeout_s=timeout_s):
        pass
