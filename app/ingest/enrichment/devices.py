"""What a browser's name for itself tells: device, browser, system, and whether it is a program without a reader.

Called by the steps. Kept, since a site's visitors have few names between them.
"""

import re
from functools import lru_cache
from importlib.resources import files

import msgspec
from ua_parser import Parser, Result
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

KEPT_AGENTS = 10_000
_SPIDER = "Spider"
_BROWSERS = {
    "Mobile Safari": "Safari", "Mobile Safari UI/WKWebView": "Safari", "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome", "Chrome Mobile WebView": "Chrome", "HeadlessChrome": "Chrome",
    "Firefox Mobile": "Firefox", "Firefox iOS": "Firefox", "Edge Mobile": "Edge", "Opera Mobile": "Opera",
    "Samsung Internet": "Samsung Internet",
}  # fmt: skip
_SYSTEMS = {"Mac OS X": "macOS"}
_DESKTOPS = frozenset({"Windows", "macOS", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD", "OpenBSD"})
_TV = re.compile(
    r"\b(?:smart-?tv|hbbtv|appletv|googletv|tizen [^)]*\btv\b|web0s|bravia|roku)|\btv safari", re.IGNORECASE
)
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|playbook|android(?!.*\bmobile\b)", re.IGNORECASE)
_MOBILE = re.compile(r"\bmobi|iphone|ipod|windows phone", re.IGNORECASE)


class Device(msgspec.Struct, frozen=True):
    """What a browser said of itself; None where it did not say."""

    kind: str | None = None
    browser: str | None = None
    os: str | None = None
    is_bot: bool = False


def _read_bots() -> re.Pattern[str]:
    lines = files("app.ingest.enrichment").joinpath("bots.txt").read_text().splitlines()
    words = [line for line in lines if line and not line.startswith("#")]
    return re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)


_parse = Parser(Resolver(load_lazy_builtins())).parse
_bots = _read_bots()


@lru_cache(maxsize=KEPT_AGENTS)
def read_agent(agent: str) -> Device:
    """Tell what a `User-Agent` says; an empty one says nothing."""
    if not agent:
        return Device()
    found = _parse(agent)
    if _is_spider(found) or _bots.search(agent) is not None:
        return Device(is_bot=True)
    browser = None if found.user_agent is None else found.user_agent.family
    system = None if found.os is None else _SYSTEMS.get(found.os.family, found.os.family)
    return Device(
        kind=_kind(agent, system),
        browser=None if browser is None else _BROWSERS.get(browser, browser),
        os=system,
    )


def _is_spider(found: Result) -> bool:
    return found.device is not None and found.device.family == _SPIDER


def _kind(agent: str, system: str | None) -> str | None:
    if _TV.search(agent):
        return "tv"
    if _TABLET.search(agent):
        return "tablet"
    if _MOBILE.search(agent):
        return "mobile"
    return "desktop" if system in _DESKTOPS else None
