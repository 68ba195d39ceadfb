"""Whatever Grafana does while a client is made or removed: the work resumes, and no orphan is left."""

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from provisioning.grafana import client as talking
from provisioning.grafana import datasources
from provisioning.grafana.orders import request_reconciliation
from provisioning.lifecycle import delete_client
from provisioning.operations import OperationView
from provisioning.plans import CREATE, PLANS, REMOVE
from tests.support.crashes import Broken, Crash, replaced, run_to_the_end, with_ensure, with_undo
from tests.support.grafana import ALLOWED
from tests.support.grafana_double import PASSWORD, GrafanaDouble
from tests.support.grafana_queries import find_fault
from tests.support.grafana_state import Org
from tests.support.provisioner import ACTOR, Provisioner, open_provisioner

STAFF = [{"email": "ana@maple.example", "role": "viewer"}, {"email": "ben@maple.example", "role": "editor"}]
GRAFANA_STEPS = [name for name in PLANS[CREATE].names if name.startswith("grafana_")]
# Every kind of request that onboarding changes something with.
REQUESTS = [
    ("POST", r"^/api/orgs$"), ("POST", r"^/api/datasources$"), ("POST", r"^/api/folders$"),
    ("POST", r"^/api/dashboards/db$"), ("PUT", r"^/api/org/preferences$"), ("POST", r"^/api/admin/users$"),
    ("PATCH", r"^/api/orgs/\d+/users/\d+$"),
]  # fmt: skip
FAULTS = [("500", "before"), ("500", "after"), ("cut", "after"), ("hang", "after")]
# What it asks before and after that.
QUESTIONS = [("GET", r"^/api/orgs/name/"), ("GET", r"^/api/datasources/uid/analytics/health$")]
REMOVING = [("DELETE", r"^/api/admin/users/\d+$"), ("DELETE", r"^/api/orgs/\d+$")]
# What reconciliation brings back somebody with who was put into another organisation.
BRINGING = [
    ("GET", r"^/api/users/lookup$"), ("GET", r"^/api/users/\d+/orgs$"), ("POST", r"^/api/orgs/\d+/users$"),
    ("DELETE", r"^/api/orgs/1/users/\d+$"), ("PATCH", r"^/api/orgs/\d+/users/\d+$"),
]  # fmt: skip


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, double: GrafanaDouble) -> AsyncIterator[Provisioner]:
    admin = talking.GrafanaAdmin(double.url, PASSWORD, allow_version=ALLOWED, timeout_s=0.4)
    async with open_provisioner(postgres.url, grafana=admin) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talking, "PAUSE_S", 0.01)


def new_id() -> str:
    return f"maple-{secrets.token_hex(4)}"


async def finish(grove: Provisioner, view: OperationView) -> OperationView:
    """Run an operation again and again, as the sweep does, until it ends."""
    for _ in range(10):
        if view.finished:
            return view
        await grove.make_due(view.id)
        view = await grove.runner().run(view.id)
    pytest.fail(f"it never ended: {view}")


def often_enough(method: str) -> int:
    """Tell how often a request must fail until its step does: what may be repeated is, at once."""
    return 1 if method == "POST" else talking.TRIES


def traces(double: GrafanaDouble, client_id: str) -> tuple[list[int], list[str]]:
    """List the organisations and users of a client."""
    orgs = [org.id for org in double.orgs.values() if org.name == client_id]
    return orgs, sorted(user["login"] for user in double.users.values() if user["login"].startswith(f"{client_id}:"))


def whole(double: GrafanaDouble, client_id: str) -> dict[str, Any]:
    """Describe what a client has, by what does not depend on numbers."""
    (org,) = [org for org in double.orgs.values() if org.name == client_id]
    members = {double.users[user_id]["login"].partition(":")[2]: role for user_id, role in org.members.items()}
    return {
        "members": members, "datasources": sorted(org.datasources), "folders": sorted(org.folders),
        "dashboards": sorted(org.dashboards), "home": org.preferences.get("homeDashboardUID"),
        "users": len(traces(double, client_id)[1]),
    }  # fmt: skip


@pytest.fixture(scope="module")
async def expected(grove: Provisioner, double: GrafanaDouble) -> dict[str, Any]:
    """What a client has when nothing goes wrong."""
    client_id = new_id()
    assert (await grove.create(client_id, staff=STAFF)).state == "succeeded"
    found = whole(double, client_id)
    await grove.remove(client_id)
    assert traces(double, client_id) == ([], [])
    return found


@pytest.mark.fault(27)
async def test_a_client_takes_events_while_grafana_is_down_and_gets_its_grafana_later(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any]
) -> None:
    client_id = new_id()
    double.down = True
    view = await grove.create(client_id, staff=STAFF)
    double.down = False

    assert (view.state, (await grove.context(client_id)).status) == ("pending", "active")
    assert await grove.keys(view.id) is not None
    stuck = next(step for step in view.steps if step.name == "grafana_organisation")
    assert (stuck.state, stuck.last_error) == ("pending", "Grafana cannot be reached (RemoteProtocolError).")
    assert (await finish(grove, view)).state == "succeeded"
    assert whole(double, client_id) == expected


@pytest.mark.fault(27)
@pytest.mark.parametrize(("how", "when"), FAULTS)
@pytest.mark.parametrize(("method", "path"), REQUESTS + QUESTIONS, ids=[path for _, path in REQUESTS + QUESTIONS])
async def test_a_request_that_fails_before_or_after_its_work_leaves_one_of_everything(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any], method: str, path: str, how: str, when: str
) -> None:
    client_id, before = new_id(), await grove.catalogs()
    double.fail(method, path, how=how, after=when == "after", times=often_enough(method))
    calls = len(double.calls)

    view = await grove.create(client_id, staff=STAFF)
    if (method, when) == ("POST", "after") and "dashboards" not in path:
        assert view.state == "succeeded", "what was made is found at once, without another run"
    view = await finish(grove, view)

    assert view.state == "succeeded"
    assert double.faults_left == 0
    assert whole(double, client_id) == expected
    made = [call for call in double.calls[calls:] if re.fullmatch(f"POST {REQUESTS[0][1][1:-1]}", call)]
    assert len(made) <= 2
    await grove.remove(client_id)
    assert traces(double, client_id) == ([], [])
    assert await grove.catalogs() == before, "a role, schema or key is left"


async def test_a_first_onboarding_asks_grafana_for_nothing_that_it_knows(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any]
) -> None:
    client_id = new_id()
    calls = len(double.calls)
    await grove.create(client_id, staff=STAFF[:1])
    sent = [call for call in double.calls[calls:] if not call.endswith("/api/health")]
    looked = [f"GET /api/orgs/name/{client_id}", "GET /api/datasources/uid/analytics/health"]
    assert [call for call in sent if call.startswith("GET")] == looked
    assert len(sent) == len(looked) + 5 + len(expected["folders"]) + len(expected["dashboards"])
    await grove.remove(client_id)


@pytest.mark.fault(28)
async def test_a_crash_before_and_after_every_grafana_step_converges(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client_id = new_id()
    removing = [name for name in PLANS[REMOVE].names if name.startswith("grafana_")]
    for kind, names in ((CREATE, GRAFANA_STEPS), (REMOVE, removing)):
        for name in names:
            replaced(monkeypatch, kind, name, with_ensure(Crash, "before", "after"))

    view, crashes = await run_to_the_end(grove, await grove.request(client_id, staff=STAFF))

    assert (view.state, crashes) == ("succeeded", 2 * len(GRAFANA_STEPS))
    assert whole(double, client_id) == expected
    async with grove.serving.session() as session:
        operation_id = await delete_client(session, client_id, ACTOR, now=grove.now, grace_days=0)
    view, crashes = await run_to_the_end(grove, operation_id)
    assert (view.state, crashes) == ("succeeded", 2 * len(removing))
    assert traces(double, client_id) == ([], [])


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", GRAFANA_STEPS)
async def test_a_failure_for_good_at_any_grafana_step_leaves_no_trace(
    grove: Provisioner, double: GrafanaDouble, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client_id = new_id()
    for step in GRAFANA_STEPS:
        replaced(monkeypatch, CREATE, step, with_undo(Crash, "before", "after"))
    replaced(monkeypatch, CREATE, name, with_ensure(Broken, "after"))

    view, _ = await run_to_the_end(grove, await grove.request(client_id, staff=STAFF))

    assert view.state == "failed"
    assert traces(double, client_id) == ([], [])
    assert await grove.fetch("SELECT FROM grove.clients WHERE id = $1", client_id) == []


@pytest.mark.fault(28)
@pytest.mark.parametrize(("method", "path"), REMOVING)
async def test_an_undo_that_is_interrupted_goes_on_and_takes_people_before_their_organisation(
    grove: Provisioner, double: GrafanaDouble, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    client_id = new_id()
    replaced(monkeypatch, CREATE, GRAFANA_STEPS[-1], with_ensure(Broken, "after"))
    double.fail(method, path, how="500", after=True, times=talking.TRIES)
    calls = len(double.calls)

    view = await grove.create(client_id, staff=STAFF)
    assert view.state == "pending"
    view = await finish(grove, view)

    assert view.state == "failed"
    assert traces(double, client_id) == ([], [])
    assert_people_first(double, calls)


def assert_people_first(double: GrafanaDouble, since: int) -> None:
    """Check that no user was left pointing at an organisation that was gone."""
    deleted = [call for call in double.calls[since:] if call.startswith("DELETE")]
    users = [at for at, call in enumerate(deleted) if "/admin/users/" in call]
    assert max(users) < min(at for at, call in enumerate(deleted) if re.fullmatch(r"DELETE /api/orgs/\d+", call))


@pytest.mark.parametrize(("method", "path"), REMOVING)
async def test_a_removal_that_is_interrupted_goes_on_and_takes_people_before_their_organisation(
    grove: Provisioner, double: GrafanaDouble, method: str, path: str
) -> None:
    client_id = new_id()
    await grove.create(client_id, staff=STAFF)
    double.fail(method, path, how="cut", after=True, times=3)
    calls = len(double.calls)

    view = await finish(grove, await grove.remove(client_id))

    assert view.state == "succeeded"
    assert traces(double, client_id) == ([], [])
    assert_people_first(double, calls)


@pytest.mark.parametrize(("how", "when"), FAULTS[1:3])
@pytest.mark.parametrize(("method", "path"), BRINGING, ids=[path for _, path in BRINGING])
async def test_somebody_who_was_put_elsewhere_is_brought_back_whatever_fails(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any], method: str, path: str, how: str, when: str
) -> None:
    client_id = new_id()
    await grove.create(client_id, staff=STAFF)
    (org,) = [org for org in double.orgs.values() if org.name == client_id]
    ana = double.find_user(f"{client_id}:ana@maple.example")
    assert ana is not None
    double.orgs[1].members[ana["id"]] = org.members.pop(ana["id"])
    double.fail(method, path, how=how, after=when == "after", times=often_enough(method))

    view = await finish(grove, await grove.reconcile(client_id))

    assert view.state == "succeeded"
    assert double.faults_left == 0
    assert whole(double, client_id) == expected
    assert list(double.orgs[1].members) == [1]
    await grove.remove(client_id)


@pytest.mark.parametrize(("how", "when"), FAULTS)
@pytest.mark.parametrize("broken", [False, True], ids=["taken over for good", "given back"])
async def test_a_given_organisation_is_entered_once_and_given_back_as_it_was(
    grove: Provisioner, double: GrafanaDouble, monkeypatch: pytest.MonkeyPatch, how: str, when: str, *, broken: bool
) -> None:
    client_id = new_id()
    given = Org(double.next_id("org"), f"Given {client_id}")
    double.orgs[given.id] = given
    double.fail("POST", rf"^/api/orgs/{given.id}/users$", how=how, after=when == "after")
    if broken:
        replaced(monkeypatch, CREATE, GRAFANA_STEPS[-1], with_ensure(Broken, "after"))

    view = await finish(grove, await grove.create(client_id, staff=STAFF, grafanaOrgId=given.id))

    assert view.state == ("failed" if broken else "succeeded")
    assert (len(given.members), bool(given.dashboards)) == ((1, False) if broken else (3, True))
    if not broken:
        await grove.remove(client_id)
    assert (given.members, given.datasources, given.dashboards) == ({1: "Admin"}, {}, {})
    assert traces(double, client_id) == ([], [])
    del double.orgs[given.id]


@pytest.mark.parametrize("moment", ["Grafana's turn", "Postgres' turn"])
async def test_a_change_of_password_that_is_cut_off_ends_with_one_that_works(
    grove: Provisioner, double: GrafanaDouble, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    client_id = new_id()
    await grove.create(client_id)
    (org,) = [org for org in double.orgs.values() if org.name == client_id]
    if moment == "Grafana's turn":
        double.fail("PUT", r"^/api/datasources/uid/analytics$", how="500", after=True, times=talking.TRIES)
        view = await grove.reconcile(client_id, rotate=True)
        assert view.state == "pending"
    else:
        async with grove.serving.session() as session:
            operation_id = await request_reconciliation(session, client_id, ACTOR, rotate=True)
        with monkeypatch.context() as patch:
            patch.setattr(datasources, "ensure_login_reader", die)
            with pytest.raises(Crash):
                await grove.runner().run(operation_id)
        await grove.make_due(operation_id)
        view = await grove.runner().run(operation_id)

    assert (await finish(grove, view)).state == "succeeded"
    assert await find_fault(org.datasources["analytics"]) is None
    await grove.remove(client_id)


async def die(*_: object) -> None:
    raise Crash


@pytest.mark.fault(29)
@pytest.mark.parametrize("step", GRAFANA_STEPS[1:])
async def test_a_grafana_that_loses_its_database_amid_an_onboarding_gets_everything_again(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    client_id = new_id()
    with monkeypatch.context() as patch:
        replaced(patch, CREATE, step, with_ensure(Crash, "before"))
        operation_id = await grove.request(client_id, staff=STAFF)
        with pytest.raises(Crash):
            await grove.runner().run(operation_id)
    double.lose_database()
    await grove.make_due(operation_id)
    assert (await grove.runner().run(operation_id)).state == "succeeded"
    assert whole(double, client_id) == expected


@pytest.mark.fault(29)
async def test_after_a_lost_database_nobody_enters_an_organisation_that_has_another_clients_old_number(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any]
) -> None:
    first, second = new_id(), new_id()
    for client_id in (first, second):
        await grove.create(client_id, staff=STAFF)
    double.lose_database()
    for client_id in (second, first):
        assert (await grove.reconcile(client_id)).state == "succeeded"
    numbers = {row["id"]: row["grafana_org_id"] for row in await grove.fetch("SELECT * FROM grove.clients")}
    for client_id in (first, second):
        assert whole(double, client_id) == expected
        assert double.orgs[numbers[client_id]].name == client_id


async def test_a_wrong_administrators_password_keeps_the_operation_waiting(
    grove: Provisioner, double: GrafanaDouble, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client_id = new_id()
    with monkeypatch.context() as patch:
        patch.setattr(double, "password", "another one")
        view = await grove.create(client_id, staff=STAFF)
    assert view.state == "pending"
    assert (await finish(grove, view)).state == "succeeded"
    assert whole(double, client_id) == expected
