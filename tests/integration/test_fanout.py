"""All clients are migrated, side by side, resumably; nothing to do costs next to nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from app.embedded.postgres import EmbeddedPostgres
from migrations import fanout
from migrations.fanout import FanoutReport, migrate_clients
from migrations.tenant_plane import head_revision, upgrade_tenant
from tests.support.provisioner import Provisioner, open_provisioner

MANY = 1_000


@pytest.fixture
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with open_provisioner(postgres.url) as opened:
        yield opened


async def migrate(grove: Provisioner, *, dry_run: bool = False) -> FanoutReport:
    return await migrate_clients(grove.control, vault=grove.vault, main_url=grove.url, dry_run=dry_run)


@contextmanager
def counted(grove: Provisioner) -> Iterator[list[str]]:
    statements: list[str] = []
    engine = grove.control.engine.sync_engine

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def set_back(grove: Provisioner, *client_ids: str) -> None:
    """Make clients look as they did before the newest revision."""
    for client_id in client_ids:
        schema = (await grove.context(client_id)).placement.schema
        tables = [row["relname"] for row in await grove.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p') "
            "AND NOT relispartition", schema
        )]  # fmt: skip
        await grove.execute("; ".join(f'DROP TABLE "{schema}"."{table}" CASCADE' for table in tables))
        routines = [row["name"] for row in await grove.fetch(
            "SELECT oid::regprocedure::text AS name FROM pg_proc WHERE pronamespace = $1::text::regnamespace", schema
        )]  # fmt: skip
        await grove.execute("; ".join(f"DROP ROUTINE IF EXISTS {routine} CASCADE" for routine in routines))
    await grove.execute("UPDATE grove.placements SET revision = 'older' WHERE client_id = ANY ($1::text[])", client_ids)


async def revisions(grove: Provisioner) -> dict[str, str]:
    rows = await grove.fetch("SELECT client_id, revision FROM grove.placements")
    return {row["client_id"]: row["revision"] for row in rows}


async def test_nothing_to_do_for_a_thousand_clients_is_two_queries(grove: Provisioner) -> None:
    await grove.execute(
        "INSERT INTO grove.clients (id, name, status, timezone, retention_days) "
        "SELECT 'c' || n, 'c', 'active', 'UTC', 90 FROM generate_series(1, $1) n",
        MANY,
    )
    await grove.execute(
        "INSERT INTO grove.placements (client_id, kind, server, database, schema_name, owner_role, writer_role, "
        "reader_role, login_role, revision) SELECT 'c' || n, 'schema', 'main', 'x', 't' || n, 'o', 'w', 'r', 'l', $1 "
        "FROM generate_series(1, $2) n",
        head_revision(),
        MANY,
    )
    started = time.monotonic()
    with counted(grove) as statements:
        report = await migrate(grove)
    print(f"{MANY} clients, nothing to do: {time.monotonic() - started:.3f} s")  # noqa: T201 - a figure to look at
    assert (report.clients, report.current, report.migrated, report.laggards) == (MANY, MANY, [], [])
    assert len([statement for statement in statements if "grove.placements" in statement]) == 2


async def test_clients_behind_are_migrated_and_a_dry_run_only_lists_them(grove: Provisioner) -> None:
    for client_id in ("aa", "bb"):
        await grove.create(client_id)
    await set_back(grove, "aa")
    dry = await migrate(grove, dry_run=True)
    assert [(lag.client_id, lag.revision, lag.error) for lag in dry.laggards] == [("aa", "older", None)]
    assert (await revisions(grove))["aa"] == "older"

    done = await migrate(grove)
    assert (done.clients, done.current, done.migrated, done.laggards) == (2, 1, ["aa"], [])
    assert set((await revisions(grove)).values()) == {head_revision()}


async def test_no_two_clients_have_functions_of_the_same_name(grove: Provisioner) -> None:
    for client_id in ("aa", "bb"):
        await grove.create(client_id)
    rows = await grove.fetch(
        "SELECT proname, count(*) AS n FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 't\\_%' "
        "GROUP BY proname"
    )
    assert len(rows) > 2
    assert not [row["proname"] for row in rows if row["n"] > 1], "each look-up would read those of all clients"


@pytest.mark.fault(25)
async def test_one_clients_failure_stops_no_other_and_is_reported(grove: Provisioner) -> None:
    for client_id in ("aa", "bb"):
        await grove.create(client_id)
    await set_back(grove, "aa", "bb")
    await grove.execute("UPDATE grove.placements SET owner_role = 'nobody_at_all' WHERE client_id = 'aa'")
    report = await migrate(grove)
    assert report.migrated == ["bb"]
    assert [lag.client_id for lag in report.laggards] == ["aa"]
    assert "SQLSTATE" in (report.laggards[0].error or "")


async def test_a_run_killed_in_the_middle_is_resumed(grove: Provisioner, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["aa", "bb", "cc"]
    for client_id in names:
        await grove.create(client_id)
    await set_back(grove, *names)
    upgrade = upgrade_tenant
    reached = 0

    async def killed_at_the_second(*args: object) -> str:
        nonlocal reached
        reached += 1
        if reached == 2:
            raise asyncio.CancelledError
        return await upgrade(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(fanout, "upgrade_tenant", killed_at_the_second)
        with pytest.raises(asyncio.CancelledError):
            await migrate_clients(grove.control, vault=grove.vault, main_url=grove.url, parallel=1)
    report = await migrate(grove)
    assert report.laggards == []
    assert set((await revisions(grove)).values()) == {head_revision()}


@pytest.mark.fault(25)
async def test_two_migrators_at_once_do_the_work_once(grove: Provisioner) -> None:
    names = ["aa", "bb", "cc"]
    for client_id in names:
        await grove.create(client_id)
    await set_back(grove, *names)
    reports = await asyncio.gather(migrate(grove), migrate(grove))
    assert [report.laggards for report in reports] == [[], []]
    assert set((await revisions(grove)).values()) == {head_revision()}
