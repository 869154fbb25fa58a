"""What a report says, before it is a page: warnings first, then figures beside their bars, then sections of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from takt_training.metrics import Bin, Interval


class Text(Struct, frozen=True):
    """Paragraphs, plain."""

    paragraphs: tuple[str, ...]


class Points(Struct, frozen=True):
    """A list of points; the part before the first colon is set off."""

    points: tuple[str, ...]


class Table(Struct, frozen=True):
    """Rows of cells as they are shown; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Reliability(Struct, frozen=True):
    """Observed shares over expected probabilities, with what chance would do to estimates that are exactly right."""

    bins: tuple[Bin, ...]


class Line(Struct, frozen=True):
    """One figure with its interval, among others on the same axis."""

    name: str
    interval: Interval | None
    """None where there is no value to tell."""
    refused: str = ""
    """Why there is none."""
    detail: str = ""
    """Said in small below the name: what the figure stands on."""
    truth: Interval | None = None
    """Where it is known: drawn beside it."""
    strong: bool = False
    """The one that the section is about."""


class Intervals(Struct, frozen=True):
    """Figures with their intervals on one axis."""

    lines: tuple[Line, ...]
    decimals: int = 4
    percent: bool = False
    reference: float | None = None
    """A vertical line: zero of a difference."""
    caption: str = ""


class Bar(Struct, frozen=True):
    """One bar of a chart."""

    name: str
    value: float
    text: str
    """As it is told."""
    low: float | None = None
    high: float | None = None


class Bars(Struct, frozen=True):
    """Bars from zero, longest as wide as the page."""

    bars: tuple[Bar, ...]
    caption: str = ""


class Series(Struct, frozen=True):
    """One line of a chart."""

    name: str
    values: tuple[float, ...]
    """At 1, 2, 3 and so on."""
    dashed: bool = False
    """Something to compare with rather than what the chart is about."""


class Lines(Struct, frozen=True):
    """Values over steps, a line each, named at its end."""

    series: tuple[Series, ...]
    across: str
    """What the steps are."""
    up: str
    """What the values are, with their unit."""
    caption: str = ""


Block = Text | Points | Table | Reliability | Intervals | Bars | Lines


class Section(Struct, frozen=True):
    """A heading, a sentence that says what to see, and blocks."""

    title: str
    lead: str
    blocks: tuple[Block, ...]


class Figure(Struct, frozen=True):
    """A figure beside what was promised of it."""

    name: str
    """For scripts."""
    label: str
    """For people."""
    value: float
    bar: str
    ok: bool

    def told(self) -> dict[str, Any]:
        """As scripts read it."""
        return {"value": self.value, "bar": self.bar, "ok": self.ok}


class Report(Struct, frozen=True):
    """All of it. `data` is the machine's half: JSON values, without NaN."""

    title: str
    lead: str
    warnings: tuple[str, ...]
    """Plain sentences, the gravest first: what must be known before any figure is believed."""
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
