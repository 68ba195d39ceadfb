"""Which attached databases can be read."""

import pytest

from tenants.placement import SourceMap
from tenants.sources import STEPS, SourceColumn, judge_shape

TIMES = dict.fromkeys(STEPS, "timestamp without time zone")
SESSIONS = {"sessionId": "uuid", **TIMES, "createdAt": "timestamp with time zone", "updatedAt": "date"}


def columns(types: dict[str, str]) -> dict[str, SourceColumn]:
    return {name: SourceColumn(kind) for name, kind in types.items()}


def without(*names: str) -> dict[str, str]:
    return {name: kind for name, kind in SESSIONS.items() if name not in names}


def test_only_the_sessions_are_needed() -> None:
    shape = judge_shape({"UserEvents": columns(SESSIONS)}, SourceMap())
    assert shape.fit
    assert shape.remarks == dict.fromkeys(("Leads", "ChatLog", "AgentConnection"), ("was not found",))


def test_tables_and_columns_are_found_under_their_own_names() -> None:
    source = SourceMap(tables={"UserEvents": "visits"}, columns={"UserEvents": {"sessionId": "id"}})
    shape = judge_shape({"visits": columns({**without("sessionId"), "id": "bigint"})}, source)
    assert shape.tables["UserEvents"]["sessionId"].type == "bigint"
    assert "UserEvents" not in shape.remarks


def test_a_step_that_is_missing_is_remarked() -> None:
    shape = judge_shape({"UserEvents": columns(without("pressedContinue"))}, SourceMap())
    assert shape.fit
    assert shape.remarks["UserEvents"] == ('has no "pressedContinue"',)


def test_a_step_may_be_a_tick_where_the_row_has_a_time() -> None:
    assert judge_shape({"UserEvents": columns({**SESSIONS, "pageLoaded": "boolean"})}, SourceMap()).fit


@pytest.mark.parametrize(
    ("types", "remark"),
    [
        (without("sessionId"), 'has no "sessionId"'),
        (without(*STEPS), "has none of the steps"),
        ({**SESSIONS, "widgetOpened": "text"}, 'has "widgetOpened" as text, which is no time'),
        ({**without("createdAt"), "pageLoaded": "boolean"}, 'has "pageLoaded" as boolean, which is no time'),
        ({**SESSIONS, "createdAt": "boolean"}, 'has "createdAt" as boolean, which is no time'),
        ({}, "was not found"),
    ],
)
def test_sessions_that_cannot_be_read_are_refused_in_words(types: dict[str, str], remark: str) -> None:
    shape = judge_shape({"UserEvents": columns(types)} if types else {}, SourceMap())
    assert not shape.fit
    assert remark in shape.remarks["UserEvents"]


@pytest.mark.parametrize(
    ("types", "remark"),
    [
        ({"sessionId": "text", "source": "text"}, 'has no "createdAt"'),
        ({"sessionId": "text", "createdAt": "bigint"}, 'has "createdAt" as bigint, which is no time'),
    ],
)
def test_an_optional_table_that_cannot_be_read_is_as_good_as_absent(types: dict[str, str], remark: str) -> None:
    shape = judge_shape({"UserEvents": columns(SESSIONS), "Leads": columns(types)}, SourceMap())
    assert shape.fit
    assert "Leads" not in shape.tables
    assert remark in shape.remarks["Leads"]
