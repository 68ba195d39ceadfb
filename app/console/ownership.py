"""`/.well-known/grove-verification` on a client's own host: the proof of its domain, which leads here by now.

Registered by `app.asgi` through `app.console.routes`. A domain that was proven by a file on the server that it led to
before stays proven this way, until it leads elsewhere.
"""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.auth.cookies import HOST_MODE
from provisioning.domains import PATH, proof_value
from tenants.errors import NotFound
from tenants.ids import TenantId
from tenants.registry import Registry
from tenants.vault import Vault


@get(f"/{{client_id:str}}{PATH}", include_in_schema=False, media_type="text/plain")
async def show_proof(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    registry: NamedDependency[Registry],
    vault: NamedDependency[Vault],
) -> str:
    """Answer with the proof of the host that is asked."""
    if not request.scope["state"].get(HOST_MODE):
        raise NotFound("No such file.")
    client = await registry.get_client(TenantId(client_id))
    if client.domain is None:
        raise NotFound("No such file.")
    return proof_value(vault, client_id, client.domain)


handlers = [show_proof]
