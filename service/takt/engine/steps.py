"""Work in steps: it pauses wherever it waits for the store, so that other work can be done meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import TypeVar

Result = TypeVar("Result")


class Pause(Enum):
    """What the store has been asked for."""

    READ = "read"
    COMMIT = "commit"


Steps = Generator[Pause, None, Result]
"""Pauses until it is done; what is returned is the result."""


def finished(steps: Steps[Result]) -> Result:
    """Take all steps one after the other."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
