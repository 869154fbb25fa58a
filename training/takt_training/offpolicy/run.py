"""`takt evaluate` from start to end: read, score, judge, write, show."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from takt.catalog.workspace import load_workspace
from takt.model.onnx import load_scorer
from takt_training.logged.dataset import Logged
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from takt_training.offpolicy.comparison import Comparison, compare
from takt_training.offpolicy.report import report
from takt_training.offpolicy.scoring import Judge
from takt_training.progress import Steps
from takt_training.report.files import DATA, write_report
from takt_training.report.terminal import show


def run(
    archive: Path,
    bundle: Path,
    champion: Path | None,
    *,
    workspace: Path,
    goal: Goal,
    since: datetime | None,
    out: Path,
    as_json: bool,
) -> Comparison:
    """Write the report to `out`, and say the short of it.

    Raises WorkspaceError, ModelError, NotFoundError and PreconditionError for what cannot be judged by.
    """
    console = Console(stderr=as_json)
    catalog = load_workspace(workspace)
    candidate = Judge(load_scorer(bundle, catalog), catalog)
    other = None if champion is None else Judge(load_scorer(champion, catalog), catalog)
    judges = (candidate,) if other is None else (candidate, other)
    with Steps(console) as steps:
        steps.show("reading the log", 0)
        log = load(archive, catalog.spec, goal)
        steps.show("reading the log", 1)
        at = _boundary(log, judges) if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1e6)
        found = compare(log, catalog, candidate, other, window_us=goal.window_us, boundary_us=at, step=steps.show)
    title = f"{candidate.scorer.version} on {archive.name}"
    told = report(found, title=title, notes=notes(judges, at, goal))
    write_report(told, out)
    if as_json:
        print(json.dumps(json.loads((out / DATA).read_text(encoding="utf-8"))))  # noqa: T201  what --json is for
    else:
        show(told, out, console)
    return found


def notes(judges: tuple[Judge, ...], boundary_us: int, goal: Goal) -> tuple[str, ...]:
    """What must be said of bundles and goal before any figure."""
    told = [
        f"{judge.scorer.version} was trained on data until {judge.scorer.metadata.trained_until}, after the "
        "judged part "
        "begins: it may have seen what judges it, and its figures are too good."
        for judge in judges
        if _trained_us(judge) > boundary_us
    ]
    if goal.attribution == "decision":
        told.append(
            "Only events that name a decision count, so silence earns nothing here, whatever customers do by "
            "themselves."
        )
    return tuple(told)


def _boundary(log: Logged, judges: tuple[Judge, ...]) -> int:
    """The later of half of the log and the end of training, in microseconds."""
    times = log.decisions.time_us
    half = int((int(times.min()) + int(times.max())) // 2)
    return max(half, *(_trained_us(judge) for judge in judges))


def _trained_us(judge: Judge) -> int:
    return int(datetime.fromisoformat(judge.scorer.metadata.trained_until).timestamp() * 1e6)
