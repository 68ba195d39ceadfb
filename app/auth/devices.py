"""Know a browser again in which an account has logged in before, so that a stranger's guesses do not slow it down.

Called by the login. The proof is a signed cookie (OWASP, "Slow down online guessing attacks with device cookies");
it ends with the password that it was made under.
"""

import secrets

from app.auth.forms import same_text
from tenants.vault import Vault

LIFETIME_S = 180 * 86_400
_NONCE_BYTES = 16


def make_device(vault: Vault, client_id: str, email: str, password_hash: str) -> str:
    """Make the cookie of a browser in which somebody has just logged in."""
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    return f"{nonce}.{_sign(vault, client_id, email, password_hash, nonce)}"


def known_device(vault: Vault, client_id: str, email: str, password_hash: str | None, cookie: str | None) -> str | None:
    """Return which browser of this account it is, or None."""
    if cookie is None or password_hash is None:
        return None
    nonce, _, code = cookie.partition(".")
    return nonce if same_text(_sign(vault, client_id, email, password_hash, nonce), code) else None


def _sign(vault: Vault, client_id: str, email: str, password_hash: str, nonce: str) -> str:
    return vault.sign("device", f"{client_id}/{email}/{password_hash}/{nonce}")
