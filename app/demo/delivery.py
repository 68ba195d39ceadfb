"""Send a client's story to the API with the client's own key, a few requests at a time.

Called by `run`. Ids are the same at each start, so what is known already comes back as a duplicate.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from app.demo.api import GroveApi, require
from app.demo.story import Batch, Story

CONNECTIONS = 2
_JSON = {"Content-Type": "application/json"}


class Delivered(msgspec.Struct):
    """What the server said of the events; the other counts add up to `sent`."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


async def deliver(api: GroveApi, story: Story, notice: Callable[[int], None]) -> Delivered:
    """Send all batches of a story; `notice` is told how many events each of them held.

    Errors: DemoFailed.
    """
    done, batches = Delivered(), iter(story.batches)
    await asyncio.gather(*(_send(api, batches, done, notice) for _ in range(CONNECTIONS)))
    return done


async def _send(api: GroveApi, batches: Iterator[Batch], done: Delivered, notice: Callable[[int], None]) -> None:
    for batch in batches:
        answer = require(await api.call("POST", "/api/v1/events", content=batch.body, headers=_JSON), 202)
        done.sent += batch.events
        done.accepted += answer["accepted"]
        done.duplicates += answer["duplicates"]
        done.rejected += len(answer["rejected"])
        notice(batch.events)
