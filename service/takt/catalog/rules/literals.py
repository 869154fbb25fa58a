"""Literals of CEL as values: text, numbers, timestamps and durations.

Sources: the language definition of CEL, sections «Values» and «Timestamps and durations»; RFC 3339 for timestamps.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

EXACT: Final = 2**53 - 1
"""The largest whole number that no other one rounds to in float64, which rules compute in."""

FIRST_US: Final = -62_135_596_800_000_000
LAST_US: Final = 253_402_300_799_999_999
"""The timestamps of CEL: years 1 to 9999."""

LONGEST_US: Final = 315_576_000_000 * 1_000_000
"""The longest duration of CEL, some 10,000 years."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ms|us|µs|d|h|m|s)")
_UNIT_US: Final = {
    "us": 1,
    "µs": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<hex>x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<one>.))",
    re.DOTALL,
)
_ONE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\\?\"'`"}


def text_of(token: str) -> str:
    """The text that a string literal stands for, quotes and escapes resolved. Raises ValueError for a bad escape."""
    raw = token[:1] in {"r", "R"}
    quoted = token[1:] if raw else token
    width = 3 if quoted[:3] in {'"""', "'''"} else 1
    body = quoted[width:-width]
    return body if raw else _ESCAPE.sub(_unescape, body)


def _unescape(match: re.Match[str]) -> str:
    if match["hex"]:
        return chr(int(match["hex"][1:], 16))
    if match["octal"]:
        return chr(int(match["octal"], 8))
    try:
        return _ONE[match["one"]]
    except KeyError:
        raise ValueError(f"\\{match['one']} is no escape in CEL; write \\\\ for a backslash") from None


def whole_of(token: str) -> int:
    """A whole number, decimal or hexadecimal. Raises ValueError beyond +-`EXACT`."""
    value = int(token, 16 if "0x" in token else 10)
    if abs(value) > EXACT:
        raise ValueError("whole numbers in rules go up to 2**53 - 1")
    return value


def decimal_of(token: str) -> float:
    """A decimal number. Raises ValueError for one that is too large for a float64."""
    value = float(token)
    if math.isinf(value):
        raise ValueError("is too large")
    return value


def timestamp_of(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 timestamp. Raises ValueError for anything else."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is no timestamp; write one like 2026-01-31T18:00:00Z or 2026-01-31T18:00:00+01:00")
    try:
        at_us = (datetime.fromisoformat(text.upper()) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no timestamp: {error}") from error
    if not FIRST_US <= at_us <= LAST_US:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999")
    return at_us


def duration_of(text: str) -> int:
    """Microseconds of a duration like `24h`, `1h30m`, `-1.5s` or `7d`. Raises ValueError for anything else.

    Like CEL, plus `d` for 24 hours; nothing finer than a microsecond.
    """
    body = text[1:] if text[:1] in {"-", "+"} else text
    parts = _DURATION.findall(body)
    if not parts or "".join(parts) != body:
        raise ValueError(f"{text!r} is no duration; write one like 36h, 1h30m, 90s or 7d")
    total = Fraction(0)
    for part in parts:
        unit = part.lstrip("0123456789.")
        total += Fraction(part[: -len(unit)]) * _UNIT_US[unit]
    if total.denominator != 1:
        raise ValueError(f"{text!r} is finer than a microsecond")
    if total > LONGEST_US:
        raise ValueError(f"{text!r} is longer than 10,000 years")
    return -int(total) if text[0] == "-" else int(total)
