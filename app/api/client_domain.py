"""Prove a client's domain, for the platform alone: its pages are served there from then on."""

from litestar import post
from litestar.di import NamedDependency

from app.api.dispatch import Dispatcher
from provisioning.audit import Actor
from provisioning.domains import DomainProof, Witnesses, verify_domain
from tenants.clock import Clock
from tenants.models import Client
from tenants.vault import Vault


@post(
    "/api/v1/clients/{client_id:str}/domain/verify",
    tags=["Clients"],
    summary="Prove a client's domain",
    description="Looks for `value` in a TXT record of the name in `record`, then in the file at `file` (by https, else "
    "http; redirections are not followed). Once it is found the client's pages are served on its domain. The answer "
    "says what to put where until then. Proofs are looked at again every day; one that is gone for a week ends it.",
    status_code=200,
)
async def verify(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    vault: NamedDependency[Vault],
    witnesses: NamedDependency[Witnesses],
    clock: NamedDependency[Clock],
    dispatcher: NamedDependency[Dispatcher],
) -> DomainProof:
    """Look for the proof and answer with what was found."""
    proof = await verify_domain(
        dispatcher.control, vault, governed.id, actor, witnesses=witnesses, clock=clock
    )  # fmt: skip
    await dispatcher.ring(None)
    return proof


handlers = [verify]
