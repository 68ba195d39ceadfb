"""Grafana's HTTP API as its server administrator: deadlines, retries of what may be repeated, errors of ours.

Called by the modules of this package. A request that creates something is sent once: whoever sends it looks first
whether the thing is there, and again when the answer was lost (`make_once`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
import msgspec
import structlog

from provisioning.grafana.versions import Version, read_version
from tenants.errors import GrafanaRefused, GrafanaUnavailable, GrafanaUnfit

ADMIN = "admin"
TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 3.0
CONNECTIONS = 8
TRIES = 3
PAUSE_S = 0.2
VERSION_KNOWN_S = 60.0
_OK = 200
_NOT_FOUND = 404
_REFUSED_LOGIN = frozenset({401, 403, 407})
# A thing of this name is there already: somebody else's request was quicker, or our own had more luck than it said.
_TAKEN = frozenset({409, 412})
_TOO_MANY = 429
_SERVER_ERROR = 500
# To create is not among them.
_REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})

T = TypeVar("T")
log = structlog.get_logger()


class Taken(GrafanaRefused):
    """There is a thing of this name already."""


class Missing(GrafanaUnavailable):
    """There is no such thing. Where it should be there, Grafana has lost it, and it is made again at the next try."""


class GrafanaAdmin:
    """One Grafana. `database_host` is where it reaches the Postgres of `DATABASE_URL`, if not where Grove does."""

    def __init__(
        self,
        url: str,
        password: str,
        *,
        allow_version: str | None = None,
        database_host: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.database_host = database_host
        self._allow_version = allow_version
        self._version: Version | None = None
        self._version_read_at = float("-inf")
        # Grafana is a neighbour, and a proxy of the environment would be shown the password.
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            auth=httpx.BasicAuth(ADMIN, password),
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def check_version(self) -> Version:
        """Read which Grafana this is, and refuse one that should not be used.

        Errors: GrafanaUnfit; GrafanaUnavailable.
        """
        if self._version is not None and time.monotonic() - self._version_read_at < VERSION_KNOWN_S:
            return self._version
        found = await self._repeat("GET", "/api/health", {}, None)
        version = read_version(str(found.get("version", "")) if isinstance(found, Mapping) else "")
        if version.fault is not None and not version.is_allowed_by(self._allow_version):
            hint = "Update it, or name it in GROVE_GRAFANA_ALLOW_VERSION to use it all the same."
            raise GrafanaUnfit(f"{version.fault} {hint}")
        self._version, self._version_read_at = version, time.monotonic()
        return version

    async def find(self, path: str, *, org: int | None = None) -> Any:
        """Read something; None if it is not there."""
        try:
            return await self.get(path, org=org)
        except Missing:
            return None

    async def get(self, path: str, *, org: int | None = None) -> Any:
        """Read something.

        Errors: Missing; GrafanaRefused; GrafanaUnavailable; GrafanaUnfit. So with all that follow.
        """
        return await self._request("GET", path, org, None)

    async def create(self, path: str, body: Mapping[str, Any], *, org: int | None = None) -> Any:
        """Send a request that makes something, once. Errors: Taken."""
        return await self._request("POST", path, org, body)

    async def put(self, path: str, body: Mapping[str, Any], *, org: int | None = None) -> Any:
        """Replace something."""
        return await self._request("PUT", path, org, body)

    async def patch(self, path: str, body: Mapping[str, Any], *, org: int | None = None) -> Any:
        """Change something."""
        return await self._request("PATCH", path, org, body)

    async def delete(self, path: str, *, org: int | None = None) -> None:
        """Remove something; that it is gone already is fine."""
        try:
            await self._request("DELETE", path, org, None)
        except Missing:
            log.debug("grafana_had_nothing_to_delete", path=path)

    async def _request(self, method: str, path: str, org: int | None, body: Mapping[str, Any] | None) -> Any:
        await self.check_version()
        headers = {} if org is None else {"X-Grafana-Org-Id": str(org)}
        if method in _REPEATABLE:
            return await self._repeat(method, path, headers, body)
        return await self._send(method, path, headers, body)

    async def _repeat(self, method: str, path: str, headers: dict[str, str], body: Mapping[str, Any] | None) -> Any:
        for attempt in range(1, TRIES):
            try:
                return await self._send(method, path, headers, body)
            except Missing:
                raise
            except GrafanaUnavailable:
                await asyncio.sleep(PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        return await self._send(method, path, headers, body)

    async def _send(self, method: str, path: str, headers: dict[str, str], body: Mapping[str, Any] | None) -> Any:
        try:
            answer = await self._http.request(method, path, headers=headers, json=body)
        except httpx.TransportError as error:
            log.warning("grafana_unreachable", method=method, path=path.partition("?")[0], error=type(error).__name__)
            raise GrafanaUnavailable(f"Grafana cannot be reached ({type(error).__name__}).") from error
        return _read(method, path, answer)


async def make_once(make: Callable[[], Awaitable[T]], find: Callable[[], Awaitable[T | None]]) -> T:
    """Make something that was looked for and is not there, sending the request once.

    An answer that was lost, or an error after the work was done, is cleared up by looking again.
    Errors: what `make` raised, if the thing is not there after it.
    """
    try:
        return await make()
    except (GrafanaUnavailable, Taken):
        found = await find()
        if found is None:
            raise
        return found


def _read(method: str, path: str, answer: httpx.Response) -> Any:
    status = answer.status_code
    if status == _OK:
        try:
            return msgspec.json.decode(answer.content)
        except msgspec.DecodeError as error:
            raise GrafanaUnavailable("What answers at GRAFANA_URL does not speak as Grafana does.") from error
    if status == _NOT_FOUND:
        raise Missing("Grafana has no such thing.")
    # Grafana's own words may quote names and addresses: they are for the log.
    log.warning("grafana_said_no", method=method, path=path.partition("?")[0], status=status, message=_message(answer))
    if status in _TAKEN:
        raise Taken("Grafana has a thing of this name already.")
    if status in _REFUSED_LOGIN:
        raise GrafanaUnavailable(f"Grafana refuses its administrator's request (status {status}).")
    if status >= _SERVER_ERROR or status == _TOO_MANY or status < _OK or answer.is_redirect:
        raise GrafanaUnavailable(f"Grafana cannot do its work at the moment (status {status}).")
    raise GrafanaRefused(f"Grafana refuses a request of Grove's (status {status}).")


def _message(answer: httpx.Response) -> str:
    try:
        body = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return ""
    return str(body.get("message", ""))[:300] if isinstance(body, Mapping) else ""
