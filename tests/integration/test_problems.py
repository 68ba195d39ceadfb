"""What callers are told when something is wrong, what the log says of it, and how Grove's health is asked for."""

import gzip
import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.body import MAX_BODY_BYTES
from app.observability import configure_logging
from app.problems import KINDS, Problem
from tests.support.grove import Grove, MadeClient, open_grove

EVENTS = "/api/v1/events"
CLIENTS = "/api/v1/clients"


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """Run a Grove with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """Onboard a client."""
    return await grove.make_client("maple")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Catch what an operator would find in the log."""
    lines = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", lines)
        configure_logging("info", "json")
    yield lines
    structlog.reset_defaults()


def requests_in(log: io.StringIO) -> list[dict[str, Any]]:
    """Read the lines of requests."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "request"]


def problem_of(answer: httpx.Response, status: int, code: str) -> Problem:
    """Check that an answer is a problem, whole and of the expected kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert (problem.status, problem.code) == (status, code)
    assert problem.title
    assert problem.request_id == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(
    "path", ["/no/such/path", "/api/nothing", "/api/v1/nothing", "/%ff%fe/x/y", "/schema/nothing", "/../x/y/z"]
)
async def test_an_unknown_path_is_a_problem(grove: Grove, path: str) -> None:
    problem_of(await grove.http.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "method"), [("/health", "DELETE"), (CLIENTS, "PUT"), (EVENTS, "GET"), (EVENTS, "BREW")]
)
async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(grove: Grove, path: str, method: str) -> None:
    answer = await grove.http.request(method, path)

    problem_of(answer, 405, "method_not_allowed")
    allowed = answer.headers["allow"].replace(" ", "").split(",")
    assert allowed
    assert method not in allowed


@pytest.mark.parametrize("body", [b"{", b'{"id": maple}', b"\xff\xfe", b'{"id": "a"} {"id": "b"}'])
async def test_broken_json_is_a_problem(grove: Grove, maple: MadeClient, body: bytes) -> None:
    problem_of(await grove.http.post(CLIENTS, content=body, headers=grove.platform), 400, "invalid_json")
    problem_of(await grove.http.post(EVENTS, content=body, headers=maple.server), 400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", ""),
        (b"", ""),
        (b'{"id": "oak"}', "/name"),
        (b'{"id": 5, "name": "Oak"}', "/id"),
        (b'{"id": "oak", "name": "Oak", "colour": "red"}', "/colour"),
        (b'{"id": "oak", "name": "Oak", "a/b~c": 1}', "/a~1b~0c"),
        (b'{"id": "oak", "name": "Oak", "placement": {"kind": 1}}', "/placement/kind"),
        (b'{"id": "oak", "name": "Oak", "placement": {"where": 1}}', "/placement/where"),
        (b'{"id": "oak", "name": "Oak", "staff": [{"name": "Ana"}]}', "/staff/0/email"),
        (b'{"id": "oak", "name": "Oak", "timezone": "Mars/Base"}', "/timezone"),
    ],
)
async def test_an_offending_value_is_pointed_at(grove: Grove, body: bytes, pointer: str) -> None:
    answer = await grove.http.post(CLIENTS, content=body, headers=grove.platform)

    assert answer.status_code == 400
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert [error.pointer for error in problem.errors] == [pointer]


@pytest.mark.parametrize(("query", "name"), [("limit=many", "limit"), ("limit=0", "limit"), ("cursor=x", "cursor")])
async def test_an_offending_parameter_is_named(grove: Grove, query: str, name: str) -> None:
    answer = await grove.http.get(f"{CLIENTS}?{query}", headers=grove.platform)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [name]


async def test_a_body_that_is_too_large_is_a_problem(grove: Grove, maple: MadeClient) -> None:
    name = b'{"id": "oak", "name": "' + b"x" * 2**20 + b'"}'
    event = b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}'

    problem_of(await grove.http.post(CLIENTS, content=name, headers=grove.platform), 413, "body_too_large")
    problem_of(await grove.http.post(EVENTS, content=event, headers=maple.server), 413, "body_too_large")


async def test_a_body_that_inflates_too_far_is_a_problem(grove: Grove, maple: MadeClient) -> None:
    bomb = gzip.compress(b"[" + b" " * MAX_BODY_BYTES + b"]")
    headers = maple.server | {"Content-Encoding": "gzip"}

    assert len(bomb) < MAX_BODY_BYTES // 100
    problem_of(await grove.http.post(EVENTS, content=bomb, headers=headers), 413, "body_too_large")


@pytest.mark.parametrize("media_type", ["application/xml", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_body_of_another_type_is_a_problem(grove: Grove, maple: MadeClient, media_type: str) -> None:
    body, kind = b'{"id": "oak", "name": "Oak"}', {"Content-Type": media_type}

    problem_of(await grove.http.post(CLIENTS, content=body, headers=grove.platform | kind), 415, "unsupported_body")
    problem_of(await grove.http.post(EVENTS, content=body, headers=maple.server | kind), 415, "unsupported_body")


async def test_an_unknown_encoding_is_a_problem(grove: Grove, maple: MadeClient) -> None:
    headers = maple.server | {"Content-Encoding": "br"}

    problem_of(await grove.http.post(EVENTS, content=b"{}", headers=headers), 415, "unsupported_body")


async def test_a_missing_key_is_a_problem_that_says_how_to_bring_one(grove: Grove) -> None:
    answer = await grove.http.get("/clients")

    assert "Bearer" in (problem_of(answer, 401, "unauthenticated").detail or "")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture
async def broken(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """Run a Grove whose audit log somebody has dropped."""
    async with open_grove(postgres.url) as running:
        assert running.settings.database_url is not None
        connection = await asyncpg.connect(running.settings.database_url)
        await connection.execute("DROP TABLE grove.audit_log")
        await connection.close()
        yield running


async def test_a_crash_says_nothing_to_the_caller_and_no_personal_data_to_the_log(
    broken: Grove, log: io.StringIO
) -> None:
    # To make a key is to write it down in the audit log.
    answer = await broken.http.post("/api/v1/keys", json={"name": "hunter2"}, headers=broken.platform)

    problem = problem_of(answer, 500, "internal_error")
    assert (problem.detail, problem.errors) == (None, [])
    crash = next(line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "crash")
    assert "audit_log" in crash["exception"]
    assert crash["level"] == "error"
    assert crash["request_id"] == answer.headers["x-request-id"]
    assert "hunter2" not in log.getvalue()


@pytest.mark.parametrize("kind", sorted({kind.slug for kind in KINDS.values()}))
async def test_the_type_of_a_problem_leads_to_its_explanation(grove: Grove, kind: str) -> None:
    explained = await grove.http.get(f"/problems/{kind}")

    assert explained.status_code == 200
    assert explained.json()["type"] == f"/problems/{kind}"


async def test_an_unknown_type_of_problem_is_a_problem(grove: Grove) -> None:
    problem_of(await grove.http.get("/problems/none-of-these"), 404, "not_found")


async def test_a_request_id_is_taken_over_answered_and_logged(grove: Grove, log: io.StringIO) -> None:
    request_id = f"caller-{uuid4().hex}"

    answer = await grove.http.get("/nothing", headers={"X-Request-Id": request_id})

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == request_id
    assert [line["request_id"] for line in requests_in(log)] == [request_id]


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space", 'quote"quote', "line%0abreak"])
async def test_a_request_id_that_could_do_harm_is_replaced(grove: Grove, given: str) -> None:
    answer = await grove.http.get("/nothing", headers={"X-Request-Id": given})

    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-request-id"] != given


async def test_no_two_requests_have_one_id(grove: Grove) -> None:
    answers = [await grove.http.get("/health/live") for _ in range(3)]

    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


async def test_the_log_names_the_client_but_no_secret_no_body_and_no_query(
    grove: Grove, maple: MadeClient, log: io.StringIO
) -> None:
    event = {"name": "lead_captured", "session_id": "s-1", "properties": {"email": "ana@private.example"}}
    asked = {"from": "2026-11-01", "note": "hunter2"}

    await grove.http.post(EVENTS, json=event, headers=maple.server)
    await grove.http.post(EVENTS, content=b"{ana@private.example", headers=maple.server)
    await grove.http.get("/api/maple/funnel", params=asked, headers=maple.server)
    await grove.http.get(maple.path, headers=grove.platform)
    await grove.http.post(EVENTS, params={"key": "grv_w_secret"}, json=event)

    lines = requests_in(log)
    assert [(line["path"], line["status"], line["client"]) for line in lines] == [
        (EVENTS, 400, "maple"),
        ("/api/maple/funnel", 200, "maple"),
        (maple.path, 200, "maple"),
        (EVENTS, 401, None),
    ]
    assert all(line["method"] and line["ms"] >= 0 and line["request_id"] for line in lines)
    written = log.getvalue()
    secrets = [headers["Authorization"].split()[1] for headers in (grove.platform, maple.server)]
    for hidden in (*secrets, "ana@private.example", "hunter2", "2026-11-01", "grv_"):
        assert hidden not in written


@pytest.mark.parametrize("path", ["/health", "/health/"])
async def test_health_names_each_dependency_with_its_latency(grove: Grove, path: str) -> None:
    answer = await grove.http.get(path)

    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] == "ok"
    assert set(found["dependencies"]) == {"database", "redis", "grafana"}
    assert found["dependencies"]["database"]["status"] == "up"
    assert found["dependencies"]["database"]["latency_ms"] > 0
    assert found["dependencies"]["redis"] == {"status": "not configured", "latency_ms": None}


async def test_a_server_with_its_database_is_alive_and_ready(grove: Grove) -> None:
    for path in ("/health/live", "/health/ready"):
        assert (await grove.http.get(path)).status_code == 200


async def test_what_can_be_missed_degrades_health_and_nothing_else(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url, redis_url="redis://127.0.0.1:1/0") as running:
        health = await running.http.get("/health")
        ready = await running.http.get("/health/ready")

    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["dependencies"]["redis"]["status"] == "down"
    assert ready.status_code == 200


async def test_routine_questions_about_health_stay_out_of_the_log(grove: Grove, log: io.StringIO) -> None:
    for path in ("/health", "/health/", "/health/live", "/health/ready", "/metrics"):
        assert (await grove.http.get(path)).status_code == 200

    assert requests_in(log) == []


async def test_metrics_are_in_the_format_of_prometheus_and_name_no_client(grove: Grove, maple: MadeClient) -> None:
    await grove.http.post(EVENTS, json={"name": "page_view"}, headers=maple.server)
    await grove.http.get("/api/maple/funnel", headers=maple.server)
    await grove.http.request("BREW", "/api/maple/funnel")

    answer = await grove.http.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {"grove_http_requests", "grove_http_request_seconds", "grove_events"} <= set(families)
    stored = [s.value for s in families["grove_events"].samples if s.labels.get("outcome") == "stored"]
    assert stored[0] >= 1
    seen = {s.labels["route"] for s in families["grove_http_requests"].samples if "route" in s.labels}
    assert {EVENTS, "/api/{client_id}/funnel"} <= seen
    methods = {s.labels["method"] for s in families["grove_http_requests"].samples if "method" in s.labels}
    assert "BREW" not in methods
    assert "maple" not in answer.text
