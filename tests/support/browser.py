"""A browser without a screen: keeps cookies, reads forms off pages and sends them back.

`browser = Browser(grove); await browser.log_in("maple", "ana@maple.example", PASSWORD)`
"""

from html.parser import HTMLParser
from typing import Any

import httpx
from sqlalchemy import update

from app.auth.passwords import Passwords
from tenants.control import ControlPlane
from tenants.models import Staff
from tests.support.grove import Grove, MadeClient

ORIGIN = "https://grove.test"
PASSWORD = "correct horse battery staple"
HTML = {"Accept": "text/html"}


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a field of a form."""
        values = dict(attrs)
        if tag == "input" and values.get("name"):
            self.found[values["name"] or ""] = values.get("value") or ""


def fields_of(page: httpx.Response) -> dict[str, str]:
    """Return the fields of a page's forms with what they hold."""
    inputs = _Inputs()
    inputs.feed(page.text)
    return inputs.found


class Browser:
    """One visitor, who sees the application at `https://grove.test`."""

    def __init__(self, grove: Grove, *, address: str = "192.0.2.1") -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(grove.app, raise_app_exceptions=False, client=(address, 4711)),
            base_url=ORIGIN,
            headers=HTML,
        )

    async def get(self, path: str, **given: Any) -> httpx.Response:
        """Open a page."""
        return await self.http.get(path, **given)

    async def send(self, path: str, **values: str) -> httpx.Response:
        """Open a page with a form, fill it in and send it; `csrf=…` sends another proof than the form's."""
        page = await self.get(path)
        fields = fields_of(page) | values
        return await self.http.post(path.partition("?")[0], data=fields)

    async def log_in(self, client_id: str, email: str, password: str = PASSWORD, *, wanted: str = "") -> httpx.Response:
        """Send the login form."""
        query = str(httpx.QueryParams({"next": wanted})) if wanted else ""
        return await self.send(f"/{client_id}/login?{query}", email=email, password=password)

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie."""
        return next((cookie.value for cookie in self.http.cookies.jar if cookie.name == name), None)


async def add_person(
    grove: Grove, client: MadeClient, email: str, *, password: str | None = PASSWORD, **wanted: Any
) -> dict[str, Any]:
    """Invite somebody and, unless `password` is None, set the password as if the link had been followed."""
    answer = await grove.http.post(f"{client.path}/staff", json={"email": email} | wanted, headers=client.admin)
    assert answer.status_code == 201, answer.text
    person: dict[str, Any] = answer.json()
    if password is not None:
        passwords, control = Passwords(), ControlPlane(grove.settings.main_url, size=1)
        hashed = await passwords.hash(password)
        async with control.session() as session:
            query = update(Staff).where(Staff.client_id == client.id, Staff.email == email)
            await session.execute(query.values(password_hash=hashed, status="active"))
        await control.close()
        passwords.close()
    return person
