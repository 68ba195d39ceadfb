"""How a client is shown: whole, in the short list, and when it has just been made.

Made by the routes of clients from what the registry holds; never with names of schemas, roles or databases.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.client_urls import home_url
from app.settings import Settings
from provisioning.audit import Actor
from provisioning.logos import WANTED
from provisioning.onboarding import reveal_keys
from provisioning.operations import OperationView
from provisioning.staff import staff_column
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import NotFound
from tenants.models import Client, Logo, PlacementRow
from tenants.vault import Vault
from tenants.visitors import rules_of

_CLIENTS = (
    select(Client, PlacementRow, staff_column(), Logo)
    .outerjoin(PlacementRow, PlacementRow.client_id == Client.id)
    .outerjoin(Logo, (Logo.client_id == Client.id) & (Logo.url == WANTED))
)


class ShownPlacement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a client's data lives."""

    kind: Annotated[str, Meta(description="schema, database or external", examples=["schema"])]
    server: Annotated[str, Meta(examples=["main"])]
    partition_interval: Annotated[str, Meta(description="year, month or week", examples=["year"])]
    revision: Annotated[str | None, Meta(description="Revision of the client's schema.", examples=["0001"])]
    unhardened: Annotated[list[str], Meta(description="What could not be hardened where it lives.")]


class ShownLogo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the address in `branding.logoUrl`."""

    state: Annotated[str, Meta(description="pending, shown or failed: then the name and its initial stand for it")]
    detail: Annotated[str | None, Meta(description="What was wrong when it was last looked at.")] = None


class ShownVisitors(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What may be collected of the client's visitors."""

    bots: Annotated[str, Meta(description="filter, flag or keep", examples=["filter"])]
    privacy: Annotated[str, Meta(description="strict, balanced or off", examples=["off"])]
    traits: Annotated[list[str], Meta(description="Those that may be kept of a person.", examples=[["plan"]])]
    geo: Annotated[bool, Meta(description="Whether the country is looked up.")]


class ShownClient(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A client."""

    id: Annotated[str, Meta(examples=["maple"])]
    name: Annotated[str, Meta(examples=["Maple Dental"])]
    status: Annotated[str, Meta(description="provisioning, active, suspended or deleting", examples=["active"])]
    timezone: Annotated[str, Meta(examples=["Europe/Paris"])]
    domain: Annotated[str | None, Meta(examples=["maple.example"])]
    domain_proven: Annotated[bool, Meta(description="Whether the client is served on its domain.")]
    dashboard_url: Annotated[str, Meta(examples=["https://grove.example/maple/"])]
    branding: dict[str, Any]
    logo: Annotated[ShownLogo | None, Meta(description="null where no logo was given.")]
    placement: ShownPlacement | None
    staff: list[dict[str, Any]]
    dashboards: list[str]
    grafana_org_id: int | None
    retention_days: Annotated[int, Meta(description="For how many days events are kept.", examples=[730])]
    prune_after: Annotated[
        datetime | None, Meta(description="Since the retention was last lowered: nothing is removed before this.")
    ]
    rate_limit: Annotated[int | None, Meta(description="Events per second in the long run.")]
    rate_burst: Annotated[int | None, Meta(description="Events at once.")]
    monthly_quota: Annotated[int | None, Meta(description="Events per calendar month (UTC).")]
    share: Annotated[int, Meta(description="Weight among those that wait for the same connections.", examples=[1])]
    visitors: ShownVisitors
    created_at: datetime
    updated_at: datetime
    suspended_at: datetime | None
    delete_after: Annotated[datetime | None, Meta(description="When a deleted client is removed for good.")]


class OnboardedClient(ShownClient, frozen=True, kw_only=True, rename="camel"):
    """A client that has just been made, with its first keys, which nobody can read again."""

    operation_id: UUID
    keys: Annotated[dict[str, str] | None, Meta(description="admin, server and browser; null in a repeated answer.")]


class ListedClient(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A client in the short list."""

    id: str
    name: str
    domain: str | None
    dashboard_url: str


def list_client(client: Client, settings: Settings) -> ListedClient:
    """Show a client in the short list."""
    url = home_url(settings, client)
    return ListedClient(id=client.id, name=client.name, domain=client.domain, dashboard_url=url)


class Presenter:
    """Reads clients and shows them; `onboarded` adds the first keys."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        settings: NamedDependency[Settings],
        vault: NamedDependency[Vault],
        clock: NamedDependency[Clock],
    ) -> None:
        self.control = control
        self.settings = settings
        self._vault = vault
        self._clock = clock

    async def read(
        self, session: AsyncSession, *, after: str | None = None, limit: int | None = None
    ) -> list[ShownClient]:
        """Read clients by id, from the one behind `after` on."""
        query = _CLIENTS.order_by(Client.id).limit(limit)
        if after is not None:
            query = query.where(Client.id > after)
        return [show_client(self.settings, *row) for row in await session.execute(query)]

    async def get(self, session: AsyncSession, client_id: str) -> ShownClient:
        """Read one client.

        Errors: NotFound.
        """
        row = (await session.execute(_CLIENTS.where(Client.id == client_id))).one_or_none()
        if row is None:
            raise NotFound("No such client.")
        return show_client(self.settings, *row)

    async def onboarded(self, view: OperationView, creator: Actor | None) -> OnboardedClient:
        """Show the client that an operation has made, with its keys if its creator has not seen them yet.

        Shape: `creator` is None in an answer that is repeated, which holds no secrets.
        """
        async with self.control.session() as session:
            client = await self.get(session, view.client_id or "")
            keys = None
            if creator is not None:
                keys = await reveal_keys(session, view.id, creator, vault=self._vault, clock=self._clock)
        return OnboardedClient(**msgspec.structs.asdict(client), operation_id=view.id, keys=keys)


def show_client(
    settings: Settings, client: Client, placement: PlacementRow | None, staff: list[dict[str, Any]], logo: Logo | None
) -> ShownClient:
    """Show a client whole; one that has no place yet has no placement."""
    return ShownClient(
        id=client.id,
        name=client.name,
        status=client.status,
        timezone=client.timezone,
        domain=client.domain,
        domain_proven=client.domain is not None and client.domain == client.domain_proven,
        dashboard_url=home_url(settings, client),
        branding=client.branding,
        logo=None if client.branding.get("logoUrl") is None else _show_logo(logo),
        placement=None if placement is None else _show_placement(placement),
        staff=staff,
        dashboards=client.dashboards,
        grafana_org_id=client.grafana_org_id,
        retention_days=client.retention_days,
        prune_after=client.prune_after,
        rate_limit=client.rate_limit,
        rate_burst=client.rate_burst,
        monthly_quota=client.monthly_quota,
        share=client.share,
        visitors=_show_visitors(client),
        created_at=client.created_at,
        updated_at=client.updated_at,
        suspended_at=client.suspended_at,
        delete_after=client.delete_after,
    )


def _show_logo(row: Logo | None) -> ShownLogo:
    if row is None:
        return ShownLogo(state="pending")
    return ShownLogo(state="failed" if row.digest is None else "shown", detail=row.fault)


def _show_visitors(client: Client) -> ShownVisitors:
    rules = rules_of(client.visitors)
    return ShownVisitors(bots=rules.bots.value, privacy=rules.privacy.value, traits=list(rules.traits), geo=rules.geo)


def _show_placement(row: PlacementRow) -> ShownPlacement:
    return ShownPlacement(
        kind=row.kind,
        server=row.server,
        partition_interval=row.partition_interval,
        revision=row.revision,
        unhardened=row.unhardened,
    )
