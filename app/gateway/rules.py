"""What of Grafana the staff of a client may reach: a list of methods and paths, each with its reason.

Called by `app.gateway.gateway` with a path that has one reading. What is not listed is refused, so that whatever a
later version of Grafana adds is closed until somebody opens it here.
"""

import re
from enum import StrEnum

import msgspec

# Where figures are asked for.
QUESTIONS = "/api/ds/query"
_READ = frozenset({"GET", "HEAD"})
_UID = r"[A-Za-z0-9_-]{1,40}"
_SLUG = r"(?:/[A-Za-z0-9._~-]{0,200})?"


class Kind(StrEnum):
    """What an answer is, by which it is handled."""

    PAGE = "page"
    ASSET = "asset"
    DATA = "data"
    LIVE = "live"


class Rule(msgspec.Struct, frozen=True):
    """One thing that is let through. `role` is the least that is needed for it; `links`: its answer names addresses."""

    methods: frozenset[str]
    path: re.Pattern[str]
    kind: Kind
    reason: str
    role: str = "viewer"
    links: bool = False


def _rule(methods: str, path: str, kind: Kind, reason: str, *, role: str = "viewer", links: bool = False) -> Rule:
    names = _READ if methods == "GET" else frozenset(methods.split())
    return Rule(names, re.compile(path), kind, reason, role, links)


RULES: tuple[Rule, ...] = (
    _rule("GET", r"/", Kind.PAGE, "the home dashboard"),
    _rule("GET", rf"/d/{_UID}{_SLUG}", Kind.PAGE, "a dashboard"),
    _rule("GET", r"/dashboards", Kind.PAGE, "the list of dashboards"),
    _rule("GET", rf"/dashboards/f/{_UID}{_SLUG}", Kind.PAGE, "a folder"),
    _rule("GET", r"/dashboard/new", Kind.PAGE, "the page on which a dashboard is made", role="editor"),
    _rule("GET", r"/public/(?:app|build|emails|fonts|gazetteer|img|lib|locales|maps|vendor)(?:/[A-Za-z0-9._~-]+)+",
          Kind.ASSET, "scripts, styles, fonts and images of the pages, the same for everybody"),
    _rule("GET", r"/api/live/ws", Kind.LIVE, "news of open dashboards"),
    _rule("POST", QUESTIONS, Kind.DATA, "the figures of panels; the database's role is the wall behind it"),
    _rule("GET", r"/api/dashboards/home", Kind.DATA, "which dashboard is home"),
    _rule("GET", rf"/api/dashboards/uid/{_UID}", Kind.DATA, "a dashboard's definition"),
    _rule("GET", r"/api/dashboards/tags", Kind.DATA, "tags to search by"),
    _rule("GET", r"/api/search(?:/sorting)?", Kind.DATA, "the list of dashboards and folders", links=True),
    _rule("GET", r"/api/folders", Kind.DATA, "the list of folders"),
    _rule("GET", rf"/api/folders/{_UID}", Kind.DATA, "a folder"),
    _rule("GET", r"/api/annotations(?:/tags)?", Kind.DATA, "marks on dashboards"),
    _rule("GET", rf"/api/library-elements/{_UID}", Kind.DATA, "a panel that dashboards share"),
    _rule("GET", r"/api/plugins/[a-z0-9-]{1,60}/settings", Kind.DATA, "what a panel's plugin is called"),
    _rule("GET", r"/api/user/preferences", Kind.DATA, "the reader's time zone and theme"),
    _rule("GET", r"/api/user/stars", Kind.DATA, "dashboards that the reader marked"),
    _rule("POST DELETE", r"/api/user/stars/dashboard/(?:uid/)?[A-Za-z0-9_-]{1,40}", Kind.DATA,
          "mark a dashboard, for oneself alone"),
    _rule("GET", r"/api/access-control/user/(?:actions|permissions)", Kind.DATA, "what the page may offer"),
    _rule("GET", r"/api/login/ping", Kind.DATA, "whether the session still stands"),
    _rule("POST", r"/api/dashboards/db", Kind.DATA, "save a dashboard", role="editor"),
    _rule("POST", r"/api/dashboards/calculate-diff", Kind.DATA, "compare what is about to be saved", role="editor"),
    _rule("DELETE", rf"/api/dashboards/uid/{_UID}", Kind.DATA, "delete a dashboard", role="editor"),
    _rule("GET", rf"/api/dashboards/(?:uid/{_UID}|id/[0-9]{{1,18}})/versions(?:/[0-9]{{1,9}})?", Kind.DATA,
          "earlier versions of a dashboard", role="editor"),
    _rule("POST", rf"/api/dashboards/(?:uid/{_UID}|id/[0-9]{{1,18}})/restore", Kind.DATA,
          "go back to an earlier version", role="editor"),
    _rule("POST", r"/api/folders", Kind.DATA, "make a folder", role="editor"),
    _rule("PUT DELETE", rf"/api/folders/{_UID}", Kind.DATA, "rename or delete a folder", role="editor"),
    _rule("POST", r"/api/annotations", Kind.DATA, "mark a moment", role="editor"),
    _rule("PUT PATCH DELETE", r"/api/annotations/[0-9]{1,18}", Kind.DATA, "change a mark", role="editor"),
)  # fmt: skip


def find_rule(method: str, path: str, role: str) -> Rule | None:
    """Find what lets a request through, for somebody of this role; None lets nothing through."""
    for rule in RULES:
        if method in rule.methods and rule.path.fullmatch(path) is not None:
            return rule if rule.role == "viewer" or role == "editor" else None
    return None


def is_page(path: str) -> bool:
    """Tell whether a path, without query, is a page; used for what a page may link to."""
    return any(rule.kind is Kind.PAGE and rule.path.fullmatch(path) is not None for rule in RULES)
