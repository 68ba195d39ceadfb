"""What is answered while nobody can say whose a host is."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, get
from litestar.datastructures import State

from app.gateway.front import Front
from app.settings import Settings
from tenants.errors import StoreUnavailable


class Away:
    """Hosts, without a control plane to look them up in."""

    async def find_client(self, _host: str) -> str | None:
        """Fail as the control plane does."""
        raise StoreUnavailable


@get("/health/live")
async def live() -> str:
    """Say that the process lives."""
    return "alive"


@pytest.mark.parametrize(
    ("path", "accept", "status", "said"),
    [
        ("/health/live", "*/*", 200, "alive"),
        ("/login", "application/json", 503, '"code":"unavailable"'),
        ("/", "text/html", 503, '"code":"unavailable"'),
    ],
)
async def test_a_host_that_cannot_be_looked_up_is_a_problem_and_health_is_answered_all_the_same(
    path: str, accept: str, status: int, said: str
) -> None:
    front = Front(Litestar([live], state=State({"hosts": Away()})), Settings(data_dir=Path("/nowhere")))
    transport = httpx.ASGITransport(app=cast("Any", front))
    async with httpx.AsyncClient(transport=transport, base_url="https://figures.maple.example") as http:
        answer = await http.get(path, headers={"Accept": accept})
    assert (answer.status_code, said in answer.text) == (status, True)
