"""Which headers go to Grafana and which come back: those listed here, and no other.

Called by `app.gateway`. Because only listed names pass, whatever somebody sends to be taken for somebody else
(`Authorization`, `Cookie`, `X-WEBAUTH-…`, `X-Grafana-Org-Id`, `X-DS-…`, `Forwarded`, …) ends here, in any spelling.
"""

from collections.abc import Iterable

from app.auth.sessions import StaffMember

_TO_GRAFANA = frozenset(
    {
        b"accept",
        b"accept-language",
        b"content-type",
        b"if-modified-since",
        b"if-none-match",
        b"user-agent",
        b"x-dashboard-uid",
        b"x-grafana-nocache",
        b"x-panel-id",
        b"x-query-group-id",
    }
)
_TO_BROWSER = frozenset(
    {
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"etag",
        b"expires",
        b"last-modified",
        b"pragma",
        b"retry-after",
        b"vary",
    }
)
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
Headers = list[tuple[bytes, bytes]]


def to_grafana(
    sent: Iterable[tuple[bytes, bytes]], identity: str, member: StaffMember, org: int, *, gzip: bool
) -> list[tuple[str, str]]:
    """Make the headers of a request to Grafana: what passes, then who is asking and in which organisation.

    Shape: of a header that came twice the first counts.
    """
    passed: dict[str, str] = {}
    for name, value in sent:
        if name.lower() in _TO_GRAFANA:
            passed.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return [
        *passed.items(),
        ("accept-encoding", "gzip" if gzip else "identity"),
        (identity, f"{member.client_id}:{member.email}"),
        ("X-Grafana-Org-Id", str(org)),
    ]


def to_browser(received: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Pass on the headers of an answer, with those that keep a browser from guessing and framing."""
    passed = [(name.lower(), value) for name, value in received if name.lower() in _TO_BROWSER]
    return [*passed, *_SAFE]


def replace(headers: Headers, **changes: bytes | None) -> Headers:
    """Set headers, or drop those that are None; underscores stand for hyphens."""
    names = {name.replace("_", "-").encode(): value for name, value in changes.items()}
    kept = [(name, value) for name, value in headers if name not in names]
    return kept + [(name, value) for name, value in names.items() if value is not None]


def first(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the first header of a name."""
    return next((value for key, value in headers if key.lower() == name), None)


def accepts(headers: Iterable[tuple[bytes, bytes]], name: bytes, wanted: bytes) -> bool:
    """Tell whether a header lists something."""
    return any(wanted in value.lower() for key, value in headers if key == name)
