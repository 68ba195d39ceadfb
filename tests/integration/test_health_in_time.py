"""Monitors are answered in time whatever the database does, and may ask for the head alone."""

import asyncio
import time

import pytest

from app.api.health import CHECK_TIMEOUT_S
from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import open_grove
from tests.support.proxy import proxy_to


@pytest.mark.fault(31)
async def test_health_is_answered_in_time_while_the_database_hangs(postgres: EmbeddedPostgres) -> None:
    async with proxy_to(postgres.url) as proxy, open_grove(proxy.url) as grove:
        assert (await grove.http.get("/health")).status_code == 200
        proxy.hold()
        started = time.monotonic()
        health, ready = await asyncio.gather(*(grove.http.get(path) for path in ("/health", "/health/ready")))
        took_s = time.monotonic() - started
        proxy.let_go()
        assert (health.status_code, ready.status_code) == (503, 503)
        assert health.json()["dependencies"]["database"]["status"] == "down"
        assert took_s < CHECK_TIMEOUT_S + 0.8


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_a_monitor_may_ask_for_the_head_alone(postgres: EmbeddedPostgres, path: str) -> None:
    async with open_grove(postgres.url) as grove:
        assert (await grove.http.head(path)).status_code == 200
