"""A report as files: `report.html` and `report.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from takt_training.report.document import Report, Section
from takt_training.report.numbers import rounded
from takt_training.report.page import extended, page

PAGE, DATA = "report.html", "report.json"


def write_report(report: Report, directory: Path) -> None:
    """Write both files into a directory, which is made where it is missing. The same report gives the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    told = {
        "title": report.title,
        "warnings": list(report.warnings),
        "figures": {figure.name: figure.told() for figure in report.figures},
        **report.data,
    }
    _write_data(told, directory)
    (directory / PAGE).write_text(page(report), encoding="utf-8")


def extend_report(
    directory: Path, *, warnings: Sequence[str], sections: Sequence[Section], data: Mapping[str, Any]
) -> None:
    """Put further warnings, sections and data behind those of a report that is in a directory."""
    told = json.loads((directory / DATA).read_text(encoding="utf-8"))
    _write_data({**told, **data, "warnings": [*told["warnings"], *warnings]}, directory)
    text = (directory / PAGE).read_text(encoding="utf-8")
    (directory / PAGE).write_text(extended(text, warnings, sections), encoding="utf-8")


def _write_data(told: Mapping[str, Any], directory: Path) -> None:
    text = json.dumps(rounded(dict(told)), indent=2, sort_keys=True, allow_nan=False)
    (directory / DATA).write_text(text + "\n", encoding="utf-8")
