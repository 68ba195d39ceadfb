"""Service tokens: short-lived JWTs that stand for a client's key, and how a bad one is refused without any I/O.

Signed with HS256 under keys that are derived from the secret key and the number in `kid`, so that none is stored.
Called by the keyring and by provisioning; what a token may still do is in the control plane.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import jwt
import msgspec
from msgspec import Meta

from tenants.ids import TenantId
from tenants.keys import Scope
from tenants.vault import Vault

ALGORITHM = "HS256"
TYPE = "grove+jwt"
AUDIENCE = "grove"
LEEWAY = timedelta(seconds=30)
# What no setting may exceed, so that a signing key that was replaced is known to be needed no longer.
MAX_LIFETIME = timedelta(days=1)
MAX_LENGTH = 2_048
_CLAIMS = ("iss", "aud", "sub", "jti", "iat", "exp", "scope")
_Time = Annotated[int, Meta(ge=0, le=2**40)]


class _Claims(msgspec.Struct, frozen=True):
    sub: TenantId
    jti: UUID
    iat: _Time
    exp: _Time


class TokenProof(msgspec.Struct, frozen=True, kw_only=True):
    """What a token's signature proves: which it is, whose, and by which key it was signed."""

    token_id: UUID
    client_id: TenantId
    signing_key: UUID


class ServiceTokens:
    """Signs and reads tokens. `issuer` is the address under which this server is reached."""

    def __init__(self, vault: Vault, *, issuer: str) -> None:
        self._vault = vault
        self._issuer = issuer

    def sign(self, proof: TokenProof, scopes: list[Scope], *, now: datetime, expires_at: datetime) -> str:
        """Write a token."""
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": proof.client_id,
            "jti": str(proof.token_id),
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "scope": " ".join(scopes),
        }
        header = {"kid": str(proof.signing_key), "typ": TYPE}
        return jwt.encode(claims, self._secret(proof.signing_key), algorithm=ALGORITHM, headers=header)

    def read(self, text: str, *, now: datetime) -> TokenProof | None:
        """Check a token's signature, type, issuer, audience and times; None means that it proves nothing.

        Shape: the algorithm is ours and never the token's, and `kid` leads to a key of ours or to one nobody knows.
        """
        if len(text) > MAX_LENGTH or text.count(".") != 2:  # noqa: PLR2004 - header, claims, signature
            return None
        try:
            header = jwt.get_unverified_header(text)
            signing_key = UUID(header["kid"])
            given = jwt.decode(
                text,
                self._secret(signing_key),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Times are judged below, by the clock of the process.
                options={
                    "require": list(_CLAIMS), "strict_aud": True,
                    "verify_exp": False, "verify_iat": False, "verify_nbf": False,
                },
            )  # fmt: skip
            claims = msgspec.convert(given, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, KeyError, ValueError):
            return None
        issued_at, expires_at = (datetime.fromtimestamp(at, UTC) for at in (claims.iat, claims.exp))
        if header.get("typ") != TYPE or issued_at > now + LEEWAY or expires_at + LEEWAY <= now:
            return None
        return TokenProof(token_id=claims.jti, client_id=claims.sub, signing_key=signing_key)

    def _secret(self, signing_key: UUID) -> str:
        return self._vault.password_for(f"token/{signing_key}")
