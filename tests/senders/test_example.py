"""The example of a chatbot's backend, run as its own words say: its conversations arrive."""

import asyncio
import os
import sys
from pathlib import Path

import grove_analytics
import httpx

from app.embedded.ports import free_port
from tests.support.servers import Client, await_that

PACKAGE = Path(grove_analytics.__path__[0]).parent


async def test_the_chatbots_conversations_arrive(client: Client) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "chatbot_backend:app"),
        cwd=PACKAGE / "examples",
        env=dict(os.environ)  # noqa: TID251 - handed on
        | {
            "PYTHONPATH": str(PACKAGE),
            "GROVE_KEY": client.key["Authorization"].removeprefix("Bearer "),
            "GROVE_URL": f"http://127.0.0.1:{client.port}",
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def say(text: str) -> bool:
                try:
                    answer = await http.post("/chat", json={"session_id": "s1", "text": text})
                except httpx.TransportError:
                    return False
                return answer.status_code == httpx.codes.OK

            await await_that(lambda: say("Hello"))
            assert await say("Let me talk to a person")
    finally:
        process.terminate()
        await process.wait()
    rows = await client.fetch('SELECT role, intent, fallback FROM {schema}."ChatLog" ORDER BY "createdAt"')
    assert [tuple(row) for row in rows] == [
        ("user", None, None),
        ("assistant", "greeting", False),
        ("user", None, None),
        ("assistant", "human", False),
    ]
    rows = await client.fetch('SELECT "requestedHuman" IS NOT NULL FROM {schema}."UserEvents"')
    assert [tuple(row) for row in rows] == [(True,)]
