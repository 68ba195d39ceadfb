"""The SQL that a question becomes."""

import pytest

from app.query.plan import bind_values, plan_question
from tenants.ids import TenantId
from tenants.placement import Placement, PlacementKind, SourceMap
from tenants.relations import OWN_SHAPE
from tenants.sources import SourceColumn, SourceShape

OWN = Placement(
    tenant_id=TenantId("maple"),
    kind=PlacementKind.SCHEMA,
    server="main",
    database="grove",
    serve_url="postgresql://serve@localhost/grove",
    schema='t_"x',
    owner_role="o",
    writer_role="w",
    reader_role="r",
    login_role="l",
)


def attached(source: SourceMap) -> Placement:
    fields = {name: getattr(OWN, name) for name in OWN.__struct_fields__}
    return Placement(
        **{**fields, "kind": PlacementKind.EXTERNAL, "source_url": "postgresql://x@localhost/x", "source": source}
    )


def shape_of(**columns: str) -> SourceShape:
    return SourceShape(tables={"UserEvents": {name: SourceColumn(kind) for name, kind in columns.items()}})


def test_a_session_starts_as_the_index_has_it() -> None:
    statement = plan_question("SELECT FROM chat_sessions", {}, OWN)
    assert (
        'coalesce("pageLoaded", least("widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback", '
        '"pressedContinue")) AS started_at'
    ) in statement.sql
    assert '"sessionId" AS session_id' in statement.sql
    assert 'FROM "t_""x"."UserEvents"' in statement.sql
    assert statement.args == ()


def test_only_the_relations_that_are_asked_for_are_defined() -> None:
    sql = plan_question("SELECT FROM leads", {}, OWN).sql
    assert "leads AS NOT MATERIALIZED" in sql
    assert "UserEvents" not in sql


def test_times_without_a_zone_are_read_in_that_of_the_source() -> None:
    source = SourceMap(schema="old", timezone="Asia/Tokyo")
    shape = shape_of(sessionId="uuid", pageLoaded="timestamp without time zone", widgetOpened="date")
    statement = plan_question(
        "SELECT FROM chat_sessions WHERE started_at >= :from_at", {"from_at": 1}, attached(source), shape
    )
    assert '("pageLoaded" AT TIME ZONE $1::text) AS page_loaded' in statement.sql
    assert '("widgetOpened"::timestamp AT TIME ZONE $1::text) AS widget_opened' in statement.sql
    assert """coalesce("sessionId"::text, '') AS session_id""" in statement.sql
    assert "NULL::timestamptz AS pressed_accept" in statement.sql
    assert statement.args == ("Asia/Tokyo", 1)


def test_a_step_that_is_only_ticked_happened_when_the_row_was_created() -> None:
    shape = shape_of(sessionId="text", pageLoaded="boolean", createdAt="timestamp with time zone")
    sql = plan_question("SELECT FROM chat_sessions", {}, attached(SourceMap()), shape).sql
    assert 'CASE WHEN "pageLoaded" THEN "createdAt" END AS page_loaded' in sql


def test_names_of_a_source_are_mapped_and_quoted() -> None:
    source = SourceMap(schema='a"b', tables={"UserEvents": "v;--"}, columns={"UserEvents": {"sessionId": "s:id'"}})
    sql = plan_question("SELECT FROM chat_sessions", {}, attached(source), shape_of(sessionId="text")).sql
    assert 'FROM "a""b"."v;--"' in sql
    assert """coalesce("s:id'", '') AS session_id""" in sql


def test_a_table_that_is_absent_has_no_rows() -> None:
    sql = plan_question("SELECT FROM leads", {}, attached(SourceMap()), shape_of(sessionId="text")).sql
    assert "NULL::text AS source" in sql
    assert "WHERE false" in sql


@pytest.mark.parametrize(
    ("sql", "bound", "args"),
    [
        ("SELECT :b, :a, :b", "SELECT $1, $2, $1", (2, 1)),
        ("SELECT :a::text", "SELECT $1::text", (1,)),
        ("SELECT ':a', \":b\", x::b -- :a's\n, :b", "SELECT ':a', \":b\", x::b -- :a's\n, $1", (2,)),
        ("SELECT 'it''s :a', \"q\"\":b\"", "SELECT 'it''s :a', \"q\"\":b\"", ()),
    ],
)
def test_named_values_are_numbered(sql: str, bound: str, args: tuple[int, ...]) -> None:
    statement = bind_values(sql, {"a": 1, "b": 2})
    assert (statement.sql, statement.args) == (bound, args)


def test_a_value_that_is_missing_is_a_fault() -> None:
    with pytest.raises(KeyError):
        bind_values("SELECT :unknown", {})


def test_own_tables_have_everything() -> None:
    assert OWN_SHAPE.fit
    assert set(OWN_SHAPE.tables) == {"UserEvents", "Leads", "ChatLog", "AgentConnection"}
