"""The engines that a server needs and was not given, with their secrets, started, watched and stopped together.

Called by the supervisor. One process at a time looks after a data folder; `find_running` is for commands beside it.
"""

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec
import structlog

from app.embedded.errors import EngineError, EnginesInUse
from app.embedded.grafana import EmbeddedGrafana, GrafanaAccess, GrafanaSecrets, Installation
from app.embedded.keeper import Keeper
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.secrets import Secrets, ensure_secrets, has_secrets
from app.embedded.valkey import EmbeddedValkey
from app.settings import Settings

_WATCH_INTERVAL_S = 0.1
_RETRY_S = 1.0

log = structlog.get_logger(__name__)


class EngineUrls(msgspec.Struct, frozen=True):
    """Where the engines are, be they ours or given, and the key for what Grove encrypts.

    Shape: `grafana` is None unless it is ours.
    """

    database_url: str
    redis_url: str | None
    secret_key: str
    grafana: GrafanaAccess | None = None

    def complete(self, settings: Settings) -> Settings:
        """Put into the settings what the engines turned out to be.

        A Grafana of this machine's own, behind loopback, is used whatever its version.
        """
        changes: dict[str, object] = {}
        if self.grafana is not None:
            changes = {
                "grafana_url": self.grafana.url,
                "grafana_admin_password": self.grafana.admin_password,
                "grafana_header": self.grafana.header,
                "grafana_allow_version": self.grafana.release,
            }
        return msgspec.structs.replace(
            settings,
            database_url=self.database_url,
            redis_url=self.redis_url,
            secret_key=self.secret_key,
            **changes,
        )


class Engines:
    """The embedded engines of one data folder.

    With DATABASE_URL set nothing embedded starts: Redis can be missed, and replicas with one each would not hear
    of each other. With REDIS_URL alone Postgres does. A Grafana starts where an installation of it is given.
    """

    def __init__(self, grafana: Installation | None = None) -> None:
        self.postgres: EmbeddedPostgres | None = None
        self.valkey: EmbeddedValkey | None = None
        self.grafana: EmbeddedGrafana | None = None
        self._installation = grafana
        self._lock: IO[str] | None = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self, settings: Settings) -> EngineUrls:
        """Start what the settings do not give, or adopt it if it still runs.

        Errors: EngineError; nothing that was started stays behind then.
        """
        if settings.database_url is not None:
            return EngineUrls(settings.database_url, settings.redis_url, settings.key_material)
        secrets = ensure_secrets(settings.data_dir, Secrets)
        self._lock = _take_lock(settings.data_dir)
        self.postgres, self.valkey = _embedded(settings, secrets)
        if self._installation is not None:
            self.grafana = _grafana(settings.data_dir, self._installation)
        try:
            with ThreadPoolExecutor() as pool:
                for _ in pool.map(lambda engine: engine.start(), self._embedded):
                    pass
        except BaseException:
            self.stop()
            raise
        return _urls(settings, secrets, self.postgres, self.valkey, self.grafana)

    def watch(self) -> None:
        """Look after the engines in the background: one that dies is started again, on the port that all know."""
        self._watcher = threading.Thread(target=self._keep_alive, name="engines", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop what we started or adopted, and let the next process have the data folder."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        for engine in reversed(self._embedded):
            engine.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def _embedded(self) -> list[Keeper]:
        return [engine for engine in (self.postgres, self.valkey, self.grafana) if engine is not None]

    def _keep_alive(self) -> None:
        while not self._ended.wait(_WATCH_INTERVAL_S):
            for engine in self._embedded:
                if not engine.running:
                    self._revive(engine)

    def _revive(self, engine: Keeper) -> None:
        log.warning("engine_died", engine=engine.NAME)
        try:
            engine.start()
        except (EngineError, OSError) as error:
            log.error("engine_not_restarted", engine=engine.NAME, reason=str(error))  # noqa: TRY400 - a reason, no bug
            self._ended.wait(_RETRY_S)
        else:
            log.info("engine_restarted", engine=engine.NAME, pid=engine.pid)


def find_running(settings: Settings) -> EngineUrls | None:
    """Return where the engines of a server that runs beside us are; None if it does not run.

    For commands that work on a running embedded server; nothing is started or stopped.
    Errors: EngineError.
    """
    if settings.database_url is not None:
        return EngineUrls(settings.database_url, settings.redis_url, settings.key_material)
    if not has_secrets(settings.data_dir):
        return None
    secrets = ensure_secrets(settings.data_dir, Secrets)
    postgres, valkey = _embedded(settings, secrets)
    if not all(engine.attach() for engine in (postgres, valkey) if engine is not None):
        return None
    return _urls(settings, secrets, postgres, valkey, _find_grafana(settings.data_dir))


def _embedded(settings: Settings, secrets: Secrets) -> tuple[EmbeddedPostgres, EmbeddedValkey | None]:
    folder = settings.data_dir
    postgres = EmbeddedPostgres(folder / "postgres", secrets.postgres_password, bin_dir=settings.postgres_bin)
    if settings.redis_url is not None:
        return postgres, None
    return postgres, EmbeddedValkey(folder / "valkey", secrets.valkey_password, server=settings.valkey_server)


def _grafana(data_dir: Path, installation: Installation | None) -> EmbeddedGrafana:
    folder = data_dir / "grafana"
    return EmbeddedGrafana(folder, ensure_secrets(folder, GrafanaSecrets), installation)


def _find_grafana(data_dir: Path) -> EmbeddedGrafana | None:
    if not has_secrets(data_dir / "grafana"):
        return None
    found = _grafana(data_dir, None)
    return found if found.attach() else None


def _urls(
    settings: Settings,
    secrets: Secrets,
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey | None,
    grafana: EmbeddedGrafana | None,
) -> EngineUrls:
    return EngineUrls(
        database_url=postgres.url,
        redis_url=settings.redis_url if valkey is None else valkey.url,
        secret_key=settings.secret_key or secrets.secret_key,
        grafana=None if grafana is None else grafana.access,
    )


def _take_lock(data_dir: Path) -> IO[str]:
    """Claim the data folder until we end, however that happens: the kernel lets go of the lock then."""
    holder = (data_dir / "lock").open("a+")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder.seek(0)
        pid = holder.read().strip()
        holder.close()
        raise EnginesInUse(str(data_dir), int(pid) if pid.isdigit() else None) from error
    holder.seek(0)
    holder.truncate()
    holder.write(f"{os.getpid()}\n")
    holder.flush()
    return holder
