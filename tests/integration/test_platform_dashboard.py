"""The platform's own dashboard: read by a login that sees how work goes, and nothing of a client."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.console.dashboards.macros import expand, read_variables
from app.embedded.postgres import EmbeddedPostgres
from app.query.spec import read_period
from app.workers.outcomes import tell_outcomes
from app.workers.resources import open_worker_resources
from provisioning.platform_reader import PLATFORM_READER, platform_password
from provisioning.templates import Context, load_templates, render
from tenants.clock import utc_now
from tenants.registry import with_login
from tenants.vault import Vault
from tests.support.grove import SECRET_KEY, Grove, open_grove

(TEMPLATE,) = load_templates().platform()
SECRETS = (
    "SELECT hash FROM grove.api_keys",
    "SELECT sealed FROM grove.operations",
    "SELECT login_password_sealed FROM grove.placements",
    "SELECT source_url_sealed FROM grove.placements",
    "SELECT schema_name FROM grove.placements",
    "SELECT password_hash FROM grove.staff",
    "SELECT hash FROM grove.staff_sessions",
    "SELECT args FROM grove_jobs.procrastinate_jobs",
    "SELECT rolname FROM pg_roles",
    "BEGIN READ WRITE; DELETE FROM grove.outcome_hours",
)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as opened, opened.worker():
        yield opened


@pytest.fixture(scope="module")
async def reader(grove: Grove) -> AsyncIterator[asyncpg.Connection]:
    """A connection as Grafana's datasource of the platform has it, to a Grove with a client that sent events."""
    client = await grove.make_client("maple")
    events = [{"event_id": "1", "name": "page_view"}, {"event_id": "1", "name": "page_view"}, {"event_id": "2"}]
    answer = await grove.http.post("/api/v1/events", json=events, headers=client.server)
    assert answer.status_code == 202
    async with open_worker_resources(grove.settings) as resources:
        for _ in range(2):
            await tell_outcomes(resources)
    password = platform_password(Vault(SECRET_KEY))
    connection = await asyncpg.connect(with_login(grove.settings.main_url, user=PLATFORM_READER, password=password))
    yield connection
    await connection.close()


async def ask(reader: asyncpg.Connection, title: str) -> list[asyncpg.Record]:
    model = render(TEMPLATE, Context(timezone="UTC"))
    values, _ = read_variables(model, {})
    panel = next(panel for panel in model["panels"] if panel["title"] == title)
    period = read_period(None, None, None, client_zone="UTC", now=utc_now())
    return list(await reader.fetch(expand(panel["targets"][0]["rawSql"], period.from_at, period.to_at, values)))


async def test_every_panel_runs_as_the_platforms_reader(reader: asyncpg.Connection) -> None:
    for panel in TEMPLATE.model["panels"]:
        rows = await ask(reader, panel["title"])
        assert rows or panel["title"] in {"Steps that fail", "Job queue"}, panel["title"]


async def test_outcomes_told_twice_are_counted_once(reader: asyncpg.Connection) -> None:
    (client,) = await ask(reader, "Clients")
    assert [client[name] for name in ("Client", "Stored", "Duplicates", "Refused")] == ["maple", 1, 1, 1]
    (glance,) = await ask(reader, "At a glance")
    assert (glance["Active clients"], glance["Events stored"], glance["Operations failed"]) == (1, 1, 0)


@pytest.mark.parametrize("sql", SECRETS)
async def test_secrets_and_clients_data_stay_out_of_reach(reader: asyncpg.Connection, sql: str) -> None:
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(sql)
    finally:
        await reader.execute("ROLLBACK")


async def test_no_clients_schema_can_be_read(grove: Grove, reader: asyncpg.Connection) -> None:
    owner = await asyncpg.connect(grove.settings.main_url)
    schema = await owner.fetchval("SELECT schema_name FROM grove.placements WHERE client_id = 'maple'")
    await owner.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.fetch(f"TABLE {schema}.events")
