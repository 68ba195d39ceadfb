"""What is imported is there once, whatever happens on the way; what is exported is whole and can come back."""

import asyncio
import base64
import csv
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.settings import to_environ
from app.transfer.checkpoint import Checkpoint, Tally
from app.transfer.errors import ExportRefused, ImportRefused
from app.transfer.exporter import Exporter
from app.transfer.importer import Importer, require_own_tables
from app.transfer.manifest import Manifest
from app.transfer.output import Layout
from app.transfer.rows import localize
from app.transfer.sources import Order, open_sources, zone_of
from app.transfer.tables import TABLES
from tenants.databases import Databases
from tenants.errors import StoreUnavailable
from tenants.ids import as_uuid, quote
from tenants.placement import Placement, PlacementKind, Purpose, SourceMap
from tenants.sources import AGENTS, CHAT_LOG, LEADS, SESSIONS
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.placements import external_placement, make_database, placed, remove_placement

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
LEGACY = SourceMap(
    schema="old bot",
    timezone=NEW_YORK.key,
    tables={SESSIONS: "visits"},
    columns={SESSIONS: {"sessionId": "visit", "widgetOpened": "opened"}, LEADS: {"createdAt": "made"}},
)
LEGACY_TABLES = """
CREATE TABLE visits (visit bigint PRIMARY KEY, "pageLoaded" timestamp, opened boolean, "createdAt" timestamp);
CREATE TABLE "Leads" (id serial PRIMARY KEY, "sessionId" bigint, email varchar(80), made timestamp)
"""
LEGACY_ROWS = """
INSERT INTO "old bot".visits SELECT n, timestamp '2026-10-31 20:00' + n * interval '1 minute', n % 2 = 0,
    timestamp '2026-10-31 20:00' + n * interval '1 minute' FROM generate_series(1, 2500) AS n;
INSERT INTO "old bot".visits VALUES (9001, 'infinity', false, '2026-11-01'), (9002, NULL, true, NULL);
INSERT INTO "old bot"."Leads" ("sessionId", email, made) SELECT n, n || '@example.com', '2026-11-02 09:00'
    FROM generate_series(1, 10) AS n;
INSERT INTO "old bot"."Leads" ("sessionId", email, made) VALUES (NULL, 'lost@example.com', '2026-11-02 09:00')
"""


@pytest.fixture
async def other(postgres: EmbeddedPostgres) -> AsyncIterator[Placement]:
    async with placed(postgres.url, kind=PlacementKind.DATABASE) as made:
        yield made


async def bring_in(databases: Databases, placement: Placement, order: Order, folder: Path) -> dict[str, Tally]:
    checkpoint = Checkpoint(folder, placement.schema.encode(), order.identity, rejects=folder / "rejects.ndjson")
    async with open_sources(order, databases, placement) as sources:
        await Importer(databases, placement, checkpoint, zone_of(order.names)).run(sources)
    return checkpoint.tallies


async def write_out(databases: Databases, placement: Placement, folder: Path, layout: Layout) -> Manifest:
    return await Exporter(databases, placement, layout).run(folder, {"id": "maple"}, NOW)


async def rows_of(databases: Databases, placement: Placement, table: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(quote(column.name) for column in TABLES[table])
    async with databases.unit(placement, Purpose.READ) as unit:
        rows = await unit.fetch(f"SELECT {columns} FROM {quote(placement.schema)}.{quote(table)} ORDER BY 1")  # noqa: S608
    return [tuple(row) for row in rows]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def fill(databases: Databases, placement: Placement) -> None:
    """Put rows into all four tables, with everything in them that is hard to write down."""
    at = datetime(2026, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)
    hard = ["=1+1", "+49 30", "'=x", 'a,b;\t"c"', "two\r\nlines", "ü€😀", " spaced ", "\\", None]
    ids = [uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in range(len(hard))]
    async with databases.unit(placement, Purpose.WRITE) as unit:
        sessions = [
            (f"s{number}", at, None, at + timedelta(hours=number), None, None, None, at, at) for number in range(3)
        ]
        await unit.copy(SESSIONS, {column.name: column.kind.sql for column in TABLES[SESSIONS]}, sessions)
        leads = [(ids[n], "s1", text, text, None, text, at) for n, text in enumerate(hard)]
        await unit.copy(LEADS, {column.name: column.kind.sql for column in TABLES[LEADS]}, leads)
        messages = [
            (ids[n], "s1", "user", text, None, 0.1 + n, n % 2 == 0, 2**62, None, Decimal("0.000123"), 1e-9, at)
            for n, text in enumerate(hard)
        ]
        await unit.copy(CHAT_LOG, {column.name: column.kind.sql for column in TABLES[CHAT_LOG]}, messages)
        agents = [(ids[0], "s1", "Amira", at, None, None), (ids[1], "s2", None, None, at, 4.5)]
        await unit.copy(AGENTS, {column.name: column.kind.sql for column in TABLES[AGENTS]}, agents)


@pytest.mark.parametrize("layout", [Layout(format=form, gzip=gz) for form in ("ndjson", "csv") for gz in (False, True)])
async def test_an_export_brought_into_a_fresh_client_gives_the_same_rows(
    databases: Databases, placement: Placement, other: Placement, tmp_path: Path, layout: Layout
) -> None:
    await fill(databases, placement)

    await write_out(databases, placement, tmp_path / "out", layout)
    tallies = await bring_in(databases, other, Order(origin=str(tmp_path / "out")), tmp_path)

    for table in TABLES:
        expected = await rows_of(databases, placement, table)
        assert await rows_of(databases, other, table) == expected
        assert tallies[table] == Tally(read=len(expected), imported=len(expected))


async def test_an_import_that_comes_twice_changes_nothing(
    databases: Databases, placement: Placement, other: Placement, tmp_path: Path
) -> None:
    await fill(databases, placement)
    await write_out(databases, placement, tmp_path / "out", Layout(format="ndjson"))
    order = Order(origin=str(tmp_path / "out"))
    await bring_in(databases, other, order, tmp_path)
    before = [await rows_of(databases, other, table) for table in TABLES]

    again = await bring_in(databases, other, order, tmp_path)

    assert [await rows_of(databases, other, table) for table in TABLES] == before
    assert all(tally.imported == 0 and tally.present == tally.read for tally in again.values())


async def test_imported_sessions_merge_with_what_is_known(
    databases: Databases, placement: Placement, tmp_path: Path
) -> None:
    (tmp_path / "UserEvents.csv").write_text(
        "sessionId,pageLoaded,widgetOpened,createdAt\n"
        "s1,2026-11-01T12:00:00Z,2026-11-01T12:05:00Z,2026-11-01T12:00:00Z\n"
        "s1,2026-11-01T11:59:00Z,,2026-11-01T12:00:00Z\n"
    )
    async with databases.unit(placement, Purpose.WRITE) as unit:
        known = ("s1", NOW, NOW - timedelta(days=365), NOW, None, None, None, NOW, NOW)
        await unit.copy(SESSIONS, {column.name: column.kind.sql for column in TABLES[SESSIONS]}, [known])

    tallies = await bring_in(databases, placement, Order(origin=str(tmp_path)), tmp_path)

    page_loaded = datetime(2026, 11, 1, 11, 59, tzinfo=UTC)
    [row] = await rows_of(databases, placement, SESSIONS)
    assert row[:4] == ("s1", page_loaded, NOW - timedelta(days=365), NOW)
    assert row[-2:] == (page_loaded.replace(hour=12, minute=0), NOW)
    assert tallies == {SESSIONS: Tally(read=2, imported=1, present=1)}


async def test_bad_rows_are_put_aside_with_place_and_reason_and_the_rest_goes_on(
    databases: Databases, placement: Placement, tmp_path: Path
) -> None:
    lines = [
        {"id": 1, "sessionId": "s1", "createdAt": "2026-11-01T12:00:00Z"},
        {"id": 2, "createdAt": "2026-11-01T12:00:00Z"},
        {"id": 3, "sessionId": "s3", "createdAt": "yesterday"},
        {"id": 4, "sessionId": "nul\0", "createdAt": "2026-11-01T12:00:00Z"},
        {"id": 5, "sessionId": "s5", "createdAt": "2026-11-01T12:00:00Z"},
    ]
    path = tmp_path / "Leads.ndjson"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\nnot json\n")

    tallies = await bring_in(databases, placement, Order(origin=str(path)), tmp_path)

    rejects = [json.loads(line) for line in (tmp_path / "rejects.ndjson").read_text().splitlines()]
    assert tallies == {LEADS: Tally(read=6, imported=2, rejected=4)}
    assert [(reject["place"], reject["reason"].split(" must")[0]) for reject in rejects] == [
        (f"{path}:2", "sessionId is missing"),
        (f"{path}:3", "createdAt"),
        (f"{path}:4", "sessionId"),
        (f"{path}:6", "it is no JSON"),
    ]
    assert rejects[1]["row"] == lines[2]
    assert (tmp_path / "rejects.ndjson").stat().st_mode & 0o777 == 0o600


async def test_a_legacy_database_is_read_in_its_zone_under_its_names(
    databases: Databases, placement: Placement, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    legacy, owner_url = await external_placement(postgres.url, LEGACY_TABLES, LEGACY)
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(
            "ALTER DATABASE " + quote(owner_url.rpartition("/")[2]) + " SET datestyle = 'SQL, DMY'"
        )
        await connection.execute(LEGACY_ROWS)
        order = Order(origin=legacy.source_url or "", names=LEGACY)
        first = await bring_in(databases, placement, order, tmp_path)
        again = await bring_in(databases, placement, order, tmp_path)
        sessions = {row[0]: row for row in await rows_of(databases, placement, SESSIONS)}
        leads = {row[0]: row for row in await rows_of(databases, placement, LEADS)}
    finally:
        await connection.close()
        await databases.forget(legacy)
        await remove_placement(postgres.url, legacy)

    loaded = datetime(2026, 11, 1, 0, 2, tzinfo=UTC)
    assert sessions["2"][:4] == ("2", loaded, loaded, None)
    assert sessions["1"][2] is None
    assert leads[as_uuid("3")][1:4] == ("3", None, "3@example.com")
    assert leads[as_uuid("3")][-1] == datetime(2026, 11, 2, 14, tzinfo=UTC)
    assert first == {SESSIONS: Tally(2502, 2500, 0, 2), LEADS: Tally(11, 10, 0, 1)}
    assert again == {SESSIONS: Tally(2502, 0, 2500, 2), LEADS: Tally(11, 0, 10, 1)}
    reasons = [json.loads(line)["place"] for line in (tmp_path / "rejects.ndjson").read_text().splitlines()]
    assert reasons == ['"UserEvents" sessionId 9001', '"UserEvents" sessionId 9002', '"Leads" id 11']


async def test_wall_clocks_are_read_as_postgres_reads_them(postgres: EmbeddedPostgres) -> None:
    walls = [datetime(2026, month, day, hour, 30) for month, day in ((3, 8), (11, 1), (7, 1)) for hour in range(4)]  # noqa: DTZ001
    connection = await asyncpg.connect(postgres.url)
    try:
        theirs = [
            await connection.fetchval("SELECT $1::timestamp AT TIME ZONE $2", wall, NEW_YORK.key) for wall in walls
        ]
    finally:
        await connection.close()

    assert [localize(wall, NEW_YORK) for wall in walls] == theirs


async def test_a_table_without_a_key_is_imported_once_all_the_same(
    databases: Databases, placement: Placement, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = await make_database(postgres.url)
    connection = await asyncpg.connect(url)
    await connection.execute(
        """CREATE TABLE "Leads" ("sessionId" text, email text, "createdAt" timestamptz);
        INSERT INTO "Leads" SELECT 's' || n, n || '@example.com', now() FROM generate_series(1, 20) AS n"""
    )
    await connection.close()

    first = await bring_in(databases, placement, Order(origin=url), tmp_path)
    again = await bring_in(databases, placement, Order(origin=url), tmp_path)

    assert (first[LEADS].imported, again[LEADS].imported) == (20, 0)


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("/nowhere", "is no file, folder or postgresql:// URL"),
        ("postgresql://nobody:x@127.0.0.1:1/none", "cannot be reached"),
    ],
)
async def test_what_is_no_source_is_refused(
    databases: Databases, placement: Placement, origin: str, reason: str
) -> None:
    with pytest.raises(ImportRefused, match=reason):
        async with open_sources(Order(origin=origin), databases, placement):
            raise AssertionError


async def test_a_database_without_the_tables_is_refused(
    databases: Databases, placement: Placement, postgres: EmbeddedPostgres
) -> None:
    order = Order(origin=await make_database(postgres.url), names=SourceMap(schema="elsewhere"))

    with pytest.raises(ImportRefused, match="'elsewhere' of the source has no table"):
        async with open_sources(order, databases, placement):
            raise AssertionError


async def test_an_attached_client_takes_no_import_but_is_exported_with_its_own_tables(
    databases: Databases, postgres: EmbeddedPostgres, placement: Placement, tmp_path: Path
) -> None:
    legacy, owner_url = await external_placement(postgres.url, LEGACY_TABLES, LEGACY)
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(LEGACY_ROWS)
        with pytest.raises(ImportRefused, match="nothing to import into"):
            require_own_tables(legacy)
        manifest = await write_out(databases, legacy, tmp_path / "out", Layout(format="csv"))
    finally:
        await connection.close()
        await databases.forget(legacy)
        await remove_placement(postgres.url, legacy)
    tallies = await bring_in(databases, placement, Order(origin=str(tmp_path / "out")), tmp_path)

    assert {file.table: file.rows for file in manifest.files} == {
        "events": 0, "sessions": 0, "commerce_facts": 0, "quarantine": 0, "usage": 0, SESSIONS: 2500, LEADS: 10,
    }  # fmt: skip
    assert sorted(manifest.remarks) == [
        "1 rows of Leads hold what cannot be read and are left out.",
        "2 rows of UserEvents hold what cannot be read and are left out.",
    ]
    assert {table: tally.imported for table, tally in tallies.items()} == {SESSIONS: 2500, LEADS: 10}


async def test_a_folder_that_holds_something_is_left_alone(
    databases: Databases, placement: Placement, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ExportRefused, match="is there already"):
        await write_out(databases, placement, tmp_path, Layout(format="csv"))

    assert names_in(tmp_path) == ["mine.txt"]


async def test_an_export_that_fails_leaves_nothing_behind(
    databases: Databases, placement: Placement, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionResetError

    with pytest.raises(StoreUnavailable):
        await Exporter(databases, placement, Layout(format="csv"), fail).run(tmp_path / "out", {}, NOW)

    assert names_in(tmp_path) == []


async def test_a_snapshot_does_not_see_what_is_committed_meanwhile(databases: Databases, placement: Placement) -> None:
    count = placement.render('SELECT count(*) FROM {{schema}}."UserEvents"')
    async with databases.unit(placement, Purpose.READ, snapshot=True) as unit:
        before = await unit.fetchval(count)
        await fill(databases, placement)
        during = await unit.fetchval(count)
    async with databases.unit(placement, Purpose.READ) as unit:
        after = await unit.fetchval(count)

    assert (before, during, after) == (0, 0, 3)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as opened, opened.worker():
        yield opened


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    made = await grove.make_client("maple", timezone="Europe/Berlin", branding={"primaryColor": "#c2410c"})
    events = [
        {"name": "page_loaded", "session_id": "s1", "event_id": "e1"},
        {"name": "lead_captured", "session_id": "s1", "event_id": "e2", "properties": {"name": "=HYPERLINK()"}},
        {
            "name": "product_view",
            "session_id": "w1",
            "event_id": "e3",
            "amount": 12.5,
            "properties": {"a": [1, {"b": "ü"}]},
        },
        {"name": "page_loaded", "event_id": "bad"},
    ]
    answer = await grove.http.post("/api/v1/events", json=events, headers=made.server)
    assert answer.json()["accepted"] == 3
    return made


async def run_cli(grove: Grove, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", *words],
        cwd=cwd,
        env=cli_environment(grove),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def cli_environment(grove: Grove) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "200"} | to_environ(grove.settings)  # noqa: TID251


@pytest.mark.parametrize("form", ["ndjson", "csv"])
@pytest.mark.usefixtures("maple")
async def test_the_export_of_a_client_is_whole(grove: Grove, tmp_path: Path, form: str) -> None:
    done = await run_cli(grove, "export", "maple", "out", "--format", form, "--gzip", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    manifest = msgspec.json.decode((out / "manifest.json").read_bytes(), type=Manifest)
    assert {file.table: file.rows for file in manifest.files} == {
        "events": 3, "sessions": 1, "commerce_facts": 1, SESSIONS: 1, LEADS: 1, CHAT_LOG: 0, AGENTS: 0,
        "quarantine": 1, "usage": 2,
    }  # fmt: skip
    for file in manifest.files:
        content = (out / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size_bytes, file.sha256)
    assert manifest.client["timezone"] == "Europe/Berlin"
    assert manifest.client["branding"]["primaryColor"] == "#c2410c"
    text = (out / "manifest.json").read_text() + "".join(
        gzip.decompress((out / file.name).read_bytes()).decode() for file in manifest.files
    )
    for secret in (grove.settings.main_url, "grv_", "postgresql://"):
        assert secret not in text
    assert out.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("maple")
async def test_exported_values_keep_their_meaning(grove: Grove, tmp_path: Path) -> None:
    for form in ("ndjson", "csv"):
        done = await run_cli(grove, "export", "maple", form, "--format", form, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (tmp_path / "ndjson" / "events.ndjson").read_text().splitlines()]
    [refused] = [json.loads(line) for line in (tmp_path / "ndjson" / "quarantine.ndjson").read_text().splitlines()]
    [lead] = csv.DictReader(io.StringIO((tmp_path / "csv" / "Leads.csv").read_text()))
    usage = list(csv.DictReader(io.StringIO((tmp_path / "csv" / "usage.csv").read_text())))

    [view] = [event for event in events if event["name"] == "product_view"]
    assert (view["amount"], view["properties"]) == (12.5, {"a": [1, {"b": "ü"}]})
    [fact] = [json.loads(line) for line in (tmp_path / "ndjson" / "commerce_facts.ndjson").read_text().splitlines()]
    assert (fact["event_id"], fact["kind"], fact["amount"]) == (view["event_id"], "product", 12.5)
    assert datetime.fromisoformat(view["occurred_at"]).tzinfo is not None
    assert json.loads(base64.b64decode(refused["body"]))["event_id"] == "bad"
    assert refused["code"] == "session_required"
    assert lead["name"] == "'=HYPERLINK()"
    assert {(row["outcome"], row["count"]) for row in usage} == {("stored", "3"), ("quarantined", "1")}


async def test_schemas_and_adaptors_come_along_without_their_keys(grove: Grove, tmp_path: Path) -> None:
    old, new = [await grove.make_client(name) for name in ("rowan", "hazel")]
    schema = {"name": "shop", "properties": {"purchase": {"total": "number"}}}
    made = (await grove.http.post("/api/schemas", json=schema, headers=old.admin)).json()
    changed = schema | {"description": "What we sell.", "properties": {"purchase": {"sum": "number"}}}
    answer = await grove.http.put(f"/api/schemas/{made['id']}?force=true", json=changed, headers=old.admin)
    assert answer.status_code == 200, answer.text
    adaptor = {
        "name": "web", "website_url": "https://shop.example/", "origins": ["https://www.shop.example"],
        "schema_id": made["id"], "privacy": "balanced", "tracking_rules": {"track_clicks": False},
        "script": "track('x')",
    }  # fmt: skip
    tag = (await grove.http.post("/api/adaptors", json=adaptor, headers=old.admin)).json()

    exported = await run_cli(grove, "export", "rowan", "out", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    manifest = (tmp_path / "out" / "manifest.json").read_text()
    assert not [secret for secret in ("grv_", tag["container_id"], tag["key_id"]) if secret in manifest]
    for expected in ("1 | 1 | 0 | 0", "1 | 0 | 1 | 0"):
        brought = await run_cli(grove, "import", "hazel", "out", cwd=tmp_path)
        assert brought.returncode == 0, brought.stderr
        rows = [" | ".join(line.replace("│", " ").split()[1:]) for line in brought.stdout.splitlines()]
        assert rows.count(expected) == 2, brought.stdout

    (found,) = (await grove.http.get("/api/schemas", headers=new.admin)).json()["data"]
    whole = (await grove.http.get(f"/api/schemas/{found['id']}", headers=new.admin)).json()
    assert (whole["properties"], whole["description"]) == (changed["properties"], "What we sell.")
    assert [version["breaking"] for version in whole["versions"]] == [False, True]
    assert whole["published"] == 2
    (copy,) = (await grove.http.get("/api/adaptors", headers=new.admin)).json()["data"]
    same = ("name", "website_url", "origins", "privacy", "tracking_rules", "script")
    assert [copy[name] for name in same] == [tag[name] for name in same]
    assert copy["schema_id"] == found["id"]
    assert copy["key_id"] != tag["key_id"]
    assert copy["container_id"] != tag["container_id"]


async def test_an_import_killed_halfway_goes_on_and_doubles_nothing(grove: Grove, tmp_path: Path) -> None:
    client = await grove.make_client("birch")
    rows = 60_000
    source = tmp_path / "ChatLog.ndjson"
    with source.open("w") as file:
        for number in range(rows):
            row = {"id": number, "sessionId": f"s{number % 500}", "role": "user", "createdAt": "2026-11-01T12:00:00Z"}
            file.write(json.dumps(row if number % 10_000 else {"id": number}) + "\n")
    words = [sys.executable, "-m", "app", "import", client.id, str(source), "--rejects", "rejects.ndjson"]
    await asyncio.to_thread(_kill_halfway, words, tmp_path, cli_environment(grove))

    done = await run_cli(grove, *words[3:], cwd=tmp_path)
    again = await run_cli(grove, *words[3:], cwd=tmp_path)

    assert done.returncode == again.returncode == 0, done.stderr + again.stderr
    assert "Going on where the last run stopped" in done.stderr
    assert "Going on" not in again.stderr
    assert list((tmp_path / ".grove" / "imports").iterdir()) == []
    check = await grove.http.get(f"/api/{client.id}/test", headers=client.server)
    counts = {table["name"]: table["rows"] for table in check.json()["tables"]}
    assert counts[CHAT_LOG] == rows - 6
    assert len((tmp_path / "rejects.ndjson").read_text().splitlines()) == 6
    assert " ".join(again.stdout.split()).count("ChatLog 60,000 0 59,994 6") == 1


def _kill_halfway(words: list[str], folder: Path, environ: dict[str, str]) -> None:
    process = subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not any(_marks(folder)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()


def _marks(folder: Path) -> list[object]:
    found = list(folder.glob(".grove/imports/*.checkpoint.json"))
    return [source["mark"] for path in found for source in json.loads(path.read_bytes())["sources"].values()]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["import", "nobody", "x.csv"], "No such client"),
        (["export", "nobody", "out"], "No such client"),
        (["import", "maple", "missing.csv"], "is no file"),
        (["import", "maple", "x.csv", "--source-timezone", "Mars/Base"], "no time zone 'Mars/Base'"),
        (["import", "maple", "x.csv", "--map", "none.json"], "cannot be read"),
    ],
)
@pytest.mark.usefixtures("maple")
async def test_what_cannot_be_done_is_refused_in_one_line(
    grove: Grove, tmp_path: Path, words: list[str], reason: str
) -> None:
    done = await run_cli(grove, *words, cwd=tmp_path)

    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
