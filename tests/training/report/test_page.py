"""A report as a page: it needs nothing else, says warnings first, and never shows a refused value on an axis."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from takt_training.metrics import Bin, Interval
from takt_training.report.document import (
    Bar,
    Bars,
    Figure,
    Intervals,
    Line,
    Points,
    Reliability,
    Report,
    Section,
    Table,
    Text,
)
from takt_training.report.files import extend_report, write_report
from takt_training.report.page import extended, page
from takt_training.report.plots import ticks
from takt_training.report.terminal import show

REPORT = Report(
    title="A <model> & its judge",
    lead="What it is.",
    warnings=("Observational: nobody was drawn at random.",),
    figures=(Figure("auc", "AUC", 0.8312, ">= 0.82", ok=True), Figure("ece", "ECE", 0.03, "<= 0.025", ok=False)),
    sections=(
        Section(
            "Everything",
            "One of each.",
            (
                Text(("A paragraph.",)),
                Points(("Cause: not known.", "No colon here")),
                Table(("", "rows"), (("train <script>", "10"),), "A note."),
                Reliability((Bin(100, 0.1, 0.12), Bin(100, 0.3, 0.25))),
                Intervals(
                    (
                        Line("candidate", Interval(0.02, 0.01, 0.03), detail="ESS 1,200", strong=True),
                        Line("uniform", None, refused="The log is worth 2 rows."),
                        Line("bts", Interval(0.015, 0.005, 0.025), truth=Interval(0.018, 0.017, 0.019)),
                    ),
                    reference=0.0,
                ),
                Bars((Bar("price", 0.04, "0.0400"), Bar("age", -0.001, "-0.0010"))),
            ),
        ),
    ),
    data={"value": float("nan"), "third": 1 / 3},
)

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Tags(HTMLParser):
    """Checks that tags are closed in order, and keeps what they are and carry."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.carried: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens."""
        self.seen.append(tag)
        self.carried += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes the last that was opened."""
        assert tag == self.open.pop()


def _tags(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert [] == tags.open
    return tags


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    """Every tag is closed; no script, no address, no import, no font from elsewhere."""
    text = page(REPORT)
    tags = _tags(text)

    assert not {"script", "link", "img", "iframe", "object"} & set(tags.seen)
    assert not [name for name, _ in tags.carried if name in {"src", "href", "onload", "onclick"}]
    assert not re.search(r"https?:|@import|url\(", text)


def test_what_others_wrote_is_never_markup() -> None:
    """Names of offers come from a catalog; they are text."""
    text = page(REPORT)

    assert "train &lt;script&gt;" in text
    assert "<title>A &lt;model&gt; &amp; its judge</title>" in text


def test_warnings_come_before_any_figure() -> None:
    """Nobody reads as far as the end."""
    text = page(REPORT)

    assert text.index("Observational") < text.index("0.8312") < text.index("A paragraph.")


def test_a_missed_bar_and_a_refusal_are_marked() -> None:
    """A tile of its own look; the sentence instead of a dot."""
    text = page(REPORT)

    assert 1 == text.count('class="tile missed"')
    assert 1 == text.count('class="row refused"')
    assert "<b>refused</b> The log is worth 2 rows." in text
    assert 2 == text.count('class="dot"')
    assert "truth 0.0180 [0.0170, 0.0190]" in text


def test_marks_stay_within_their_strip() -> None:
    """Positions are shares of the strip, truths, intervals and the reference line included."""
    positions = [float(text) for text in re.findall(r"left:(-?[\d.]+)%", page(REPORT))]

    assert positions
    assert all(0 <= position <= 100 for position in positions)


def test_a_report_without_anything_is_a_page_all_the_same() -> None:
    """Empty blocks leave no broken plots."""
    empty = Section("Empty", "", (Reliability(()), Intervals(()), Bars(()), Table(("",), ())))

    _tags(page(Report("t", "l", (), (), (empty,))))


def test_the_json_has_warnings_figures_and_data(tmp_path: Path) -> None:
    """Six decimals; what is no number is null, since NaN is no JSON."""
    write_report(REPORT, tmp_path / "new" / "folder")

    found = json.loads((tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8"))
    assert list(REPORT.warnings) == found["warnings"]
    assert {"value": 0.03, "bar": "<= 0.025", "ok": False} == found["figures"]["ece"]
    assert (None, 0.333333) == (found["value"], found["third"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (-0.011, 0.013, (-0.01, -0.005, 0.0, 0.005, 0.01)),
        (0.8, 0.86, (0.8, 0.82, 0.84, 0.86)),
        (3.0, 3.0, (3.0,)),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: tuple[float, ...]) -> None:
    """Steps of 1, 2 or 5."""
    assert expected == pytest.approx(ticks(low, high))


def test_a_terminal_gets_the_short_of_it(tmp_path: Path) -> None:
    """Warnings, intervals with refusals, figures, and where the page is."""
    console = Console(width=200, record=True, quiet=False, file=(tmp_path / "out").open("w", encoding="utf-8"))

    show(REPORT, tmp_path, console)

    text = console.export_text()
    for word in (
        "Observational",
        "refused",
        "The log is worth 2 rows.",
        "0.0200 [0.0100, 0.0300]",
        "missed",
        "report.html",
    ):
        assert word in text
    console.file.close()


def test_a_page_is_extended_behind_what_it_says(tmp_path: Path) -> None:
    """Warnings join the others, sections come before the footer, data beside the rest; again and again."""
    more = Section("More & more", "", (Intervals((Line("candidate", Interval(0.5, 0.4, 0.6)),)),))
    write_report(REPORT, tmp_path)
    for number in (1, 2):
        extend_report(
            tmp_path, warnings=(f"Found <{number}> later.",), sections=(more,), data={f"data{number}": number}
        )

    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    _tags(text)
    assert text.index("Observational") < text.index("Found &lt;1&gt;") < text.index("Found &lt;2&gt;")
    assert text.index("Found &lt;2&gt;") < text.index("0.8312")
    assert 1 == text.count("Before you believe")
    assert text.index("A paragraph.") < text.index("More &amp; more") < text.index("<footer>")
    assert 2 == text.count("More &amp; more")
    assert [*REPORT.warnings, "Found <1> later.", "Found <2> later."] == told["warnings"]
    assert (1, 2, 0.333333) == (told["data1"], told["data2"], told["third"])


def test_a_page_without_warnings_gets_its_first() -> None:
    """At the top, in the same look."""
    text = extended(page(Report("t", "l", (), (), ())), ("Now there is one.",), ())

    _tags(text)
    assert "<ul><li>Now there is one.</li></ul></section>" in text
    with pytest.raises(ValueError, match="no page of a report"):
        extended("<html></html>", (), ())
