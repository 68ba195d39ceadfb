"""What a dashboard's page asks of Grafana for each of its panels.

Used by the tests and the benchmark that open whole dashboards, each with a way of its own to send the request.
"""

from collections.abc import Iterator
from typing import Any


def panel_requests(model: dict[str, Any], *, since: str = "now-7d", until: str = "now") -> Iterator[dict[str, Any]]:
    """List the bodies for `POST /api/ds/query`, a panel each, with the dashboard's variables at what they stand on."""
    values = {each["name"]: str(each["current"]["value"]) for each in model["templating"]["list"]}
    for panel in model["panels"]:
        queries = [_query(target, panel, values) for target in panel.get("targets", [])]
        if queries:
            yield {"from": since, "to": until, "queries": queries}


def _query(target: dict[str, Any], panel: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    sql = target["rawSql"]
    for name, value in values.items():
        sql = sql.replace(f"${{{name}}}", value)
    uid = (target.get("datasource") or panel["datasource"])["uid"]
    timing = {"refId": "A", "intervalMs": 60_000, "maxDataPoints": 500}
    return timing | target | {"rawSql": sql, "datasource": {"uid": uid}}
