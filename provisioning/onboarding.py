"""Onboard a client: judge the request, check the given database, then store the intent in one transaction.

Called by `POST /api/v1/clients`, `grove tenant create` and `grove tenant apply`.
"""

import uuid
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.databases_check import check_database_url
from provisioning.grafana.organisations import MAIN_ORG
from provisioning.operations import NewOperation, add_operation
from provisioning.placing import stored_placement
from provisioning.plans import CREATE, PLANS
from provisioning.requests import NewClient
from provisioning.sealed import Secrets, open_secrets, seal_secrets
from provisioning.staff import replace_staff
from provisioning.validation import check_new_client
from tenants.clock import Clock, utc_now
from tenants.control import ControlPlane
from tenants.errors import AlreadyTaken, DatabaseRefused, GroveError, InputRefused
from tenants.models import Client, Operation, Server
from tenants.vault import Vault

KEYS_SHOWN_FOR = timedelta(hours=24)


class Examined(msgspec.Struct, frozen=True):
    """A request for a client that has been looked into; `refusal` is why it cannot be, where that was seen."""

    new: NewClient
    refusal: GroveError | None = None


class Onboarding:
    """Takes orders for new clients. `reserved` are the ids that paths of ours begin with."""

    def __init__(self, *, vault: Vault, reserved: frozenset[str], retention_days: int, clock: Clock = utc_now) -> None:
        self._vault = vault
        self._clock = clock
        self._reserved = reserved
        self._retention_days = retention_days

    async def examine(self, control: ControlPlane, new: NewClient) -> Examined:
        """Judge a request and connect to the URL that it gives (≤ 5 s a step), outside any transaction.

        Shape: a refusal is kept for `request`, because a request sent twice is not refused for what the first did.
        Errors: StoreUnavailable.
        """
        try:
            check_new_client(new, reserved=self._reserved)
            async with control.session() as session:
                await self._check_free(session, new)
            if new.placement.url is not None:
                await check_database_url(new.placement.url, new.placement)
        except (InputRefused, AlreadyTaken, DatabaseRefused) as refusal:
            return Examined(new, refusal)
        return Examined(new)

    async def request(self, session: AsyncSession, examined: Examined, actor: Actor) -> uuid.UUID:
        """Store the intent to onboard a client and return the operation's id; then let a runner run it.

        Errors: InputRefused with a pointer per fault; AlreadyTaken (`/id`, `/domain`, `/grafanaOrgId`); DatabaseRefused
        (`/placement/url`). Nothing is stored then. What was examined may have changed since: the id and the domain
        are looked at again here, and the database by the step that fills it.
        """
        if examined.refusal is not None:
            raise examined.refusal
        new = examined.new
        await self._check_free(session, new)
        await self._reserve(session, new)
        await replace_staff(session, new.id, new.staff, actor, now=self._clock())
        order = NewOperation(
            kind=CREATE, client_id=new.id, steps=PLANS[CREATE].names, input=stored_placement(new.placement),
            sealed=seal_secrets(Secrets(url=new.placement.url), self._vault),
        )  # fmt: skip
        operation_id = add_operation(session, order, actor)
        record(session, actor, "client.create", new.id, operation_id=str(operation_id), kind=new.placement.kind)
        await session.flush()
        return operation_id

    async def _check_free(self, session: AsyncSession, new: NewClient) -> None:
        """Refuse what can be seen to be taken before anything is connected to."""
        if await session.get(Client, new.id) is not None:
            raise AlreadyTaken("There is a client of this id.", field="/id")
        await check_domain_free(session, new.domain, new.id)
        await _check_organisation_free(session, new.grafana_org_id)
        server = new.placement.server
        if server is not None and await session.get(Server, server) is None:
            raise InputRefused("There is no server of this name.", field="/placement/server")

    async def _reserve(self, session: AsyncSession, new: NewClient) -> None:
        """Insert the client's row; of two at once, one finds the id or the domain taken."""
        query = insert(Client).values(
            id=new.id, name=new.name, status="provisioning", timezone=new.timezone, domain=new.domain,
            branding=new.branding.stored(), dashboards=new.dashboards, grafana_org_id=new.grafana_org_id,
            grafana_org_given=new.grafana_org_id is not None, retention_days=new.retention_days or self._retention_days,
            rate_limit=new.rate_limit, rate_burst=new.rate_burst, monthly_quota=new.monthly_quota, share=new.share,
            visitors=new.visitors.stored(),
        )  # fmt: skip
        if (await session.execute(query.on_conflict_do_nothing().returning(Client.id))).first() is None:
            await self._check_free(session, new)
            raise AlreadyTaken("There is a client of this id.", field="/id")


async def _check_organisation_free(session: AsyncSession, org_id: int | None) -> None:
    if org_id is None:
        return
    if org_id == MAIN_ORG:
        raise InputRefused("Organisation 1 is Grafana's own and no client's.", field="/grafanaOrgId")
    if (await session.scalars(select(Client.id).where(Client.grafana_org_id == org_id))).first() is not None:
        raise AlreadyTaken("Another client has this organisation.", field="/grafanaOrgId")


async def check_domain_free(session: AsyncSession, domain: str | None, client_id: str) -> None:
    """Refuse a domain that another client has.

    Errors: AlreadyTaken (`/domain`).
    """
    if domain is not None:
        query = select(Client.id).where(Client.domain == domain, Client.id != client_id)
        if (await session.execute(query)).first() is not None:
            raise AlreadyTaken("Another client has this domain.", field="/domain")


async def reveal_keys(
    session: AsyncSession, operation_id: uuid.UUID, actor: Actor, *, vault: Vault, clock: Clock
) -> dict[str, str] | None:
    """Return a new client's first keys, once, and erase them.

    Shape: `{admin, server, browser}`; None before they work, once shown, after 24 hours, and for anyone but the
    actor who created the client.
    """
    row = await session.get(Operation, operation_id, with_for_update=True, populate_existing=True)
    if row is None or row.kind != CREATE or row.actor != actor.name or row.sealed is None:
        return None
    status = await session.scalar(select(Client.status).where(Client.id == row.client_id))
    secrets = open_secrets(row.sealed, vault)
    if status in {None, "provisioning"} or secrets.keys is None:
        return None
    keys, secrets.keys = secrets.keys, None
    row.sealed = seal_secrets(secrets, vault)
    return keys if clock() - row.created_at < KEYS_SHOWN_FOR else None


async def unscoped_erase_unshown_keys(session: AsyncSession, *, clock: Clock) -> int:
    """Erase first keys that nobody asked for within 24 hours; return of how many operations. Scheduled daily."""
    query = select(Operation).where(
        Operation.kind == CREATE,
        Operation.sealed.is_not(None),
        Operation.finished_at.is_not(None),
        Operation.created_at < clock() - KEYS_SHOWN_FOR,
    )
    rows: list[Any] = list((await session.execute(query.with_for_update())).scalars())
    for row in rows:
        row.sealed = None
    return len(rows)
