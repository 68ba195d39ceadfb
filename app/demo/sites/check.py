"""Visit an open site without a browser: every page and file, its tag, and what comes of an event by the tag's key.

Called by `app.demo.run`; `make demo ONCE=1` fails on the first thing that does not fit.
"""

import re

import httpx

from app.demo.api import GroveApi, require
from app.demo.errors import DemoFailed
from app.demo.sites.opening import OpenSite

_PLACE = re.compile(r'(?:href|src)="(/[^"#]*)')
_KEY = re.compile(r'"apiKey":"([^"]+)"')
# As an ordinary browser says it: what says that it is a program is passed over.
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36"
_OK = 200


async def check_site(api: GroveApi, opened: OpenSite) -> int:
    """Visit a site; return how many addresses it has. `api` has a key that reads.

    Errors: DemoFailed.
    """
    headers = {"User-Agent": _BROWSER, "Origin": opened.url}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
        places = await _walk(http, opened)
        tag = await http.get(opened.tag.tag_url)
        key = _KEY.search(tag.text)
        if key is None or tag.headers.get("access-control-allow-origin") != opened.url:
            raise DemoFailed(f"{opened.tag.tag_url} → {tag.status_code}, and is no tag for {opened.url}.")
        view = {"name": "page_view", "page": {"url": f"{opened.url}/"}}
        collection = httpx.URL(opened.tag.tag_url).join("/api/v1/events")
        require(await http.post(collection, params={"key": key[1]}, json=[view]), 202)
    found = await api.get(f"/api/adaptors/{opened.tag.id}/check")
    if not found["sending"] or found["refused"]:
        raise DemoFailed(f"The tag of {opened.site.client.id} should be sending: {found}")
    return places


async def _walk(http: httpx.AsyncClient, opened: OpenSite) -> int:
    """Open everything that can be reached from the first page; every page must carry the tag."""
    known = ["/"]
    for path in known:  # which grows
        answer = await http.get(opened.url + path)
        if answer.status_code != _OK:
            raise DemoFailed(f"{opened.url}{path} → {answer.status_code}")
        if answer.headers["content-type"].startswith("text/html"):
            if opened.tag.snippet not in answer.text:
                raise DemoFailed(f"{opened.url}{path} carries no tag.")
            known += [place for place in dict.fromkeys(_PLACE.findall(answer.text)) if place not in known]
    return len(known)
