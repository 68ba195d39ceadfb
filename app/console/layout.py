"""Render a page under a client's brand: templates that escape by default, and the headers that keep it safe.

Called by the routes of this package and by the gateway's error pages; templates extend `templates/layout.html`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from app.auth.sessions import StaffMember
from app.console.assets import asset_path, icon_path
from app.console.brand import Brand

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, brand: Brand, prefix: str, /, *, member: StaffMember | None = None, **values: object) -> str:
    """Write a page.

    Shape: `prefix` is what the client's paths begin with, such as `/maple`; the template sees `brand`, `prefix`,
    `member` (who is logged in, or None), `asset(name)`, `icon` and what else is given.
    """
    return _TEMPLATES.get_template(template).render(
        brand=brand, prefix=prefix, member=member, icon=icon_path(prefix, brand),
        asset=lambda name: asset_path(prefix, name, brand), **values,
    )  # fmt: skip


def show(
    template: str,
    brand: Brand,
    prefix: str,
    /,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """Answer with a page that no cache keeps."""
    return Response(
        render(template, brand, prefix, **values),
        status_code=status,
        media_type="text/html",
        headers=page_headers() | (headers or {}),
    )


def see_other(path: str, *, cookies: Sequence[Cookie] = ()) -> Redirect:
    """Send the browser to another page of ours, in a way that no cache keeps."""
    return Redirect(path, status_code=303, headers={"Cache-Control": "no-store"}, cookies=list(cookies))


def page_headers(*, style: Sequence[str] = ()) -> dict[str, str]:
    """Return the headers of a page: nothing inline, nothing from elsewhere, in nobody's frame.

    Shape: `style` adds sources of styles, for a page whose library writes some itself.
    """
    styles = " ".join(["'self'", *style])
    policy = (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
