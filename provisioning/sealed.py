"""What an operation must know and nobody may read: encrypted in its row, and erased as early as possible.

Called by onboarding, by its steps and by the runner.
"""

import msgspec

from tenants.vault import Vault


class Secrets(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A given database URL until the operation ends; a new client's keys until they are shown."""

    url: str | None = None
    keys: dict[str, str] | None = None


def seal_secrets(secrets: Secrets, vault: Vault) -> bytes | None:
    """Encrypt for the operation's row; None if there is nothing to keep."""
    return None if secrets == Secrets() else vault.seal(msgspec.json.encode(secrets).decode())


def open_secrets(sealed: bytes | None, vault: Vault) -> Secrets:
    """Decrypt from the operation's row."""
    return Secrets() if sealed is None else msgspec.json.decode(vault.open(sealed), type=Secrets)


def without_url(sealed: bytes | None, vault: Vault) -> bytes | None:
    """Erase the database URL, which the finished operation no longer needs."""
    return seal_secrets(Secrets(keys=open_secrets(sealed, vault).keys), vault)
