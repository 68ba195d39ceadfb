"""The steps of the enrichment, in order; each is a small function over the draft of an event. Pure.

Called for each event by `app.ingest.steps`. A step that changes something returns why; that is counted.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from app.ingest.enrichment.campaigns import NO_UTM, read_url
from app.ingest.enrichment.channels import find_origin
from app.ingest.enrichment.cleaning import clean_id, clean_properties, redact_lines
from app.ingest.enrichment.devices import read_agent
from app.ingest.enrichment.draft import Draft
from app.ingest.enrichment.visitors import hold_to_privacy
from app.ingest.event import Arrival
from app.ingest.outcomes import Filtered, FilterReason
from tenants.visitors import Bots

IDENTIFY = "identify"
MAX_TRAIT = 256
_NO_IDS = (None, None, None)
Step = Callable[[Draft, Arrival], str | None]
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def enrich(draft: Draft, arrival: Arrival) -> None:
    """Take a draft through all steps.

    Errors: Filtered, if the client does not want the event.
    """
    for name, step in STEPS if draft.agent is None and draft.address is None else VISITOR_STEPS:
        reason = step(draft, arrival)
        if reason is not None:
            changes, change = arrival.changes, (name, reason)
            changes[change] = changes.get(change, 0) + 1


def judge_bot(draft: Draft, arrival: Arrival) -> str | None:
    """Filter or flag what a program sends that says that it is one."""
    bots = arrival.sender.rules.bots
    if bots is Bots.KEEP or draft.agent is None or not read_agent(draft.agent).is_bot:
        return None
    if bots is Bots.FILTER:
        raise Filtered(FilterReason.BOT)
    draft.is_bot = True
    return "flagged"


def read_device(draft: Draft, arrival: Arrival) -> str | None:
    """Fill in the device, the browser and the system, where the sender says nothing of them."""
    del arrival
    if draft.agent is None or (draft.device and draft.browser and draft.os):
        return None
    found = read_agent(draft.agent)
    draft.device = draft.device or found.kind
    draft.browser = draft.browser or found.browser
    draft.os = draft.os or found.os
    return "filled" if found.kind or found.browser or found.os else None


def find_country(draft: Draft, arrival: Arrival) -> str | None:
    """Fill in the country, where the sender does not say it."""
    countries = arrival.sender.countries
    if countries is None or draft.address is None or draft.country is not None:
        return None
    draft.country = countries.find(draft.address)
    return None if draft.country is None else "filled"


def keep_traits(draft: Draft, arrival: Arrival) -> str | None:
    """Take the traits that the client lets be kept out of an `identify`; its event keeps none."""
    if draft.name != IDENTIFY:
        return None
    said = _decode(draft.properties)
    nested = said.get("traits")
    traits = nested if isinstance(nested, dict) else said
    draft.properties = "{}"
    if draft.user_id is None:
        return "nobody" if traits else None
    draft.traits = {
        name: value[:MAX_TRAIT] if isinstance(value, str) else value
        for name in arrival.sender.rules.traits
        if isinstance(value := traits.get(name), str | int | float | bool)
    }
    return "kept" if draft.traits else "dropped" if traits else None


def redact(draft: Draft, arrival: Arrival) -> str | None:
    """Take e-mail addresses, card numbers and secrets out of every value."""
    page = (draft.page_url, draft.page_path, draft.page_title, draft.referrer)
    clean = redact_lines(page)
    draft.page_url, draft.page_path, draft.page_title, draft.referrer = clean
    words = (draft.name, draft.category, draft.device, draft.browser, draft.os, draft.country)
    said = redact_lines(words)
    properties, changed = draft.properties, clean != page or said != words
    if said != words:
        name, draft.category, draft.device, draft.browser, draft.os, draft.country = said
        draft.name = name or draft.name
    if properties != "{}":
        draft.properties = clean_properties(properties)
        changed = changed or draft.properties != properties
    if draft.has_utm:
        utm = (draft.utm_source, draft.utm_medium, draft.utm_campaign)
        draft.utm_source, draft.utm_medium, draft.utm_campaign = clean = redact_lines(utm)
        changed = changed or clean != utm
    ids = (draft.user_id, draft.visitor_id, draft.session_id)
    if ids != _NO_IDS:
        user_id, visitor_id, session_id = ids
        pepper = arrival.sender.pepper
        # Three calls written out cost half of what a generator of them does.
        clean = clean_id(user_id, pepper), clean_id(visitor_id, pepper), clean_id(session_id, pepper)
        draft.user_id, draft.visitor_id, draft.session_id = clean
        changed = changed or clean != ids
    return "redacted" if changed else None


def read_campaign(draft: Draft, arrival: Arrival) -> str | None:
    """Fill in the path and the campaign from the page's URL."""
    del arrival
    if draft.page_url is None:
        return None
    path, utm = read_url(draft.page_url)
    draft.page_path = draft.page_path or path
    if draft.has_utm or utm is NO_UTM:
        return None
    draft.utm_source, draft.utm_medium, draft.utm_campaign = utm.source, utm.medium, utm.campaign
    return "filled"


def name_channel(draft: Draft, arrival: Arrival) -> str | None:
    """Name the channel and the search engine, of an event that happened on a page."""
    del arrival
    if draft.page_url is None and draft.referrer is None:
        return None
    origin = find_origin(draft.page_url, draft.referrer, draft.utm_source, draft.utm_medium)
    draft.channel, draft.search_engine = origin.channel, origin.search_engine
    return "filled"


STEPS: tuple[tuple[str, Step], ...] = (
    ("privacy", hold_to_privacy),
    ("traits", keep_traits),
    ("redaction", redact),
    ("campaign", read_campaign),
    ("channel", name_channel),
)
# Those of which the visitor's browser or address is known.
VISITOR_STEPS: tuple[tuple[str, Step], ...] = (
    ("bots", judge_bot),
    ("device", read_device),
    ("country", find_country),
    *STEPS,
)
