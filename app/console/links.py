"""`/{client_id}/invitation/{token}`, `/{client_id}/reset` and `/{client_id}/reset/{token}`: setting a password.

Registered by `app.asgi` through `app.console.routes`. Whether an address is known is told to nobody; opening a link
does not use it up, since mail scanners open links, too.
"""

import math
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.console.forms import STALE, read_form, show_form
from app.console.layout import see_other, show
from app.console.link_desk import LinkDesk
from app.console.visit import Visit
from app.settings import Settings
from provisioning.staff_links import INVITATION, RESET
from tenants.errors import NotFound
from tenants.vault import Vault

LINKS = ["/{client_id:str}/invitation/{token:str}", "/{client_id:str}/reset/{token:str}"]
_HEADINGS = {INVITATION: "Welcome! Choose a password", RESET: "Choose a new password"}
_SEE_OTHER, _FORBIDDEN, _NOT_FOUND, _UNPROCESSABLE, _TOO_MANY = 303, 403, 404, 422, 429
_DIFFERENT = "The two passwords are not the same."
_DEAD = "It may have been used, or be too old, or have been replaced by another one. Ask for a new one."
_SENT = "If this address is known here, a link to set a new password is on its way to it. It works for an hour."
_BY_HAND = "Ask whoever gave you access for a link with which you can set a new password."


@get(LINKS, include_in_schema=False)
async def show_link(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    token: FromPath[str],
    vault: NamedDependency[Vault],
    links: NamedDependency[LinkDesk],
) -> Response[Any]:
    """Ask for a password, if the link works."""
    purpose = _purpose(request)
    try:
        person = await links.read(visit, purpose, token)
    except NotFound:
        return _show_dead(visit)
    heading = _HEADINGS[purpose]
    return show_form("new_password.html", request, visit, vault, heading=heading, email=person.email, fault=None)


@post(LINKS, include_in_schema=False, status_code=_SEE_OTHER)
async def use_link(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    token: FromPath[str],
    vault: NamedDependency[Vault],
    links: NamedDependency[LinkDesk],
) -> Response[Any]:
    """Set the password, or show the form again with what is wrong."""
    purpose, form = _purpose(request), await read_form(request, visit, vault)
    try:
        person = await links.read(visit, purpose, token)
        fault = STALE if not form.own else _DIFFERENT if form.text("password") != form.text("again") else None
        fault = fault or await links.set_password(visit, purpose, token, form.text("password"))
    except NotFound:
        return _show_dead(visit)
    if fault is None:
        return see_other(f"{visit.prefix}/login?done=password")
    return show_form(
        "new_password.html", request, visit, vault, status=_UNPROCESSABLE, heading=_HEADINGS[purpose],
        email=person.email, fault=fault,
    )  # fmt: skip


@get("/{client_id:str}/reset", include_in_schema=False)
async def show_reset(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    settings: NamedDependency[Settings],
    vault: NamedDependency[Vault],
) -> Response[Any]:
    """Ask for the address; where no mail can be sent, say whom to ask."""
    if settings.smtp_url is None:
        return _show_notice(visit, "Forgot your password?", _BY_HAND)
    return show_form("reset.html", request, visit, vault, fault=None)


@post("/{client_id:str}/reset", include_in_schema=False, status_code=200)
async def order_reset(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    settings: NamedDependency[Settings],
    vault: NamedDependency[Vault],
    links: NamedDependency[LinkDesk],
) -> Response[Any]:
    """Have a link sent, and say the same whether there is anybody to send it to or not."""
    form = await read_form(request, visit, vault)
    if not form.own:
        return show_form("reset.html", request, visit, vault, status=_FORBIDDEN, fault=STALE)
    wait_s = await links.order_reset(visit, form.email)
    if wait_s > 0:
        headers = {"Retry-After": str(math.ceil(wait_s))}
        fault = "Too many links were asked for. Please try again later."
        return show_form("reset.html", request, visit, vault, status=_TOO_MANY, headers=headers, fault=fault)
    if settings.smtp_url is None:
        return _show_notice(visit, "Forgot your password?", _BY_HAND)
    return _show_notice(visit, "Look into your mailbox", _SENT)


def _purpose(request: Request[Any, Any, Any]) -> str:
    """Tell which of the two paths it is."""
    return INVITATION if request.scope["path"].split("/")[-2] == INVITATION else RESET


def _show_dead(visit: Visit) -> Response[Any]:
    return _show_notice(visit, "This link does not work", _DEAD, status=_NOT_FOUND)


def _show_notice(visit: Visit, title: str, text: str, *, status: int = 200) -> Response[Any]:
    return show("notice.html", visit.brand, visit.prefix, status=status, title=title, text=text, back=True)
