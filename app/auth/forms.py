"""Tell a form of ours from one that another site made the browser send.

Called by every page that takes a form. Before there is a session the proof is a nonce in a cookie, signed into the
form; within a session it is the session's own `csrf`.
"""

import hmac
import secrets
from collections.abc import Mapping

from tenants.vault import Vault

_PURPOSE = "form"
_NONCE_BYTES = 16
_MAX_LENGTH = 100


def new_nonce() -> str:
    """Make what the form's cookie holds."""
    return secrets.token_urlsafe(_NONCE_BYTES)


def is_nonce(text: str | None) -> bool:
    """Tell whether a cookie may be one of ours."""
    return text is not None and len(text) == len(new_nonce()) and text.isascii()


def sign_form(vault: Vault, client_id: str, nonce: str) -> str:
    """Make the hidden value of a form that goes with a nonce."""
    return vault.sign(_PURPOSE, f"{client_id}/{nonce}")


def is_own_form(vault: Vault, client_id: str, nonce: str | None, given: str) -> bool:
    """Tell whether a form's hidden value goes with the nonce in the cookie."""
    if nonce is None or not is_nonce(nonce):
        return False
    return same_text(sign_form(vault, client_id, nonce), given)


def same_text(expected: str, given: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(expected.encode(), given[:_MAX_LENGTH].encode(errors="replace"))


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Tell whether the browser itself says that another site sends this."""
    return headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}
