"""The command `takt`: finds its commands, loads the one that is called, ends with a code that means something."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from takt import __version__
from takt.cli.exits import MEANINGS, NotInstalledError, failure
from takt.errors import TaktError

GROUP = "takt.commands"
"""Entry points of this group are commands of other packages."""

OWN = {
    "serve": ("takt.cli.serve:serve", "Run the service."),
    "decide": ("takt.cli.decide:decide", "Ask a running service what to say to a customer."),
    "record": ("takt.cli.record:record", "Tell a running service what became of a decision."),
    "profile": ("takt.cli.profile:profile", "Write and read profiles of a running service."),
    "contacts": ("takt.cli.contacts:contacts", "See and correct who was contacted, and what still counts."),
    "catalog": ("takt.cli.catalog:catalog", "See and change the catalog that is in force; go back."),
    "check": ("takt.cli.check:check", "Check a workspace: every error with file, line and key."),
    "model": ("takt.cli.model:model", "Check model bundles."),
    "store": ("takt.cli.store:store", "Prepare a store."),
    "compile": ("takt.cli.compile:compile_kernels", "Compile the kernels ahead of the first start."),
}
"""Name to where it is and what it is for, so that the list of commands costs no import."""

EXTRA = {
    "adapt": "Make a bundle of a model of scikit-learn, LightGBM or XGBoost.",
    "demo": "Load real households, decide for some, and keep serving.",
    "log": "Export the decision log, with outcomes.",
    "simulate": "Let learners decide for simulated customers whose truth is known.",
    "train": "Train a model and write its bundle.",
}
"""The same for the commands that come with the extra `training`."""


OURS = ("takt", "takt_training")
"""Packages of this distribution: one of their modules that is missing is a defect, not an extra to install."""


class Commands(click.Group):
    """A group whose commands are imported when they are called, so that help and completion are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Own commands in the order of a day's work, then those of other packages."""
        del ctx
        return [*OWN, *(name for name in sorted(_others()) if name not in OWN)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None where there is none of that name."""
        del ctx
        if cmd_name in OWN:
            module, _, name = OWN[cmd_name][0].partition(":")
            return _command(cmd_name, lambda: getattr(import_module(module), name))
        found = _others().get(cmd_name)
        return _command(cmd_name, found.load) if found else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from what is known without importing any."""
        rows = [(name, _summary(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of Takt and of the system end it with a message and their code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in OURS:
                raise
            raise failure(_not_installed(ctx.invoked_subcommand or "", error)) from error
        except (TaktError, OSError) as error:
            raise failure(error) from error


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _command(name: str, load: Callable[[], Any]) -> click.Command:
    try:
        found = load()
    except ImportError as error:
        raise failure(_not_installed(name, error)) from error
    except AttributeError as error:
        raise failure(NotInstalledError(f"takt {name} is announced, but not there: {error}")) from error
    if not isinstance(found, click.Command):
        raise failure(NotInstalledError(f"takt {name} is no command, but {type(found).__name__}"))
    return found


def _not_installed(name: str, error: ImportError) -> NotInstalledError:
    remedy = "install takt-nbo[training]" if name in EXTRA else "install again the package that it comes with"
    return NotInstalledError(f"takt {name} cannot run ({error}): {remedy}")


def _summary(name: str) -> str:
    if name in OWN:
        return OWN[name][1]
    if name in EXTRA:
        return EXTRA[name]
    point = _others()[name]
    return f"(from {point.dist.name if point.dist else point.module})"


def _codes() -> str:
    """The epilog of the help: what the exit codes mean."""
    lines = "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANINGS.items())
    return f"\b\nExit codes of every command:\n{lines}"


@click.command(
    cls=Commands,
    epilog=_codes(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="takt")
def main() -> None:
    """Takt decides what to say to a customer: which offer, when, in which tone, or nothing.

    \b
    A first try, on real households, with everything included:
      takt demo
    \b
    A service of your own, on the embedded store, and a question to it:
      takt serve --workspace my/workspace --data-dir .takt/mine
      takt decide --profile hh-0001 --placement home_hero --context page=home

    Every command explains itself with --help.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
