"""Onboarding, reading, changing and removing clients over HTTP."""

from collections.abc import AsyncIterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, open_grove


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


async def test_onboarding_that_is_waited_for_answers_with_the_client_and_its_keys(grove: Grove) -> None:
    made = await grove.make_client("maple", domain="maple.example", branding={"primaryColor": "#c2410c"})
    assert made.body["status"] == "active"
    assert made.body["dashboardUrl"] == "http://grove.test/maple/"
