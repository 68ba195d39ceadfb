"""Make the ids of webhook sources, which are their addresses, and recognise made-up ones without any I/O. Pure.

Half of an id is random, the other half proves that Grove made it: anybody may deliver, and what leads nowhere must not
cost a reading.
"""

import hashlib
import hmac
import secrets
from uuid import UUID

from tenants.vault import Vault

_HALF = 8


def make_address(vault: Vault) -> UUID:
    """Make an id."""
    half = secrets.token_bytes(_HALF)
    return UUID(bytes=half + _proof(half, vault))


def is_address(source_id: UUID, vault: Vault) -> bool:
    """Tell whether Grove made an id; there may be nothing there any more."""
    half, proof = source_id.bytes[:_HALF], source_id.bytes[_HALF:]
    return hmac.compare_digest(proof, _proof(half, vault))


def _proof(half: bytes, vault: Vault) -> bytes:
    return hashlib.sha256(vault.sign("webhook source", half.hex()).encode()).digest()[:_HALF]
