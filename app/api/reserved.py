"""Words that no client may have as its id, because a path of ours starts with them.

Made from the route table by `app.asgi` and handed to onboarding; paths that come later are listed by hand.
"""

from collections.abc import Iterable

from litestar.routes import BaseRoute

# First segments of paths that are promised but not routed yet, or that are routed by something in front of us.
PROMISED = frozenset(
    {
        "analytics-sdk.js",
        "api",
        "clients",
        "docs",
        "health",
        "login",
        "metrics",
        "problems",
        "schema",
        "sdk.js",
        "static",
        "tag",
        "v1",
        "ws",
    }
)


def reserved_ids(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """List the first segments of all routes, and of those to come."""
    segments = (route.path.strip("/").partition("/")[0] for route in routes)
    return PROMISED | {segment for segment in segments if segment and not segment.startswith("{")}
