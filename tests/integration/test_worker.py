"""The worker: operations are carried out whatever becomes of their jobs, and what comes round is done."""

import asyncio
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest
from asyncpg.pgproto.pgproto import UUID

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.event import Arrival
from app.ingest.flush import Flush
from app.ingest.flush_ids import FlushIds
from app.ingest.routes import read_submission
from app.ingest.sink import PostgresSink
from app.ingest.statements import statement as ingest_statement
from app.settings import to_environ
from app.workers import schedule
from app.workers.event_ids import BATCH, purge_event_ids
from app.workers.leftovers import purge_idempotency, purge_revocations
from app.workers.outcomes import compact_outcomes
from app.workers.partitions import extend_partitions
from app.workers.queue import JobQueue, job_app
from app.workers.removals import finish_removals
from app.workers.resources import WorkerResources, open_worker_resources
from app.workers.rounds import visit_clients
from app.workers.schema import ensure_job_tables
from app.workers.stalled import drop_stalled_jobs
from provisioning.audit import GROVE
from provisioning.grafana.orders import request_reconciliation
from tenants.clock import utc_now
from tenants.control import SERVING_LOGIN
from tenants.databases import Databases
from tenants.placement import Placement, Purpose, TenantContext
from tenants.registry import with_login
from tenants.vault import Vault
from tests.support.grove import SECRET_KEY, Grove, MadeClient, open_grove
from tests.support.waiting import until

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
NOBODY = "postgresql://a:b@127.0.0.1:1/x"


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application whose worker each test starts itself."""
    async with open_grove(postgres.url) as running:
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    async with grove.worker():
        return await grove.make_client("maple")


@pytest.fixture
async def admin(grove: Grove) -> AsyncIterator[asyncpg.Connection]:
    """The administrator's connection to the database; the queue's triggers name no schema."""
    connection = await asyncpg.connect(grove.settings.main_url, server_settings={"search_path": "grove_jobs"})
    yield connection
    await connection.close()


@pytest.fixture
async def resources(grove: Grove) -> AsyncIterator[WorkerResources]:
    """What regular jobs work with, at a fixed time."""
    async with open_worker_resources(grove.settings, clock=lambda: NOW) as opened:
        yield opened


async def order(grove: Grove, client_id: str) -> str:
    """Order a client and return its operation's path."""
    answer = await grove.http.post("/api/v1/clients", json={"id": client_id, "name": client_id}, headers=grove.platform)
    assert answer.status_code == 202
    return str(answer.headers["location"])


async def wait_done(grove: Grove, path: str, *, within_s: float = 15) -> dict[str, Any]:
    """Wait until an operation has succeeded."""
    seen: dict[str, Any] = {}

    async def is_done() -> bool:
        seen.update((await grove.http.get(path, headers=grove.platform)).json())
        return bool(seen["state"] == "succeeded")

    await until(is_done, within_s=within_s)
    return seen


async def schema_of(admin: asyncpg.Connection, client_id: str) -> str:
    """Name a client's schema."""
    query = "SELECT schema_name FROM grove.placements WHERE client_id = $1"
    return str(await admin.fetchval(query, client_id))


async def test_an_operation_whose_job_was_lost_is_found_and_carried_out(
    grove: Grove, admin: asyncpg.Connection
) -> None:
    path = await order(grove, "lost")
    await admin.execute("DELETE FROM grove_jobs.procrastinate_jobs")
    async with grove.worker():
        done = await wait_done(grove, path)
    assert {step["attempts"] for step in done["steps"]} == {1}


async def test_an_operation_whose_runner_died_is_taken_over(grove: Grove, admin: asyncpg.Connection) -> None:
    path = await order(grove, "orphan")
    await admin.execute("DELETE FROM grove_jobs.procrastinate_jobs")
    await admin.execute(
        "UPDATE grove.operations SET state = 'running', runner = 'dead', lease_until = now() + interval '2 seconds' "
        "WHERE client_id = 'orphan'"
    )
    async with grove.worker():
        await wait_done(grove, path)


async def test_two_workers_carry_each_operation_out_once(grove: Grove) -> None:
    async with grove.worker(), grove.worker():
        paths = [await order(grove, f"twin{number}") for number in range(4)]
        done = [await wait_done(grove, path) for path in paths]
    assert {step["attempts"] for operation in done for step in operation["steps"]} == {1}


async def test_a_worker_goes_on_after_all_its_connections_were_cut(grove: Grove, admin: asyncpg.Connection) -> None:
    async with grove.worker():
        await wait_done(grove, await order(grove, "before"))
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await wait_done(grove, await order(grove, "after"))


async def test_finished_jobs_leave_nothing_in_the_queue(grove: Grove, admin: asyncpg.Connection) -> None:
    async with grove.worker():
        await wait_done(grove, await order(grove, "tidy"))

        async def nothing_left() -> bool:
            jobs = "SELECT FROM grove_jobs.procrastinate_jobs WHERE task_name = 'operations.run'"
            return not await admin.fetch(jobs)

        # The job ends a moment after its operation; a worker that stops in between leaves it to be dropped later.
        await until(nothing_left, within_s=5)


async def test_a_queue_that_is_away_is_no_error() -> None:
    queue = JobQueue(NOBODY)
    await queue.defer_operation(uuid.uuid4())
    await queue.close()


async def test_an_operation_waits_in_the_queue_once_however_often_it_is_asked_for(
    grove: Grove, admin: asyncpg.Connection
) -> None:
    serving_url = with_login(
        grove.settings.main_url, user=SERVING_LOGIN, password=Vault(SECRET_KEY).password_for("serve/main")
    )
    queue, operation_id = JobQueue(serving_url), uuid.uuid4()
    await asyncio.gather(*(queue.defer_operation(operation_id) for _ in range(5)))
    await queue.close()
    query = "DELETE FROM grove_jobs.procrastinate_jobs WHERE args ->> 'operation_id' = $1 RETURNING id"
    assert len(await admin.fetch(query, str(operation_id))) == 1


async def test_the_serving_login_may_put_jobs_in_and_nothing_else(grove: Grove) -> None:
    serving_url = with_login(
        grove.settings.main_url, user=SERVING_LOGIN, password=Vault(SECRET_KEY).password_for("serve/main")
    )
    serving = await asyncpg.connect(serving_url)
    for statement in (
        "SELECT args FROM grove_jobs.procrastinate_jobs",
        "DELETE FROM grove_jobs.procrastinate_jobs",
        "UPDATE grove_jobs.procrastinate_jobs SET args = '{}'",
        "SELECT FROM grove_jobs.procrastinate_events",
        "INSERT INTO grove_jobs.procrastinate_workers DEFAULT VALUES",
        "DELETE FROM grove_jobs.applied",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await serving.execute(statement)
    await serving.close()


async def test_the_queues_tables_are_upgraded_by_whoever_comes_first(grove: Grove, admin: asyncpg.Connection) -> None:
    """A database that lacks the newest migration gets it once, however many start at a time."""
    newest = await admin.fetchval("SELECT max(name) FROM grove_jobs.applied WHERE name <> 'schema'")
    await admin.execute("DELETE FROM grove_jobs.applied WHERE name = $1", newest)
    await admin.execute("DROP FUNCTION IF EXISTS grove_jobs.procrastinate_retry_job_v1")
    await asyncio.gather(*(ensure_job_tables(grove.settings.main_url, serving_login=SERVING_LOGIN) for _ in range(3)))
    assert await admin.fetchval("SELECT max(name) FROM grove_jobs.applied WHERE name <> 'schema'") == newest


async def test_jobs_of_a_dead_worker_are_dropped(grove: Grove, admin: asyncpg.Connection) -> None:
    await admin.execute(
        "WITH dead AS (INSERT INTO grove_jobs.procrastinate_workers (last_heartbeat) "
        "VALUES (now() - interval '1 hour') RETURNING id) "
        "INSERT INTO grove_jobs.procrastinate_jobs (queue_name, task_name, status, worker_id) "
        "SELECT 'regular', 'regular.sweep_operations', 'doing', id FROM dead"
    )
    app = job_app(grove.settings.main_url, connections=1)
    async with app.open_async():
        assert await drop_stalled_jobs(app.job_manager) == 1
        assert await drop_stalled_jobs(app.job_manager) == 0


async def test_outcome_counts_are_compacted_without_changing_any_sum(
    maple: MadeClient, admin: asyncpg.Connection, resources: WorkerResources
) -> None:
    schema, key = await schema_of(admin, maple.id), uuid.uuid4()
    old, recent = NOW.replace(minute=0) - timedelta(hours=5), NOW.replace(minute=0) - timedelta(hours=1)
    rows = [(flush, old, key, "stored", "", flush) for flush in range(1, 51)]
    rows += [(0, old, key, "stored", "", 1000), (3, old, key, "quarantined", "too_old", 7)]
    rows += [(99, recent, key, "stored", "", 5)]
    await admin.copy_records_to_table("outcome_counts", schema_name=schema, records=rows)
    await asyncio.gather(*(compact_outcomes(resources) for _ in range(3)))
    kept = await admin.fetch(
        f'SELECT flush, hour, outcome, reason, n FROM "{schema}".outcome_counts ORDER BY 1, 2, 3'  # noqa: S608 - our own
    )
    assert [tuple(row) for row in kept] == [
        (0, old, "quarantined", "too_old", 7),
        (0, old, "stored", "", 1000 + sum(range(1, 51))),
        (99, recent, "stored", "", 5),
    ]
    assert await compact_outcomes(resources) == 0


async def test_event_ids_past_the_window_are_forgotten(
    maple: MadeClient, admin: asyncpg.Connection, resources: WorkerResources
) -> None:
    schema, today = await schema_of(admin, maple.id), NOW.date()
    window = timedelta(days=resources.settings.duplicate_window_days)
    rows = [(uuid.uuid4(), 1, 1, today - window - timedelta(days=1)) for _ in range(BATCH + 10)]
    rows += [(uuid.uuid4(), 1, 1, today - window), (uuid.uuid4(), 1, 1, today)]
    await admin.copy_records_to_table("event_ids", schema_name=schema, records=rows)
    assert await purge_event_ids(resources) == BATCH + 10
    assert await purge_event_ids(resources) == 0
    assert await admin.fetchval(f'SELECT count(*) FROM "{schema}".event_ids') == 2  # noqa: S608 - our own


async def test_an_id_that_is_purged_while_it_comes_again_is_claimed_by_the_event_that_is_stored(
    grove: Grove, maple: MadeClient
) -> None:
    placement = await grove.placement_of(maple.id)
    body = msgspec.json.encode({"event_id": f"{uuid.uuid4()}", "name": "page_view"})
    purges = 0

    def purge(_placement: Placement, _purpose: Purpose, sql: str, _args: Sequence[Any]) -> None:
        nonlocal purges
        if sql == ingest_statement(placement, "recall_ids") and purges == 0:
            purges += 1
            with psycopg.connect(grove.settings.main_url, autocommit=True) as other:
                other.execute(f'DELETE FROM "{placement.schema}".event_ids')  # noqa: S608 - our own

    databases, ids = Databases(grove.settings, observe=purge), FlushIds(0)
    sink, found = PostgresSink(databases), []
    for _ in range(3):
        arrival = Arrival(key_id=UUID(bytes(16)), received_at=utc_now(), oldest=NOW, accepts_chat=True)
        flush = Flush(id=ids.next(), submissions=[read_submission(body, arrival)])
        (answer,) = await sink.store(placement, flush)
        found.append((answer.accepted, answer.duplicates))
    await databases.close()
    assert (found, purges) == ([(1, 0), (1, 0), (0, 1)], 1)


async def test_partitions_are_made_before_they_are_needed(
    grove: Grove, maple: MadeClient, admin: asyncpg.Connection
) -> None:
    schema = await schema_of(admin, maple.id)
    async with open_worker_resources(grove.settings, clock=lambda: NOW + timedelta(days=365)) as later:
        assert await extend_partitions(later) >= 1
        assert await extend_partitions(later) == 0
    assert await admin.fetchval("SELECT to_regclass($1)", f'"{schema}".events_2027') is not None


async def test_a_client_whose_database_is_away_holds_up_no_other(
    grove: Grove, maple: MadeClient, admin: asyncpg.Connection, resources: WorkerResources
) -> None:
    async with grove.worker():
        await grove.make_client("aaa")
    await admin.execute("UPDATE grove.placements SET database = 'gone' WHERE client_id = 'aaa'")
    schema = await schema_of(admin, maple.id)
    old = [(1, NOW - timedelta(days=2), uuid.uuid4(), "stored", "", 1)]
    await admin.copy_records_to_table("outcome_counts", schema_name=schema, records=old)
    assert await compact_outcomes(resources) == 1
    await admin.execute("UPDATE grove.placements SET database = current_database() WHERE client_id = 'aaa'")


async def test_answers_and_revocations_are_forgotten_when_their_time_is_over(
    admin: asyncpg.Connection, resources: WorkerResources
) -> None:
    await admin.execute("DELETE FROM grove.idempotency; DELETE FROM grove.revocations")
    insert = "INSERT INTO grove.idempotency (actor, key, request_hash, created_at) VALUES ('a', $1, '', $2)"
    await admin.executemany(insert, [("old", NOW - timedelta(hours=25)), ("new", NOW - timedelta(hours=23))])
    insert = "INSERT INTO grove.revocations (kind, subject, at) VALUES ('key', $1, $2)"
    await admin.executemany(insert, [("old", NOW - timedelta(hours=2)), ("new", NOW)])
    assert (await purge_idempotency(resources), await purge_revocations(resources)) == (1, 1)
    assert await admin.fetchval("SELECT string_agg(key, ',') FROM grove.idempotency") == "new"
    assert await admin.fetchval("SELECT string_agg(subject, ',') FROM grove.revocations") == "new"


async def test_a_client_is_removed_when_its_grace_is_over_and_not_before(grove: Grove) -> None:
    jobs = JobQueue(grove.settings.main_url)
    async with grove.worker():
        made = await grove.make_client("fallen")
        await grove.http.delete(made.path, headers=grove.platform)
        after = (await grove.http.get(made.path, headers=grove.platform)).json()["deleteAfter"]
        end = datetime.fromisoformat(after)
        for now, removals in ((end - timedelta(seconds=1), 0), (end, 1)):
            async with open_worker_resources(grove.settings, clock=lambda now=now: now) as then:  # type: ignore[misc]
                assert await finish_removals(then, jobs) == removals

        async def is_gone() -> bool:
            return (await grove.http.get(made.path, headers=grove.platform)).status_code == 404

        await until(is_gone, within_s=15)
    await jobs.close()


async def test_a_worker_process_ends_in_order_when_it_is_told_to(grove: Grove) -> None:
    program = "from app.commands.worker import command; command()"
    path = await order(grove, "process")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=to_environ(grove.settings))
    try:
        await wait_done(grove, path)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_what_waited_for_another_operation_of_its_client_is_run_as_soon_as_that_has_ended(
    grove: Grove, maple: MadeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "regular_jobs", lambda *_: [])
    jobs = JobQueue(grove.settings.main_url)
    async with open_worker_resources(grove.settings) as opened:
        first, second = [await add_reconciliation(opened, maple.id) for _ in range(2)]
    await jobs.defer_operation(first)
    async with grove.worker():
        for operation_id in (first, second):
            await wait_done(grove, f"/api/v1/operations/{operation_id}")
    await jobs.close()


async def add_reconciliation(resources: WorkerResources, client_id: str) -> uuid.UUID:
    async with resources.control.session() as session:
        return await request_reconciliation(session, client_id, GROVE, rotate=True)


async def test_a_client_whose_visit_fails_in_an_unforeseen_way_ends_no_round(
    resources: WorkerResources, maple: MadeClient
) -> None:
    async def visit(client: TenantContext) -> int:
        if client.tenant_id == maple.id:
            message = "something is missing"
            raise LookupError(message)
        return 1

    async with resources.control.session() as session:
        clients = await resources.registry.unscoped_clients(session)
    others = [client for client in clients if client.tenant_id != maple.id and client.status != "provisioning"]
    assert await visit_clients(resources, "test", visit) == len(others) > 0
