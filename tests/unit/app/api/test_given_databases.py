"""Databases that the environment gives."""

import pytest

from app.api.given_databases import with_given_database
from provisioning.requests import NewClient, NewPlacement

URL = "postgresql://a:b@db/maple"
OTHER = "postgresql://a:b@db/other"


def client(placement: NewPlacement) -> NewClient:
    return NewClient(id="maple", name="Maple", placement=placement)


@pytest.mark.parametrize("kind", ["database", "external"])
def test_a_client_that_is_to_have_a_database_of_its_own_gets_the_given_one(kind: str) -> None:
    new = with_given_database(client(NewPlacement(kind=kind, source_timezone="UTC")), {"maple": URL})
    assert new.placement == NewPlacement(kind=kind, source_timezone="UTC", url=URL)


@pytest.mark.parametrize(
    ("placement", "given"),
    [
        (NewPlacement(), {"maple": URL}),
        (NewPlacement(kind="database", url=OTHER), {"maple": URL}),
        (NewPlacement(kind="database"), {"birch": URL}),
        (NewPlacement(kind="database"), {}),
    ],
)
def test_otherwise_the_request_stays_as_it_is(placement: NewPlacement, given: dict[str, str]) -> None:
    assert with_given_database(client(placement), given) == client(placement)
