"""What may be asked about an adaptor: decoded by the routes, judged here. Pure."""

import re
import uuid
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from provisioning.keys import MAX_NAME, check_origin

Fault = tuple[str, str]

MAX_ORIGINS = 20
MAX_RULES = 50
MAX_SELECTOR = 300
MAX_SCRIPT_BYTES = 65_536
_MAX_URL = 2_048
_MAX_EVENT = 128
_MAX_PROPERTIES = 50
_DOM_EVENT = re.compile(r"[a-z]{1,32}")
# What would end a comment, or leave the text in which a script stands, is nobody's selector.
_SELECTOR = re.compile(r"[^\x00-\x1f\x7f\u2028\u2029{};<]+")


class SelectorRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An event that is made of an element's `data-*` attributes whenever something happens to it."""

    selector: Annotated[str, Meta(description="CSS selector of the element.", examples=[".product-card"])]
    event: Annotated[str, Meta(description="The event's name.", examples=["product_view"])]
    on: Annotated[str, Meta(description="The DOM event.", examples=["click"])] = "click"
    properties: Annotated[
        dict[str, Literal["string", "number", "boolean"]],
        Meta(
            description="What the attributes hold: `data-product-price` is `product_price`. Those that are not named "
            "hold what the adaptor's schema says, else text.",
            examples=[{"product_price": "number"}],
        ),
    ] = {}


class TrackingRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tag records by itself; what is not said is on."""

    auto_page_view: bool = True
    track_clicks: bool = True
    track_forms: bool = True
    track_scroll: bool = True
    track_outbound: bool = True
    track_errors: bool = True
    web_vitals: bool = True
    selectors: Annotated[list[SelectorRule], Meta(description="Rules without code.")] = []


class AdaptorRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An adaptor as it should be."""

    name: Annotated[str, Meta(examples=["web shop"])]
    website_url: Annotated[str, Meta(description="The site.", examples=["https://www.maple.example/"])]
    origins: Annotated[
        list[str],
        Meta(description="Further origins of its pages.", examples=[["https://shop.maple.example"]]),
    ] = []
    schema_id: Annotated[
        uuid.UUID | None,
        Meta(description="The schema that events of its event types name; null: none."),
    ] = None
    tracking_rules: TrackingRules = msgspec.field(default_factory=TrackingRules)
    privacy: Annotated[
        Literal["strict", "balanced", "off"],
        Meta(
            description="strict: the browser keeps no identifier; balanced: one per tab; off: one per browser.",
            examples=["strict"],
        ),
    ] = "strict"
    script: Annotated[
        str | None,
        Meta(
            description="JavaScript of the site's own, which gets `track(name, properties)`; sent to the adaptor's "
            "origins alone. Null: none.",
            examples=["track('hello', {answer: 42})"],
        ),
    ] = None


def all_origins(wanted: AdaptorRequest) -> list[str]:
    """List the origins of an adaptor's pages, that of its site first."""
    return list(dict.fromkeys([origin_of(wanted.website_url) or "", *wanted.origins]))


def adaptor_faults(wanted: AdaptorRequest) -> Iterator[Fault]:
    """Judge an adaptor."""
    if not 1 <= len(wanted.name) <= MAX_NAME or not wanted.name.isprintable():
        yield "/name", f"A name has 1 to {MAX_NAME} printable characters."
    if origin_of(wanted.website_url) is None:
        yield "/website_url", "A site's address looks like https://www.example.com/."
    if len(wanted.origins) > MAX_ORIGINS:
        yield "/origins", f"There are {MAX_ORIGINS} further origins at most."
    for index, origin in enumerate(wanted.origins):
        if not check_origin(origin):
            yield f"/origins/{index}", "An origin looks like https://www.example.com, in lower case."
    script = wanted.script or ""
    if len(script.encode(errors="surrogatepass")) > MAX_SCRIPT_BYTES or "\0" in script:
        yield "/script", f"A script has {MAX_SCRIPT_BYTES} bytes at most, and no NUL."
    if len(wanted.tracking_rules.selectors) > MAX_RULES:
        yield "/tracking_rules/selectors", f"There are {MAX_RULES} rules at most."
    for index, rule in enumerate(wanted.tracking_rules.selectors):
        for field, detail in _rule_faults(rule):
            yield f"/tracking_rules/selectors/{index}/{field}", detail


def _rule_faults(rule: SelectorRule) -> Iterator[Fault]:
    if len(rule.selector) > MAX_SELECTOR or _SELECTOR.fullmatch(rule.selector) is None:
        yield "selector", f"A selector has 1 to {MAX_SELECTOR} characters, and no `{{ }} ; <`."
    if not 1 <= len(rule.event) <= _MAX_EVENT or not rule.event.isprintable():
        yield "event", f"An event's name has 1 to {_MAX_EVENT} printable characters."
    if _DOM_EVENT.fullmatch(rule.on) is None:
        yield "on", "A DOM event looks like `click`."
    if len(rule.properties) > _MAX_PROPERTIES or any(
        len(name) > _MAX_EVENT or "\0" in name for name in rule.properties
    ):
        yield "properties", f"There are {_MAX_PROPERTIES} properties at most, of {_MAX_EVENT} characters."


def origin_of(url: str) -> str | None:
    """Write the origin of an address as browsers send it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if len(url) > _MAX_URL or not url.isprintable() or parts.username is not None:
        return None
    host = f"[{host}]" if ":" in host else host
    is_default = port is None or (parts.scheme, port) in {("http", 80), ("https", 443)}
    origin = f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")
    return origin if check_origin(origin) else None
