"""Onboard the demo's clients over the API, or find them again from the last start.

Called by `run`. Keys that are lost or no longer valid are replaced, because no server shows a key twice.
"""

import asyncio

from app.demo.api import WAIT_S, GroveApi, require
from app.demo.clients import DemoClient
from app.demo.errors import DemoFailed
from app.demo.keys import ClientKeys
from app.settings import Settings
from provisioning.audit import Actor
from provisioning.keys import NewKey, create_key
from tenants.clock import utc_now
from tenants.control import ControlPlane
from tenants.keys import KeyKind

_KINDS = (KeyKind.ADMIN, KeyKind.SERVER, KeyKind.BROWSER)
_PATIENCE_S = 60
_OK, _NOT_FOUND = 200, 404


async def ensure_platform_key(api: GroveApi, settings: Settings, known: str | None) -> str:
    """Return a platform key that works: the known one, else a new one, made as the operator of the data folder."""
    if known is not None and (await api.with_key(known).call("GET", "/api/v1/clients")).status_code == _OK:
        return known
    control = ControlPlane(settings.main_url, size=1)
    try:
        async with control.session() as session:
            new = NewKey(kind=KeyKind.PLATFORM, client_id=None, name="demo")
            made = await create_key(session, new, Actor("cli"), now=utc_now())
    finally:
        await control.close()
    return str(made.key)


async def ensure_client(api: GroveApi, client: DemoClient, known: ClientKeys | None) -> ClientKeys:
    """Make a client if it is missing, and return keys that work.

    Errors: DemoFailed.
    """
    answer = await api.call("GET", f"/api/v1/clients/{client.id}")
    if answer.status_code == _NOT_FOUND:
        return await _create(api, client)
    await _await_active(api, client)
    if known is not None and await _works(api, client, known.server):
        return known
    return await _make_keys(api, client)


async def _create(api: GroveApi, client: DemoClient) -> ClientKeys:
    answer = await api.call("POST", "/api/v1/clients", json=client.request(), headers={"Prefer": f"wait={WAIT_S}"})
    made = require(answer, 201, 202)
    keys = made.get("keys")
    await _await_active(api, client)
    return ClientKeys(**keys) if keys else await _make_keys(api, client)


async def _await_active(api: GroveApi, client: DemoClient) -> None:
    for _ in range(_PATIENCE_S * 4):
        status = (await api.get(f"/api/v1/clients/{client.id}"))["status"]
        if status == "active":
            return
        if status != "provisioning":
            raise DemoFailed(f"The client {client.id} is {status}; resume or restore it, or remove the data folder.")
        await asyncio.sleep(0.25)
    raise DemoFailed(f"The client {client.id} is still being made after {_PATIENCE_S} s.")


async def _works(api: GroveApi, client: DemoClient, key: str) -> bool:
    answer = await api.with_key(key).call("GET", f"/api/{client.id}/test")
    return answer.status_code == _OK


async def _make_keys(api: GroveApi, client: DemoClient) -> ClientKeys:
    made = {}
    for kind in (kind.name.lower() for kind in _KINDS):
        body = {"kind": kind, "name": f"demo {kind}"}
        answer = await api.call("POST", f"/api/v1/clients/{client.id}/keys", json=body)
        made[kind] = require(answer, 201)["key"]
    return ClientKeys(**made)
