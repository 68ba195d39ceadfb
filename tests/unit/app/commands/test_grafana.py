"""What `grove grafana` makes of clients that are gone, away, or refused."""

import pytest

from app.commands.grafana import Outcome, visit_all
from provisioning.grafana.changes import Change
from tenants.errors import ClientLeaving, GrafanaUnavailable, NotFound, WrongState


@pytest.mark.parametrize("gone", [NotFound("It is gone."), WrongState("It is gone."), ClientLeaving("It is gone.")])
async def test_a_client_that_was_deleted_meanwhile_stops_no_other_and_is_no_failure(gone: Exception) -> None:
    async def visit(client_id: str) -> Outcome:
        if client_id == "gone":
            raise gone
        return Outcome(client_id)

    outcomes = await visit_all(visit, ["birch", "gone", "maple"])
    assert outcomes == [Outcome("birch"), Outcome("gone", skipped="It is gone."), Outcome("maple")]
    assert all(outcome.is_whole for outcome in outcomes)


@pytest.mark.parametrize("fault", [GrafanaUnavailable("It is away."), LookupError("secret"), OSError("secret")])
async def test_a_client_that_cannot_be_repaired_stops_no_other_and_is_a_failure(fault: Exception) -> None:
    async def visit(client_id: str) -> Outcome:
        if client_id == "broken":
            raise fault
        return Outcome(client_id)

    broken, maple = await visit_all(visit, ["broken", "maple"])
    assert (broken.is_whole, maple.is_whole) == (False, True)
    assert "secret" not in str(broken.error)


def test_what_grafana_refuses_is_a_failure() -> None:
    assert not Outcome("maple", [Change("fail", "dashboard", "portfolio")]).is_whole
    assert Outcome("maple", [Change("keep", "dashboard", "own")]).is_whole
