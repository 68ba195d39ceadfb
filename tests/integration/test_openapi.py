"""The OpenAPI document: valid, complete, and true of the routes and of the decoders."""

import re
from collections.abc import Hashable, Iterator
from typing import Any, cast
from uuid import uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import ASGIRoute, HTTPRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api import collection_docs
from app.api.document import complete
from app.api.management_examples import EXAMPLES
from app.asgi import create_app, create_litestar
from app.embedded.postgres import EmbeddedPostgres
from app.ingest.dialects.spoken import ALIASES
from app.ingest.limits import check_limits
from app.ingest.steps import decode_event
from app.ingest.wire import WireEvent
from app.observability import Metrics
from app.problems import MEDIA_TYPE, Problem
from app.settings import Settings
from tests.support.grove import open_grove

SETTINGS = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/none", public_url="http://grove.test", secret_key="s" * 32
)
# The document does not describe where it is itself, nor the files of the page that shows it, nor what sites load, nor
# other paths of the same.
UNDESCRIBED = {
    *ALIASES,
    "/schema", "/schema/openapi.json", "/schema/{path}", "/docs/{name}", "/sdk.js", "/analytics-sdk.js", "/sdk-more.js",
    "/tag/{file}",
}  # fmt: skip
# Pages for people and what they load; they are no part of the API.
PAGES = "/{client_id}"
# A health check that says what is down has not failed.
HEALTH_ANSWERS = {("/health", "503"), ("/health/ready", "503")}


@pytest.fixture(scope="module")
def application() -> Litestar:
    """Build the routes, without anything behind them."""
    return create_litestar(SETTINGS, Metrics())


@pytest.fixture(scope="module")
async def document() -> dict[str, Any]:
    """Read the document as it is served."""
    transport = httpx.ASGITransport(create_app(SETTINGS))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://grove.test") as http:
        answer = await http.get("/schema/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Go through (path, method, operation)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(cast("dict[Hashable, Any]", document)).iter_errors()] == []


def test_every_route_and_method_is_described(application: Litestar, document: dict[str, Any]) -> None:
    routed = set()
    for route in application.routes:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        if isinstance(route, ASGIRoute):
            routed.add((path, "post"))
        elif isinstance(route, HTTPRoute):
            routed |= {(path, method.lower()) for method in route.methods if method not in {"OPTIONS", "HEAD"}}

    described = {(path, method) for path, method, _ in operations_of(document)}

    undescribed = {path for path, _ in routed if path in UNDESCRIBED or path.startswith(PAGES)}
    assert {(path, method) for path, method in routed if path not in undescribed} == described


def test_every_operation_says_what_it_is_for(document: dict[str, Any]) -> None:
    silent = [
        (path, method)
        for path, method, operation in operations_of(document)
        if not (operation.get("summary") and operation.get("description") and operation.get("tags"))
    ]

    assert silent == []


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations_of(document)]

    assert len(set(names)) == len(names)


def test_every_tag_is_introduced(document: dict[str, Any]) -> None:
    used = {tag for _, _, operation in operations_of(document) for tag in operation["tags"]}

    assert used == {tag["name"] for tag in document["tags"]}


def test_every_body_and_every_good_answer_has_an_example(document: dict[str, Any]) -> None:
    without = [
        (path, method, where)
        for path, method, operation in operations_of(document)
        for where, part in [
            ("body", operation.get("requestBody", {})),
            *((status, part) for status, part in operation["responses"].items() if status < "300"),
        ]
        for media in part.get("content", {}).values()
        if not (media.get("example") is not None or media.get("examples"))
    ]

    assert without == []


def test_every_operation_documents_its_errors_as_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        errors = {status: response for status, response in operation["responses"].items() if status >= "400"}
        assert errors, (path, method)
        for status, response in errors.items():
            if (path, status) in HEALTH_ANSWERS:
                continue
            assert response == {"$ref": f"#/components/responses/Problem{status}"}, (path, method, status)


def test_every_documented_problem_is_one_that_could_be_sent(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        examples = response["content"][MEDIA_TYPE]["examples"]
        problems = [msgspec.convert(example["value"], Problem) for example in examples.values()]
        assert problems
        assert {f"Problem{problem.status}" for problem in problems} == {name}


def test_everything_but_health_and_documents_asks_for_a_key(document: dict[str, Any]) -> None:
    public = {path for path, _, operation in operations_of(document) if operation.get("security") == []}

    assert document["security"] == [{"bearerAuth": []}, {"apiKeyHeader": []}]
    assert public == {
        "/api/docs",
        "/docs",
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/problems/{slug}",
    }


async def test_what_is_said_to_need_a_key_is_refused_without_one_and_the_rest_is_not(
    postgres: EmbeddedPostgres, document: dict[str, Any]
) -> None:
    refused, documented = set(), set()
    async with open_grove(postgres.url) as grove:
        for path, method, operation in operations_of(document):
            if operation.get("security") != []:
                documented.add((path, method))
            filled = re.sub(r"{\w+_id}", str(uuid4()), path).replace("{slug}", "not-found")
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = content.get("example", collection_docs.CHAT_EVENT)
            answer = await grove.http.request(method, filled, **({"json": body} if content else {}))
            if answer.status_code == 401:
                refused.add((path, method))

    assert refused == documented


def test_every_scheme_that_is_asked_for_is_defined(document: dict[str, Any]) -> None:
    asked = {
        scheme
        for _, _, operation in operations_of(document)
        for requirement in operation.get("security", document["security"])
        for scheme in requirement
    }

    assert asked == set(document["components"]["securitySchemes"])


@pytest.mark.parametrize("name", list(collection_docs.REQUEST_EXAMPLES))
def test_the_documented_events_are_taken_by_the_wire_decoder(name: str, document: dict[str, Any]) -> None:
    content = document["paths"]["/api/v1/events"]["post"]["requestBody"]["content"]
    value = content["application/json"]["examples"][name]["value"]

    for event in value if isinstance(value, list) else [value]:
        raw = msgspec.json.encode(event)
        check_limits(raw)
        assert decode_event(raw).name == event["name"]


def test_the_documented_event_has_the_fields_of_the_decoder_and_no_others(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["WireEvent"]
    fields = msgspec.structs.fields(WireEvent)

    assert set(schema["properties"]) == {field.encode_name for field in fields}
    assert schema["required"] == [field.encode_name for field in fields if field.required]
    assert schema["additionalProperties"] is False


def test_every_example_that_was_written_belongs_to_an_operation(document: dict[str, Any]) -> None:
    described = {(method, path) for path, method, _ in operations_of(document)}

    assert set(EXAMPLES) <= described


def test_the_examples_of_bodies_are_taken_back_by_their_structs() -> None:
    for examples in EXAMPLES.values():
        if examples.body is not None:
            sent = msgspec.json.encode(examples.body)
            assert msgspec.json.decode(sent, type=type(examples.body)) == examples.body


def test_completing_the_document_leaves_the_given_one_as_it_is(application: Litestar) -> None:
    given = application.openapi_schema.to_schema()
    before = msgspec.json.encode(given)

    assert complete(given)["paths"].keys() > given["paths"].keys()
    assert msgspec.json.encode(given) == before


def test_two_schemas_of_one_name_are_noticed(application: Litestar) -> None:
    given = application.openapi_schema.to_schema()
    given["components"]["schemas"]["WireEvent"] = {"type": "object"}

    with pytest.raises(ValueError, match="WireEvent"):
        complete(given)
