"""`grove demo`: a whole Grove with three clients and a month of events, to look at or to be checked."""

import os
import sys

import click
import msgspec

from app.demo.errors import DemoFailed
from app.demo.run import check, stay
from app.embedded.errors import EngineError
from app.observability import configure_logging
from app.settings import load
from app.supervisor import SupervisorError


@click.command("demo")
@click.option("--once", is_flag=True, help="Check everything on free ports, print the result as JSON, leave nothing.")
def command(*, once: bool) -> None:
    """Start Grove with three clients and a month of believable events, sent through its API.

    It stays up until Ctrl-C, and keeps its data in .grove/demo for the next start. With --once, the last line of
    stdout is one JSON object, and exit status 1 tells that something was not as it must be.
    """
    settings = load(os.environ)  # noqa: TID251 - the environment enters here
    configure_logging("error", "console")
    try:
        if once:
            click.echo(msgspec.json.encode(check(settings)))
        else:
            stay(settings, port_given="PORT" in os.environ)  # noqa: TID251 - a port that nobody asked for may change
    except KeyboardInterrupt:
        sys.exit(130 if once else 0)
    except (DemoFailed, EngineError, SupervisorError) as error:
        click.echo(f"grove: {error}", err=True)
        sys.exit(1)
