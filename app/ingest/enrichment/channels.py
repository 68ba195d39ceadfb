"""Where a visit came from: the channel, and the search engine if it was one. Pure.

Called by the steps, with a URL and a referrer that hold no secrets any more. The sites are in `sites.txt`.
"""

from functools import lru_cache
from importlib.resources import files
from urllib.parse import urlsplit

import msgspec

KEPT_ORIGINS = 16_384
KEPT_HOSTS = 4096
_ANY_ENDING = ".*"
_TWO, _SHORT = 2, 3
_PAID = frozenset(
    {"cpc", "ppc", "cpv", "cpa", "paid", "paidsearch", "paid-search", "paid_search", "sem", "retargeting"}
)
# What senders of links mean by `utm_medium`.
_MEDIA = {
    **dict.fromkeys(_PAID, "paid search"),
    **dict.fromkeys(("paidsocial", "paid-social", "paid_social", "cpc-social"), "paid social"),
    **dict.fromkeys(("display", "cpm", "banner", "expandable", "interstitial"), "display"),
    **dict.fromkeys(("social", "social-network", "social-media", "social_network", "social_media"), "organic social"),
    **dict.fromkeys(("email", "e-mail", "e_mail", "newsletter"), "email"),
    **dict.fromkeys(("affiliate", "affiliates"), "affiliate"),
    **dict.fromkeys(("referral", "link"), "referral"),
    **dict.fromkeys(("push", "mobile", "notification"), "push"),
    "organic": "organic search", "video": "video", "audio": "audio", "sms": "sms",
}  # fmt: skip
_CLICKS = {"gclid": "paid search", "wbraid": "paid search", "gbraid": "paid search", "msclkid": "paid search"}
_ORGANIC = {
    "search": "organic search", "social": "organic social", "video": "organic video", "email": "email",
    "assistant": "ai assistant",
}  # fmt: skip


class Site(msgspec.Struct, frozen=True):
    """A site that sends visitors to many others."""

    kind: str
    name: str


class Origin(msgspec.Struct, frozen=True):
    """Where a visit came from; neither is told of a page that one comes to from the same site."""

    channel: str | None = None
    search_engine: str | None = None


def _read_sites() -> dict[str, Site]:
    """Read the list: kind, hosts, name."""
    sites: dict[str, Site] = {}
    for line in files("app.ingest.enrichment").joinpath("sites.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, hosts, name = line.split(maxsplit=2)
            sites |= dict.fromkeys(hosts.split(","), Site(kind, name))
    return sites


_sites = _read_sites()


@lru_cache(maxsize=KEPT_ORIGINS)
def find_origin(url: str | None, referrer: str | None, source: str | None, medium: str | None) -> Origin:
    """Tell where a visit came from: by its campaign first, then by the click's mark, then by the referrer."""
    from_host = host_of(referrer)
    site = find_site(from_host)
    engine = site.name if site is not None and site.kind == "search" else None
    channel = _by_campaign(source, medium, site) or _by_click(url)
    if channel is not None:
        return Origin(channel, engine)
    if is_own(url, referrer):
        return Origin()
    if site is not None:
        return Origin(_ORGANIC[site.kind], engine)
    return Origin("referral" if from_host else "direct")


def is_own(url: str | None, referrer: str | None) -> bool:
    """Tell whether a page was come to from its own site."""
    host = host_of(referrer)
    return host != "" and host == host_of(url)


@lru_cache(maxsize=KEPT_HOSTS)
def host_of(url: str | None) -> str:
    """Take the host out of a URL or an origin, without `www.`; empty if there is none."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.") if url else ""
    except ValueError:
        return ""


def find_site(host: str) -> Site | None:
    """Find the well-known site that a host belongs to: by its name, then without its first label, and so on."""
    labels = host.split(".") if host else []
    for start in range(len(labels)):
        rest = labels[start:]
        site = _sites.get(".".join(rest)) or (_sites.get(rest[0] + _ANY_ENDING) if _is_ending(rest[1:]) else None)
        if site is not None:
            return site
    return None


def _is_ending(labels: list[str]) -> bool:
    """Tell whether a name ends like this in some country: `de`, `co.uk`, `com.au`."""
    return len(labels) == 1 or (len(labels) == _TWO and len(labels[0]) <= _SHORT)


def _by_campaign(source: str | None, medium: str | None, referrer: Site | None) -> str | None:
    if not source and not medium:
        return None
    said, known = (medium or "").lower(), _named(source) or referrer
    if said in _PAID and known is not None and known.kind == "social":
        return "paid social"
    if not said and known is not None:
        return _ORGANIC[known.kind]
    return _MEDIA.get(said, "campaign")


@lru_cache(maxsize=1024)
def _named(source: str | None) -> Site | None:
    """Find a well-known site by what a campaign calls it: its host or its name."""
    said = (source or "").lower()
    return find_site(said) or next((site for site in _sites.values() if site.name.lower() == said), None)


def _by_click(url: str | None) -> str | None:
    if url is None or "id=" not in url:
        return None
    names = {parameter.partition("=")[0] for parameter in url.partition("?")[2].partition("#")[0].split("&")}
    return next((channel for name, channel in _CLICKS.items() if name in names), None)
