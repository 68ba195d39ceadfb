"""Countries from a file in MaxMind's format."""

from pathlib import Path
from typing import Any

import pytest

from app.ingest.enrichment.countries import Countries, open_countries
from app.settings import Settings, SettingsError
from tests.support.countries import write_countries

NETWORKS: dict[str, dict[str, Any]] = {
    "81.2.69.0/24": {"country": {"iso_code": "GB"}},
    "203.0.113.0/24": {"country_code": "fr"},
    "2001:db8:1::/48": {"country": {"iso_code": "DE"}},
    "198.51.100.0/24": {"city": {"names": {"en": "Nowhere"}}},
}


@pytest.mark.parametrize(
    ("address", "country"),
    [("81.2.69.142", "GB"), ("203.0.113.9", "FR"), ("2001:db8:1::/64", "DE"), ("198.51.100.1", None),
     ("10.0.0.1", None), ("2001:db8:2::1", None), ("somewhere", None), ("", None)],
)  # fmt: skip
def test_an_address_is_in_the_country_that_the_file_says(tmp_path: Path, address: str, country: str | None) -> None:
    countries = Countries(write_countries(tmp_path / "c.mmdb", NETWORKS))
    assert countries.find(address) == country
    countries.close()


def test_a_file_of_ipv4_alone_knows_nothing_of_ipv6(tmp_path: Path) -> None:
    path = write_countries(tmp_path / "c.mmdb", {"81.2.69.0/24": {"country_code": "GB"}}, version=4)
    countries = Countries(path)
    assert (countries.find("81.2.69.1"), countries.find("2001:db8::1")) == ("GB", None)
    countries.close()


@pytest.mark.parametrize("content", [None, b"", b"this is no database"])
def test_a_file_that_cannot_be_read_stops_the_start_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^ANALYTICS_GEOIP_DB_PATH: .*c\.mmdb cannot be read"):
        open_countries(Settings(geoip_db_path=path))


def test_without_a_file_or_where_it_is_not_wanted_there_are_no_countries(tmp_path: Path) -> None:
    path = write_countries(tmp_path / "c.mmdb", NETWORKS)
    assert open_countries(Settings()) is None
    assert open_countries(Settings(geoip_db_path=path, enable_geo=False)) is None
