"""A report as files: `report.html` and `report.json`."""

from __future__ import annotations

import json
from pathlib import Path

from takt_training.report.document import Report
from takt_training.report.numbers import rounded
from takt_training.report.page import page

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
    text = json.dumps(rounded(told), indent=2, sort_keys=True, allow_nan=False)
    (directory / DATA).write_text(text + "\n", encoding="utf-8")
    (directory / PAGE).write_text(page(report), encoding="utf-8")
