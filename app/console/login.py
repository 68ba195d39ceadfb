"""`/{client_id}/login` and `/{client_id}/logout`, under the client's brand; for whoever is no client, a neutral page.

Registered by `app.asgi` through `app.console.routes`. The work is `app.console.entrance`'s.
"""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from app.auth.cookies import SESSION
from app.auth.destinations import default_page, safe_page
from app.auth.forms import is_cross_site, same_text
from app.auth.sessions import SessionStore, StaffMember
from app.auth.staff import find_member
from app.console.entrance import Entered, Entrance, Refused
from app.console.forms import STALE, form_fields, read_form, show_form
from app.console.layout import see_other, show
from app.console.visit import Visit
from app.settings import Settings
from tenants.errors import NotFound, Unauthenticated
from tenants.vault import Vault

SEE_OTHER = 303
_NOTICES = {"password": "Your password is set. Log in with it.", "out": "You are logged out."}


@get("/{client_id:str}/login", include_in_schema=False)
async def show_login(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    settings: NamedDependency[Settings],
    sessions: NamedDependency[SessionStore],
    vault: NamedDependency[Vault],
) -> Response[Any]:
    """Show the form; whoever is logged in already is sent on."""
    wanted = safe_page(request.query_params.get("next"), visit.prefix)
    if await _member(request, visit, settings, sessions) is not None:
        return see_other(wanted or default_page(settings, visit.prefix))
    notice = _NOTICES.get(request.query_params.get("done", ""))
    return show_form("login.html", request, visit, vault, next=wanted, email="", fault=None, notice=notice)


@post("/{client_id:str}/login", include_in_schema=False, status_code=SEE_OTHER)
async def log_in(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    settings: NamedDependency[Settings],
    vault: NamedDependency[Vault],
    entrance: NamedDependency[Entrance],
) -> Response[Any]:
    """Let somebody in, or show the form again with what is wrong."""
    form = await read_form(request, visit, vault)
    wanted = safe_page(form.text("next"), visit.prefix)
    outcome: Entered | Refused = Refused(403, STALE)
    if form.own and visit.jar is not None:
        outcome = await entrance.enter(request.scope, visit, visit.jar, form.email, form.text("password"))
    if isinstance(outcome, Refused):
        return show_form(
            "login.html", request, visit, vault, status=outcome.status, headers=outcome.headers, next=wanted,
            email=form.email, fault=outcome.text, notice=None,
        )  # fmt: skip
    page = wanted or default_page(settings, visit.prefix)
    return see_other(page, cookies=outcome.cookies)


@get("/{client_id:str}/logout", include_in_schema=False)
async def show_logout(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    settings: NamedDependency[Settings],
    sessions: NamedDependency[SessionStore],
) -> Response[Any]:
    """Ask before logging out, since a link on any page could lead here."""
    member = await _member(request, visit, settings, sessions)
    if member is None:
        return see_other(f"{visit.prefix}/login")
    return show("logout.html", visit.brand, visit.prefix, email=member.email, csrf=member.csrf)


@post("/{client_id:str}/logout", include_in_schema=False, status_code=SEE_OTHER)
async def log_out(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    settings: NamedDependency[Settings],
    sessions: NamedDependency[SessionStore],
    entrance: NamedDependency[Entrance],
) -> Response[Any]:
    """End the session, in every process."""
    member = await _member(request, visit, settings, sessions)
    if member is None or visit.jar is None:
        return see_other(f"{visit.prefix}/login")
    fields = await form_fields(request)
    if is_cross_site(request.headers) or not same_text(member.csrf, fields.get("csrf", "")):
        return see_other(f"{visit.prefix}/logout")
    await entrance.leave(member)
    cookies = [visit.jar.drop(SESSION)]
    return see_other(f"{visit.prefix}/login?done=out", cookies=cookies)


async def _member(
    request: Request[Any, Any, Any], visit: Visit, settings: Settings, sessions: SessionStore
) -> StaffMember | None:
    if visit.client is None:
        return None
    try:
        return await find_member(request.scope, visit.client_id, settings, sessions)
    except (Unauthenticated, NotFound):
        return None
