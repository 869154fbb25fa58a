"""One value of a YAML file: where it stands, and typed access that reports what is not right and goes on."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct, field

from takt.errors import Violation, WorkspaceError
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")
D = TypeVar("D")  # what stands in for a missing value

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Problems(Struct):
    """Collects what is wrong with one or several files."""

    found: list[Violation] = field(default_factory=list)

    def add(self, where: str, message: str) -> None:
        """Note one; `where` is `FILE:LINE: key.path`."""
        self.found.append(Violation(where, message))

    def raise_any(self) -> None:
        """Raise `WorkspaceError` with everything noted so far, if anything was."""
        if self.found:
            raise WorkspaceError(tuple(self.found))

    def __bool__(self) -> bool:
        return bool(self.found)


class Node(Struct, frozen=True, eq=False):
    """One value of a YAML file and where it stands."""

    filename: str
    line: int
    """1-based line of the value's first character."""
    column: int
    """1-based column of the value's first character."""
    path: str
    """Key path in the file, like `profile[3].type`; empty for the whole file."""
    value: Any
    """Plain Python: None, bool, int, float, str, list, dict."""
    problems: Problems
    """Shared by all nodes of a `load`."""
    raw: str = ""
    """A scalar's text as it stands in the file, quotes and block markers included."""
    children: dict[str, Node] | list[Node] | None = None
    """By key, by position, or None for a scalar."""

    @property
    def where(self) -> str:
        """`FILE:LINE: key.path`, the field of a violation."""
        return f"{self.filename}:{self.line}: {self.path}" if self.path else f"{self.filename}:{self.line}"

    def fail(self, message: str) -> None:
        """Report that something is wrong with this value."""
        self.problems.add(self.where, message)

    def fail_at(self, key: str, message: str) -> None:
        """Report that something is wrong with the value of `key`, which may be missing."""
        child = self.get(key)
        if child is not None:
            child.fail(message)
        else:
            self.problems.add(f"{self.filename}:{self.line}: {join_path(self.path, key)}", message)

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and column of character `offset` of a text value.

        Exact for text on one line, in quotes or not, and for literal blocks (`|`); the value's beginning otherwise.
        """
        start = (self.line, self.column)
        if self.raw[:1] == "|":
            return self._position_in_block(offset)
        if "\n" in self.raw:
            return start
        if self.raw[:1] == "'":
            return self.line, self.column + 1 + _raw_width(self.raw[1:], offset, re.compile(r"''|."))
        if self.raw[:1] == '"':
            escape = re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|.")
            return self.line, self.column + 1 + _raw_width(self.raw[1:], offset, escape)
        return self.line, self.column + offset

    def _position_in_block(self, offset: int) -> tuple[int, int]:
        """Position in a literal block: its lines stand below the marker, all indented by the same width."""
        before = str(self.value)[:offset]
        lines = self.raw.split("\n")[1:]
        row = before.count("\n")
        indent = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
        return self.line + 1 + row, indent + offset - (before.rfind("\n") + 1) + 1

    # Mappings -------------------------------------------------------------------------------------------------------

    def is_mapping(self) -> bool:
        """Whether this is a mapping; reports when it is not."""
        if isinstance(self.children, dict):
            return True
        self.fail(f"is {_kind(self.value)}; a mapping of keys to values is needed")
        return False

    def only(self, *known: str) -> bool:
        """Whether this is a mapping; reports that, and every key that is not in `known`."""
        if not self.is_mapping():
            return False
        for key, child in self.items():
            if key not in known:
                child.fail(f"unknown key {shown(key)}; {did_you_mean(key, known)}")
        return True

    def get(self, key: str) -> Node | None:
        """The value of `key`, None where it is missing, null or this is no mapping."""
        child = self.children.get(key) if isinstance(self.children, dict) else None
        return None if child is None or child.value is None else child

    def items(self) -> Iterator[tuple[str, Node]]:
        """Keys and values in the order of the file; nothing where this is no mapping."""
        if isinstance(self.children, dict):
            yield from self.children.items()

    def elements(self) -> list[Node]:
        """The elements of a list; reports and returns nothing when this is not one."""
        if isinstance(self.children, list):
            return self.children
        self.fail(f"is {_kind(self.value)}; a list is needed")
        return []

    def list_at(self, key: str) -> list[Node]:
        """Elements of the list under `key`, empty where the key is missing."""
        child = self.get(key)
        return [] if child is None else child.elements()

    # Scalars: each reports what is not right and returns None then ---------------------------------------------------

    def as_text(self, *, empty: bool = False) -> str | None:
        """Text, not empty unless `empty`."""
        if isinstance(self.value, str) and (empty or self.value):
            return self.value
        self._wrong("text" if empty or not isinstance(self.value, str) else "text that is not empty")
        return None

    def as_bool(self) -> bool | None:
        """`true` or `false`."""
        if isinstance(self.value, bool):
            return self.value
        self._wrong("true or false")
        return None

    def as_int(self, low: int | None = None, high: int | None = None) -> int | None:
        """A whole number within the bounds, both included."""
        if isinstance(self.value, int) and not isinstance(self.value, bool) and _within(self.value, low, high):
            return self.value
        self._wrong("a whole number" + _bounds(low, high))
        return None

    def as_float(self, low: float | None = None, high: float | None = None) -> float | None:
        """A finite number within the bounds, both included."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool) and _within(self.value, low, high):
            try:
                number = float(self.value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        self._wrong("a number" + _bounds(low, high))
        return None

    def as_moment(self) -> int | None:
        """A moment in ISO 8601 with its offset, in microseconds since the epoch."""
        try:
            moment = datetime.fromisoformat(self.value) if isinstance(self.value, str) else None
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return (moment - _EPOCH) // timedelta(microseconds=1)
        self._wrong("a moment with its offset, like 2017-10-01T00:00:00Z,")
        return None

    def as_choice(self, known: Sequence[str], what: str = "value") -> str | None:
        """One of the `known` names."""
        name = self.as_text()
        if name is None or name in known:
            return name
        self.fail(f"{what} {shown(name)} is unknown; {did_you_mean(name, known)}")
        return None

    def as_names(self) -> tuple[str, ...]:
        """A list of texts; what is wrong in it is reported and left out."""
        names = (element.as_text() for element in self.elements())
        return tuple(name for name in names if name is not None)

    # Scalars under a key: `default` stands in for what is missing or wrong ------------------------------------------

    def text(self, key: str, default: D) -> str | D:
        """Text under `key`."""
        return _or(child.as_text() if (child := self.get(key)) else None, default)

    def boolean(self, key: str, default: D) -> bool | D:
        """`true` or `false` under `key`."""
        return _or(child.as_bool() if (child := self.get(key)) else None, default)

    def integer(self, key: str, default: D, *, low: int | None = None, high: int | None = None) -> int | D:
        """A whole number under `key`."""
        return _or(child.as_int(low, high) if (child := self.get(key)) else None, default)

    def number(self, key: str, default: D, *, low: float | None = None, high: float | None = None) -> float | D:
        """A finite number under `key`."""
        return _or(child.as_float(low, high) if (child := self.get(key)) else None, default)

    def moment(self, key: str, default: D) -> int | D:
        """A moment under `key`, in microseconds since the epoch."""
        return _or(child.as_moment() if (child := self.get(key)) else None, default)

    def choice(self, key: str, default: D, *, known: Sequence[str], what: str = "value") -> str | D:
        """One of the `known` names under `key`."""
        return _or(child.as_choice(known, what) if (child := self.get(key)) else None, default)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of texts under `key`, empty where it is missing."""
        child = self.get(key)
        return () if child is None else child.as_names()

    def required(self, key: str, what: str = "a value") -> Node | None:
        """The value of `key`; reports when it is missing."""
        child = self.get(key)
        if child is None:
            self.fail_at(key, f"is missing; {what} is needed")
        return child

    def required_text(self, key: str) -> str | None:
        """Text under `key`; reports when it is missing or something else."""
        child = self.required(key, "text")
        return None if child is None else child.as_text()

    def _wrong(self, wanted: str) -> None:
        """Report a value of the wrong kind or size."""
        self.fail(f"is {_kind(self.value)}; {wanted} is needed")


def join_path(path: str, key: str) -> str:
    """Path of a key in a mapping."""
    return f"{path}.{key}" if path else key


def _or(value: T | None, default: D) -> T | D:
    """`default` where there is no value."""
    return default if value is None else value


def _kind(value: object) -> str:
    """What a value is, for a message."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, bool):
        return str(value).lower()
    return shown(value) if isinstance(value, str) else str(value)


def _within(value: float, low: float | None, high: float | None) -> bool:
    """Whether the bounds that are given hold."""
    return (low is None or value >= low) and (high is None or value <= high)


def _bounds(low: float | None, high: float | None) -> str:
    """Bounds for a message."""
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


def _raw_width(raw: str, offset: int, unit: re.Pattern[str]) -> int:
    """Characters in the file that the first `offset` characters of a quoted text take; `unit` matches one of them."""
    at = 0
    for _ in range(offset):
        match = unit.match(raw, at)
        if match is None:
            break
        at = match.end()
    return at
