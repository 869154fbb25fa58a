"""The worked examples of docs/contact-policy.md, read as data: a workspace, and steps with what is expected of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

PAGE: Final = Path(__file__).parents[2] / "docs" / "contact-policy.md"
COLUMNS: Final = ["what happens", "answer", "left out"]
WHEN: Final = re.compile(r"when(?: \((?P<zone>[^)]+)\))?")
MOMENT: Final = re.compile(r"(?P<wall>\d{4}-\d\d-\d\d \d\d:\d\d)(?: (?P<offset>[+-]\d\d:\d\d))?")
REQUEST: Final = re.compile(
    r"(?P<id>\w+)(?: \((?P<person>\w+)\))?: (?P<placements>\w+(?:, \w+)*)(?: @ (?P<timing>\w+))?"
)
MOVE: Final = re.compile(r"(?P<person>\w+) moves to (?P<zone>\S+)")
CONSENT: Final = re.compile(r"(?P<person>\w+) (?P<verb>gives|withdraws) (?P<consent>\S+)")
ABOUT: Final = re.compile(r"(?P<type>\w+) of (?P<request>\w+)(?:/(?P<offer>\w+))?(?: \((?P<event>\w+)\))?")
BY: Final = re.compile(r"(?P<type>\w+) by (?P<person>\w+)(?:/(?P<offer>\w+))?(?: \((?P<event>\w+)\))?")
STATEMENTS: Final = {"request": REQUEST, "move": MOVE, "consent": CONSENT, "about": ABOUT, "by": BY}


class ExampleError(ValueError):
    """The page says something that cannot be read."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a table."""

    line: int
    at_us: int
    kind: str
    """A key of `STATEMENTS`."""
    words: dict[str, str]
    """The parts of the statement, without those not given."""
    answer: str
    left_out: str


@dataclass(slots=True)
class Example:
    """One worked example."""

    title: str
    zone: ZoneInfo
    changes: dict[str, Any] = field(default_factory=dict)
    """Keys of the workspace's catalog that it replaces."""
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """The whole page."""

    features: dict[str, Any]
    catalog: dict[str, Any]
    examples: list[Example]


def moment_us(text: str, zone: ZoneInfo) -> int:
    """Microseconds of a local moment. Its offset has to be right where given, and given where it matters."""
    match = MOMENT.fullmatch(text)
    if not match:
        raise ExampleError(f"{text!r} is no moment; write 2026-11-23 10:00, with its offset where the clock changes")
    wall = datetime.strptime(match["wall"], "%Y-%m-%d %H:%M")  # noqa: DTZ007 - the zone follows
    offsets = {wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    if match["offset"] is None:
        if len(offsets) > 1:
            raise ExampleError(f"{text!r} comes twice or never in {zone}; give its offset")
        moment = wall.replace(tzinfo=zone)
    else:
        moment = datetime.fromisoformat(f"{match['wall']}{match['offset']}")
        if moment.astimezone(zone).replace(tzinfo=None) != wall:
            raise ExampleError(f"{text!r} is {moment.astimezone(zone)} in {zone}")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def step_of(line: int, cells: list[str], zone: ZoneInfo) -> Step:
    """A row as a step."""
    when, statement, answer, left_out = cells
    for kind, pattern in STATEMENTS.items():
        match = pattern.fullmatch(statement)
        if match:
            words = {name: text for name, text in match.groupdict().items() if text is not None}
            return Step(line, moment_us(when, zone), kind, words, answer, left_out)
    raise ExampleError(f"line {line}: {statement!r} is none of the things that can happen")


def read_page(path: Path = PAGE) -> Page:
    """Read every example of the page."""
    blocks: list[dict[str, Any]] = []
    examples: list[Example] = []
    fence: list[str] | None = None
    started = False
    for line, text in enumerate(path.read_text().splitlines(), start=1):
        if text == "## Worked examples":
            started = True
        elif not started:
            continue
        elif text == "```yaml":
            fence = []
        elif text == "```" and fence is not None:
            read = yaml.safe_load("\n".join(fence))
            if examples:
                examples[-1].changes |= read
            else:
                blocks.append(read)
            fence = None
        elif fence is not None:
            fence.append(text)
        elif text.startswith("### "):
            examples.append(Example(text.removeprefix("### "), ZoneInfo("Europe/Berlin")))
        elif text.startswith("|"):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            heading = WHEN.fullmatch(cells[0])
            if heading:
                if cells[1:] != COLUMNS:
                    raise ExampleError(f"line {line}: the columns are {cells}, expected when, {', '.join(COLUMNS)}")
                examples[-1].zone = ZoneInfo(heading["zone"] or "Europe/Berlin")
            elif not set(text) <= set("|- "):
                examples[-1].steps.append(step_of(line, cells, examples[-1].zone))
    features, catalog = blocks
    return Page(features, catalog, examples)
