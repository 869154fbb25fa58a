"""A report as one page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from takt_training.report import charts, plots
from takt_training.report.document import (
    Bars,
    Block,
    Figure,
    Intervals,
    Lines,
    Points,
    Reliability,
    Report,
    Section,
    Table,
    Text,
)
from takt_training.report.style import CSS

_AFTER_WARNINGS, _AFTER_SECTIONS = "<!-- warnings end -->", "<!-- sections end -->"
"""Where an addition goes. Text of a report is escaped, so that nothing else reads like them."""
_END_OF_LIST = "</ul></section>"


def page(report: Report) -> str:
    """The whole page, HTML 5, UTF-8; the same report gives the same bytes."""
    body = (
        f'<h1>{escape(report.title)}</h1><p class="lead">{escape(report.lead)}</p>',
        _warnings(report.warnings) + _AFTER_WARNINGS,
        _tiles(report.figures),
        *(_section(section) for section in report.sections),
        _AFTER_SECTIONS,
        (
            "<footer>Intervals are 95%. Figures for scripts are in report.json beside this page. "
            "What each number means, and when it is refused: docs/evaluation.md.</footer>"
        ),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def extended(text: str, warnings: Sequence[str], sections: Sequence[Section]) -> str:
    """A page with further warnings and sections behind its own.

    Raises ValueError for a text that no `page` is.
    """
    for place in (_AFTER_WARNINGS, _AFTER_SECTIONS):
        if text.count(place) != 1:
            raise ValueError(f"no page of a report: {place} stands in it {text.count(place)} times")
    more = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    if more and _END_OF_LIST + _AFTER_WARNINGS in text:
        text = text.replace(_END_OF_LIST + _AFTER_WARNINGS, more + _END_OF_LIST + _AFTER_WARNINGS)
    elif more:
        text = text.replace(_AFTER_WARNINGS, _warnings(tuple(warnings)) + _AFTER_WARNINGS)
    return text.replace(_AFTER_SECTIONS, "\n".join([*(_section(section) for section in sections), _AFTER_SECTIONS]))


def _warnings(warnings: tuple[str, ...]) -> str:
    if not warnings:
        return ""
    points = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="warnings"><h2>Before you believe any of it</h2><ul>{points}{_END_OF_LIST}'


def _tiles(figures: tuple[Figure, ...]) -> str:
    tiles = "".join(
        f'<div class="tile{"" if figure.ok else " missed"}"><span>{escape(figure.label)}</span>'
        f"<b>{figure.value:.4g}</b>"
        f'<span class="bar">{"met" if figure.ok else "missed"}: {escape(figure.bar)}</span></div>'
        for figure in figures
    )
    return f'<div class="tiles">{tiles}</div>' if tiles else ""


def _section(section: Section) -> str:
    lead = f'<p class="lead">{escape(section.lead)}</p>' if section.lead else ""
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f"<section><h2>{escape(section.title)}</h2>{lead}\n{blocks}</section>"


def _block(block: Block) -> str:
    match block:
        case Text():
            return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in block.paragraphs)
        case Points():
            return f'<ul class="points">{"".join(_point(point) for point in block.points)}</ul>'
        case Table():
            return _table(block)
        case Reliability():
            return plots.reliability(block.bins) if block.bins else ""
        case Intervals():
            return plots.intervals(block)
        case Bars():
            return plots.bars(block)
        case Lines():
            return charts.lines(block)


def _point(point: str) -> str:
    head, colon, rest = point.partition(": ")
    return f"<li><b>{escape(head)}:</b> {escape(rest)}</li>" if colon else f"<li>{escape(point)}</li>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}'
