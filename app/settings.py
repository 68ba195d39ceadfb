"""What the operator decides, read from the environment once and passed down.

Called by `app.commands`; everything below receives a `Settings` and never looks at the environment.
Grove's own keys start with `GROVE_`, those of collection with `ANALYTICS_`; a handful of names that hosting platforms
set (`DATABASE_URL`, `REDIS_URL`, `PORT`, …) are read as they are, and `<CLIENT>_DB_URL` names a registered client's
database.
"""

import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

MIN_SECRET_LENGTH = 32
_CLIENT_SUFFIX = "_DB_URL"
_HEADER = re.compile(r"[Xx]-[A-Za-z0-9-]{1,60}")
_MAIL_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


class SettingsError(Exception):
    """The environment does not describe a server that could start; the message is one clear line."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration.

    Shape: `database_url`, `redis_url` and `secret_key` are None in embedded mode until the engines have started;
    `client_databases` maps a client id to the URL that `<CLIENT>_DB_URL` gave; `trusted_proxies` counts the
    reverse proxies whose `X-Forwarded-For` entries are believed.
    Units: names end in `_s` for seconds, `_days` for days.
    """

    secret_key: str | None = None
    database_url: str | None = None
    redis_url: str | None = None
    pooler: str | None = None
    grafana_url: str | None = None
    grafana_home: Path | None = None
    grafana_admin_password: str | None = None
    grafana_header: str = "X-WEBAUTH-USER"
    grafana_allow_version: str | None = None
    grafana_database_host: str | None = None
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    web_processes: int = 1
    data_dir: Path = Path(".grove")
    postgres_bin: Path | None = None
    valkey_server: Path | None = None
    log_level: str = "info"
    log_format: str = "json"
    metrics_dir: Path | None = None
    delete_grace_days: int = 30
    retention_days: int = 730
    batch_size: int = 5_000
    enable_geo: bool = True
    geoip_db_path: Path | None = None
    duplicate_window_days: int = 30
    quarantine_days: int = 30
    token_lifetime_s: int = 900
    token_max_lifetime_s: int = 3_600
    ingest_connections: int = 4
    query_connections: int = 8
    ingest_queue_events: int = 50_000
    drain_timeout_s: int = 30
    trusted_proxies: int | None = None
    smtp_url: str | None = None
    mail_from: str | None = None
    client_databases: Mapping[str, str] = {}

    @property
    def embedded(self) -> bool:
        """Whether Grove has to bring a Postgres of its own."""
        return self.database_url is None

    @property
    def main_url(self) -> str:
        """The database URL, which must be known by now.

        Errors: SettingsError.
        """
        if self.database_url is None:
            message = "DATABASE_URL is not set, and only `grove serve` and `grove demo` start a database of their own."
            raise SettingsError(message)
        return self.database_url

    def through_pooler(self, url: str) -> str:
        """Point a URL of the server of `DATABASE_URL` at the pooler before it, if there is one."""
        if self.pooler is None:
            return url
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{self.pooler}"))

    @property
    def key_material(self) -> str:
        """The secret key, which must be known by now.

        Errors: SettingsError.
        """
        if self.secret_key is None:
            message = "GROVE_SECRET_KEY is not set."
            raise SettingsError(message)
        return self.secret_key

    @property
    def base_url(self) -> str:
        """The address under which people reach this server, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check the environment.

    Errors: SettingsError, naming the key.
    """
    values: dict[str, Any] = {}
    known = _ALIASES | {_key(name): name for name in Settings.__struct_fields__ if name != "client_databases"}
    # Where both are given, Grove's own name counts.
    environ = {key: text for key, text in environ.items() if not (key in _ALIASES and environ.get(_key(_ALIASES[key])))}
    for key, text in environ.items():
        if key in known and text != "":
            values[known[key]] = _parse(key, known[key], text)
        elif key.startswith("GROVE_") and key not in known:
            message = (
                f"{key} is no setting of Grove; known are {', '.join(sorted(k for k in known if k[:6] == 'GROVE_'))}."
            )
            raise SettingsError(message)
    values["client_databases"] = _client_databases(environ)
    settings = Settings(**values)
    _check(settings)
    return settings


def to_environ(settings: Settings) -> dict[str, str]:
    """Write the settings as the environment of a child process; `load` reads the same settings back."""
    environ: dict[str, str] = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name == "client_databases":
            environ |= {_database_key(client_id): url for client_id, url in value.items()}
        elif value is not None:
            environ[_key(name)] = str(value)
    return environ


def _key(name: str) -> str:
    if name == "metrics_dir":
        return "PROMETHEUS_MULTIPROC_DIR"
    if name in {"batch_size", "enable_geo", "geoip_db_path"}:
        return f"ANALYTICS_{name.upper()}"
    if name in {"database_url", "redis_url", "port", "grafana_url", "grafana_home", "grafana_admin_password"}:
        return name.upper()
    return f"GROVE_{name.upper()}"


def _database_key(client_id: str) -> str:
    return client_id.upper().replace("-", "_") + _CLIENT_SUFFIX


def _client_databases(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key, text in environ.items():
        if key.endswith(_CLIENT_SUFFIX) and not key.startswith("GROVE_") and text != "":
            found[key.removesuffix(_CLIENT_SUFFIX).lower().replace("_", "-")] = _database_address(key, text)
    return found


def _parse(key: str, name: str, text: str) -> object:
    kind = Settings.__annotations__[name]
    if kind in {int, int | None}:
        return _number(key, text)
    if kind is bool:
        return _yes_or_no(key, text)
    if kind in {Path, Path | None}:
        return Path(text)
    check = _CHECKS.get(name)
    return text if check is None else check(key, text)


def _number(key: str, text: str) -> int:
    low, high = _RANGES[key]
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        message = f"{key} must be a whole number from {low} to {high}, not {text!r}."
        raise SettingsError(message)
    return int(text)


def _yes_or_no(key: str, text: str) -> bool:
    if text.lower() not in _WORDS:
        message = f"{key} must be true or false, not {text!r}."
        raise SettingsError(message)
    return _WORDS[text.lower()]


def _address(key: str, text: str, schemes: set[str]) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        message = f"{key} must be a URL that starts with {' or '.join(sorted(s + '://' for s in schemes))}."
        raise SettingsError(message)
    return text


def _database_address(key: str, text: str) -> str:
    _address(key, text, {"postgres", "postgresql"})
    if urlsplit(text).path in {"", "/"}:
        message = f"{key} must name a database, as in postgresql://user:password@host:5432/name."
        raise SettingsError(message)
    return text


def _choice(*allowed: str) -> Callable[[str, str], str]:
    def check(key: str, text: str) -> str:
        if text not in allowed:
            message = f"{key} must be one of {', '.join(allowed)}, not {text!r}."
            raise SettingsError(message)
        return text

    return check


def _long_enough(key: str, text: str) -> str:
    if len(text) < MIN_SECRET_LENGTH:
        message = f"{key} must have at least {MIN_SECRET_LENGTH} characters."
        raise SettingsError(message)
    return text


def _version(key: str, text: str) -> str:
    if not all(part.isascii() and part.isdigit() for part in text.split(".")):
        message = f"{key} must be a version of Grafana or the beginning of one, such as 9.4, not {text!r}."
        raise SettingsError(message)
    return text


def _header(key: str, text: str) -> str:
    if _HEADER.fullmatch(text) is None:
        message = f"{key} must be a header's name that starts with X-, such as X-Grove-5e8c1a, not {text!r}."
        raise SettingsError(message)
    return text


def _host_and_port(key: str, text: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        valid = bool(parts.hostname) and text == parts.netloc and "@" not in text and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        message = f"{key} must be a host or host:port, such as postgres:5432, not {text!r}."
        raise SettingsError(message)
    return text


def _mail_address(key: str, text: str) -> str:
    if not text.isprintable() or _MAIL_ADDRESS.fullmatch(parseaddr(text)[1]) is None:
        message = f"{key} must be an e-mail address, such as analytics@example.com or Example <analytics@example.com>."
        raise SettingsError(message)
    return text


def _check(settings: Settings) -> None:
    if (settings.smtp_url is None) != (settings.mail_from is None):
        message = "GROVE_SMTP_URL and GROVE_MAIL_FROM are needed together."
        raise SettingsError(message)
    if settings.token_lifetime_s > settings.token_max_lifetime_s:
        message = "GROVE_TOKEN_LIFETIME_S must not exceed GROVE_TOKEN_MAX_LIFETIME_S."
        raise SettingsError(message)
    if settings.quarantine_days > settings.duplicate_window_days:
        message = (
            f"GROVE_QUARANTINE_DAYS ({settings.quarantine_days}) must not exceed GROVE_DUPLICATE_WINDOW_DAYS "
            f"({settings.duplicate_window_days}): a replay could store again what was sent again meanwhile."
        )
        raise SettingsError(message)
    if settings.embedded:
        if settings.pooler is not None:
            message = "GROVE_POOLER stands before the Postgres of DATABASE_URL, which is not set."
            raise SettingsError(message)
        return
    for name in ("secret_key", "public_url"):
        if getattr(settings, name) is None:
            message = f"{_key(name)} is required when DATABASE_URL is set."
            raise SettingsError(message)


# Names under which other services of the same people know a setting.
_ALIASES = {"ANALYTICS_RETENTION_DAYS": "retention_days"}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_RANGES = {
    "PORT": (0, 65_535),
    "GROVE_WEB_PROCESSES": (1, 64),
    "GROVE_DELETE_GRACE_DAYS": (0, 3650),
    # A million days would lead out of the calendar, and fail only when a client is made.
    "GROVE_RETENTION_DAYS": (1, 3650),
    "ANALYTICS_RETENTION_DAYS": (1, 3650),
    "ANALYTICS_BATCH_SIZE": (1, 50_000),
    "GROVE_DUPLICATE_WINDOW_DAYS": (1, 3650),
    "GROVE_QUARANTINE_DAYS": (1, 3650),
    "GROVE_DRAIN_TIMEOUT_S": (1, 3600),
    # As tenants.tokens.MAX_LIFETIME has it.
    "GROVE_TOKEN_LIFETIME_S": (60, 86_400),
    "GROVE_TOKEN_MAX_LIFETIME_S": (60, 86_400),
    "GROVE_INGEST_QUEUE_EVENTS": (1, 1_000_000),
    "GROVE_TRUSTED_PROXIES": (0, 10),
    "GROVE_INGEST_CONNECTIONS": (1, 100),
    "GROVE_QUERY_CONNECTIONS": (1, 100),
}

_CHECKS: dict[str, Callable[[str, str], str]] = {
    "secret_key": _long_enough,
    "database_url": _database_address,
    "redis_url": lambda key, text: _address(key, text, {"redis", "rediss"}),
    "grafana_url": lambda key, text: _address(key, text, {"http", "https"}),
    "grafana_header": _header,
    "grafana_allow_version": _version,
    "grafana_database_host": _host_and_port,
    "pooler": _host_and_port,
    "public_url": lambda key, text: _address(key, text, {"http", "https"}),
    "smtp_url": lambda key, text: _address(key, text, {"smtp", "smtps"}),
    "mail_from": _mail_address,
    "log_level": _choice("debug", "info", "warning", "error"),
    "log_format": _choice("json", "console"),
}
