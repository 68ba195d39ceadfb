"""Make a page of Grafana's a page of the client's: addresses below the prefix, name, logo, colours, what it offers.

Called by `app.gateway.gateway` with `text/html`. The page brings its data along in a script (user, settings, menu),
which is read and written as JSON; what the page's scripts show later is branded by `static/brand.js`.
"""

import re
from collections.abc import Callable
from html import escape
from json import JSONDecodeError, JSONDecoder
from typing import Any

import msgspec
import structlog

from app.auth.sessions import StaffMember
from app.console.assets import icon_path
from app.console.brand import Brand
from app.gateway.rules import is_page

OWN = "grove"
_BASE = re.compile(r'<base href="[^"]*"\s*/?>')
_TITLE = re.compile(r"<title>[^<]*</title>")
_ICONS = re.compile(r'<link rel="(?:icon|apple-touch-icon|mask-icon)"[^>]*>|<meta name="msapplication-config"[^>]*>')
_NONCE = re.compile(r'(<script[^>]*?) nonce="[^"]*"')
_LOADING = re.compile(r'(<div class="preloader__text">)[^<]*(</div>)')
_FAILED = re.compile(r'(<div class="preloader__text preloader__text--fail">).*?</p></div>', re.DOTALL)
# The character that begins a tag, and the separators that end a line of a script.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_UNSAFE = re.compile("[<>&\u2028\u2029]")
# What a page offers and the gateway does not let through.
_CLOSED = (
    "alertingEnabled", "exploreEnabled", "feedbackLinksEnabled", "helpEnabled", "newsFeedEnabled", "pluginAdminEnabled",
    "profileEnabled", "queryHistoryEnabled", "snapshotEnabled", "unifiedAlertingEnabled",
)  # fmt: skip
_CLOSED_TOGGLES = ("publicDashboards", "commandPalette", "correlations", "dashboardPreviews", "queryLibrary")
log = structlog.get_logger()
JSON = dict[str, Any]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a page is made.

    Shape: `prefix` is what the gateway's paths begin with, such as `/maple/grafana`, `home` what the client's own
    begin with, such as `/maple`; `origin` is scheme and host as the browser sees them.
    """

    brand: Brand
    member: StaffMember
    prefix: str
    home: str
    origin: str
    nonce: str


def rewrite(html: str, page: Page) -> str:
    """Write the page anew."""
    html = _NONCE.sub(rf'\1 nonce="{page.nonce}"', html)
    html = _ICONS.sub("", html)
    html = _TITLE.sub(lambda _: f"<title>{escape(page.brand.name)}</title>", html, count=1)
    html = _BASE.sub(lambda _: f'<base href="{page.prefix}/"/>{_own_tags(page)}', html, count=1)
    html = _LOADING.sub(r"\1Loading\2", html, count=1)
    html = _FAILED.sub(r"\1<p>The page could not be loaded. Please try again.</p></div>", html, count=1)
    for name, change in (("user", _change_user), ("settings", _change_settings), ("navTree", _change_menu)):
        html = _change_data(html, name, change, page)
    return html


def policy(page: Page) -> str:
    """Name where the page's scripts may come from and whom they may talk to: below the client's prefix alone.

    Shape: paths count in path mode, where other clients share the origin; Grafana's scripts compile expressions and
    write styles.
    """
    below = f"{page.origin}{page.prefix}/"
    assets = f"{page.origin}{page.home}/assets/"
    live = f"ws{below.removeprefix('http')}"
    return (
        f"default-src 'none'; script-src 'nonce-{page.nonce}' 'unsafe-eval' {below}; "
        f"style-src 'unsafe-inline' {below}; img-src data: blob: {below} {assets}; font-src data: {below}; "
        f"connect-src {below} {live}; worker-src blob: {below}; base-uri {below}; "
        f"form-action 'none'; frame-ancestors 'none'"
    )


def _own_tags(page: Page) -> str:
    own, name = f"{page.prefix}/{OWN}", escape(page.brand.name)
    return (
        f'<link rel="icon" href="{icon_path(page.home, page.brand)}"/>'
        f'<link rel="stylesheet" href="{own}/brand.css"/>'
        f'<script nonce="{page.nonce}" src="{own}/brand.js" data-name="{name}"></script>'
    )


def _change_data(html: str, name: str, change: Callable[[Any, Page], Any], page: Page) -> str:
    """Change one value of the page's data, which stands in a script as `name: {…},`."""
    start = html.find("window.grafanaBootData")
    found = re.compile(rf"""\b{name}["']?:\s*""").search(html, start) if start >= 0 else None
    if found is None:
        log.warning("page_without_data", name=name)
        return html
    try:
        value, end = JSONDecoder().raw_decode(html, found.end())
    except JSONDecodeError:
        log.warning("page_without_data", name=name)
        return html
    return html[: found.end()] + _write(change(value, page)) + html[end:]


def _write(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return _UNSAFE.sub(lambda match: _ESCAPES[match[0]], text)


def _change_user(user: JSON, page: Page) -> JSON:
    """Name people as they know themselves, not as their user in Grafana is called."""
    picture = user.get("gravatarUrl")
    if isinstance(picture, str) and picture.startswith("/"):
        user["gravatarUrl"] = page.prefix + picture
    return user | {"login": page.member.email, "email": page.member.email, "orgName": page.brand.name}


def _change_settings(settings: JSON, page: Page) -> JSON:
    for name in _CLOSED:
        if name in settings:
            settings[name] = False
    toggles = settings.get("featureToggles")
    if isinstance(toggles, dict):
        settings["featureToggles"] = {name: value for name, value in toggles.items() if name not in _CLOSED_TOGGLES}
    about = settings.get("buildInfo")
    if isinstance(about, dict):
        settings["buildInfo"] = about | {"hideVersion": True, "hasUpdate": False}
    return settings | {"appSubUrl": page.prefix, "appUrl": f"{page.origin}{page.prefix}/"}


def _change_menu(menu: list[JSON], page: Page) -> list[JSON]:
    """Keep what leads to pages that are let through, and add the way out."""
    kept = [entry for entry in (_keep(entry, page) for entry in menu if entry.get("id") != "profile") if entry]
    leave = {"id": "sign-out", "text": "Log out", "icon": "arrow-from-right", "target": "_self", "hideFromTabs": True}
    children = [leave | {"url": f"{page.prefix}/logout"}]
    person = {
        "id": "profile", "text": page.member.name or page.member.email, "subTitle": page.member.email,
        "section": "config", "img": f"{page.prefix}/public/img/user_profile.png", "roundIcon": True,
        "url": f"{page.prefix}/", "sortWeight": -600, "children": children,
    }  # fmt: skip
    return [*kept, person]


def _keep(entry: JSON, page: Page) -> JSON | None:
    path = str(entry.get("url", "")).partition("?")[0]
    children = [kept for kept in (_keep(child, page) for child in entry.get("children") or []) if kept]
    if not is_page(path) and not children:
        return None
    changed = entry | {"url": page.prefix + str(entry["url"]) if is_page(path) else children[0]["url"]}
    return changed | {"children": children} if "children" in entry else changed
