"""One visit to a client's Grafana: who the client is, who works there, and the means to change things.

Made by the steps and by reconciliation; used by every other module of this package. A room is an organisation and the
means alone: all that is needed for what the platform's own organisation has as well.
"""

import uuid
from typing import Any

import msgspec
from sqlalchemy import select

from provisioning.grafana.changes import Changes
from provisioning.grafana.client import GrafanaAdmin
from provisioning.work import Place, Skipped, Work
from tenants.errors import ClientLeaving, NotFound
from tenants.models import Client, Staff


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who works at the client. A Grafana user is made for each person and client."""

    id: uuid.UUID
    client_id: str
    email: str
    name: str
    role: str
    active: bool
    grafana_user_id: int | None

    @property
    def login(self) -> str:
        """The login in Grafana, which the gateway names in its header."""
        return f"{login_prefix(self.client_id)}{self.email}"

    @property
    def synthetic_email(self) -> str:
        """An address that no two memberships share, as Grafana wants it unique on the whole server."""
        return f"{self.id}@{self.client_id}.grove.invalid"

    @property
    def grafana_role(self) -> str:
        """The role in the client's organisation: nobody stands above editors there."""
        return "Viewer" if self.role == "viewer" else "Editor"


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What a client's Grafana is made from. `org_given`: the organisation was there before the client."""

    client_id: str
    status: str
    name: str
    timezone: str
    branding: dict[str, Any]
    dashboards: list[str]
    template_version: int | None
    org_id: int | None
    org_given: bool
    people: list[Person]


class Room:
    """Grafana, the changes found so far, and the organisation, once entered.

    `is_new` tells that we have just made it: nothing is in it yet, and nothing needs to be looked for.
    """

    def __init__(self, grafana: GrafanaAdmin, changes: Changes) -> None:
        self.grafana = grafana
        self.changes = changes
        self.is_new = False
        self._org: int | None = None

    @property
    def org(self) -> int:
        """The organisation, which was looked up before.

        Errors: LookupError in a rehearsal where there is none.
        """
        if self._org is None:
            message = "the client has no organisation yet"
            raise LookupError(message)
        return self._org

    @property
    def has_org(self) -> bool:
        """Whether there is an organisation to look into."""
        return self._org is not None

    def enter(self, org: int, *, is_new: bool = False) -> None:
        """Go on within an organisation that is certainly ours."""
        self._org, self.is_new = org, is_new

    async def find_inside(self, path: str) -> Any:
        """Read something in the organisation; None if it is not there."""
        return None if self.is_new else await self.grafana.find(path, org=self.org)


class Visit(Room):
    """A client's site and place as recorded, and the room that is its organisation."""

    def __init__(self, work: Work, grafana: GrafanaAdmin, site: Site, place: Place, changes: Changes) -> None:
        super().__init__(grafana, changes)
        self.work = work
        self.site = site
        self.place = place

    def enter(self, org: int, *, is_new: bool = False) -> None:
        """Go on within an organisation that is this client's, in the further steps of this run, too."""
        super().enter(org, is_new=is_new)
        self.work.grafana_org, self.work.grafana_org_is_new = org, is_new


async def open_visit(work: Work, *, rehearse: bool = False, leaving: bool = False) -> Visit:
    """Read what the client should have. `leaving` is said by who comes to take it away.

    Errors: Skipped where there is no Grafana, or no login that may be shown to it; NotFound; ClientLeaving for a
    client that is being deleted.
    """
    if work.grafana is None:
        raise Skipped("no Grafana configured")
    place = await work.find_place()
    if place is None:
        raise NotFound("No such client.")
    if not place.walled:
        raise Skipped("the server gives the client no login of its own that could be shown to Grafana")
    site = await read_site(work)
    if site.status == "deleting" and not leaving:
        raise ClientLeaving("The client is being deleted.")
    return Visit(work, work.grafana, site, place, Changes(rehearse=rehearse))


async def read_site(work: Work) -> Site:
    """Read a client and its people from the control plane.

    Errors: NotFound.
    """
    async with work.control.session() as session:
        client = await session.get(Client, work.client_id)
        if client is None:
            raise NotFound("No such client.")
        rows = (await session.scalars(select(Staff).where(Staff.client_id == client.id).order_by(Staff.email))).all()
        return Site(
            client_id=client.id, status=client.status, name=client.name, timezone=client.timezone,
            branding=client.branding, dashboards=client.dashboards, template_version=client.template_version,
            org_id=client.grafana_org_id, org_given=client.grafana_org_given, people=[_person(row) for row in rows],
        )  # fmt: skip


def login_prefix(client_id: str) -> str:
    """Begin the logins of a client's people; no client's id is the beginning of another's with a colon."""
    return f"{client_id}:"


def _person(row: Staff) -> Person:
    return Person(
        id=row.id, client_id=row.client_id, email=row.email, name=row.name or row.email, role=row.role,
        active=row.status != "disabled", grafana_user_id=row.grafana_user_id,
    )  # fmt: skip
