"""Whoever is invited, changed or removed is so in the client's Grafana, too."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import ORIGIN, Browser, add_person
from tests.support.grafana import ALLOWED
from tests.support.grafana_double import PASSWORD, GrafanaDouble
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.waiting import until

FOLLOWED_S = 20


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, double: GrafanaDouble) -> AsyncIterator[Grove]:
    """An application with a Grafana and a worker."""
    named = {"grafana_url": double.url, "grafana_admin_password": PASSWORD, "grafana_allow_version": ALLOWED}
    async with open_grove(postgres.url, public_url=ORIGIN, **named) as opened, opened.worker():
        yield opened


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    return await grove.make_client("maple")


async def becomes(double: GrafanaDouble, client: MadeClient, wanted: dict[str, str]) -> None:
    """Wait until the client's organisation has exactly these members beside the administrator."""
    (org,) = [org for org in double.orgs.values() if org.name == client.id]

    async def is_so() -> bool:
        logins = {user["id"]: user["login"] for user in double.users.values()}
        members = {logins[number]: role for number, role in org.members.items() if logins[number] != "admin"}
        return members == wanted

    await until(is_so, within_s=FOLLOWED_S)


async def test_grafana_follows_what_happens_to_a_person(grove: Grove, double: GrafanaDouble, maple: MadeClient) -> None:
    person: dict[str, Any] = await add_person(grove, maple, "ana@maple.example")
    await becomes(double, maple, {"maple:ana@maple.example": "Viewer"})
    path = f"{maple.path}/staff/{person['id']}"
    await grove.http.patch(path, json={"role": "editor"}, headers=maple.admin)
    await becomes(double, maple, {"maple:ana@maple.example": "Editor"})
    await grove.http.patch(path, json={"status": "disabled"}, headers=maple.admin)
    await becomes(double, maple, {})
    await grove.http.patch(path, json={"status": "active"}, headers=maple.admin)
    await becomes(double, maple, {"maple:ana@maple.example": "Editor"})
    await grove.http.delete(path, headers=maple.admin)
    await becomes(double, maple, {})


async def test_staff_land_in_grafana_where_there_is_one(grove: Grove, maple: MadeClient) -> None:
    await add_person(grove, maple, "ben@maple.example")
    entered = await Browser(grove).log_in(maple.id, "ben@maple.example")
    assert entered.headers["location"] == "/maple/grafana/"
