"""The connection to Postgres breaks around a COMMIT: the sender gets the same answer, and nothing doubles."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.proxy import Cut, Proxy, proxy_to

pytestmark = pytest.mark.fault(4)

_COUNT = "SELECT count(*) FROM {schema}."
KNOWN = {"event_id": "sent before", "name": "page_view", "session_id": "s"}


class Setting:
    """A Grove whose database is behind a proxy, and a client of it that has one event already."""

    def __init__(self, grove: Grove, proxy: Proxy, client: MadeClient) -> None:
        self.proxy = proxy
        self._grove = grove
        self._client = client

    async def post(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Send events and return the answer."""
        answer = await self._grove.http.post("/api/v1/events", json=list(events), headers=self._client.server)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def outcomes(self) -> dict[str, int]:
        """Read the client's usage."""
        answer = await self._grove.http.get(f"{self._client.path}/usage", headers=self._client.admin)
        return dict(answer.json()["outcomes"])

    async def count(self, rows: str) -> int:
        """Count rows of one of the client's tables, all or those of a condition."""
        url = self._grove.settings.main_url
        sql = "SELECT schema_name FROM grove.placements WHERE client_id = $1"
        (place,) = await fetch_in(url, "", sql, self._client.id)
        (row,) = await fetch_in(url, place["schema_name"], _COUNT + rows)
        return int(row["count"])


@pytest.fixture
async def setting(durable_postgres: EmbeddedPostgres) -> AsyncIterator[Setting]:
    """The setting."""
    async with proxy_to(durable_postgres.url) as proxy, open_grove(proxy.url) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")
        setting = Setting(grove, proxy, client)
        await setting.post(KNOWN)
        yield setting


@pytest.mark.parametrize("cut", Cut)
async def test_a_mixed_batch_is_answered_as_if_nothing_had_happened(setting: Setting, cut: Cut) -> None:
    twice = str(uuid4())
    setting.proxy.cut = cut
    answer = await setting.post(
        {"event_id": twice, "name": "page_view", "session_id": "t"},
        {"event_id": twice, "name": "page_view", "session_id": "t"},
        KNOWN | {"name": "another body"},
        {"name": "without an id", "session_id": "t"},
        {"name": 7},
    )
    assert setting.proxy.cuts == 1
    assert (answer["accepted"], answer["duplicates"], answer["filtered"]) == (2, 2, 0)
    assert [conflict["index"] for conflict in answer["conflicts"]] == [2]
    assert [(refused["index"], refused["code"]) for refused in answer["rejected"]] == [(4, "wrong_type")]
    assert await setting.count("events") == 3
    assert await setting.count("quarantine") == 1
    assert await setting.outcomes() == {"stored": 3, "duplicate": 2, "quarantined": 1}
    assert await setting.count("sessions WHERE events <> (session_id = 's')::int + 2 * (session_id = 't')::int") == 0


@pytest.mark.parametrize("cut", Cut)
async def test_events_without_ids_are_stored_once(setting: Setting, cut: Cut) -> None:
    setting.proxy.cut = cut
    answer = await setting.post(*({"name": "page_view", "session_id": f"u{number}"} for number in range(20)))
    assert setting.proxy.cuts == 1
    assert answer["accepted"] == 20
    assert await setting.count("events") == 21
    assert await setting.count("sessions WHERE events = 1") == 21
    assert await setting.outcomes() == {"stored": 21}


async def test_sending_again_what_was_answered_finds_only_duplicates(setting: Setting) -> None:
    events = [{"event_id": str(uuid4()), "name": "page_view", "session_id": "v"} for _ in range(10)]
    setting.proxy.cut = Cut.AFTER_COMMIT
    first = await setting.post(*events)
    again = await setting.post(*events)
    assert (first["accepted"], again["duplicates"], again["conflicts"]) == (10, 10, []), json.dumps(again)
    assert await setting.count("events") == 11
    assert await setting.outcomes() == {"stored": 11, "duplicate": 10}
