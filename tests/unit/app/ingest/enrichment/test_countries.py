"""Countries from a file in MaxMind's format."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.ingest.enrichment.countries import FETCHED, Countries, open_countries
from app.settings import Settings, SettingsError
from tests.support.compose import ROOT
from tests.support.countries import write_countries

REAL = ROOT / ".grove" / FETCHED
SCRIPT = ROOT / "infra/fetch-countries"
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
    assert open_countries(Settings(data_dir=tmp_path)) is None
    assert open_countries(Settings(data_dir=tmp_path, geoip_db_path=path, enable_geo=False)) is None


def test_a_file_in_the_data_folder_is_found_unless_another_is_named(tmp_path: Path) -> None:
    write_countries(tmp_path / FETCHED, NETWORKS)
    other = write_countries(tmp_path / "c.mmdb", {"81.2.69.0/24": {"country_code": "NP"}})
    for path, country in ((None, "GB"), (other, "NP")):
        countries = open_countries(Settings(data_dir=tmp_path, geoip_db_path=path))
        assert countries is not None
        assert countries.find("81.2.69.1") == country
        countries.close()


def test_what_is_not_the_file_that_was_looked_at_is_not_put_in_its_place(tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\necho other >"$4/other.tgz" && echo other.tgz\n')
    npm.chmod(0o755)
    target = tmp_path / FETCHED
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([SCRIPT, target], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, target.exists()) == (1, False)
    assert "is not what it should be" in done.stderr


@pytest.mark.skipif(not REAL.exists(), reason="no file of countries; `make countries` fetches one")
@pytest.mark.parametrize(
    ("address", "country"),
    [("8.8.8.8", "US"), ("193.99.144.80", "DE"), ("133.11.0.1", "JP"), ("2a02:2e0:3fe:1001::/64", "DE"),
     ("10.0.0.1", None)],
)  # fmt: skip
def test_the_free_file_knows_countries(address: str, country: str | None) -> None:
    countries = Countries(REAL)
    assert countries.find(address) == country
    countries.close()
