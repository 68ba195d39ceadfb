"""Operations of one client never run at once, and none of them brings back a client that is being removed."""

import asyncio
import secrets
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest

from provisioning.grafana.client import GrafanaAdmin
from provisioning.grafana.orders import request_reconciliation
from provisioning.lifecycle import delete_client, restore_client
from provisioning.operations import OperationView, get_operation
from provisioning.plans import CREATE, RECONCILE, REMOVE
from provisioning.work import Step, Work
from tests.support.crashes import Crash, replaced, with_ensure
from tests.support.provisioner import ACTOR, Provisioner

STAFF = [{"email": "ana@maple.example", "role": "viewer"}]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def client_id() -> str:
    return f"maple-{secrets.token_hex(4)}"


async def order(grove: Provisioner, client_id: str, *, rotate: bool = False) -> OperationView:
    async with grove.serving.session() as session:
        return await get_operation(session, await request_reconciliation(session, client_id, ACTOR, rotate=rotate))


async def delete(grove: Provisioner, client_id: str, *, grace_days: int = 0) -> OperationView:
    async with grove.serving.session() as session:
        return await get_operation(
            session, await delete_client(session, client_id, ACTOR, now=grove.now, grace_days=grace_days)
        )


async def look(grove: Provisioner, view: OperationView) -> OperationView:
    async with grove.control.session() as session:
        return await get_operation(session, view.id)


async def traces(grove: Provisioner, client_id: str) -> list[str]:
    """List what a client has in Grafana and in the registry."""
    assert grove.grafana is not None
    login = quote(f"{client_id}:{STAFF[0]['email']}")
    org = await grove.grafana.find(f"/api/orgs/name/{client_id}")
    user = await grove.grafana.find(f"/api/users/lookup?loginOrEmail={login}")
    rows = await grove.fetch("SELECT id FROM grove.clients WHERE id = $1", client_id)
    return [name for name, found in (("org", org), ("user", user), ("client", rows)) if found]


async def remove_half(grove: Provisioner, client_id: str, monkeypatch: pytest.MonkeyPatch) -> OperationView:
    """Begin a removal whose runner dies once Grafana's part is over."""
    with monkeypatch.context() as patch:
        replaced(patch, REMOVE, "schema", with_ensure(Crash, "before"))
        removal = await delete(grove, client_id)
        with pytest.raises(Crash):
            await grove.runner().run(removal.id)
    return removal


@pytest.mark.fault(28)
async def test_a_waiting_reconciliation_does_not_bring_back_a_client_that_is_half_removed(
    grove: Provisioner, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grove.create(client_id, staff=STAFF)
    waiting = await order(grove, client_id)
    removal = await remove_half(grove, client_id, monkeypatch)

    late = await grove.runner().run(waiting.id)
    await grove.make_due(removal.id)
    removed = await grove.runner().run(removal.id)

    assert (late.state, late.error) == ("failed", {"code": "cancelled", "detail": "The client was removed."})
    assert removed.state == "succeeded"
    assert await traces(grove, client_id) == []


async def test_an_onboarding_that_waits_for_grafana_does_not_bring_back_a_client_that_is_half_removed(
    grove: Provisioner, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = GrafanaAdmin(NOWHERE, "x")
    with monkeypatch.context() as patch:
        patch.setattr(grove, "grafana", away)
        onboarding = await grove.create(client_id, staff=STAFF)
    await away.close()
    assert (onboarding.state, (await grove.context(client_id)).status) == ("pending", "active")
    removal = await remove_half(grove, client_id, monkeypatch)

    await grove.make_due(onboarding.id)
    late = await grove.runner().run(onboarding.id)
    await grove.make_due(removal.id)
    removed = await grove.runner().run(removal.id)

    assert (late.state, (late.error or {})["code"], removed.state) == ("failed", "cancelled", "succeeded")
    assert {step.state for step in late.steps} <= {"done", "pending", "skipped"}
    assert await grove.keys(late.id) is None
    assert await traces(grove, client_id) == []


async def test_a_removal_waits_for_the_onboarding_that_runs_and_that_goes_no_further(
    grove: Provisioner, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    operation_id = await grove.request(client_id, staff=STAFF)
    with monkeypatch.context() as patch:
        replaced(patch, CREATE, "grafana_folders", stalling(reached, go_on))
        running = asyncio.create_task(grove.runner().run(operation_id))
        await reached.wait()
    removal = await delete(grove, client_id)
    assert (await grove.runner().run(removal.id)).state == "pending"
    go_on.set()

    stopped = await running
    states = {step.name: (step.state, step.last_error) for step in stopped.steps}
    assert stopped.state == "pending"
    assert states["grafana_folders"] == ("done", None)
    assert states["grafana_dashboards"] == ("pending", "The client is being deleted.")
    assert (await grove.runner().run(removal.id)).state == "succeeded"
    assert (await look(grove, stopped)).state == "failed"
    assert await traces(grove, client_id) == []


async def test_what_is_ordered_for_a_deleted_client_waits_until_it_is_restored(
    grove: Provisioner, client_id: str
) -> None:
    await grove.create(client_id, staff=STAFF)
    waiting = await order(grove, client_id)
    await delete(grove, client_id, grace_days=7)
    refused = await grove.runner().run(waiting.id)
    assert (refused.state, refused.steps[-1].last_error) == ("pending", "The client is being deleted.")
    async with grove.serving.session() as session:
        await restore_client(session, client_id, ACTOR, now=grove.now)
    assert (await grove.runner().run(waiting.id)).state == "succeeded"
    await grove.remove(client_id)


async def test_many_runners_do_many_operations_of_a_client_one_after_the_other(
    grove: Provisioner, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grove.create(client_id)
    inside, most = 0, 0

    async def count(_work: Work) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        # Long enough for every other runner to ask for its operation.
        await asyncio.sleep(0.05)
        inside -= 1

    for name in ("grafana_password", "grafana"):
        replaced(monkeypatch, RECONCILE, name, lambda step: msgspec.structs.replace(step, ensure=count))
    views = [await order(grove, client_id, rotate=True) for _ in range(4)]
    for _ in range(len(views)):
        views = await asyncio.gather(*(grove.runner().run(view.id) for view in views))

    assert ([view.state for view in views], most) == (["succeeded"] * 4, 1)
    monkeypatch.undo()
    await grove.remove(client_id)


def stalling(reached: asyncio.Event, go_on: asyncio.Event) -> Callable[[Step], Step]:
    """Let a step's work last until the test says so."""

    def change(step: Step) -> Step:
        async def ensure(work: Work) -> str | None:
            detail = await step.ensure(work)
            reached.set()
            await go_on.wait()
            return detail

        return msgspec.structs.replace(step, ensure=ensure)

    return change
