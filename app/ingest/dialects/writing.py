"""An event while it is written in our words, and where each of them was found. Made by the dialects."""

from typing import Any

from msgspec import Raw

from app.ingest.dialects.foreign import Fields, fields_of, is_said, raw_of

ORIGINAL_TYPE = "original_type"


class Writing:
    """An event of ours in the making.

    Shape: `fields` are nested as ours are; `sources` tells of our pointers (without the first slash) where they say it.
    `derived` are fields that are stored beside those, but are no part of what a repeat has to say again.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.derived: dict[str, Any] = {}

    def put(self, ours: str, value: Raw | None, theirs: str) -> None:
        """Say something that is found at a pointer of theirs; nothing leaves its place open."""
        self.sources[ours] = theirs
        if not is_said(value):
            return
        *above, last = ours.split("/")
        place = self.fields
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value

    def put_name(self, ours: str | None, original: str, theirs: str, given: Raw | None) -> None:
        """Name it as we do, and keep how they call it if that is not the same; what is no name is put as it is."""
        self.put("name", given if ours is None else raw_of(ours), theirs)
        if ours not in (None, original):
            self.put(f"properties/{ORIGINAL_TYPE}", raw_of(original), theirs)

    def put_free(self, left: Fields, given: Raw | None, theirs: str, others: Fields | None = None) -> None:
        """Take over what is left of what they say freely, and of what nothing of ours is for.

        Shape: what was put before goes first. What they gave stays as it is if it is no object.
        """
        self.sources["properties"] = theirs
        if is_said(given) and fields_of(given) is None:
            self.fields["properties"] = given
            return
        for name in others or {}:
            self.sources.setdefault(f"properties/{name}", name)
        self.fields["properties"] = (others or {}) | left | self.fields.get("properties", {})
