"""What a bundle that was just trained on a log would earn: judged on the part that training kept back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from rich.console import Console

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.errors import PreconditionError
from takt.model.onnx import load_scorer
from takt_training.archive.positions import read_positions
from takt_training.logged.dataset import Logged
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from takt_training.offpolicy.comparison import Comparison, Step, compare
from takt_training.offpolicy.report import policy_sections, policy_warnings
from takt_training.offpolicy.run import notes
from takt_training.offpolicy.scoring import Judge
from takt_training.progress import Steps
from takt_training.report.document import Section, Text
from takt_training.report.files import DATA, extend_report
from takt_training.report.terminal import show_sections

MOST_DRAWS: Final = 100_000
"""Draws that are judged: intervals are narrow enough then, and a log of any length fits into memory."""
MOST_CELLS: Final = 20_000_000
"""Draws times offers."""
TITLE: Final = "What each policy would earn"


def judge_policies(
    archive: Path, bundle: Path, champion: Path | None, *, workspace: Path, goal: Goal, console: Console
) -> None:
    """Put what candidate, champion, chance and the best constant would earn behind the report in `bundle`.

    Judged on what was decided from the boundary of training on; where that is impossible, the page says why. Raises
    WorkspaceError and ModelError for a workspace or a champion that cannot be used.
    """
    split = json.loads((bundle / DATA).read_text(encoding="utf-8"))["split"]
    if split["by"] == "person":
        _refuse(bundle, "Training kept people back, not a part of time: judge later decisions with takt evaluate.")
        return
    catalog = load_workspace(workspace)
    candidate = Judge(load_scorer(bundle, catalog), catalog)
    other = None if champion is None else Judge(load_scorer(champion, catalog), catalog)
    try:
        with Steps(console) as steps:
            found, every = _compared(
                archive, catalog, candidate, other, goal=goal, boundary_us=split["boundary_us"], step=steps.show
            )
    except PreconditionError as error:
        _refuse(bundle, str(error))
        return
    told = [*notes((candidate, *((other,) if other else ())), split["boundary_us"], goal), *policy_warnings(found)]
    first, *rest = policy_sections(found)
    sampled = "" if every == 1 else f" Of the log, every {every}th decision is judged."
    lead = (
        f"{first.lead} Judged on {found.rows[1]:,} draws of {found.persons:,} people, from the boundary on; "
        f"{found.no_shows:,} of them were never seen by anybody and earned nothing.{sampled}"
    )
    sections = (Section(first.title, lead, first.blocks), *rest)
    extend_report(bundle, warnings=told, sections=sections, data={"comparison": found})
    show_sections(sections, console)


def _compared(
    archive: Path,
    catalog: Catalog,
    candidate: Judge,
    champion: Judge | None,
    *,
    goal: Goal,
    boundary_us: int,
    step: Step,
) -> tuple[Comparison, int]:
    """Candidate beside champion; and how many decisions there are to one that is judged."""
    step("reading what policies are judged by", 0)
    # the best constant is chosen on as much time before the boundary, less one window, as is judged after it
    positions = read_positions(archive)
    through_us = boundary_us if positions is None else positions.through_us
    since_us = max(2 * boundary_us - goal.window_us - through_us, 1)
    log, every = thinned(load(archive, catalog.spec, goal, since_us=since_us))
    step("reading what policies are judged by", 1)
    found = compare(
        log,
        catalog,
        candidate,
        champion,
        window_us=goal.window_us,
        boundary_us=boundary_us,
        uses=False,  # the report of training has told it
        step=step,
    )
    return found, every


def thinned(log: Logged, most: int = MOST_DRAWS) -> tuple[Logged, int]:
    """The slots of every n-th decision, so that they can be judged; and n."""
    most = min(most, MOST_CELLS // (len(log.slots.offer.names) + 1))
    every = max(1, -(-len(log.slots) // most))
    return (log if every == 1 else log.take(log.slots.decision % every == 0)), every


def _refuse(bundle: Path, why: str) -> None:
    extend_report(
        bundle,
        warnings=(),
        sections=(Section(TITLE, "", (Text((f"Not judged. {why}",)),)),),
        data={"comparison": None},
    )
