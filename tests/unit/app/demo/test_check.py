"""The demo's check goes red when the server tells another story; its calls are patient with a busy server."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.demo.api import GroveApi
from app.demo.arrival import ensure_client
from app.demo.check import Walls, check_answers, check_walls, count_stored
from app.demo.clients import BIRCH
from app.demo.delivery import Delivered, deliver
from app.demo.errors import DemoFailed
from app.demo.story import Story, tell_month

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def story() -> Story:
    return tell_month(BIRCH, NOW, scale=0.1)


def server(answer: Answer) -> GroveApi:
    """Stand in for a server."""
    return GroveApi(httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://grove.test"), "key")


def answering(content: Any) -> GroveApi:
    return server(lambda _: httpx.Response(200, json=content))


def chatbot(funnel: dict[str, int], *, well: bool = True) -> GroveApi:
    steps = [{"name": name, "count": count} for name, count in funnel.items()]
    return answering({"steps": steps, "ok": well, "problem": "away"})


async def test_an_event_without_an_outcome_is_found(story: Story) -> None:
    delivered = Delivered(sent=100, accepted=100)

    with pytest.raises(DemoFailed, match="usage knows"):
        await count_stored(answering({"outcomes": {"stored": 99}}), story, delivered)
    with pytest.raises(DemoFailed, match="usage knows"):
        await count_stored(answering({"outcomes": {"stored": 100}}), story, Delivered(sent=100, accepted=99))


async def test_a_rejected_event_is_found(story: Story) -> None:
    usage = {"outcomes": {"stored": 99, "quarantined": 1}}

    with pytest.raises(DemoFailed, match="1 events of birch were rejected"):
        await count_stored(answering(usage), story, Delivered(sent=100, accepted=99, rejected=1))


async def test_a_request_that_had_to_be_repeated_is_no_fault(story: Story) -> None:
    usage = {"outcomes": {"stored": 100, "duplicate": 50}}

    assert await count_stored(answering(usage), story, Delivered(sent=100, accepted=50, duplicates=50)) == 100


async def test_a_funnel_that_differs_from_the_story_is_found(story: Story) -> None:
    await check_answers(chatbot(story.funnel), story)

    with pytest.raises(DemoFailed, match="should be"):
        await check_answers(chatbot(story.funnel | {"accepts": 1}), story)


async def test_a_data_source_that_is_not_well_is_found(story: Story) -> None:
    with pytest.raises(DemoFailed, match="not well: away"):
        await check_answers(chatbot(story.funnel, well=False), story)


async def test_a_path_that_is_not_answered_with_200_is_found(story: Story) -> None:
    with pytest.raises(DemoFailed, match="GET /api/birch/funnel → 500"):
        await check_answers(server(lambda _: httpx.Response(500, text="{}")), story)


def operation(state: str, attempts: int, leaks: int) -> dict[str, Any]:
    tried = [{"role": "reader", "outcome": "leaked", "expected": "denied"}] * leaks
    return {"state": state, "result": {"summary": {"attempts": attempts, "leaks": leaks}, "attempts": tried}}


async def test_a_leak_is_found() -> None:
    with pytest.raises(DemoFailed, match="Of 5 attempts to cross the walls of birch, 1 succeeded"):
        await check_walls(answering(operation("succeeded", 5, 1)), "birch")


async def test_walls_that_nobody_tried_prove_nothing() -> None:
    with pytest.raises(DemoFailed, match="Of 0 attempts"):
        await check_walls(answering(operation("succeeded", 0, 0)), "birch")
    with pytest.raises(DemoFailed, match="is failed"):
        await check_walls(answering(operation("failed", 5, 0)), "birch")
    assert await check_walls(answering(operation("succeeded", 5, 0)), "birch") == Walls(5, 0)


async def test_a_busy_server_is_asked_again_when_it_says(story: Story) -> None:
    calls: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(len(request.content))
        if len(calls) == 1:
            return httpx.Response(503, headers={"Retry-After": "0"})
        if len(calls) == 2:
            raise httpx.ConnectError("refused")
        return httpx.Response(202, json={"accepted": 1, "duplicates": 2, "rejected": [{}]})

    moved: list[int] = []
    delivered = await deliver(server(answer), story, moved.append)

    assert len(calls) == len(story.batches) + 2
    assert sum(moved) == delivered.sent == story.events
    assert (delivered.accepted, delivered.duplicates, delivered.rejected) == tuple(
        len(story.batches) * each for each in (1, 2, 1)
    )


async def test_a_server_that_stays_busy_is_given_up() -> None:
    with pytest.raises(DemoFailed, match="GET /x was not answered: 429"):
        await server(lambda _: httpx.Response(429, headers={"Retry-After": "0"})).get("/x")


async def test_a_client_that_is_suspended_stops_the_demo() -> None:
    with pytest.raises(DemoFailed, match="birch is suspended"):
        await ensure_client(answering({"status": "suspended"}), BIRCH, None)


async def test_a_client_whose_keys_were_shown_to_nobody_gets_new_ones() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            missing = not posted
            return httpx.Response(404) if missing else httpx.Response(200, json={"status": "active"})
        posted.append(request.url.path)
        made = {"key": f"key {len(posted)}"} if request.url.path.endswith("/keys") else {"keys": None}
        return httpx.Response(201, json=made)

    posted: list[str] = []
    keys = await ensure_client(server(answer), BIRCH, None)

    assert posted == ["/api/v1/clients", *["/api/v1/clients/birch/keys"] * 3]
    assert (keys.admin, keys.server, keys.browser) == ("key 2", "key 3", "key 4")
