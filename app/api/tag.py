"""`/tag/{container_id}.js`: what a site loads to be collected from, and beside it the site's own script.

Public: a tag's key may be seen by anybody and works from its adaptor's origins alone. The site's own script is not
ours, so it is sent where the browser says, by CORS, that one of these origins asks, and never to a page of ours.
"""

import re
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency

from app.api.raw_paths import raw_path
from app.api.scripts import answer_script
from app.api.tag_files import Tags
from tenants.errors import NotFound, OriginRefused

# By the raw path: no other spelling of an address is a tag's.
_PATH = re.compile(rb"/tag/([A-Za-z0-9]{20})(\.script)?\.js")
_HEADERS = {
    "Cache-Control": "public, max-age=300, stale-while-revalidate=3600",
    "Vary": "Accept-Encoding, Origin",
}


@route("/tag/{file:str}", http_method=["GET", "HEAD"], include_in_schema=False)
async def show_tag(request: Request[Any, Any, Any], tags: NamedDependency[Tags]) -> Response[bytes]:
    """Answer with a tag, or with a site's own script."""
    found = _PATH.fullmatch(raw_path(request.scope))
    if found is None:
        raise NotFound("There is no such tag.")
    files = await tags.get(found[1].decode())
    origin = request.headers.get("origin", "")
    is_own = origin in files.origins
    cors = {"Access-Control-Allow-Origin": origin} if is_own else {}
    if found[2] is None:
        cors |= {"Cross-Origin-Resource-Policy": "cross-origin"}
        return answer_script(request, files.main, _HEADERS | cors)
    if files.script is None:
        raise NotFound("There is no such tag.")
    if not is_own:
        raise OriginRefused("The script is for pages of its adaptor's origins alone.")
    return answer_script(request, files.script, _HEADERS | cors)


handlers = [show_tag]
