"""Encrypt what must be read back (database passwords), and derive what need not be stored.

Called by the registry and by provisioning; the only key is `GROVE_SECRET_KEY`.
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken


class VaultError(Exception):
    """A stored secret cannot be read with this `GROVE_SECRET_KEY`."""


class Vault:
    """Encrypts with Fernet (AES-128-CBC + HMAC-SHA256) under a key derived from the secret key."""

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode()
        digest = hmac.digest(self._secret, b"grove/vault/1", hashlib.sha256)
        self._fernet = Fernet(base64.urlsafe_b64encode(digest))

    def seal(self, text: str) -> bytes:
        """Encrypt a secret for storage."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt a stored secret.

        Errors: VaultError if it was sealed under another key.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise VaultError from error

    def sign(self, purpose: str, text: str) -> str:
        """Make a code that nobody without the key can make for this text and purpose; compare it in constant time."""
        message = f"grove/sign/1/{purpose}/".encode() + text.encode(errors="surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._secret, message, hashlib.sha256)).decode().rstrip("=")

    def password_for(self, purpose: str) -> str:
        """Derive the password of one purpose, such as the serving login of a server.

        Every process derives the same one, so that serving needs no administrator's connection to learn it.
        """
        digest = hmac.digest(self._secret, b"grove/password/1/" + purpose.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
