"""What the exit codes mean, and which error leads to which. Imports nothing heavy: `takt --help` reads it."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum

import click

from takt.errors import InvalidRequestError, StoreError, StoreMarkerError, TaktError, Violation, WorkspaceError
from takt.settings import SettingsError


class Exit(IntEnum):
    """Exit codes of every command. Scripts may rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DEGRADED = 4
    NOT_INSTALLED = 5


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILED: "refused, or failed: the message says what is wrong and where; audit: something differs",
    Exit.USAGE: "the command line itself is wrong",
    Exit.UNREACHABLE: "the service, or the store, could not be reached",
    Exit.DEGRADED: "answered, but degraded (decide): something was missing and the page gets fallbacks",
    Exit.NOT_INSTALLED: "the command needs an extra that is not installed",
}


class Failure(click.ClickException):
    """Ends the command with a message on stderr and a code of its own."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads it from the instance


class UnreachableError(TaktError):
    """Nobody answered at an address, or not in time."""


class CallRefusedError(TaktError):
    """The service answered with an error."""

    def __init__(self, message: str, *, reason: str = "", violations: Sequence[Violation] = ()) -> None:
        """Keep the reason code of the contract (`REQUEST_ID_REUSED`) and every violation, in order."""
        super().__init__("\n".join([message, *(f"  {v.field}: {v.message}" for v in violations)]))
        self.reason = reason
        self.violations = tuple(violations)


class NotInstalledError(TaktError):
    """A command needs packages that are not there."""


def failure(error: TaktError | OSError) -> Failure:
    """The error as the end of a command: every violation on a line of its own, and the code that belongs to it."""
    match error:
        case UnreachableError():
            return Failure(str(error), Exit.UNREACHABLE)
        case NotInstalledError():
            return Failure(str(error), Exit.NOT_INSTALLED)
        case StoreError():
            return Failure(str(error), Exit.FAILED if isinstance(error, StoreMarkerError) else Exit.UNREACHABLE)
        case WorkspaceError() | InvalidRequestError() | SettingsError():
            many = len(error.violations)
            listed = "\n".join(f"  {v.field}: {v.message}" for v in error.violations)
            return Failure(f"{many} {'thing is' if many == 1 else 'things are'} wrong:\n{listed}")
        case OSError():
            what = error.strerror or str(error)
            name = f"{error.filename}: " if error.filename else ""
            return Failure(f"{name}{what}", Exit.UNREACHABLE if error.errno == errno.ECONNREFUSED else Exit.FAILED)
        case _:
            return Failure(str(error))
