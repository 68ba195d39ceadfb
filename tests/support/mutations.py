"""Ways to write a path so that somebody reads it as another: what a gateway must not let through.

Raw bytes, since HTTP clients tidy up what they are given.
"""

from collections.abc import Callable

# What must stay out of reach; `/d/x` stands for a path that is let through.
CLOSED = (
    b"/login", b"/logout", b"/signup", b"/api/user/signup", b"/api/admin/users", b"/api/admin/settings", b"/api/orgs",
    b"/api/orgs/1", b"/api/orgs/name/oak", b"/api/user/using/1", b"/metrics", b"/api/snapshots", b"/api/snapshots/key",
    b"/api/dashboard/snapshots", b"/api/auth/keys", b"/api/serviceaccounts", b"/api/serviceaccounts/1/tokens",
    b"/api/datasources", b"/api/datasources/uid/analytics", b"/api/datasources/proxy/1/x",
    b"/api/datasources/uid/analytics/resources/x", b"/api/plugins/x/install", b"/api/plugins/x/resources/y",
    b"/api/org", b"/api/org/users", b"/api/org/invites", b"/api/user", b"/api/user/password", b"/api/user/orgs",
    b"/api/user/auth-tokens", b"/api/users", b"/api/users/lookup", b"/api/teams/search", b"/api/cloudmigration/token",
    b"/api/dashboards/uid/user-events/public-dashboards", b"/api/public/dashboards/x", b"/public-dashboards/x",
    b"/api/datasources/correlations", b"/api/query-history", b"/api/short-urls", b"/api/gnet/dashboards/1",
    b"/api/ruler/grafana/api/v1/rules", b"/api/alertmanager/grafana/config/api/v1/alerts", b"/api/live/publish",
    b"/api/live/push/x", b"/api/frontend/settings", b"/api/health", b"/api/access-control/roles", b"/explore",
    b"/admin/users", b"/org/users", b"/datasources", b"/plugins", b"/profile", b"/alerting/list", b"/invite/x",
    b"/dashboard/snapshot/x", b"/render/d-solo/x", b"/avatar/x", b"/debug/pprof/", b"/swagger-ui", b"/apis", b"/goto/x",
    b"/public/plugins/x/module.js", b"/a/x", b"/api/dashboards/uid/user-events/permissions", b"/dashboard/script/x.js",
)  # fmt: skip
_TRICKS: tuple[Callable[[bytes], bytes], ...] = (
    lambda path: b"/" + path,
    lambda path: b"/." + path,
    lambda path: b"/d/x/.." + path,
    lambda path: b"/d/x/..;" + path,
    lambda path: b"/d/x/%2e%2e" + path,
    lambda path: b"/d/x/%252e%252e" + path,
    lambda path: b"/d/x/..%2f" + path[1:],
    lambda path: b"/d/x/..%5c" + path[1:],
    lambda path: b"/d/x/..\\" + path[1:],
    lambda path: b"/public/../../.." + path,
    lambda path: b"/public/img/%2e%2e/%2e%2e" + path,
    lambda path: b"/%64/x/.." + path,
    lambda path: path[:2] + b"/./" + path[2:],
    lambda path: path.replace(b"/", b"//"),
    lambda path: b"/" + path[1:].replace(b"/", b"%2f"),
    lambda path: b"/" + path[1:].replace(b"/", b"%252f"),
    lambda path: b"/" + path[1:].replace(b"/", b"\\"),
    lambda path: b"/%" + b"%02x" % path[1] + path[2:],
    lambda path: b"/%25" + b"%02x" % path[1] + path[2:],
    lambda path: path[:-1] + b"%" + b"%02X" % path[-1],
    lambda path: path + b"%00",
    lambda path: path + b"%00.css",
    lambda path: path + b";/public/img/x.css",
    lambda path: path + b";x=y",
    lambda path: path + b"%3f",
    lambda path: path + b"%23",
    lambda path: path + b"%20",
    lambda path: path + b"%09",
    lambda path: path + b"%0d%0aX-WEBAUTH-USER:%20admin",
    lambda path: path + b"/.",
    lambda path: path + b"/x/..",
    lambda path: path + b":x",
    lambda path: path + b"*",
    lambda path: path + b"\xc0\xaf",
    lambda path: path.replace(b"/", b"/\xef\xbc\x8f", 1),
    lambda path: path.replace(b"/", b"/\xe2\x80\x8b", 1),
)


def mutations(closed: bytes) -> list[bytes]:
    """Write a path in every way that changes under somebody's normalisation."""
    return sorted({trick(closed) for trick in _TRICKS} - {closed})
