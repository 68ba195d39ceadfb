"""A runner that dies at any point of any step leaves what the next one finishes, or takes back, completely."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from provisioning.lifecycle import delete_client
from provisioning.plans import CREATE, PLANS, REMOVE
from provisioning.work import Work
from tests.support.crashes import Broken, Crash, replaced, run_to_the_end, with_ensure, with_undo
from tests.support.engines import throwaway_postgres
from tests.support.provisioner import ACTOR, Provisioner, open_provisioner

STEPS = PLANS[CREATE].names
# There is none here, so these are skipped; what becomes of them is in `test_grafana_faults`.
GRAFANA_STEPS = [name for name in STEPS if name.startswith("grafana_")]
DATABASE = {"kind": "database"}
SCHEMA = {"kind": "schema"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedPostgres]:
    with throwaway_postgres() as engine:
        yield engine


@pytest.fixture(scope="module")
async def grove(cluster: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with open_provisioner(cluster.url) as opened:
        yield opened


def shape(catalogs: dict[str, list[str]]) -> dict[str, int]:
    return {name: len(rows) for name, rows in catalogs.items()}


@pytest.mark.fault(28)
@pytest.mark.parametrize("placement", [SCHEMA, DATABASE], ids=["schema", "database"])
async def test_a_crash_before_and_after_every_step_of_onboarding_and_removal_converges(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch, placement: dict[str, str]
) -> None:
    before = await grove.catalogs()
    await grove.create("whole", placement=placement)
    expected = shape(await grove.catalogs())
    await grove.remove("whole")

    for kind in (CREATE, REMOVE):
        for name in PLANS[kind].names:
            replaced(monkeypatch, kind, name, with_ensure(Crash, "before", "after"))
    view, crashes = await run_to_the_end(grove, await grove.request("whole", placement=placement))

    assert (view.state, crashes) == ("succeeded", 2 * len(STEPS))
    assert {step.attempts for step in view.steps} == {3}
    assert shape(await grove.catalogs()) == expected
    assert await grove.keys(view.id) is not None

    async with grove.serving.session() as session:
        operation_id = await delete_client(session, "whole", ACTOR, now=grove.now, grace_days=0)
    view, crashes = await run_to_the_end(grove, operation_id)
    assert (view.state, crashes) == ("succeeded", 2 * len(PLANS[REMOVE].names))
    assert await grove.catalogs() == before


@pytest.mark.fault(28)
@pytest.mark.parametrize("placement", [SCHEMA, DATABASE], ids=["schema", "database"])
@pytest.mark.parametrize("name", [*STEPS[: 1 - len(GRAFANA_STEPS)], STEPS[-1]])
async def test_a_failure_for_good_at_any_step_leaves_no_trace(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch, name: str, placement: dict[str, str]
) -> None:
    before = await grove.catalogs()
    replaced(monkeypatch, CREATE, name, with_ensure(Broken, "after"))

    view = await grove.create("doomed", placement=placement)

    assert view.state == "failed"
    assert view.error == {"code": "broken", "detail": "Unexpected Broken.", "step": name, "pointer": None}
    assert {step.state for step in view.steps} <= {"undone", "skipped", "pending"}
    assert await grove.catalogs() == before
    assert await grove.keys(view.id) is None
    actions = await grove.fetch("SELECT action FROM grove.audit_log WHERE detail->>'operation_id' = $1", str(view.id))
    assert {row["action"] for row in actions} == {"client.create", "client.create.failed"}


@pytest.mark.fault(28)
async def test_a_crash_before_and_after_every_step_of_undoing_converges_to_nothing(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await grove.catalogs()
    for name in STEPS:
        replaced(monkeypatch, CREATE, name, with_undo(Crash, "before", "after"))
    replaced(monkeypatch, CREATE, STEPS[-1], with_ensure(Broken, "after"))

    view, crashes = await run_to_the_end(grove, await grove.request("doomed", placement=DATABASE))

    undone = [step for step in view.steps if step.state == "undone"]
    assert view.state == "failed"
    assert len(undone) == len(STEPS) - len(GRAFANA_STEPS), "what was skipped has nothing to undo"
    assert crashes == 2 * len(undone)
    assert await grove.catalogs() == before


@pytest.mark.fault(28)
async def test_a_database_whose_dropping_was_cut_off_is_made_anew(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced(monkeypatch, CREATE, "database", with_ensure(Crash, "after"))
    operation_id = await grove.request("half", placement=DATABASE)
    with pytest.raises(Crash):
        await grove.runner().run(operation_id)
    await grove.execute(
        "UPDATE pg_database SET datconnlimit = -2 WHERE datname = "
        "(SELECT database FROM grove.placements WHERE client_id = 'half')"
    )
    await grove.make_due(operation_id)
    assert (await grove.runner().run(operation_id)).state == "succeeded"
    assert (await grove.remove("half")).state == "succeeded"


@pytest.mark.fault(28)
async def test_a_runner_that_lost_its_lease_stops_and_records_nothing_more(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stall(_work: Work) -> str:
        reached.set()
        await go_on.wait()
        return "too late"

    operation_id = await grove.request("stalled")
    with monkeypatch.context() as patch:
        replaced(patch, CREATE, "schema", lambda step: msgspec.structs.replace(step, ensure=stall))
        lost = asyncio.create_task(grove.runner().run(operation_id))
        await reached.wait()
    await grove.make_due(operation_id)
    assert (await grove.runner().run(operation_id)).state == "succeeded"
    go_on.set()
    view = await lost
    assert view.state == "succeeded"
    assert "too late" not in {step.detail for step in view.steps}
    await grove.remove("stalled")


async def test_a_stopping_process_hands_its_operation_on_at_once(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def stall(_work: Work) -> None:
        reached.set()
        await asyncio.Event().wait()

    operation_id = await grove.request("handed")
    with monkeypatch.context() as patch:
        replaced(patch, CREATE, "schema", lambda step: msgspec.structs.replace(step, ensure=stall))
        stopping = asyncio.create_task(grove.runner().run(operation_id))
        await reached.wait()
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
    assert (await grove.runner().run(operation_id)).state == "succeeded"
    await grove.remove("handed")
