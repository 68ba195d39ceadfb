"""Tell what some keys send: whether, since when, what came, and what of it was refused.

Called by the routes of adaptors and sources; reads under the client's read role.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as KeyId  # noqa: N811 - what the driver reads and writes
from msgspec import Meta

from app.ingest.other_origins import OtherOrigins
from app.ingest.outcomes import sum_outcomes
from app.ingest.statements import statement
from tenants.databases import TenantConnection

RECENTLY = timedelta(hours=24)


class SentEvents(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of a name came within a day."""

    name: str
    count: int
    last_received_at: datetime


class RefusedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was refused within a day."""

    received_at: datetime
    code: str
    pointer: str
    detail: str


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What a tag or a source sends."""

    sending: Annotated[bool, Meta(description="Whether anything came within the last 24 hours.")]
    since: Annotated[datetime | None, Meta(description="The hour in which the first event came; null: none came yet.")]
    last_received_at: Annotated[
        datetime | None, Meta(description="When the last one came; if that is longer than a day ago, its hour.")
    ]
    received: Annotated[int, Meta(description="How many events ever came.")]
    outcomes: Annotated[dict[str, int], Meta(description="What became of them.")]
    events: Annotated[list[SentEvents], Meta(description="What came within the last 24 hours, the most first.")]
    refused: Annotated[list[RefusedEvent], Meta(description="The last that were refused within the last 24 hours.")]
    other_origins: Annotated[
        OtherOrigins | None,
        Meta(
            description="Requests with a tag's key that were refused with `origin_not_allowed` and are not among those "
            "above, as from a site whose address without `www.` is none of the adaptor's `origins`; null: none."
        ),
    ] = None


async def find_sending(db: TenantConnection, key_ids: Sequence[UUID], *, now: datetime) -> Sending:
    """Look up what these keys send."""
    keys, since = [KeyId(key_id.bytes) for key_id in key_ids], now - RECENTLY
    counts = await db.fetch(statement(db.placement, "sender_counts"), keys)
    events = await db.fetch(statement(db.placement, "sender_events"), keys, since)
    refused = await db.fetch(statement(db.placement, "sender_refusals"), keys, since)
    outcomes = sum_outcomes(counts)
    times = [row["last_received_at"] for row in events] + [row["received_at"] for row in refused]
    last = max(times or [row["last_hour"] for row in counts], default=None)
    return Sending(
        sending=last is not None and last >= since,
        since=min((row["first_hour"] for row in counts), default=None),
        last_received_at=last,
        received=sum(outcomes.values()),
        outcomes=outcomes,
        events=[
            SentEvents(name=row["name"], count=row["n"], last_received_at=row["last_received_at"]) for row in events
        ],
        refused=[RefusedEvent(**dict(row)) for row in refused],
    )
