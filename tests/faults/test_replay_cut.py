"""The connection to Postgres breaks around the COMMIT of a replay: the event is stored once, and the books agree."""

from collections.abc import AsyncIterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.proxy import Cut, Proxy, proxy_to

pytestmark = pytest.mark.fault(4)

PATH = "/api/v1/quarantine"
Setting = tuple[Grove, Proxy, MadeClient]


@pytest.fixture
async def setting(durable_postgres: EmbeddedPostgres) -> AsyncIterator[Setting]:
    """A Grove whose database is behind a proxy, and a client of it that has three mended events in quarantine."""
    async with proxy_to(durable_postgres.url) as proxy, open_grove(proxy.url) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")
        events = [{"event_id": f"e{number}", "name": number} for number in range(3)]
        assert (await grove.http.post("/api/v1/events", json=events, headers=client.server)).status_code == 202
        for row in (await grove.http.get(PATH, headers=client.server)).json()["data"]:
            event = {"name": "mended" if row["event_id"] != "e2" else "chat_message", "event_id": row["event_id"]}
            await grove.http.patch(f"{PATH}/{row['id']}", json={"event": event}, headers=client.server)
        yield grove, proxy, client


@pytest.mark.parametrize("cut", Cut)
async def test_a_replay_whose_commit_is_cut_stores_each_event_once(setting: Setting, cut: Cut) -> None:
    grove, proxy, client = setting
    ids = [row["id"] for row in (await grove.http.get(PATH, headers=client.server)).json()["data"]]
    proxy.cut = cut
    answer = await grove.http.post(f"{PATH}/replay", json={"ids": ids}, headers=client.server)
    assert proxy.cuts == 1
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["stored"], told["duplicates"], told["quarantined"], told["gone"]) == (2, 0, 1, 0)
    schema = (await grove.placement_of(client.id)).schema
    stored = await fetch_in(grove.settings.main_url, schema, "SELECT name FROM {schema}.events")
    assert [row["name"] for row in stored] == ["mended", "mended"]
    usage = (await grove.http.get(f"{client.path}/usage", headers=client.admin)).json()
    assert (usage["received"], usage["outcomes"]) == (3, {"stored": 2, "quarantined": 1})
    (kept,) = (await grove.http.get(PATH, headers=client.server)).json()["data"]
    assert (kept["event_id"], kept["code"]) == ("e2", "session_required")
