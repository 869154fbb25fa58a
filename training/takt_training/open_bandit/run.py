"""`takt train --recipe open-bandit` from start to end: read, judge, write, show."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from takt_training.open_bandit.recipe import evaluate
from takt_training.open_bandit.report import report
from takt_training.progress import Steps
from takt_training.report.files import write_report
from takt_training.report.terminal import show


def run(*, out: Path, as_json: bool) -> bool:
    """Write the report to `out`; whether every bar was met. Raises NotFoundError without the data."""
    console = Console(stderr=as_json)
    with Steps(console) as steps:
        told = report(evaluate(step=steps.show))
    write_report(told, out)
    if as_json:
        print(json.dumps({figure.name: figure.told() for figure in told.figures}))  # noqa: T201  what --json is for
    else:
        show(told, out, console)
    return all(figure.ok for figure in told.figures)
