"""The command line, `grove`: finds the commands of `app.commands`."""

import sys
from importlib import import_module
from keyword import iskeyword

import click

from app.settings import SettingsError
from tenants.errors import GroveError

COMMANDS = (
    "serve", "worker", "migrate", "rollup", "tenant", "server", "key", "token", "staff", "quarantine", "grafana",
    "import", "export", "demo",
)  # fmt: skip


class Commands(click.Group):
    """Imports a command when it is asked for: to run one takes half the time and memory of having all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, if there is one of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"app.commands.{module}").command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grove")
def grove() -> None:
    """One server on which each client has an analytics product of its own."""


def main() -> None:
    """Run a command; what the operator can mend is said in one line, with exit status 2."""
    try:
        grove()
    except (SettingsError, GroveError) as error:
        click.echo(f"grove: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
