"""Read a page's form, once it is known to be ours, and show a page with a form that can be read back.

Called by the routes of this package.
"""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie

from app.auth.cookies import FORM, CookieJar
from app.auth.forms import is_cross_site, is_nonce, is_own_form, new_nonce, sign_form
from app.console.layout import show
from app.console.visit import Visit
from tenants.errors import UnsupportedBody
from tenants.vault import Vault

MAX_FORM_BYTES = 16 * 1024
STALE = "This page had been open for too long, or was not ours. Please try again."
_FORM_TYPE = "application/x-www-form-urlencoded"
_FORBIDDEN = 403


class Form(msgspec.Struct, frozen=True):
    """What was sent. `own` is False where another site may have made the browser send it."""

    fields: dict[str, str]
    own: bool

    def text(self, name: str) -> str:
        """Return a field, or nothing."""
        return self.fields.get(name, "")

    @property
    def email(self) -> str:
        """The address as accounts have it; no account's has characters that cannot be seen."""
        return "".join(filter(str.isprintable, self.text("email").strip().lower()[:320]))


async def require_form(request: Request[Any, Any, Any]) -> None:
    """Refuse bodies that are no simple form, before anything reads them.

    Errors: UnsupportedBody.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and media_type != _FORM_TYPE:
        raise UnsupportedBody(f"Send the form as {_FORM_TYPE}.")


async def read_form(request: Request[Any, Any, Any], visit: Visit, vault: Vault) -> Form:
    """Read a form that is sent before there is a session."""
    fields = await form_fields(request)
    nonce = None if visit.jar is None else visit.jar.read(request.scope, FORM)
    own = not is_cross_site(request.headers) and is_own_form(vault, visit.client_id, nonce, fields.get("csrf", ""))
    return Form(fields, own)


async def form_fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the text fields of a form; of a repeated one the first."""
    sent = await request.form()
    return {name: value for name, value in reversed(list(sent.multi_items())) if isinstance(value, str)}


def show_form(
    template: str, request: Request[Any, Any, Any], visit: Visit, vault: Vault, *, status: int = 200,
    headers: dict[str, str] | None = None, **values: Any,
) -> Response[Any]:  # fmt: skip
    """Answer with a page that holds a form, and with the cookie that goes with it."""
    if visit.jar is None:
        return show_insecure(visit)
    nonce, cookies = _nonce(request, visit.jar)
    csrf = sign_form(vault, visit.client_id, nonce)
    answer = show(template, visit.brand, visit.prefix, status=status, headers=headers, csrf=csrf, **values)
    answer.cookies.extend(cookies)
    return answer


def show_insecure(visit: Visit) -> Response[Any]:
    """Say why nobody can log in: the password would be sent in the clear."""
    text = "This server is reached over plain HTTP, where anybody on the way could read your password."
    return show(
        "notice.html", visit.brand, visit.prefix, status=_FORBIDDEN, title="Logging in needs https", text=text,
        back=False,
    )  # fmt: skip


def _nonce(request: Request[Any, Any, Any], jar: CookieJar) -> tuple[str, list[Cookie]]:
    """Keep the nonce that the browser has, so that two open pages do not spoil each other."""
    nonce = jar.read(request.scope, FORM)
    if nonce is not None and is_nonce(nonce):
        return nonce, []
    nonce = new_nonce()
    return nonce, [jar.make(FORM, nonce)]
