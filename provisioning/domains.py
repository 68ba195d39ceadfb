"""Prove that a client's domain is the client's, by a TXT record that only its owner can set.

Called by the command `grove tenant verify-domain`. The gateway serves a domain after that, and for as long as it stays
the client's `domain`.
"""

from collections.abc import Awaitable, Callable

import dns.asyncresolver
import dns.exception
import dns.resolver
import msgspec

from provisioning.audit import Actor, record
from tenants.control import ControlPlane
from tenants.errors import InputRefused, NotFound, StoreUnavailable, WrongState
from tenants.models import Client
from tenants.revocations import revoke
from tenants.vault import Vault

_LABEL = "_grove"
_PREFIX = "grove-verification="
_TIMEOUT_S = 10.0
Resolve = Callable[[str], Awaitable[list[str]]]


class DomainProof(msgspec.Struct, frozen=True, kw_only=True):
    """What must stand in the DNS, and whether it does."""

    domain: str
    record: str
    value: str
    proven: bool


async def verify_domain(
    control: ControlPlane, vault: Vault, client_id: str, actor: Actor, *, own_host: str | None, resolve: Resolve
) -> DomainProof:
    """Look for the record of a client's domain, and note what was found: a record that is gone proves nothing.

    Errors: NotFound; WrongState without a domain; InputRefused for the server's own host; StoreUnavailable if the DNS
    does not answer.
    """
    async with control.session() as session:
        client = await session.get(Client, client_id)
        if client is None:
            raise NotFound("No such client.")
        if client.domain is None:
            raise WrongState("The client has no domain; give it one first.")
        domain = client.domain
    if domain == own_host:
        raise InputRefused("This is the server's own host, on which all clients are served.", field="/domain")
    name, value = f"{_LABEL}.{domain}", _PREFIX + vault.sign("domain", f"{client_id}/{domain}")
    proven = value in await resolve(name)
    async with control.session() as session:
        client = await session.get(Client, client_id, with_for_update=True)
        if client is None:
            raise NotFound("No such client.")
        if (client.domain_proven == domain) != proven:
            client.domain_proven = domain if proven else None
            action = "domain.proven" if proven else "domain.unproven"
            record(session, actor, action, client_id, domain=domain)
            revoke(session, "client", client_id)
    return DomainProof(domain=domain, record=name, value=value, proven=proven)


async def resolve_txt(name: str, resolver: dns.asyncresolver.Resolver | None = None) -> list[str]:
    """Read the TXT records of a name; none if there is no such name.

    Errors: StoreUnavailable if no server answers.
    """
    resolver = resolver or dns.asyncresolver.Resolver()
    try:
        answer = await resolver.resolve(name, "TXT", lifetime=_TIMEOUT_S)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise StoreUnavailable("The DNS does not answer at the moment.") from error
    return [b"".join(row.strings).decode("latin-1") for row in answer]
