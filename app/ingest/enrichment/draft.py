"""An event while it is enriched: what of it may still change. Made by `app.ingest.steps`, changed by the steps here."""

from typing import Any

import msgspec


class Draft(msgspec.Struct, kw_only=True, gc=False):
    """The part of an event that steps fill in, clean and judge.

    Shape: `properties` is the text of a JSON object; `agent` and `address` are the visitor's, as far as they may be
    believed, and are never stored; `traits` are what an `identify` says of its person and may be kept.
    """

    name: str
    category: str | None
    is_chat: bool
    session_id: str | None
    visitor_id: str | None
    user_id: str | None
    page_url: str | None
    page_path: str | None
    page_title: str | None
    referrer: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    has_utm: bool
    device: str | None
    browser: str | None
    os: str | None
    country: str | None
    properties: str
    agent: str | None = None
    address: str | None = None
    channel: str | None = None
    search_engine: str | None = None
    is_bot: bool | None = None
    traits: dict[str, Any] | None = None
