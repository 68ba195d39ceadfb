"""Where a client's people reach its pages: on its own proven domain, else below the public address.

Called by whatever hands such an address out: the API, the worker that mails links.
"""

from urllib.parse import urlsplit

from app.settings import Settings
from tenants.models import Client


def home_url(settings: Settings, client: Client) -> str:
    """Name the page where a client's people look at its figures."""
    return f"{_base(settings, client)}/"


def staff_url(settings: Settings, client: Client, purpose: str, token: str) -> str:
    """Name the page on which a link's token is used."""
    return f"{_base(settings, client)}/{purpose}/{token}"


def _base(settings: Settings, client: Client) -> str:
    if client.domain is not None and client.domain == client.domain_proven:
        return f"{urlsplit(settings.base_url).scheme}://{client.domain}"
    return f"{settings.base_url}/{client.id}"
