"""Files of JSON lines: read, turned into messages, sent in batches, with every error named by line and field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct, field

from takt.cli.exits import UnreachableError
from takt.cli.messages import REJECTED, UNAVAILABLE, Taken, json_line
from takt.errors import InvalidRequestError, Violation

ROWS = 500
"""Messages in one call."""
BYTES = 2 * 1024 * 1024
"""Bytes in one call; half of what the service takes."""

SENT_PATH = re.compile(r"^(?:profiles|events|contacts)\[\d+\]\.?")
"""The batch's own part of a path that the service names: it means nothing to who wrote the file."""


class Sized(Protocol):
    """A protobuf message, of which only the size matters here."""

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's own name
        """Bytes on the wire."""
        ...


M = TypeVar("M", bound=Sized)


class Line(Struct, Generic[M], frozen=True):
    """One line of a file, read."""

    number: int
    """From 1."""
    message: M


class WrongLine(Struct, frozen=True):
    """One line of a file that was not taken, and why."""

    number: int
    violations: tuple[Violation, ...]

    def told(self, name: str) -> list[str]:
        """For people: `FILE:LINE: field: message`, one text per violation."""
        return [": ".join(filter(None, [f"{name}:{self.number}", v.field, v.message])) for v in self.violations]

    def plain(self) -> list[dict[str, Any]]:
        """For scripts: one object per violation."""
        return [{"line": self.number, "field": v.field, "message": v.message} for v in self.violations]


class Tally(Struct):
    """What became of a file."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[WrongLine] = field(default_factory=list)

    def refuse(self, line: WrongLine, outcome: str = REJECTED) -> None:
        """Count a line that was not taken."""
        self.outcomes[outcome] += 1
        self.wrong.append(line)


def read(lines: Iterable[str], message: Callable[[Mapping[str, Any]], M]) -> Iterator[Line[M] | WrongLine]:
    """Every line that is not blank, as a message or as what is wrong with it."""
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            yield Line(number, message(json_line(text)))
        except InvalidRequestError as error:
            yield WrongLine(number, error.violations)


def batches(lines: Iterable[Line[M]], *, rows: int = ROWS, size: int = BYTES) -> Iterator[list[Line[M]]]:
    """Consecutive lines that fit into one call: at most `rows` of them and `size` bytes, but at least one."""
    batch: list[Line[M]] = []
    filled = 0
    for line in lines:
        more = line.message.ByteSize()
        if batch and (len(batch) == rows or filled + more > size):
            yield batch
            batch, filled = [], 0
        batch.append(line)
        filled += more
    if batch:
        yield batch


def send(
    lines: Iterable[Line[M] | WrongLine],
    call: Callable[[Sequence[M]], Sequence[Taken]],
    sent: Callable[[int], None] | None = None,
    *,
    rows: int = ROWS,
) -> Tally:
    """Send every line that is right, batch by batch; `sent` is told of each batch's size.

    Lines that are wrong, here or by the service's judgement, are counted and do not stop the others. Raises
    `UnreachableError`, saying which lines were done, when the service cannot be reached any more.
    """
    tally = Tally()
    done = 0

    def right() -> Iterator[Line[M]]:
        for line in lines:
            if isinstance(line, WrongLine):
                tally.refuse(line)
            else:
                yield line

    for batch in batches(right(), rows=rows):
        try:
            results = call([line.message for line in batch])
        except UnreachableError as error:
            before = f"lines up to {done} were sent, none after" if done else "nothing was sent"
            raise UnreachableError(f"{error}; {before}") from None
        for line, taken in zip(batch, results, strict=True):
            if taken.outcome in (REJECTED, UNAVAILABLE):
                tally.refuse(WrongLine(line.number, _ours(taken)), taken.outcome)
            else:
                tally.outcomes[taken.outcome] += 1
        done = batch[-1].number
        if sent is not None:
            sent(len(batch))
    return tally


def _ours(taken: Taken) -> tuple[Violation, ...]:
    """Violations with the paths of a line instead of a batch; where there are none, what the outcome means."""
    if not taken.violations:
        return (Violation("", f"{taken.outcome}: not written, nothing is wrong with it; send it again"),)
    return tuple(Violation(SENT_PATH.sub("", v.field), v.message) for v in taken.violations)
