"""The gateway's own files below Grafana's pages: a script and a style sheet; and the client's logo for Grafana's.

Called by `app.gateway.gateway`. The logo itself is one of the client's own pages' assets.
"""

from functools import cache
from pathlib import Path

from app.console.assets import icon_path
from app.console.brand import Brand
from app.gateway.headers import Headers

_FOLDER = Path(__file__).parent / "static"
_SHORT = b"private, max-age=300"
# Where Grafana's pages and scripts look for its logo.
LOGOS = frozenset(
    {
        "/public/img/apple-touch-icon.png",
        "/public/img/fav32.png",
        "/public/img/grafana_com_auth_icon.svg",
        "/public/img/grafana_enterprise_typelogo.svg",
        "/public/img/grafana_icon.svg",
        "/public/img/grafana_mask_icon.svg",
        "/public/img/grafana_mask_icon_white.svg",
        "/public/img/grafana_net_logo.svg",
        "/public/img/grafana_text_logo-dark.svg",
        "/public/img/grafana_text_logo-light.svg",
        "/public/img/grafana_typelogo.svg",
        "/public/img/icons/mono/grafana.svg",
        "/public/img/logo_transparent_200x.png",
        "/public/img/logo_transparent_200x75.png",
        "/public/img/logo_transparent_400x.png",
    }
)
OWN_FILES = frozenset({"/grove/brand.css", "/grove/brand.js"})
Answer = tuple[int, Headers, bytes]


def find_own(path: str, brand: Brand, home: str) -> Answer | None:
    """Answer for a file of ours, or lead from Grafana's logo to the client's; None where the path is neither."""
    if path in LOGOS:
        return 302, [(b"location", icon_path(home, brand).encode()), (b"cache-control", _SHORT)], b""
    if path == "/grove/brand.css":
        return _file(b"text/css", _sheet(brand).encode())
    if path == "/grove/brand.js":
        return _file(b"text/javascript", _read("brand.js").encode())
    return None


def _file(media_type: bytes, content: bytes) -> Answer:
    length = (b"content-length", b"%d" % len(content))
    return 200, [(b"content-type", media_type), length, (b"cache-control", _SHORT)], content


def _sheet(brand: Brand) -> str:
    """Give the style sheet its colours and name; a colour is six digits, and of the name nothing ends a string."""
    name = "".join(f"\\{ord(character):x} " for character in brand.name)
    given = {"primary": brand.primary, "on-primary": brand.on_primary, "accent": brand.accent, "name": f'"{name}"'}
    variables = "".join(f"--grove-{key}: {value};" for key, value in given.items())
    return f":root {{ {variables} }}\n{_read('brand.css')}"


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text()
