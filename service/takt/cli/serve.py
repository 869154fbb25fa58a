"""`takt serve`: run the service until it is told to stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from takt.loading import for_good
from takt.settings import OPTIONS, Option, Settings, load


def _flag(option: Option) -> Callable[[Any], Any]:
    """A setting as an option of the command line; its text is read by `takt.settings` alone."""
    default = f"; default {option.default}" if option.default else ""
    return click.option(
        option.flag,
        option.name,
        default=None,
        metavar=option.metavar,
        help=f"{option.help[0].upper()}{option.help[1:]}{default}.  [{option.variable}]",
    )


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every setting of the service as an option, in the order of their table."""
    for option in reversed(OPTIONS):
        command = _flag(option)(command)
    return command


@click.command()
@settings_options
def serve(**given: str | None) -> None:
    """Run the service until SIGTERM or Ctrl-C; then drain and end with 0.

    \b
    Examples:
      takt serve --workspace examples/complete_journey --model models/complete-journey/1.0.0
      takt serve --workspace shop --redis-url rediss://store:6380/0 --redis-password-file /run/secrets/redis

    Without --redis-url it runs a store of its own in --data-dir. Every option can also be given as the environment
    variable named beside it; the command line wins. Secrets are files, never values.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    run(load(given, os.environ))


def run(settings: Settings) -> None:
    """Serve until told to stop."""
    with for_good():
        if settings.workers > 1:
            from takt.workers.fleet import main  # noqa: PLC0415 - help and wrong settings should not wait for it
        else:
            from takt.app import main  # noqa: PLC0415 - loads the engine, as above

    main(settings)
