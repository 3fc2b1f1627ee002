"""The command line, a module a user. Heavy imports wait until a command needs them."""

from __future__ import annotations

import sys
from typing import Any

import click

from frostdesk.cli import desk, doctor, log, operations, play, rebuild
from frostdesk.cli.pipes import for_a_reader
from frostdesk.errors import ConfigurationError, FrostDeskError

CONFIGURATION = 2
FAILED = 1


class Commands(click.Group):
    """Commands whose output may be cut short: but for lists, their verdict is lost with it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is named."""
        with for_a_reader(left=FAILED):
            return super().invoke(ctx)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="frostdesk")
def cli() -> None:
    """FrostDesk: a front desk on WhatsApp for an independent ski instructor.

    To try it, with nothing set up: frostdesk dev
    """


for module in (play, operations, doctor, desk, log, rebuild):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line; errors that FrostDesk knows become one message and an exit status."""
    try:
        sys.exit(cli.main(prog_name="frostdesk", standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigurationError as error:
        click.echo(f"frostdesk: {error}", err=True)
        sys.exit(CONFIGURATION)
    except FrostDeskError as error:
        click.echo(f"frostdesk: {error}", err=True)
        sys.exit(FAILED)
