"""The command line, `grove`: assembles the commands of `app.commands`."""

import sys

import click

from app.commands import (
    demo,
    export,
    grafana,
    key,
    migrate,
    quarantine,
    rollup,
    serve,
    server,
    staff,
    tenant,
    token,
    worker,
)
from app.commands import import_ as importing
from app.settings import SettingsError
from tenants.errors import GroveError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grove")
def grove() -> None:
    """One server on which each client has an analytics product of its own."""


for module in (
    serve, worker, migrate, rollup, tenant, server, key, token, staff, quarantine, grafana, importing, export, demo,
):  # fmt: skip
    grove.add_command(module.command)


def main() -> None:
    """Run a command; what the operator can mend is said in one line, with exit status 2."""
    try:
        grove()
    except (SettingsError, GroveError) as error:
        click.echo(f"grove: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
