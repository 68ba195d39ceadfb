"""Senders of many clients at a steady rate, whatever the answers take, and a ledger of what was acknowledged.

Used by `bench.soak`. Latency counts from when a request was due, so that a server that stalls hides nothing.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from bench.soak.story import Made, Story
from tests.support.load import Answer, Connection, ConnectionEnded

BATCH = 50
# Half of the events come alone, half in batches.
BATCHED_SHARE = 0.5
FLOOD_CONNECTIONS = 16
# Servers hang up on connections that are idle for long, so senders use them no more before that.
IDLE_S = 10.0
_LOST = Answer(0, {}, b"")


class _Rejected(msgspec.Struct):
    index: int


class _Acknowledged(msgspec.Struct):
    accepted: int
    duplicates: int
    rejected: list[_Rejected]


_read_answer = msgspec.json.Decoder(_Acknowledged).decode


class Ledger:
    """What one client sent and what it was told; ids are kept as bytes, 16 each."""

    def __init__(self) -> None:
        self.acked = bytearray()
        self.unsure = bytearray()
        self.outcomes: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.surprises: list[str] = []
        self.losses: list[str] = []

    def note(self, sent: Sequence[Made], status: int, body: bytes) -> bool:
        """Write an answer down; tell whether it was an acknowledgement."""
        self.statuses[status] += 1
        if status != 202:  # noqa: PLR2004
            for made in sent:
                self.unsure += made.id.bytes if made.fate == "stored" else b""
            return False
        answer = _read_answer(body)
        rejected = {each.index for each in answer.rejected}
        for index, made in enumerate(sent):
            if made.fate == "stored" and index not in rejected:
                self.acked += made.id.bytes
        told = Counter(stored=answer.accepted, duplicate=answer.duplicates, quarantined=len(rejected))
        expected = Counter(made.fate for made in sent)
        if +told != expected:
            self.surprises.append(f"{dict(expected)} was answered by {dict(told)}")
        self.outcomes += told
        return True


class Sender:
    """One client's site: its visitors, its key, its connections."""

    def __init__(self, client_id: str, key: str, port: int, story: Story) -> None:
        self.client_id = client_id
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.ledger = Ledger()
        self.story = story
        self._port = port
        self._free: list[tuple[float, Connection]] = []  # the longest idle first

    async def send(self, events: int) -> bool:
        """Send what happens next in one request; tell whether it was acknowledged."""
        return await self.deliver([self.story.next() for _ in range(events)])

    async def deliver(self, sent: Sequence[Made]) -> bool:
        """Send events in one request; tell whether they were acknowledged."""
        body = sent[0].body if len(sent) == 1 else b"[" + b",".join(made.body for made in sent) + b"]"
        answer = await self._post(body)
        acked = self.ledger.note(sent, answer.status, answer.body)
        if acked:
            for made in sent:
                if made.fate == "stored":
                    self.story.remember(made)
        return acked

    async def close(self) -> None:
        """Hang up."""
        while self._free:
            await self._free.pop()[1].close()

    async def _post(self, body: bytes) -> Answer:
        while self._free and self._free[0][0] < time.monotonic() - IDLE_S:
            await self._free.pop(0)[1].close()
        try:
            connection = self._free.pop()[1] if self._free else await Connection.open(self._port)
            answer = await connection.post(body, self.headers)
        except (ConnectionEnded, OSError, TimeoutError) as error:
            self.ledger.losses.append(f"{type(error).__name__}: {error}")
            return _LOST
        self._free.append((time.monotonic(), connection))
        return answer


class Traffic:
    """All senders together."""

    def __init__(self, senders: Sequence[Sender], seed: int = 0) -> None:
        self.senders = senders
        self.latencies_s: list[float] = []
        self._rng = random.Random(seed)  # noqa: S311 - to be repeatable, not to be secret

    async def flood(self, seconds: float) -> float:
        """Send as much as is taken; return events per second."""
        ends_at, sent = time.monotonic() + seconds, 0

        async def send_on() -> None:
            nonlocal sent
            while time.monotonic() < ends_at:
                events = BATCH if self._rng.random() < 1 / (BATCH + 1) else 1
                await self._rng.choice(self.senders).send(events)
                sent += events

        started = time.monotonic()
        await asyncio.gather(*(send_on() for _ in range(FLOOD_CONNECTIONS)))
        return sent / (time.monotonic() - started)

    async def run(self, rate: float, seconds: float) -> None:
        """Send so many events per second, evenly over the clients, singles and batches."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._flow(1, rate * (1 - BATCHED_SHARE), seconds))
            group.create_task(self._flow(BATCH, rate * BATCHED_SHARE / BATCH, seconds))

    async def _flow(self, events: int, per_s: float, seconds: float) -> None:
        due = time.monotonic()
        ends_at = due + seconds
        async with asyncio.TaskGroup() as group:
            while (due := due + self._rng.expovariate(per_s)) < ends_at:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._send(self._rng.choice(self.senders), events, due))

    async def _send(self, sender: Sender, events: int, due: float) -> None:
        if await sender.send(events):
            self.latencies_s.append(time.monotonic() - due)

    async def close(self) -> None:
        """Hang up everywhere."""
        for sender in self.senders:
            await sender.close()
