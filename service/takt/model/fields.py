"""Reading JSON objects strictly: every field by name and type, every fault collected, nothing unknown let through."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from takt.spelling import did_you_mean

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Read = Callable[[Any], Any]
"""Takes a JSON value, returns what it means, raises ValueError saying what was expected."""


def text(value: Any) -> str:
    """A string."""
    if isinstance(value, str):
        return value
    raise ValueError("expected a string")


def filled(value: Any) -> str:
    """A string that is not empty."""
    if not text(value).strip():
        raise ValueError("expected a string that is not empty")
    return str(value)


def pattern(shape: re.Pattern[str], meaning: str) -> Read:
    """A string of a shape."""

    def read(value: Any) -> str:
        if not shape.fullmatch(text(value)):
            raise ValueError(f"expected {meaning}")
        return str(value)

    return read


def time(value: Any) -> str:
    """A moment in UTC to the second. Kept as text, whose order is that of time."""
    try:
        moment = datetime.strptime(text(value), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("expected a time in UTC such as 2017-01-01T00:00:00Z") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


semver = pattern(_SEMVER, "a semantic version such as 1.0.0")
name = pattern(_NAME, "lower-case letters, digits and hyphens, at most 64")
sha256 = pattern(_SHA256, "64 hex digits in lower case")


def whole(least: int) -> Read:
    """A whole number of at least `least`."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return value

    return read


def choice(*options: object) -> Read:
    """One of a few values."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or value not in options:
            raise ValueError(f"expected {' or '.join(repr(option) for option in options)}")
        return value

    return read


def names(*, least: int) -> Read:
    """A list of different strings, as a tuple."""

    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ValueError("expected a list of names")
        if twice := _twice(value):
            raise ValueError(f"expected every name once; {twice!r} stands twice")
        if len(value) < least:
            raise ValueError(f"expected at least {least} name{'s' if least > 1 else ''}")
        return tuple(value)

    return read


def table(read_value: Read) -> Read:
    """An object whose values are all of one kind."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("expected an object")  # noqa: TRY004 - one kind of error for every fault of a field
        out = {}
        for key, item in value.items():
            try:
                out[key] = read_value(item)
            except ValueError as error:
                raise ValueError(f"{key!r}: {error}") from None
        return out

    return read


def free(value: Any) -> Any:
    """Any JSON; numbers must be finite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected finite numbers")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        free(item)
    return value


def parse(source: str) -> Any:
    """JSON without duplicate keys. Raises ValueError saying where it breaks."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := _twice(key for key, _ in pairs):
            raise ValueError(f"key {twice!r} stands twice")
        return dict(pairs)

    try:
        return json.loads(source, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise ValueError("not valid JSON: nested too deeply") from None


def read_object(value: Any, *, where: str, reads: Mapping[str, Read]) -> tuple[dict[str, Any], list[str]]:
    """Read every field of an object: what could be read, and a sentence for every fault."""
    if not isinstance(value, dict):
        return {}, [f"{where}: expected an object"]
    faults = [f"{where}: unknown key {key!r}; {did_you_mean(key, reads)}" for key in value if key not in reads]
    out = {}
    for key, read in reads.items():
        if key not in value:
            faults.append(f"{where}: {key!r} is missing")
            continue
        try:
            out[key] = read(value[key])
        except ValueError as error:
            faults.append(f"{where}: {key!r} is {_brief(value[key])}, {error}")
    return out, faults


def _twice(items: Iterable[str]) -> str:
    """The first that stands twice, or an empty string."""
    counts = Counter(items)
    return next((item for item, count in counts.items() if count > 1), "")


def _brief(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:57] + "..."
