"""Work in steps: it pauses wherever it waits for the store, so that other work can be done meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")

Steps = Generator[None, None, Result]
"""Each pause means that the store has been asked something; what is returned is the result."""


def finished(steps: Steps[Result]) -> Result:
    """Take all steps one after the other."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
