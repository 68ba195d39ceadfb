"""Where a login leads: only ever to a page of the same client, whatever `next` says.

Called by the login, and by what sends people there.
"""

from urllib.parse import quote, unquote, urlsplit

from app.settings import Settings

_MAX_LENGTH = 2000
_MAX_ENCODINGS = 4
# Pages that end a session or begin one lead nowhere.
_NOWHERE = ("login", "logout", "invitation", "reset", "assets")


def default_page(settings: Settings, prefix: str) -> str:
    """Name the page that staff land on."""
    return f"{prefix}/grafana/" if settings.grafana_url is not None else f"{prefix}/"


def safe_page(wanted: str | None, prefix: str) -> str | None:
    """Return `wanted` if it is a path of this client on this very origin, however often it is decoded; else None."""
    if not wanted or len(wanted) > _MAX_LENGTH or not wanted.isascii() or not wanted.isprintable():
        return None
    if any(character in wanted for character in " \\<>\"'`"):
        return None
    path = wanted.partition("#")[0].partition("?")[0]
    for _ in range(_MAX_ENCODINGS):
        if not _is_path_of(path, prefix):
            return None
        decoded = unquote(path, errors="strict") if _is_decodable(path) else None
        if decoded is None:
            return None
        if decoded == path:
            return wanted
        path = decoded
    return None


def login_page(prefix: str, wanted: str) -> str:
    """Name the login page that leads back to where somebody wanted to go."""
    if safe_page(wanted, prefix) is None:
        return f"{prefix}/login"
    return f"{prefix}/login?next={quote(wanted, safe='/')}"


def _is_path_of(path: str, prefix: str) -> bool:
    """Judge a path as a browser would read it: nothing that starts another host or leaves the client's prefix."""
    if not path.startswith(f"{prefix}/") or not path.isprintable():
        return False
    if any(character in path for character in "\\?#\t\r\n") or "//" in path:
        return False
    try:
        parts = urlsplit(path)
    except ValueError:
        return False
    segments = [segment.partition(";")[0] for segment in path.removeprefix(prefix).split("/")]
    if parts.scheme or parts.netloc or "." in segments or ".." in segments:
        return False
    return segments[1] not in _NOWHERE


def _is_decodable(path: str) -> bool:
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    return True
