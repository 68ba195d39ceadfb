"""The chatbot analytics paths, asked over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar
from litestar.di import Provide

from app.api.analytics import handlers
from app.embedded.postgres import EmbeddedPostgres
from app.problems import handle_exception
from app.query.run import Analyst
from tenants.placement import PlacementKind
from tests.support.desks import Desk, open_desk
from tests.support.pools import open_databases
from tests.support.recount import ChatSession, Lead

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
async def desk(postgres: EmbeddedPostgres) -> AsyncIterator[Desk]:
    opened = await open_desk(postgres.url, PlacementKind.SCHEMA)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def analyst() -> AsyncIterator[Analyst]:
    async with open_databases() as databases:
        yield Analyst(databases)


@pytest.fixture(scope="module")
async def http(desk: Desk, analyst: Analyst) -> AsyncIterator[AsyncClient]:
    client = msgspec.structs.replace(desk.client, timezone="Europe/Berlin")
    given = {"client": client, "clock": lambda: NOW, "analyst": analyst}

    def provider(name: str) -> Provide:
        return Provide(lambda: given[name], sync_to_thread=False)

    app = Litestar(
        route_handlers=handlers,
        dependencies={name: provider(name) for name in given},
        exception_handlers={Exception: handle_exception},
        logging_config=None,
    )
    async with AsyncClient(transport=ASGITransport(app=cast("Any", app)), base_url="http://grove.test") as opened:
        yield opened


def steps(at: datetime, *minutes: int | None) -> tuple[datetime | None, ...]:
    times = [None if minute is None else at + timedelta(minutes=minute) for minute in minutes]
    return (*times, *[None] * (6 - len(times)))


async def get(http: AsyncClient, path: str, **params: str | int) -> dict[str, Any]:
    response = await http.get(f"/api/maple/{path}", params=params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture
async def month(desk: Desk) -> None:
    morning = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    sessions = [
        ChatSession("a", steps(morning, 0, 1, 2, 3), morning),
        ChatSession("b", steps(morning, 0, 1, 2, None, 4), morning),
        ChatSession("c", steps(morning + timedelta(hours=5), 0), morning),
        ChatSession("d", steps(datetime(2026, 10, 22, 22, tzinfo=UTC), 0), morning),
        ChatSession("too early", steps(datetime(2026, 10, 22, 21, 59, tzinfo=UTC), 0), morning),
    ]
    leads = [Lead("a", "widget", morning), Lead("x", None, morning)]
    await desk.fill(sessions, leads)


@pytest.mark.usefixtures("month")
async def test_the_funnel_of_thirty_days(http: AsyncClient) -> None:
    answer = await get(http, "funnel")
    assert {name: answer[name] for name in ("clientId", "from", "to", "tz", "sessions")} == {
        "clientId": "maple",
        "from": "2026-10-22T22:00:00Z",
        "to": "2026-11-21T23:00:00Z",
        "tz": "Europe/Berlin",
        "sessions": 4,
    }
    assert answer["steps"][2] == {"name": "humanRequests", "count": 2, "rateOfPrevious": 100.0, "rateOfFirst": 50.0}
    assert answer["acceptVsCallback"] == {"accepts": 1, "callbacks": 1, "acceptRate": 50.0, "callbackRate": 50.0}


@pytest.mark.usefixtures("month")
async def test_the_days_and_the_hours(http: AsyncClient) -> None:
    days = (await get(http, "daily"))["days"]
    assert (len(days), days[0]["date"], days[-1]["date"]) == (30, "2026-10-23", "2026-11-21")
    assert [day["sessions"] for day in days if day["sessions"]] == [1, 3]
    hourly = await get(http, "hourly", tz="Asia/Kathmandu", **{"from": "2026-11-01"})
    assert (len(hourly["hours"]), hourly["peakHour"]) == (24, 14)


@pytest.mark.usefixtures("month")
async def test_the_leads(http: AsyncClient) -> None:
    answer = await get(http, "leads", **{"from": "2026-11-20", "to": "2026-11-20"})
    assert answer["days"] == [{"date": "2026-11-20", "leads": 2}]
    assert answer["sources"] == [{"source": "widget", "leads": 1}, {"source": None, "leads": 1}]
    assert (answer["available"], answer["sessions"], answer["convertedSessions"]) == (True, 3, 1)
    assert answer["conversionRate"] == 33.33


@pytest.mark.usefixtures("month")
async def test_the_pages_of_sessions(http: AsyncClient) -> None:
    first = await get(http, "sessions", limit=3)
    assert [row["sessionId"] for row in first["data"]] == ["c", "b", "a"]
    assert (first["data"][1]["outcome"], first["data"][1]["durationS"]) == ("callback", 240.0)
    second = await get(http, "sessions", limit=3, cursor=first["meta"]["next"])
    assert [row["sessionId"] for row in second["data"]] == ["d"]
    assert second["meta"] == {"next": None}


@pytest.mark.usefixtures("month")
async def test_the_check(http: AsyncClient) -> None:
    answer = await get(http, "test")
    assert (answer["ok"], answer["reachable"], answer["placement"]) == (True, True, "schema")
    assert answer["tables"][0]["rows"] == 5


@pytest.mark.parametrize("path", ["funnel", "daily", "hourly", "leads", "sessions"])
@pytest.mark.parametrize(
    ("params", "pointer", "code"),
    [
        ({"tz": "Moon/Crater"}, "tz", "unknown_timezone"),
        ({"from": "soon"}, "from", "invalid_time"),
        ({"to": "2026-11-31"}, "to", "invalid_time"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from", "invalid_period"),
    ],
)
async def test_a_bad_parameter_is_refused_by_its_name(
    http: AsyncClient, path: str, params: dict[str, str], pointer: str, code: str
) -> None:
    response = await http.get(f"/api/maple/{path}", params=params)
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
    assert response.json()["code"] == code
    assert response.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("path", ["funnel", "daily", "hourly", "leads", "sessions", "test"])
async def test_every_question_takes_the_same_period_and_leaves_aside_what_it_does_not_know(
    http: AsyncClient, path: str
) -> None:
    params = {"from": "2026-11-01", "to": "2026-11-02", "tz": "Europe/Berlin", "_": "1763690000"}
    assert (await http.get(f"/api/maple/{path}", params=params)).status_code == 200


@pytest.mark.parametrize(("name", "value"), [("tz", "UTC"), ("from", "2026-11-01"), ("to", "2026-11-02")])
async def test_a_parameter_that_is_given_twice_is_refused_by_its_name(http: AsyncClient, name: str, value: str) -> None:
    for path in ("funnel", "daily", "hourly", "leads", "sessions"):
        response = await http.get(f"/api/maple/{path}", params=[(name, value), (name, value)])
        assert response.status_code == 400, response.text
        assert response.json()["errors"][0]["pointer"] == name


@pytest.mark.parametrize("limit", ["0", "-1", "201", "ten", "1.5", ""])
async def test_a_bad_limit_is_refused_by_its_name(http: AsyncClient, limit: str) -> None:
    response = await http.get("/api/maple/sessions", params={"limit": limit})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "limit"


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "e30", "WyIyMDI2LTExLTAxVDAwOjAwOjAwIiwiYSJd", "WyIyMDI2LTExLTAxVDAwOjAwOjAwWiIsIlx1MDAwMCJd"],
    ids=["empty", "no base64", "no position", "no zone", "NUL"],
)
async def test_a_cursor_that_is_none_of_ours_is_refused_by_its_name(http: AsyncClient, cursor: str) -> None:
    response = await http.get("/api/maple/sessions", params={"cursor": cursor})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"].strip("/") == "cursor"


async def test_the_documentation_names_every_path_parameter_and_unit(http: AsyncClient) -> None:
    schema = (await http.get("/schema/openapi.json")).json()
    operation = schema["paths"]["/api/{client_id}/funnel"]["get"]
    assert {parameter["name"] for parameter in operation["parameters"]} >= {"from", "to", "tz"}
    example = next(iter(operation["responses"]["200"]["content"]["application/json"]["examples"].values()))
    assert example["value"]["acceptVsCallback"]["acceptRate"] == 57.75
    step = next(part for name, part in schema["components"]["schemas"].items() if name.endswith("FunnelStep"))
    assert step["properties"]["rateOfPrevious"]["description"].startswith("Percent")
