"""What the tags of the demo's sites record, and by which adaptors: made over the API, or changed if they are there.

Called by `opening`. Origins may change with each start, since ports may be taken; a tag's address stays.
"""

from typing import Any

import msgspec

from app.demo.api import GroveApi, require
from app.demo.sites.pages import FOLDER

_PAGE_SIZE = "200"


class Tag(msgspec.Struct, frozen=True):
    """An adaptor's tag, as the API answers."""

    id: str
    name: str
    tag_url: str
    snippet: str


# Everything that happens by itself, and two rules without code that read `data-*` attributes.
SHOP: dict[str, Any] = {
    "name": "shop",
    "privacy": "balanced",
    "tracking_rules": {
        "selectors": [
            {"selector": ".product-card", "event": "product_view", "properties": {"price": "number"}},
            {
                "selector": ".add-to-cart",
                "event": "add_to_cart",
                "properties": {"price": "number", "quantity": "number"},
            },
        ]
    },
}
# No clicks but those on projects, and a script of the site's own.
PORTFOLIO: dict[str, Any] = {
    "name": "portfolio",
    "privacy": "strict",
    "tracking_rules": {
        "track_clicks": False,
        "selectors": [{"selector": ".project", "event": "project_click"}],
    },
    "script": (FOLDER / "portfolio" / "sections.js").read_text(encoding="utf-8"),
}


async def ensure_tag(api: GroveApi, adaptor: dict[str, Any], url: str) -> Tag:
    """Make an adaptor for a site at this address, or have the one of its name be for it. `api` has an admin key.

    Errors: DemoFailed.
    """
    kept = msgspec.convert((await api.get("/api/adaptors", limit=_PAGE_SIZE))["data"], list[Tag])
    known = next((tag for tag in kept if tag.name == adaptor["name"]), None)
    wanted = adaptor | {"website_url": f"{url}/"}
    if known is None:
        answer = await api.call("POST", "/api/adaptors", json=wanted)
    else:
        answer = await api.call("PUT", f"/api/adaptors/{known.id}", json=wanted)
    return msgspec.convert(require(answer, 200, 201), Tag)
