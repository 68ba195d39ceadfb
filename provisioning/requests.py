"""What may be asked about a client: the structs that routes, CLI and files are decoded into.

Decoded by `app.api`, `app.commands` and `provisioning.apply`; judged by `provisioning.validation`.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

CLIENT_ID = Annotated[
    str, Meta(description="Public name of the client, part of its paths.", examples=["maple"], max_length=200)
]
NAME = Annotated[str, Meta(description="Name shown to people.", examples=["Maple Dental"], max_length=1000)]
ZONE = Annotated[
    str, Meta(description="IANA time zone in which days begin.", examples=["Europe/Paris"], max_length=200)
]
DOMAIN = Annotated[
    str, Meta(description="Host name of the client's site, unique.", examples=["maple.example"], max_length=1000)
]

RATE = Annotated[int, Meta(description="Events per second in the long run; null: any number.", examples=[200])]
BURST = Annotated[
    int,
    Meta(
        description="Events at once; null: ten seconds' worth of `rateLimit`, without which it cannot be.",
        examples=[2000],
    ),
]
QUOTA = Annotated[int, Meta(description="Events per calendar month (UTC); null: any number.", examples=[1_000_000])]
SHARE = Annotated[
    int,
    Meta(description="Weight among the clients that wait for the same database's connections, 1 to 100.", examples=[1]),
]
RETENTION = Annotated[
    int,
    Meta(description="For how many days events are kept, and how old they may be when they come in.", examples=[730]),
]


class Branding(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the client's pages look. In a change, what is left out stays and null takes away."""

    primary_color: Annotated[
        str | UnsetType | None, Meta(description="`#rgb` or `#rrggbb`; null: none.", examples=["#c2410c"])
    ] = UNSET
    logo_url: Annotated[
        str | UnsetType | None,
        Meta(description="https address of an image; null: none.", examples=["https://maple.example/logo.png"]),
    ] = UNSET

    def stored(self, before: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Give the form in which the registry keeps it; `before` is what it kept."""
        given = {"primaryColor": self.primary_color, "logoUrl": self.logo_url}
        return {name: before.get(name) if value is UNSET else value for name, value in given.items()}


class Visitors(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What may be collected of the client's visitors. In a change, what is left out stays."""

    bots: Annotated[
        str | UnsetType,
        Meta(
            description="Events of programs that say that they are some: `filter` passes them over and counts them, "
            "`flag` stores them with `is_bot`, `keep` makes no difference. Default: filter.",
            examples=["filter"],
        ),
    ] = UNSET
    privacy: Annotated[
        str | UnsetType,
        Meta(
            description="What of a browser's identifiers is kept, whatever its page sends. `off`: all; `balanced`: a "
            "visitor is another one every day; `strict`: none, and nobody is identified. Default: off.",
            examples=["balanced"],
        ),
    ] = UNSET
    traits: Annotated[
        list[str] | UnsetType,
        Meta(
            description="Names of the traits that `identify` may keep of a person; `name` and `email` too only if they "
            "are listed. Default: none.",
            examples=[["plan", "company"]],
        ),
    ] = UNSET
    geo: Annotated[bool | UnsetType, Meta(description="Whether the country is looked up. Default: true.")] = UNSET

    def stored(self, before: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Give the form in which the registry keeps it; `before` is what it kept."""
        given = {"bots": self.bots, "privacy": self.privacy, "traits": self.traits, "geo": self.geo}
        return {**before, **{name: value for name, value in given.items() if value is not UNSET}}


class NewPlacement(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where the client's data is to live.

    Shape: `url` gives an empty database (kind `database`) or an existing one with the chatbot tables (kind
    `external`); `server` names a registered server for databases and schemas that Grove makes; `schema`, `tables`
    (our name → theirs) and `columns` (our table → our column → theirs) describe an external database.
    """

    kind: Annotated[str, Meta(description="`schema`, `database` or `external`.", examples=["schema"])] = "schema"
    server: Annotated[str | None, Meta(description="Registered server; default `main`.", examples=["main"])] = None
    url: Annotated[
        str | None, Meta(description="A database's URL; kept encrypted.", examples=["postgresql://user:pw@db/maple"])
    ] = None
    source_timezone: Annotated[
        str | None, Meta(description="Zone of the external tables' TIMESTAMP columns; default UTC.", examples=["UTC"])
    ] = None
    schema: Annotated[
        str | None, Meta(description="Schema of the external tables; default `public`.", examples=["public"])
    ] = None
    tables: Annotated[dict[str, str], Meta(description="External: our table name → theirs.")] = {}
    columns: Annotated[dict[str, dict[str, str]], Meta(description="External: our table → our column → theirs.")] = {}
    partition_interval: Annotated[
        str | None,
        Meta(
            description="`year` (default), `month` or `week`: how `events` is partitioned. Where many events come it "
            "becomes shorter by itself, from the next partition on.",
            examples=["year"],
        ),
    ] = None


class NewStaff(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A person who works with the client's figures."""

    email: Annotated[str, Meta(description="E-mail address.", examples=["ana@maple.example"])]
    name: Annotated[str, Meta(description="The person's name.", examples=["Ana Silva"])] = ""
    role: Annotated[str, Meta(description="`viewer` or `editor`.", examples=["viewer"])] = "viewer"


class StaffChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to change about a person; what is left out stays."""

    name: Annotated[str | UnsetType, Meta(description="The person's name.")] = UNSET
    role: Annotated[str | UnsetType, Meta(description="`viewer` or `editor`.")] = UNSET
    status: Annotated[
        str | UnsetType, Meta(description="`disabled` ends every session at once; `active` lets the person in again.")
    ] = UNSET


class NewClient(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A client to onboard."""

    id: CLIENT_ID
    name: NAME
    timezone: ZONE = "UTC"
    domain: DOMAIN | None = None
    branding: Branding = Branding()
    placement: NewPlacement = msgspec.field(default_factory=NewPlacement)
    staff: list[NewStaff] = []
    dashboards: Annotated[
        list[str],
        Meta(description="Dashboard sets: chatbot, portfolio, shop; empty gives all.", examples=[["chatbot"]]),
    ] = []
    grafana_org_id: Annotated[
        int | None, Meta(description="An existing Grafana organisation to take over.", examples=[7])
    ] = None
    rate_limit: RATE | None = None
    rate_burst: BURST | None = None
    monthly_quota: QUOTA | None = None
    retention_days: RETENTION | None = None
    share: SHARE = 1
    visitors: Visitors = Visitors()


class ClientChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to change about a client; what is left out stays. `domain: null` takes the domain away."""

    name: NAME | UnsetType = UNSET
    timezone: ZONE | UnsetType = UNSET
    domain: DOMAIN | UnsetType | None = UNSET
    branding: Branding | UnsetType = UNSET
    staff: Annotated[list[NewStaff] | UnsetType, Meta(description="All people; those left out are removed.")] = UNSET
    dashboards: Annotated[
        list[str] | UnsetType, Meta(description="All dashboard sets; those left out are removed.")
    ] = UNSET
    rate_limit: RATE | UnsetType | None = UNSET
    rate_burst: BURST | UnsetType | None = UNSET
    monthly_quota: QUOTA | UnsetType | None = UNSET
    retention_days: RETENTION | UnsetType = UNSET
    share: SHARE | UnsetType = UNSET
    visitors: Visitors | UnsetType = UNSET
