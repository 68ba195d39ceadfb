"""A real Grafana on loopback, of an installation on this machine, with the settings of `infra/grafana.ini`.

Called by `engines` where the demo asks for it, and by the tests. It stands behind the gateway alone: it listens on
loopback, and staff are named to it in a header whose name nobody else knows.
"""

import base64
import http.client
import re
import shutil
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from app.embedded.account import Account, ensure_folder, ensure_reachable
from app.embedded.errors import EngineFailed, EngineMissing
from app.embedded.keeper import Keeper
from app.embedded.ports import LOOPBACK
from app.embedded.process import Launch
from app.embedded.secrets import random_header, random_secret

SETTINGS = Path(__file__).parents[2] / "infra/grafana.ini"
# What belongs to a program on the PATH: beside it, or where packages put it.
_HOMES = ("{above}", "{above}/share/grafana", "/usr/share/grafana", "/opt/grafana")
_PROGRAMS = ("grafana", "grafana-server")
_ASK_TIMEOUT_S = 5
_OK, _REFUSED = 200, frozenset({401, 403})


class Installation(msgspec.Struct, frozen=True):
    """A Grafana on this machine: its program, and the folder of what belongs to it."""

    home: Path
    program: Path

    @property
    def command(self) -> list[str]:
        """What starts the server; older versions have a program for it."""
        words = ["server"] if self.program.name == _PROGRAMS[0] else []
        return [str(self.program), *words, "--homepath", str(self.home)]


class GrafanaSecrets(msgspec.Struct, frozen=True):
    """What must be the same again at the next start."""

    admin_password: str
    secret_key: str
    header: str

    @classmethod
    def make(cls) -> Self:
        """Make new ones."""
        return cls(random_secret(), random_secret(), random_header())


class GrafanaAccess(msgspec.Struct, frozen=True):
    """Where a Grafana is and how to be let in; `version` is as it names it, such as 9.4.0-pre."""

    url: str
    admin_password: str
    header: str
    version: str

    @property
    def release(self) -> str:
        """The version in numbers alone."""
        found = re.match(r"\d+(\.\d+)*", self.version)
        return found[0] if found is not None else "0"


def find_installation(home: Path | None) -> Installation:
    """Find the Grafana of this machine: in `home` (GRAFANA_HOME), else of the program on the PATH.

    Errors: EngineMissing, with the reason; EngineFailed, if `home` is none.
    """
    if not SETTINGS.is_file():
        raise EngineMissing("Grafana", f"it is started from a source checkout alone, and there is no {SETTINGS}.")
    if home is not None:
        found = _installed_in(home.resolve())
        if found is None:
            raise EngineFailed("Grafana", f"GRAFANA_HOME is {home}, where there is no bin/grafana with its conf.")
        return found
    for name in _PROGRAMS:
        program = shutil.which(name)
        above = None if program is None else Path(program).resolve().parents[1]
        for place in _HOMES if above is not None else ():
            found = _installed_in(Path(place.format(above=above)), Path(str(program)))
            if found is not None:
                return found
    raise EngineMissing("Grafana", "neither GRAFANA_URL nor GRAFANA_HOME is set, and there is none on the PATH.")


class EmbeddedGrafana(Keeper):
    """One Grafana server with its folder, port and secrets.

    Shape: `data` holds its SQLite database. Without an `installation` one that runs can be adopted, and none started.
    """

    NAME: ClassVar[str] = "Grafana"
    PROGRAMS: ClassVar[frozenset[str]] = frozenset(_PROGRAMS)

    def __init__(
        self, folder: Path, secrets: GrafanaSecrets, installation: Installation | None, *, port: int | None = None
    ) -> None:
        super().__init__(folder, port=port)
        self._secrets = secrets
        self._installation = installation
        self._version = ""

    @property
    def url(self) -> str:
        """Where the server is.

        Errors: EngineFailed, before the first start. So with `access`.
        """
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def access(self) -> GrafanaAccess:
        """How to be let in."""
        return GrafanaAccess(self.url, self._secrets.admin_password, self._secrets.header, self._version)

    def _prepare(self, account: Account | None) -> None:
        if self._installation is not None:
            ensure_reachable(self._installation.program.parent, account)
            ensure_reachable(self._installation.home, account)
        ensure_folder(self.data, account)
        # A copy, because the engine's account need not be able to read the checkout.
        self._settings.write_text(SETTINGS.read_text())
        self._settings.chmod(0o644)

    def _command(self, port: int) -> Launch:
        if self._installation is None:
            raise EngineFailed(self.NAME, "it was not said which program to start.")
        environ = {
            "HOME": str(self.data),
            "GF_SERVER_HTTP_ADDR": LOOPBACK,
            "GF_SERVER_HTTP_PORT": str(port),
            "GF_PATHS_DATA": str(self.data),
            "GF_PATHS_LOGS": str(self.data / "log"),
            "GF_PATHS_PLUGINS": str(self.data / "plugins"),
            "GF_SECURITY_ADMIN_PASSWORD": self._secrets.admin_password,
            "GF_SECURITY_SECRET_KEY": self._secrets.secret_key,
            "GF_AUTH_PROXY_HEADER_NAME": self._secrets.header,
            "GF_AUTH_PROXY_WHITELIST": LOOPBACK,
        }
        return Launch([*self._installation.command, "--config", str(self._settings)], environ)

    def _answers(self) -> bool:
        health = self._ask("/api/health")
        if health is None or health[0] != _OK:
            return False
        login = base64.b64encode(f"admin:{self._secrets.admin_password}".encode()).decode()
        asked = self._ask("/api/org", {"Authorization": f"Basic {login}"})
        if asked is not None and asked[0] in _REFUSED:
            raise self._wrong_password()
        self._version = str(msgspec.json.decode(health[1])["version"])
        return asked is not None and asked[0] == _OK

    def _ask(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes] | None:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_ASK_TIMEOUT_S)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    @property
    def _settings(self) -> Path:
        return self.folder / "grafana.ini"


def _installed_in(home: Path, program: Path | None = None) -> Installation | None:
    """Look into a folder; `program` stands in where the folder itself holds none."""
    if not (home / "conf/defaults.ini").is_file():
        return None
    own = next((home / "bin" / name for name in _PROGRAMS if (home / "bin" / name).is_file()), program)
    return None if own is None else Installation(home, own)
