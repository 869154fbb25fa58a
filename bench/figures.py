"""Figures with their bars, and what they were made from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field


class Bar(Struct, frozen=True):
    """What a figure has to reach."""

    least: bool
    """Whether it is a least; else a most."""
    must: float
    aim: float | None
    means: str
    """What the figure is, for people."""

    def holds(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.must if self.least else value <= self.must

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.must:g}"

    @property
    def aimed(self) -> str | None:
        """The aim, spelt like the bar."""
        return None if self.aim is None else f"{'>=' if self.least else '<='} {self.aim:g}"


BARS: Final[Mapping[str, Bar]] = {
    "decide_native_over_empty_grpcio": Bar(True, 3.0, 4.0, "full decisions per second over empty grpcio calls"),
    "decide_grpcio_over_empty_grpcio": Bar(True, 0.7, None, "the same, decisions served by grpcio too"),
    "decide_native_over_peer": Bar(True, 20.0, 30.0, "full decisions per second over the peer's"),
    "lone_p50_over_empty_grpcio": Bar(False, 1.25, 1.0, "median time of a lone caller's decision over an empty call's"),
    "p99_half_load_over_empty_grpcio": Bar(False, 1.5, 1.0, "p99 at half of the highest load, each at half of its own"),
    "goodput_at_3x": Bar(True, 0.8, None, "decisions in time at three times the highest load, over the highest"),
    "stream_over_unary": Bar(
        True, 2.0, None, "decisions per second over one stream and over unary calls, one connection"
    ),
    "offers_1000_over_100": Bar(False, 2.5, 2.0, "cost of a decision, 1,000 offers over 100"),
    "caps_10_over_1": Bar(False, 1.5, None, "cost of a decision, 10 caps over 1"),
    "ledger_200_over_0": Bar(False, 1.5, None, "cost of a decision, 200 contacts in the ledger over none"),
    "profiles_1m_over_1k": Bar(False, 1.1, None, "cost of a decision, 1,000,000 profiles over 1,000"),
    "bytes_per_profile": Bar(False, 416, None, "bytes of the store's memory per profile of 64 features"),
    "bytes_per_contact": Bar(False, 40, None, "bytes of the store's memory per contact"),
    "rss_mb": Bar(False, 300, 250, "megabytes of a replica after the load"),
    "ready_over_imports": Bar(False, 1.5, 1.2, "time until it serves over merely importing the same packages"),
    "soak_growth_mb": Bar(False, 5, None, "megabytes that a replica grew by in the second half of the soak"),
}
"""Every figure that has a bar, in the order of the table."""


class Notes(Struct):
    """What was measured so far, by name: one value per round."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a figure could not be measured, by its name."""
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    """Microseconds per decision by stage, by what was measured."""

    def add(self, name: str, value: float) -> None:
        """One round's value."""
        self.rounds.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Of all rounds. Raises `KeyError`."""
        return statistics.median(self.rounds[name])

    def figures(self) -> dict[str, dict[str, Any]]:
        """Every figure with a bar that was measured: value, bar, aim, whether it holds, spread, rounds."""
        told = {}
        for name, bar in BARS.items():
            if name in self.rounds:
                values = self.rounds[name]
                value = statistics.median(values)
                told[name] = {
                    "value": _rounded(value),
                    "bar": str(bar),
                    "aim": bar.aimed,
                    "ok": bar.holds(value),
                    **spread(values),
                }
        return told

    def absolutes(self) -> dict[str, dict[str, Any]]:
        """Everything else that was measured: medians with their spread."""
        return {
            name: {"median": _rounded(statistics.median(values)), **spread(values)}
            for name, values in self.rounds.items()
            if name not in BARS
        }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Least, most and number of values."""
    return {"least": _rounded(min(values)), "most": _rounded(max(values)), "rounds": len(values)}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
