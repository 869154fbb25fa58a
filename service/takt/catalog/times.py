"""How a workspace writes time: durations `15m`, clock times `18:00`, spans `21:00-08:00`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from takt.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from takt.yamlmarks import Node

D = TypeVar("D")

LONGEST_US: Final = 3650 * DAY_US
"""Ten years: more is a slip."""

_UNITS: Final = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def duration_us(text: str) -> int | None:
    """Microseconds of a duration like `90s`, `15m`, `12h` or `7d`; None for anything else."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


def shown_duration(us: int) -> str:
    """A duration as it would be written, in the largest unit that divides it."""
    for unit in "dhms":
        if us % _UNITS[unit] == 0:
            return f"{us // _UNITS[unit]}{unit}"
    return f"{us}us"


def minute_of(text: str) -> int | None:
    """Minute of the day of a clock time from `00:00` to `24:00`; None for anything else."""
    match = _CLOCK.fullmatch(text)
    if not match:
        return None
    return int(match[1]) * 60 + int(match[2]) if match[1] else 24 * 60


def duration_at(node: Node, key: str, default: D, *, low_us: int = SECOND_US, high_us: int = LONGEST_US) -> int | D:
    """A duration under `key`, in microseconds; `default` where it is missing or wrong, which is reported."""
    child = node.get(key)
    text = None if child is None else child.as_text()
    if child is None or text is None:
        return default
    us = duration_us(text)
    if us is None:
        child.fail(f"is {text!r}; a duration like 90s, 15m, 12h or 7d is needed")
    elif not low_us <= us <= high_us:
        child.fail(f"is {text}; from {shown_duration(low_us)} to {shown_duration(high_us)} is allowed")
    else:
        return us
    return default


def clock_at(node: Node, key: str) -> int | None:
    """Minute of the day of a clock time under `key`; None where it is missing or wrong, which is reported."""
    child = node.get(key)
    text = None if child is None else child.as_text()
    if child is None or text is None:
        return None
    minute = minute_of(text)
    if minute is None:
        child.fail(f'is {text!r}; a time like "18:00" is needed, in quotes')
    return minute


def span_at(node: Node, key: str) -> tuple[int, int] | None:
    """Minutes of the day of `21:00-08:00` under `key`, both below 1440; None where it is missing or wrong."""
    child = node.get(key)
    text = None if child is None else child.as_text()
    if child is None or text is None:
        return None
    first, _, last = text.partition("-")
    start, end = minute_of(first.strip()), minute_of(last.strip())
    if start is None or end is None:
        child.fail(f'is {text!r}; two times like "21:00-08:00" are needed, in quotes')
        return None
    if start % 1440 == end % 1440:
        child.fail(f"is {text!r}, which begins where it ends; the two times must differ")
        return None
    return start % 1440, end % 1440
