"""Hash a password the way Postgres stores it, so that no statement, and no server log, ever holds it in clear.

Called wherever a login is made. Source: RFC 5802, RFC 7677; PostgreSQL's `SCRAM-SHA-256$…` format.
"""

import base64
import hashlib
import hmac
import secrets

_ITERATIONS = 4096


def scram_verifier(password: str, *, salt: bytes | None = None) -> str:
    """Make the verifier that `CREATE ROLE … PASSWORD` takes in place of an ASCII password."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def random_password() -> str:
    """Make a password (192 random bits, ASCII)."""
    return secrets.token_urlsafe(24)
