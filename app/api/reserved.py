"""Words that no client may have as its id, because a path of ours has them where clients stand.

Made from the route table by `app.asgi` and handed to onboarding; paths that come later are listed by hand.
"""

from collections.abc import Iterable

from litestar.routes import BaseRoute

# First segments of paths that are promised but not routed yet, or that are routed by something in front of us.
PROMISED = frozenset(
    {
        "api",
        "clients",
        "docs",
        "events",
        "health",
        "login",
        "metrics",
        "problems",
        "schema",
        "static",
        "ws",
    }
)


def reserved_ids(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """List the first segments of all routes, what follows `/api/`, and those of routes to come."""
    paths = [route.path.strip("/").split("/") for route in routes]
    segments = {path[0] for path in paths} | {path[1] for path in paths if path[0] == "api" and len(path) > 1}
    return PROMISED | {segment for segment in segments if segment and not segment.startswith("{")}
