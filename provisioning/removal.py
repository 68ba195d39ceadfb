"""Remove a client for good: what onboarding made, taken back in reverse, until nothing is left.

Steps of `client.remove`; each is the undo of a step of onboarding and may run any number of times.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from sqlalchemy import update

from provisioning.access import drop_roles, drop_server_access
from provisioning.failures import describe
from provisioning.grafana.steps import GRAFANA_REMOVAL
from provisioning.operations import close_others
from provisioning.placing import forget_place
from provisioning.roles import close_login
from provisioning.sources import drop_source
from provisioning.spaces import drop_database, drop_schema, drop_walls
from provisioning.work import Place, Step, Work, undo_nothing
from tenants.models import Client
from tenants.revocations import revoke

# A given database may be gone for good, with the customer; after so many tries its removal is left to its owner.
GIVE_UP_AFTER = 12

Undo = Callable[[Work], Coroutine[Any, Any, None]]
log = structlog.get_logger()


async def shut(work: Work) -> str | None:
    """Shut the client in every process, end its other operations and the sessions of its login reader."""
    async with work.control.session() as session:
        await session.execute(update(Client).where(Client.id == work.client_id).values(status="deleting"))
        await close_others(session, work.operation_id, work.client_id, now=work.clock())
        revoke(session, "client", work.client_id)
    place = await work.find_place()
    if place is None or not place.walled:
        return None
    return await _patiently(work, _close_login, given=place.row.server_made)


async def _close_login(work: Work) -> None:
    place = await work.get_place()
    async with work.on_server(place) as connection:
        await close_login(connection, place.row.login_role)


def _step(name: str, undo: Undo, is_given: Callable[[Place], bool]) -> Step:
    async def ensure(work: Work) -> str | None:
        place = await work.find_place()
        if place is None:
            return None
        return await _patiently(work, undo, given=is_given(place))

    return Step(name, ensure, undo_nothing)


async def _patiently(work: Work, undo: Undo, *, given: bool) -> str | None:
    """Take something back; what is in a database of somebody else's that stays away is left there, and said."""
    try:
        await undo(work)
    except Exception as failure:
        if not given or work.attempts < GIVE_UP_AFTER:
            raise
        log.warning("removal_left_to_owner", client=work.client_id, detail=describe(failure))
        return f"left as it is: {describe(failure)}"
    return None


async def _forget(work: Work) -> str | None:
    await forget_place(work)
    return None


def _on_given_server(place: Place) -> bool:
    return place.row.server_made


REMOVAL = (
    Step("shut", shut, undo_nothing),
    *GRAFANA_REMOVAL,
    _step("source", drop_source, lambda _place: True),
    _step("hardening", drop_walls, _on_given_server),
    _step("schema", drop_schema, _on_given_server),
    _step("database", drop_database, _on_given_server),
    _step("roles", drop_roles, _on_given_server),
    _step("server_access", drop_server_access, _on_given_server),
    Step("registry", _forget, undo_nothing),
)
