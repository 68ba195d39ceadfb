"""Grove's public HTTP API as the demo uses it: nothing that another program could not do.

Called by `arrival`, `delivery` and `check`; waits and tries again as a good client does.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.demo.errors import DemoFailed

TIMEOUT_S = 70.0
WAIT_S = 60
ATTEMPTS = 8
LONGEST_PAUSE_S = 5.0
_BUSY = frozenset({429, 503})


class GroveApi:
    """Calls with one key."""

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self._http = http
        self._key = key

    def with_key(self, key: str) -> "GroveApi":
        """Call the same server with another key."""
        return GroveApi(self._http, key)

    async def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request; come back later if the server is busy or away.

        Errors: DemoFailed if it stays so.
        """
        sent = {"Authorization": f"Bearer {self._key}", **(headers or {})}
        problem = ""
        for attempt in range(ATTEMPTS):
            pause_s = 0.1 * 2**attempt
            try:
                answer = await self._http.request(method, path, headers=sent, **options)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if answer.status_code not in _BUSY:
                    return answer
                problem = f"{answer.status_code} {answer.text}"
                pause_s = float(answer.headers.get("Retry-After", pause_s))
            await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
        raise DemoFailed(f"{method} {path} was not answered: {problem}")

    async def get(self, path: str, **params: str) -> Any:
        """Read something.

        Errors: DemoFailed unless the answer is 200.
        """
        return require(await self.call("GET", path, params=params), 200)

    async def run(self, path: str) -> Any:
        """Start an operation and wait for its end.

        Errors: DemoFailed if it fails or takes too long.
        """
        answer = await self.call("POST", path, headers={"Prefer": f"wait={WAIT_S}"})
        operation = require(answer, 200, 202)
        if operation["state"] != "succeeded":
            raise DemoFailed(f"POST {path} is {operation['state']}: {operation.get('error')}")
        return operation


def require(answer: httpx.Response, *expected: int) -> Any:
    """Return the content of an answer with an expected status.

    Errors: DemoFailed.
    """
    if answer.status_code not in expected:
        raise DemoFailed(
            f"{answer.request.method} {answer.request.url.path} → {answer.status_code}: {answer.text[:500]}"
        )
    return answer.json()


@asynccontextmanager
async def open_api(url: str, key: str = "") -> AsyncIterator[GroveApi]:
    """Connect to a server."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
        yield GroveApi(http, key)
