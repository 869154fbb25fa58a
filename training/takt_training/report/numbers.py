"""How figures are written."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from takt_training.metrics import Interval


def plain(value: float, decimals: int = 4) -> str:
    """A number, or a dash for none."""
    return "–" if math.isnan(value) else f"{value:,.{decimals}f}"  # noqa: RUF001  an en dash stands for no number


def percent(value: float, decimals: int = 2) -> str:
    """A share."""
    return "–" if math.isnan(value) else f"{100 * value:.{decimals}f}%"  # noqa: RUF001  as above


def with_interval(interval: Interval, *, decimals: int = 4, as_percent: bool = False) -> str:
    """`value [low, high]`."""
    write = percent if as_percent else plain
    value, low, high = (write(part, decimals) for part in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def signed(interval: Interval, decimals: int = 4) -> str:
    """`+value [low, high]` of a difference."""
    return f"{interval.value:+.{decimals}f} [{interval.low:+.{decimals}f}, {interval.high:+.{decimals}f}]"


def rounded(value: Any) -> Any:
    """Floats to six decimals, so that a file shows figures and not rounding; none for what is no number.

    Structs become their fields.
    """
    if isinstance(value, Struct):
        return rounded(asdict(value))
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
