"""Prove that a client's domain is the client's, by a TXT record or a file that only its owner can put there.

Called by `POST /api/v1/clients/{id}/domain/verify`, `grove tenant verify-domain` and a daily job. The gateway serves a
domain after that, for as long as it stays the client's `domain` and the proof is not gone for long.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import dns.asyncresolver
import dns.exception
import dns.resolver
import msgspec
import structlog
from sqlalchemy import select

from provisioning.audit import GROVE, Actor, record
from provisioning.outside import Outside, OutsideRefused
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import InputRefused, NotFound, StoreUnavailable, WrongState
from tenants.models import Client
from tenants.revocations import revoke
from tenants.vault import Vault

PATH = "/.well-known/grove-verification"
# Records get lost when a domain changes hosters; nobody's dashboards are to vanish overnight for that.
MISSED_FOR = timedelta(days=7)
_LABEL = "_grove"
_PREFIX = "grove-verification="
_TIMEOUT_S = 10.0
_MAX_FILE_BYTES = 1024
_OK, _MISSING = 200, frozenset({200, 404, 410})
Resolve = Callable[[str], Awaitable[list[str]]]
log = structlog.get_logger()


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


class Witnesses(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask for proof, and the server's own host, which is nobody's domain."""

    own_host: str | None
    resolve: Resolve = resolve_txt
    outside: Outside = msgspec.field(default_factory=Outside)


class DomainProof(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What must stand in the DNS, or in a file of the domain's web server, and whether the domain is served.

    Shape: `by` is `dns` or `file` where the proof was found just now.
    """

    domain: str
    record: str
    file: str
    value: str
    proven: bool
    by: str | None = None


class _Sight(msgspec.Struct, frozen=True):
    """Where the proof was found; `certain` tells that it is really nowhere, and not only out of reach."""

    by: str | None
    certain: bool


async def verify_domain(
    control: ControlPlane, vault: Vault, client_id: str, actor: Actor, *, witnesses: Witnesses, clock: Clock
) -> DomainProof:
    """Look for the proof of a client's domain, and note what was found: a proof that is gone proves nothing.

    Errors: NotFound; WrongState without a domain; InputRefused for the server's own host; StoreUnavailable if the DNS
    does not answer and there is no file.
    """
    async with control.session() as session:
        client = await session.get(Client, client_id)
        if client is None:
            raise NotFound("No such client.")
        if client.domain is None:
            raise WrongState("The client has no domain; give it one first.")
        domain = client.domain
    if domain == witnesses.own_host:
        raise InputRefused("This is the server's own host, on which all clients are served.", field="/domain")
    value = proof_value(vault, client_id, domain)
    sight = await _look(witnesses, domain, value)
    proven = await _note(control, client_id, domain, sight, actor, now=clock(), patience=timedelta())
    return DomainProof(
        domain=domain, record=f"{_LABEL}.{domain}", file=f"https://{domain}{PATH}", value=value, proven=proven,
        by=sight.by,
    )  # fmt: skip


async def unscoped_recheck_domains(control: ControlPlane, vault: Vault, witnesses: Witnesses, clock: Clock) -> int:
    """Look at the proofs of all domains that are served; return how many are gone. Scheduled daily."""
    query = select(Client.id, Client.domain).where(Client.domain == Client.domain_proven, Client.status != "deleting")
    async with control.session() as session:
        rows = [(client_id, str(domain)) for client_id, domain in await session.execute(query.order_by(Client.id))]
    gone = 0
    for client_id, domain in rows:
        try:
            sight = await _look(witnesses, domain, proof_value(vault, client_id, domain))
        except StoreUnavailable:
            continue
        if sight.by is None and sight.certain:
            gone += 1
            log.warning("domain_proof_missing", client_id=client_id, domain=domain)
        await _note(control, client_id, domain, sight, GROVE, now=clock(), patience=MISSED_FOR)
    return gone


def proof_value(vault: Vault, client_id: str, domain: str) -> str:
    """Return what must be found at a domain to prove it this client's."""
    return _PREFIX + vault.sign("domain", f"{client_id}/{domain}")


async def _note(
    control: ControlPlane, client_id: str, domain: str, sight: _Sight, actor: Actor, *, now: datetime,
    patience: timedelta,
) -> bool:  # fmt: skip
    """Record what was found, unless the client has another domain by now; return whether the domain is served."""
    async with control.session() as session:
        client = await session.get(Client, client_id, with_for_update=True, populate_existing=True)
        if client is None:
            raise NotFound("No such client.")
        if client.domain != domain:
            raise WrongState("The client's domain has just been changed.")
        before = client.domain_proven == domain
        if sight.by is not None:
            client.domain_seen_at = now
        seen_at = client.domain_seen_at or now
        proven = sight.by is not None or (before and (not sight.certain or now - seen_at < patience))
        if proven != before:
            client.domain_proven = domain if proven else None
            record(session, actor, "domain.proven" if proven else "domain.unproven", client_id, domain=domain)
            revoke(session, "client", client_id)
        return proven


async def _look(witnesses: Witnesses, domain: str, value: str) -> _Sight:
    """Look into the DNS, then for the file.

    Errors: StoreUnavailable.
    """
    refusal: StoreUnavailable | None = None
    try:
        if value in await witnesses.resolve(f"{_LABEL}.{domain}"):
            return _Sight("dns", certain=True)
    except StoreUnavailable as error:
        refusal = error
    sight = await _look_for_file(witnesses.outside, domain, value)
    if sight.by is None and refusal is not None:
        raise refusal
    return sight


async def _look_for_file(outside: Outside, domain: str, value: str) -> _Sight:
    """Ask the domain's own web server, which may not lead elsewhere."""
    certain = False
    for scheme in ("https", "http"):
        try:
            found = await outside.fetch(f"{scheme}://{domain}{PATH}", max_bytes=_MAX_FILE_BYTES)
        except OutsideRefused:
            continue
        if found.status == _OK and found.content.strip() == value.encode():
            return _Sight("file", certain=True)
        certain = certain or found.status in _MISSING
    return _Sight(None, certain=certain)
