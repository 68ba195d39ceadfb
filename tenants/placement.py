"""Where one client's data lives, and the roles through which it may be touched.

Read from the registry, passed to the pools; a `Placement` holds everything that turns a client into SQL.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from tenants.allowances import UNLIMITED, Allowance
from tenants.ids import TenantId, function_prefix, quote
from tenants.schemas import Schemas
from tenants.visitors import DEFAULT_RULES, VisitorRules


class PlacementKind(StrEnum):
    """How a client is separated from the others."""

    SCHEMA = "schema"
    DATABASE = "database"
    EXTERNAL = "external"


class Purpose(StrEnum):
    """What a unit of work is for; each has its own role, pool and time limits."""

    READ = "read"
    WRITE = "write"
    SOURCE = "source"


class SourceMap(msgspec.Struct, frozen=True, kw_only=True):
    """How an attached client database is read.

    Shape: `schema` holds the chatbot tables; `columns` maps table → our column → theirs, for those that differ;
    `tables` maps our table → theirs; `timezone` is the zone of their `TIMESTAMP` columns.
    """

    schema: str = "public"
    timezone: str = "UTC"
    tables: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """One client's place: the server login that serves it, its schema, its roles.

    Shape: `serve_url` is a login that by itself can read no client; `source_url` is the read-only login of an
    attached database (external only). Role names are opaque; where a server does not let Grove make roles all
    of them equal the login's name, and the isolation check says so. `share` weighs the client among those that wait for
    the same connections.
    """

    tenant_id: TenantId
    kind: PlacementKind
    server: str
    database: str
    serve_url: str
    schema: str
    owner_role: str
    writer_role: str
    reader_role: str
    login_role: str
    source_url: str | None = None
    source: SourceMap | None = None
    share: int = 1

    def role_for(self, purpose: Purpose) -> str:
        """Name the role under which a unit of work of this purpose runs."""
        return self.writer_role if purpose is Purpose.WRITE else self.reader_role

    def render(self, sql: str) -> str:
        """Put this client's quoted schema in place of `{{schema}}`, and what begins its functions, of `{{fn}}`."""
        return sql.replace("{{schema}}", quote(self.schema)).replace("{{fn}}", function_prefix(self.schema))


class TenantContext(msgspec.Struct, frozen=True, kw_only=True):
    """What serving needs to know of a client; comes from a verified key or session, never from input.

    Shape: `dashboards` names the sets that it asked for; none means the default ones. `logo` changes with its logo, and
    is None where there is none to show. `schemas` are its event schemas, by name.
    """

    tenant_id: TenantId
    name: str
    status: str
    timezone: str
    domain: str | None
    branding: dict[str, Any]
    retention_days: int
    placement: Placement
    allowance: Allowance = UNLIMITED
    rules: VisitorRules = DEFAULT_RULES
    grafana_org_id: int | None = None
    dashboards: tuple[str, ...] = ()
    logo: str | None = None
    schemas: Schemas = {}

    @property
    def accepts_chat(self) -> bool:
        """Whether chat events can be stored: an attached database's tables are only read."""
        return self.placement.kind is not PlacementKind.EXTERNAL

    def oldest(self, now: datetime) -> datetime:
        """Tell the earliest time of which events are kept."""
        return now - timedelta(days=self.retention_days)
