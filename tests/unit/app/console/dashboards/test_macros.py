"""Macros and variables become the SQL that Grafana would send."""

from datetime import UTC, datetime

import pytest

from app.console.dashboards.macros import TemplateUnknown, expand, read_variables
from tenants.errors import InputRefused

FROM, TO = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 4, 1, 0, 0, 0, 5000, tzinfo=UTC)
MODEL = {
    "templating": {
        "list": [
            {"name": "tz", "type": "constant", "query": "UTC", "options": [{"value": "UTC"}]},
            {
                "name": "bucket", "label": "Per", "type": "custom", "current": {"value": "day"},
                "options": [{"value": "hour"}, {"value": "day"}],
            },
        ]
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFrom()::timestamptz", "'2026-03-29T01:00:00Z'::timestamptz"),
        ("x < $__timeTo()", "x < '2026-04-01T00:00:00.005000Z'"),
        ("'${tz}' $tz ${bucket}", "'it''s' it''s day"),
        ("'^a$' || '$'", "'^a$' || '$'"),
    ],
)
def test_what_is_known_is_expanded(sql: str, expanded: str) -> None:
    assert expand(sql, FROM, TO, {"tz": "it's", "bucket": "day"}) == expanded


@pytest.mark.parametrize("sql", ["$__unixEpochFrom()", "$__timeFilter(at)", "$__interval", "${other}"])
def test_what_is_not_known_is_a_fault(sql: str) -> None:
    with pytest.raises(TemplateUnknown):
        expand(sql, FROM, TO, {})


def test_a_variable_takes_one_of_its_options_alone() -> None:
    values, shown = read_variables(MODEL, {"bucket": "hour", "tz": "Mars/Base", "unheard": "x"})
    assert values == {"tz": "UTC", "bucket": "hour"}
    assert [(each.name, each.value, each.options) for each in shown] == [("bucket", "hour", ("hour", "day"))]
    assert read_variables(MODEL, {})[0]["bucket"] == "day"
    with pytest.raises(InputRefused) as refused:
        read_variables(MODEL, {"bucket": "day'; DROP"})
    assert refused.value.field == "var-bucket"
