"""A control plane of its own with everything that makes and removes clients, and a way to compare catalogs.

async with open_provisioner(postgres.url) as grove:
    view = await grove.create("maple")
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from migrations.control_plane import upgrade_control_plane
from provisioning.audit import Actor
from provisioning.grafana.client import GrafanaAdmin
from provisioning.grafana.orders import request_reconciliation
from provisioning.lifecycle import delete_client, request_isolation_check
from provisioning.onboarding import Onboarding, reveal_keys
from provisioning.operations import OperationView
from provisioning.requests import NewClient
from provisioning.runner import OperationRunner
from provisioning.servers import ensure_main_server
from provisioning.templates import Templates
from provisioning.work import find_place
from tenants.clock import utc_now
from tenants.control import SERVING_LOGIN, ControlPlane
from tenants.placement import Placement, TenantContext
from tenants.registry import Registry, with_login
from tenants.tokens import ServiceTokens
from tenants.vault import Vault
from tests.support.grove import SECRET_KEY, own_database

ACTOR = Actor("key:creator", "request-1")
RESERVED = frozenset({"api", "health"})


class Pools:
    """Few connections."""

    ingest_connections = 2
    query_connections = 2


# Everything that says who is a client, by name; sizes, numbers and times are left out.
_CATALOGS = {
    "namespaces": "SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace "
    "WHERE nspname !~ '^pg_(toast_)?temp'",
    "relations": "SELECT relname, relnamespace::regnamespace::text, relacl::text FROM pg_class "
    "WHERE relnamespace <> 'pg_toast'::regnamespace",
    "functions": "SELECT oid::regprocedure::text, proacl::text FROM pg_proc",
    "default rights": "SELECT defaclrole::regrole::text, defaclacl::text FROM pg_default_acl",
    "roles": "SELECT rolname, rolcanlogin, rolinherit FROM pg_roles",
    "memberships": "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members",
    "role settings": "SELECT setrole::regrole::text, setconfig::text FROM pg_db_role_setting",
    "databases": "SELECT datname, datacl::text FROM pg_database",
    "clients": "SELECT id, status, domain FROM grove.clients",
    "placements": "SELECT client_id, server FROM grove.placements",
    "servers": "SELECT name, serve_login FROM grove.servers",
    "keys": "SELECT client_id, name FROM grove.api_keys",
}


class Provisioner:
    """Makes clients on one database."""

    def __init__(
        self, url: str, vault: Vault, grafana: GrafanaAdmin | None = None, templates: Templates | None = None
    ) -> None:
        self.url = url
        self.grafana = grafana
        self.templates = templates
        self.vault = vault
        self.tokens = ServiceTokens(vault, issuer="http://grove.test")
        self.now: datetime = utc_now()
        self.control = ControlPlane(url)
        self.serving = ControlPlane(with_login(url, user=SERVING_LOGIN, password=vault.password_for("serve/main")))
        self.onboarding = Onboarding(vault=vault, reserved=RESERVED, retention_days=90)
        self.registry = Registry(self.control, vault=vault, main_url=url)

    def clock(self) -> datetime:
        """Tell the time that the test has set."""
        return self.now

    def runner(self) -> OperationRunner:
        """Make a runner, as each worker process has one."""
        return OperationRunner(
            self.control, vault=self.vault, main_url=self.url, clock=self.clock, grafana=self.grafana,
            templates=self.templates,
        )  # fmt: skip

    async def request(self, client_id: str, **wanted: Any) -> uuid.UUID:
        """Store the intent to onboard, with the rights that serving has."""
        new = msgspec.convert({"id": client_id, "name": client_id.title(), **wanted}, NewClient)
        examined = await self.onboarding.examine(self.serving, new)
        async with self.serving.session() as session:
            return await self.onboarding.request(session, examined, ACTOR)

    async def create(self, client_id: str, **wanted: Any) -> OperationView:
        """Onboard a client."""
        return await self.runner().run(await self.request(client_id, **wanted))

    async def remove(self, client_id: str) -> OperationView:
        """Remove a client without any grace."""
        async with self.serving.session() as session:
            operation_id = await delete_client(session, client_id, ACTOR, now=self.now, grace_days=0)
        return await self.runner().run(operation_id)

    async def reconcile(self, client_id: str, *, rotate: bool = False) -> OperationView:
        """Repair a client's Grafana."""
        async with self.serving.session() as session:
            operation_id = await request_reconciliation(session, client_id, ACTOR, rotate=rotate)
        return await self.runner().run(operation_id)

    async def check(self, client_id: str) -> OperationView:
        """Try all walls of a client."""
        async with self.serving.session() as session:
            operation_id = await request_isolation_check(session, client_id, ACTOR)
        return await self.runner().run(operation_id)

    async def keys(self, operation_id: uuid.UUID, actor: Actor = ACTOR) -> dict[str, str] | None:
        """Ask for the keys of a new client."""
        async with self.serving.session() as session:
            return await reveal_keys(session, operation_id, actor, vault=self.vault, clock=self.clock)

    async def context(self, client_id: str) -> TenantContext:
        """Read a client as serving does."""
        async with self.serving.session() as session:
            return await self.registry.load(session, client_id)  # type: ignore[arg-type]

    async def login_url(self, placement: Placement) -> str:
        """Make the URL that a client's dashboards would use."""
        async with self.control.session() as session:
            place = await find_place(session, placement.tenant_id)
        assert place is not None
        assert place.row.login_password_sealed is not None
        password = self.vault.open(place.row.login_password_sealed)
        return with_login(placement.serve_url, user=placement.login_role, password=password)

    async def make_due(self, operation_id: uuid.UUID) -> None:
        """Let a waiting or abandoned operation be taken up at once."""
        await self.execute(
            "UPDATE grove.operations SET not_before = NULL, lease_until = now() - interval '1 s' WHERE id = $1",
            operation_id,
        )

    async def execute(self, sql: str, *args: Any) -> None:
        """Run a statement as administrator."""
        await execute(self.url, sql, *args)

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a query as administrator."""
        return await fetch(self.url, sql, *args)

    async def catalogs(self) -> dict[str, list[str]]:
        """Write down everything by which a client can be seen to exist."""
        return {name: sorted(_plain(row) for row in await self.fetch(query)) for name, query in _CATALOGS.items()}


def _plain(row: asyncpg.Record) -> str:
    return "|".join(str(value) for value in row)


@asynccontextmanager
async def open_provisioner(admin_url: str, *, grafana: GrafanaAdmin | None = None) -> AsyncIterator[Provisioner]:
    """Make a database with a control plane in it; it is dropped afterwards."""
    async with own_database(admin_url) as url, prepared(url, grafana=grafana) as grove:
        yield grove


@asynccontextmanager
async def prepared(url: str, *, grafana: GrafanaAdmin | None = None) -> AsyncIterator[Provisioner]:
    """Put a control plane into a database, which is left so."""
    grove = Provisioner(url, Vault(SECRET_KEY), grafana)
    try:
        await upgrade_control_plane(grove.control)
        await ensure_main_server(grove.control, vault=grove.vault)
        yield grove
    finally:
        await grove.serving.close()
        await grove.control.close()
        if grafana is not None:
            await grafana.close()


async def execute(url: str, sql: str, *args: Any) -> None:
    """Run a statement, or several if it takes no arguments."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql, *args)
    finally:
        await connection.close()


async def fetch(url: str, sql: str, *args: Any) -> list[asyncpg.Record]:
    """Run a query."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
        return rows
    finally:
        await connection.close()
