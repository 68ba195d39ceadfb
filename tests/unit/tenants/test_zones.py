"""Zones that clients may have and questions may name."""

import msgspec
import pytest

from app.query.zones import get_zone
from provisioning.requests import ClientChange, NewClient
from provisioning.validation import check_client_change, check_new_client
from tenants.errors import InputRefused
from tenants.zones import zone_names

NO_ZONES = [
    "right/Europe/Berlin",
    "posix/Europe/Berlin",
    "localtime",
    "posixrules",
    "Factory",
    "europe/berlin",
    "EUROPE",
]


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Calcutta"])
def test_a_zone_of_the_iana_database_is_one(name: str) -> None:
    assert name in zone_names()


@pytest.mark.parametrize("name", NO_ZONES)
def test_what_a_client_may_not_have_no_question_may_name_either(name: str) -> None:
    new = msgspec.convert({"id": "maple", "name": "Maple", "timezone": name}, NewClient)
    with pytest.raises(InputRefused):
        check_new_client(new, reserved=frozenset())
    with pytest.raises(InputRefused):
        check_client_change(ClientChange(timezone=name))
    with pytest.raises(InputRefused):
        get_zone(name, field="tz")


def test_every_zone_that_a_client_may_have_can_be_asked_in() -> None:
    for name in zone_names():
        assert get_zone(name, field="tz").key == name
