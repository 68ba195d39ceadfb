"""In which country an address is, by a file in MaxMind's format. Opened by `app.resources`, asked by the steps.

The address is looked up in memory and forgotten with the next one; what a proxy or a CDN says of the country is not
believed.
"""

from functools import lru_cache
from pathlib import Path

import maxminddb

from app.settings import Settings, SettingsError

# Where `make countries` puts a file, below the data folder.
FETCHED = "countries.mmdb"


class Countries:
    """A file of countries: GeoLite2, GeoIP2, DB-IP, or one with `country_code` such as those of ip-location-db."""

    def __init__(self, path: Path) -> None:
        try:
            self._reader = maxminddb.open_database(path)
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            message = f"ANALYTICS_GEOIP_DB_PATH: {path} cannot be read as a MaxMind database."
            raise SettingsError(message) from error
        # A browser's events come in a row.
        self._look_up_again = lru_cache(maxsize=1)(self._look_up)

    def find(self, address: str) -> str | None:
        """Return the two letters of the address's country, in capitals, or None.

        Shape: `address` may be an IPv6 network, of which the first address counts.
        """
        return self._look_up_again(address)

    def _look_up(self, address: str) -> str | None:
        try:
            found = self._reader.get(address.partition("/")[0])
        except ValueError:  # no address, or one of IPv6 where the file has only IPv4
            return None
        if not isinstance(found, dict):
            return None
        country = found.get("country")
        code = country.get("iso_code") if isinstance(country, dict) else found.get("country_code")
        return code.upper() if isinstance(code, str) and len(code) == len("XX") else None

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def open_countries(settings: Settings) -> Countries | None:
    """Open the file that the settings name, or the one in the data folder, if there is one and countries are wanted.

    Errors: SettingsError.
    """
    fetched = settings.data_dir / FETCHED
    path = settings.geoip_db_path or (fetched if fetched.exists() else None)
    return Countries(path) if path is not None and settings.enable_geo else None
