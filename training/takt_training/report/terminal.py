"""A report in short, on a terminal: warnings, figures, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from takt_training.report.document import Intervals, Report, Section
from takt_training.report.files import PAGE
from takt_training.report.numbers import with_interval


def show(report: Report, directory: Path, console: Console) -> None:
    """What a person needs before opening the page."""
    for warning in report.warnings:
        console.print(f"[yellow]![/] {escape(warning)}", highlight=False)
    show_sections(report.sections, console)
    for figure in report.figures:
        verdict = "[green]met[/]" if figure.ok else "[red]missed[/]"
        console.print(f"{figure.label} {figure.value:.4g} (bar {escape(figure.bar)}): {verdict}", highlight=False)
    console.print(f"The report is in {directory / PAGE}")


def show_sections(sections: Sequence[Section], console: Console) -> None:
    """The intervals of some sections."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Intervals):
                console.print(_grid(section.title, block))


def _grid(title: str, block: Intervals) -> Grid:
    grid = Grid(title=title)
    grid.add_column("")
    grid.add_column("[95%]", justify="right")
    grid.add_column("stands on")
    for line in block.lines:
        if line.interval is None:
            grid.add_row(escape(line.name), "[red]refused[/]", escape(line.refused))
        else:
            told = with_interval(line.interval, decimals=block.decimals, as_percent=block.percent)
            grid.add_row(escape(line.name), escape(told), escape(line.detail))
    return grid
