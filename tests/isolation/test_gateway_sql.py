"""Staff of one client send any SQL they like to their datasource: nothing of the other client's is told or changed."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.gateway.gateway import MAX_DATA_BYTES
from app.workers.resources import open_worker_resources
from app.workers.watchdog import Limits, Watchdog
from tenants.registry import with_database
from tests.support.engines import throwaway_postgres
from tests.support.grafana import Target
from tests.support.hostile_sql import ENDLESS, HARMLESS, HUGE, OPAQUE, REFUSED
from tests.support.site import Site, Tenant, open_site

pytestmark = pytest.mark.grafana
LIMITS = Limits(statement_s=2, patience_s=2)
# For all that runs away, three at a time; and for a neighbour's question on a machine that is busy with it.
PATIENCE_S, SLOW_S = 60.0, 2.0
WHO = "SELECT current_user::text, current_database()::text"
# As infra/grafana.ini has it.
GRAFANA_ROWS = 100_000


class Place(msgspec.Struct, frozen=True):
    """The other client's names in the database, none of which may be told."""

    schema: str
    role: str
    login: str
    database: str
    is_alone: bool

    def fill(self, sql: str) -> str:
        """Put the names into a statement."""
        names = {"schema": self.schema, "role": self.role, "login": self.login, "database": self.database}
        for name, value in names.items():
            sql = sql.replace(f"{{{name}}}", value)
        return sql


@pytest.fixture(scope="module")
def neighbourhood() -> Iterator[str]:
    """A server of somebody else's, on which both clients have a database that is attached here."""
    with throwaway_postgres() as engine:
        yield engine.url


@pytest.fixture(scope="module", params=["schema", "database", "external"])
async def site(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, the_real_grafana: Target, neighbourhood: str
) -> AsyncIterator[Site]:
    """A server with two clients and a real Grafana, and a watchdog with little patience."""
    attached_url = neighbourhood if request.param == "external" else None
    async with (
        open_site(postgres.url, the_real_grafana, kind=request.param, attached_url=attached_url) as running,
        open_worker_resources(running.grove.settings) as own,
    ):
        watching = asyncio.create_task(Watchdog(own, LIMITS).run())
        yield running
        watching.cancel()
        await asyncio.wait([watching])


@pytest.fixture(scope="module")
async def oak(site: Site) -> Place:
    """Where the other client lives."""
    admin = await asyncpg.connect(site.grove.settings.main_url)
    query = (
        "SELECT schema_name, reader_role, login_role, database, kind = 'database' FROM grove.placements "
        "WHERE client_id = $1"
    )
    row = await admin.fetchrow(query, site.oak.id)
    await admin.close()
    assert row is not None
    return Place(*row)


@pytest.fixture(scope="module")
async def ana(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The attacker, who may only look."""
    http = await site.log_in(site.maple)
    yield http
    await http.aclose()


async def query(http: httpx.AsyncClient, tenant: Tenant, sql: str, uid: str = "analytics") -> httpx.Response:
    """Send a statement as a panel does."""
    return await http.post(f"/{tenant.id}/grafana/api/ds/query", json=ask_for(sql, uid))


def ask_for(sql: str, uid: str = "analytics", **extra: Any) -> dict[str, Any]:
    """Write a statement as a panel does."""
    one = {"refId": "A", "datasource": {"uid": uid}, "rawSql": sql, "format": "table"} | extra
    return {"from": "now-1h", "to": "now", "queries": [one]}


def tells_of(answer: httpx.Response, sql: str, oak: Place) -> list[str]:
    """List the names of the other client's that an answer tells, beyond those that were in the question."""
    text = answer.text.replace(msgspec.json.encode(sql).decode()[1:-1], "")
    names = (oak.schema, oak.role, oak.login, "oak", "Oak Cycles", "grove_app", *([oak.database] * oak.is_alone))
    return [name for name in names if name in text and name not in sql]


OBJECTS = {
    "relations": "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S')",
    "functions": "SELECT count(*) FROM pg_proc",
    "schemas": "SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'",
    "large objects": "SELECT count(*) FROM pg_largeobject_metadata",
    "extensions": "SELECT count(*) FROM pg_extension",
    "databases": "SELECT count(*) FROM pg_database",
    "roles": "SELECT count(*) FROM pg_roles",
    "powers": "SELECT count(*) FROM pg_roles WHERE rolsuper OR rolcreaterole OR rolcreatedb",
    "members": "SELECT count(*) FROM pg_auth_members",
    "locks": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid IN "
    "(SELECT pid FROM pg_stat_activity WHERE usename ~ '_l$')",
}  # fmt: skip


async def portrait(site: Site) -> list[tuple[str, str, int]]:
    """Count what a statement could have made or changed, in every database that one of the clients is in."""
    admin = await asyncpg.connect(site.grove.settings.main_url)
    places = await admin.fetch("SELECT database, schema_name FROM grove.placements ORDER BY client_id")
    await admin.close()
    main = site.grove.settings.main_url
    looked_at = [
        *((with_database(main, row[0]), row[1], ("events", '"UserEvents"', "sessions")) for row in places),
        *((tenant.attached_url, "public", ('"UserEvents"', "invoices")) for tenant in (site.maple, site.oak)),
    ]
    found = []
    for url, schema, tables in looked_at:
        if url is None:
            continue
        connection = await asyncpg.connect(url)
        counts = OBJECTS | {table: f'SELECT count(*) FROM "{schema}".{table}' for table in tables}  # noqa: S608 - from the registry
        found += [(url, name, await connection.fetchval(sql)) for name, sql in counts.items()]
        await connection.close()
    return found


async def test_hostile_statements_tell_nothing_and_change_nothing(
    site: Site, ana: httpx.AsyncClient, oak: Place
) -> None:
    assert len({*REFUSED, *HARMLESS, *OPAQUE}) >= 60
    before = await portrait(site)
    for sql in map(oak.fill, REFUSED):
        answer = await query(ana, site.maple, sql)
        assert answer.status_code in {400, 500}, (sql, answer.text[:500])
        assert tells_of(answer, sql, oak) == [], (sql, answer.text[:500])
    for sql in map(oak.fill, HARMLESS):
        answer = await query(ana, site.maple, sql)
        assert answer.status_code in {200, 400, 500}, (sql, answer.text[:500])
        assert tells_of(answer, sql, oak) == [], (sql, answer.text[:500])
    for sql in OPAQUE:
        answer = await query(ana, site.maple, sql)
        assert not re.search(r"\boak\b|Oak Cycles", answer.text), (sql, answer.text[:500])
    assert await portrait(site) == before


async def test_the_query_builder_learns_the_types_of_the_clients_own_columns(
    site: Site, ana: httpx.AsyncClient
) -> None:
    sql = "SELECT data_type FROM information_schema.columns WHERE table_name = 'events' AND column_name = 'name'"
    answer = await query(ana, site.maple, sql)
    assert answer.json()["results"]["A"]["frames"][0]["data"]["values"] == [["text"]], answer.text[:500]


async def test_an_attached_database_gives_its_own_sessions_and_takes_nothing(
    site: Site, ana: httpx.AsyncClient, oak: Place
) -> None:
    if site.maple.attached_url is None or site.oak.attached_url is None:
        assert {site.maple.datasource, site.oak.datasource} == {"analytics"}
        return
    theirs = msgspec.structs.replace(oak, schema="public", database=site.oak.attached_url.rpartition("/")[2])
    before = await portrait(site)
    for sql in map(theirs.fill, (*REFUSED, *HARMLESS, *OPAQUE, "SELECT * FROM invoices", "TABLE public.invoices")):
        answer = await query(ana, site.maple, sql, "source")
        # Its catalogs are as its owner has left them: names of databases and roles there are its own affair.
        assert not re.search(r"\boak\b|Oak Cycles|\bs[1-9]\b.*public", answer.text), (sql, answer.text[:500])
        if "invoices" in sql or "Leads" in sql or oak.role in sql:
            assert answer.status_code != 200, (sql, answer.text[:500])
    own = await query(ana, site.maple, 'SELECT count(*) FROM "UserEvents"', "source")
    assert own.json()["results"]["A"]["frames"][0]["data"]["values"] == [[site.maple.sessions]]
    assert await portrait(site) == before


async def test_what_runs_away_is_cut_off_and_others_do_not_notice(site: Site, ana: httpx.AsyncClient) -> None:
    other = await site.log_in(site.oak)
    started = time.monotonic()
    running = [
        asyncio.create_task(query(ana, site.maple, sql, uid))
        for uid in sorted({"analytics", site.maple.datasource})
        for sql in ENDLESS
    ]
    slowest = 0.0
    while not all(task.done() for task in running):
        asked = time.monotonic()
        answer = await query(other, site.oak, 'SELECT count(*) AS n FROM "UserEvents"', site.oak.datasource)
        slowest = max(slowest, time.monotonic() - asked)
        assert answer.json()["results"]["A"]["frames"][0]["data"]["values"] == [[site.oak.sessions]]
        assert time.monotonic() - started < PATIENCE_S
        await asyncio.sleep(0.05)
    await other.aclose()
    assert all(task.result().status_code in {400, 500, 504} for task in running)
    assert slowest < SLOW_S
    assert (await query(ana, site.maple, "SELECT 1 AS n")).status_code == 200


async def test_huge_results_are_cut_off(site: Site, ana: httpx.AsyncClient) -> None:
    for sql in HUGE:
        received = 0
        try:
            async with ana.stream("POST", f"/{site.maple.id}/grafana/api/ds/query", json=ask_for(sql)) as answer:
                async for part in answer.aiter_raw():
                    received += len(part)
        except httpx.RemoteProtocolError:
            assert received > 0, sql  # broken off in the middle
        assert received <= MAX_DATA_BYTES
    many = await query(ana, site.maple, HUGE[0])
    assert len(many.json()["results"]["A"]["frames"][0]["data"]["values"][0]) <= GRAFANA_ROWS
    assert (await query(ana, site.maple, "SELECT 1 AS n")).status_code == 200


async def test_no_datasource_but_the_clients_own_answers(site: Site, ana: httpx.AsyncClient) -> None:
    for uid in ("", "1", "2", "3", "*", "oak", "-- Grafana --", "__expr__", "grafana", "../analytics", "analytics%00"):
        answer = await query(ana, site.maple, "SELECT current_database()", uid)
        assert "oak" not in answer.text
        assert answer.status_code == 400, (uid, answer.text)
    extras: tuple[dict[str, Any], ...] = (
        {"datasourceId": 1},
        {"datasourceId": 2},
        {"orgId": 1},
        {"orgId": 3},
        {"intervalMs": 1, "maxDataPoints": 10**12},
    )
    own = await own_places(site)
    assert set(own) == {"analytics", site.maple.datasource}
    for uid, place in own.items():
        told = [
            await ana.post(f"/{site.maple.id}/grafana/api/ds/query", json=ask_for(WHO, uid, **extra))
            for extra in ({}, *extras)
        ]
        assert told[0].status_code == 200, told[0].text
        for answer in told:
            frame = answer.json()["results"]["A"]["frames"][0] if answer.is_success else None
            assert frame is None or frame["data"]["values"] == [[name] for name in place], answer.text
            assert frame is None or frame["schema"]["meta"]["executedQueryString"] == WHO


async def own_places(site: Site) -> dict[str, tuple[str, str]]:
    """Look up as whom and in which database each datasource of the first client's is to ask."""
    placement = await site.grove.placement_of(site.maple.id)
    places = {"analytics": (placement.login_role, placement.database)}
    if placement.source_url is not None:
        url = httpx.URL(placement.source_url)
        assert url.username != httpx.URL(str(site.maple.attached_url)).username  # which is the owner's
        places["source"] = (url.username, url.path.removeprefix("/"))
    return places
