"""The attempts of an isolation check: what a role of one client might try, as statements that must all be denied.

Pure; run by `provisioning.isolation`, each in a transaction that is rolled back whatever comes of it.
"""

import msgspec

from provisioning.sqltext import literal
from tenants.ids import function_prefix, quote
from tenants.placement import Placement


class Attempt(msgspec.Struct, frozen=True):
    """One statement against one wall."""

    wall: str
    attempt: str
    sql: str


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beyond the walls: a schema made for the check, and another client of the same database if there is one.

    Shape: `probe_oid` and `probe_schema` belong to the former; `administrator` and `administrator_pid` to the
    connection that made it.
    """

    probe_schema: str
    probe_oid: int
    administrator: str
    administrator_pid: int
    neighbour: Placement | None = None


_CATALOGS = (
    "pg_class", "pg_attribute", "pg_namespace", "pg_proc", "pg_type", "pg_roles", "pg_authid", "pg_auth_members",
    "pg_database", "pg_db_role_setting", "pg_stats", "pg_tables", "pg_indexes", "pg_views", "pg_user", "pg_group",
)  # fmt: skip
_REGISTRY = (
    "clients", "servers", "placements", "api_keys", "operations", "audit_log", "staff", "staff_sessions",
    "one_time_tokens", "login_failures", "outgoing_mail", "dashboards_installed",
)  # fmt: skip
_STATISTICS = (
    "pg_stat_activity", "pg_stat_all_tables", "pg_stat_user_tables", "pg_stat_database", "pg_stat_user_indexes",
    "pg_statio_all_tables", "pg_locks", "pg_stat_replication",
)  # fmt: skip


def attempts_of_any_role(targets: Targets) -> list[Attempt]:
    """List what no role of a client may do, in Grove's databases."""
    return [
        *_neighbours(targets), *_control_plane(), *_catalogs(targets), *_server(targets), *_storage(), *_making(),
    ]  # fmt: skip


def attempts_of_readers(own: Placement) -> list[Attempt]:
    """List what readers may not do to their own client's data, also after unsetting what is merely a default."""
    events = f"{quote(own.schema)}.events"
    unset = "SET LOCAL default_transaction_read_only = off; SET LOCAL transaction_read_only = off; "
    statements = {
        "insert": f"INSERT INTO {events} (event_id, name, occurred_at, received_at, properties, key_id) "
        "VALUES (gen_random_uuid(), 'x', now(), now(), '{}', gen_random_uuid())",
        "update": f"UPDATE {events} SET name = 'x'",
        "delete": f"DELETE FROM {events}",
        "truncate": f"TRUNCATE {events}",
    }
    return [
        Attempt("read only", f"{verb} own events after unsetting read-only", unset + sql)
        for verb, sql in statements.items()
    ]


def attempts_of_writer(own: Placement) -> list[Attempt]:
    """List what the writer, which only ever appends events, may not do to its own client's."""
    events = f"{quote(own.schema)}.events"
    return [
        Attempt("append only", "delete own events", f"DELETE FROM {events}"),
        Attempt("append only", "change own events", f"UPDATE {events} SET name = 'x'"),
        Attempt("append only", "truncate own events", f"TRUNCATE {events}"),
        Attempt("append only", "drop own events", f"DROP TABLE {events}"),
    ]


def attempts_of_serving_login(own: Placement, targets: Targets) -> list[Attempt]:
    """List what the serving login may not do by itself, without taking a client's role."""
    return [
        Attempt("no role, no data", "read a client's events", f"SELECT count(*) FROM {quote(own.schema)}.events"),
        Attempt("no role, no data", "empty a client's table", f'DELETE FROM {quote(own.schema)}."UserEvents"'),
        *_roles([own.owner_role, own.login_role, targets.administrator]),
    ]


def attempts_of_login(own: Placement, targets: Targets) -> list[Attempt]:
    """List what the login reader, which is handed to a dashboard's SQL editor, may not do beyond all others."""
    names = [own.owner_role, own.writer_role, own.reader_role, targets.administrator]
    if targets.neighbour is not None:
        names += [targets.neighbour.reader_role, targets.neighbour.writer_role, targets.neighbour.login_role]
    hidden = [
        Attempt("own tables", f"read own {table}", f"SELECT count(*) FROM {quote(own.schema)}.{quote(table)}")
        for table in ("quarantine", "event_ids", "event_repeats", "outcome_counts")
    ]
    return [*hidden, *_roles(names)]


def attempts_of_source(schema: str, table: str, administrator: str) -> list[Attempt]:
    """List what the read-only login to an attached database may not do there."""
    unset = "SET LOCAL default_transaction_read_only = off; SET LOCAL transaction_read_only = off; "
    chat = f"{quote(schema)}.{quote(table)}"
    return [
        Attempt("read only", "delete chat sessions", f"{unset}DELETE FROM {chat}"),
        Attempt("read only", "insert a chat session", f"{unset}INSERT INTO {chat} DEFAULT VALUES"),
        Attempt("read only", "truncate the chat sessions", f"{unset}TRUNCATE {chat}"),
        Attempt("read only", "make a table beside them", f"{unset}CREATE TABLE {quote(schema)}.grove_probe (x int)"),
        Attempt("read only", "make a schema", f"{unset}CREATE SCHEMA grove_probe"),
        *_roles([administrator]),
        *_files(),
    ]


def _neighbours(targets: Targets) -> list[Attempt]:
    places = [("a schema made for this check", targets.probe_schema, "events")]
    if targets.neighbour is not None:
        places.append(("another client", targets.neighbour.schema, "events"))
    found = []
    for whose, schema, table in places:
        name = f"{quote(schema)}.{quote(table)}"
        found += [
            Attempt("other clients", f"read the events of {whose}", f"SELECT count(*) FROM {name}"),
            Attempt("other clients", f"call a function of {whose}", f"SELECT {function_prefix(schema)}rollup_zone()"),
            Attempt("other clients", f"write into the events of {whose}", f"INSERT INTO {name} DEFAULT VALUES"),
            Attempt("other clients", f"change the events of {whose}", f"UPDATE {name} SET name = 'x'"),
            Attempt("other clients", f"delete the events of {whose}", f"DELETE FROM {name}"),
            Attempt("other clients", f"truncate the events of {whose}", f"TRUNCATE {name}"),
            Attempt("other clients", f"make a table at {whose}", f"CREATE TABLE {quote(schema)}.grove_probe (x int)"),
        ]
    return found


def _control_plane() -> list[Attempt]:
    return [
        Attempt("control plane", f"read grove.{table}", f"SELECT count(*) FROM grove.{table}") for table in _REGISTRY
    ] + [
        Attempt("control plane", "change clients", "UPDATE grove.clients SET status = 'active'"),
        Attempt("control plane", "make a key", "INSERT INTO grove.api_keys DEFAULT VALUES"),
        Attempt("control plane", "read queued jobs", "SELECT count(*) FROM grove_jobs.procrastinate_jobs"),
    ]


def _catalogs(targets: Targets) -> list[Attempt]:
    oid = targets.probe_oid
    catalogs = {
        "definition by number": f"pg_get_indexdef({oid})",
        "description of a foreign table": f"pg_describe_object('pg_catalog.pg_class'::regclass, {oid}, 0)",
        "file of a foreign table": f"pg_relation_filepath({oid})",
    }
    statistics = {
        "size of a foreign table": f"pg_relation_size({oid})",
        "rows of a foreign table": f"pg_stat_get_live_tuples({oid})",
        "sessions by function": "count(*) FROM pg_stat_get_activity(NULL)",
        "locks by function": "count(*) FROM pg_lock_status()",
        "size of the database": "pg_database_size(pg_catalog.current_database())",
        "transactions that run": "pg_current_snapshot()",
        "transactions that run, by the old name": "txid_current_snapshot()",
        "number of the next transaction": "pg_current_xact_id()",
        "age of a transaction": "age('3'::xid)",
        "bytes written by everybody": "pg_current_wal_lsn()",
        "last checkpoint": "next_xid FROM pg_control_checkpoint()",
        "start of the server": "pg_postmaster_start_time()",
    }
    return [
        *(Attempt("catalogs", f"read {name}", f"SELECT count(*) FROM pg_catalog.{name}") for name in _CATALOGS),
        *(Attempt("catalogs", f"ask for the {title}", f"SELECT {call}") for title, call in catalogs.items()),
        *(Attempt("statistics", f"read {name}", f"SELECT count(*) FROM pg_catalog.{name}") for name in _STATISTICS),
        *(Attempt("statistics", f"ask for the {title}", f"SELECT {call}") for title, call in statistics.items()),
    ]


def _server(targets: Targets) -> list[Attempt]:
    return [
        *_files(),
        Attempt("server", "interrupt another session", f"SELECT pg_cancel_backend({targets.administrator_pid})"),
        Attempt("server", "change the server's settings", "SET LOCAL session_preload_libraries = 'x'"),
        Attempt("server", "call another server", "SELECT public.dblink_connect('dbname=postgres')"),
        Attempt("server", "install an extension", "CREATE EXTENSION dblink"),
    ]


def _files() -> list[Attempt]:
    return [
        Attempt("files", "read a file", "SELECT pg_read_file('PG_VERSION')"),
        Attempt("files", "list a folder", "SELECT count(*) FROM pg_ls_dir('.')"),
        Attempt("files", "run a program", "COPY (SELECT 1) TO PROGRAM 'true'"),
        Attempt("files", "write a file", "COPY (SELECT 1) TO '/tmp/grove_probe'"),
        Attempt("files", "import a file", "SELECT lo_import('/etc/passwd')"),
    ]


def _storage() -> list[Attempt]:
    return [
        Attempt("storage", "make a temporary table", "CREATE TEMPORARY TABLE grove_probe (x int)"),
        Attempt("storage", "make a large object", "SELECT lo_create(0)"),
        Attempt("storage", "fill a large object", "SELECT lo_from_bytea(0, 'x')"),
        Attempt("locks", "take an advisory lock", "SELECT pg_try_advisory_xact_lock(7454721938276435047)"),
        Attempt("locks", "take a shared advisory lock", "SELECT pg_try_advisory_xact_lock_shared(1, 2)"),
        Attempt("storage", "write into the server's log of changes", "SELECT pg_logical_emit_message(true, 'x', 'x')"),
    ]


def _making() -> list[Attempt]:
    return [
        Attempt("making", "make a schema", "CREATE SCHEMA grove_probe"),
        Attempt("making", "make a table in schema public", "CREATE TABLE public.grove_probe (x int)"),
        Attempt(
            "making", "make a function", "CREATE FUNCTION public.grove_probe() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        ),
        Attempt("making", "run a block of PL/pgSQL", "DO 'BEGIN END'"),
        Attempt("making", "make a role", "CREATE ROLE t_grove_probe"),
        Attempt("making", "raise its own limits", "ALTER ROLE CURRENT_USER CONNECTION LIMIT 1000"),
    ]


def _roles(names: list[str]) -> list[Attempt]:
    found = [Attempt("roles", "take a role that is not its own", f"SET LOCAL ROLE {quote(name)}") for name in names]
    own = literal(names[-1])
    return [*found, Attempt("roles", "become another user", f"SET LOCAL SESSION AUTHORIZATION {own}")]
