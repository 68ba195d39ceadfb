"""`grove serve` with the stand-in application: a process that a test can send signals to.

Run as `python -m tests.support.serve_standin`; settings come from the environment, as for the real one.
"""

import os
import sys

import click

from app.bootstrap import BootstrapResult
from app.embedded.errors import EngineError
from app.settings import Settings, load
from app.supervisor import Supervisor, SupervisorError

IDLE = ("-c", "import signal; signal.sigwait([signal.SIGTERM])")
TARGET = "tests.support.standin:create"


async def prepare_nothing(_settings: Settings) -> BootstrapResult:
    """Stand in for the preparation of the control plane on a very first start."""
    return BootstrapResult(platform_key="grv_p_standin")


def main() -> None:
    """Serve until a signal."""
    settings = load(os.environ)  # noqa: TID251 - the environment enters here
    try:
        Supervisor(settings, web_target=TARGET, worker=IDLE, prepare=prepare_nothing).run()
    except (EngineError, SupervisorError) as error:
        click.echo(f"grove: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
