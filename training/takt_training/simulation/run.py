"""`takt simulate` from start to end: populations, their optimum, every learner, figures and a page."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from takt_training.report.document import Figure
from takt_training.report.files import write_report
from takt_training.report.terminal import show
from takt_training.simulation.campaign import Plan, Result, Tell, go_through
from takt_training.simulation.customers import Ints, Situations, draw
from takt_training.simulation.figures import figures_of
from takt_training.simulation.learners import Cost, Learner
from takt_training.simulation.optimum import Policy, Weeks, best_of, bounds, tuned
from takt_training.simulation.report import report
from takt_training.simulation.truth import VALUES, expected

JUDGED_WEEKS: Final = 6
"""After the last round: in them, what was learned is run without noise."""
PEOPLE: Final = 1.2
"""Customers per decision of a round; nobody is asked about twice in a week, whose windows would overlap."""


class Extent(Struct, frozen=True):
    """How much is simulated."""

    rounds: int
    decisions: int
    seeds: int


def plan(extent: Extent, seed: int, directory: Path) -> Plan:
    """A population with what could be earned from it."""
    customers = draw(seed, int(extent.decisions * PEOPLE))
    judged = Weeks(customers, extent.rounds, JUDGED_WEEKS, extent.decisions)
    found = bounds(judged)
    blind, _ = tuned(blind_at, judged)
    costs = {Cost.NONE: 0.0, Cost.OPTIMUM: found.cost, Cost.BLIND: blind}
    return Plan(customers, extent.rounds, extent.decisions, judged, found, costs, directory)


def blind_at(cost: float) -> Policy:
    """Who knows all that can be observed but annoyance, from which the contact cost alone has to keep."""
    return partial(_blind, cost=cost)


def _blind(known: Situations, *, cost: float) -> Ints:
    truth = expected(known)
    return best_of((truth.booked - truth.anyway[:, None, None, :]) * VALUES, cost)


def run(extent: Extent, learners: Sequence[Learner], *, out: Path, quiet: bool = False) -> tuple[Figure, ...]:
    """Simulate, write the report to `out`, show the short of it; the figures. Raises `TaktError`."""
    console = Console(stderr=True)
    results: list[Result] = []
    plans: list[Plan] = []
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console)
    with (
        tempfile.TemporaryDirectory(prefix="takt-simulate-") as made,
        progress if console.is_terminal else nullcontext(),
    ):
        for seed in range(extent.seeds):
            console.print(f"seed {seed}: drawing customers, looking for the optimum ...", highlight=False)
            plans.append(plan(extent, seed, Path(made)))
            for learner in learners:
                results.append(go_through(plans[-1], learner, _telling(console, progress, learner, seed, extent)))
                if not console.is_terminal:
                    console.print(_line(results[-1], plans[-1]), highlight=False)
    figures = figures_of(extent.rounds, extent.decisions, plans, results)
    told = report(extent.rounds, extent.decisions, plans, results, figures)
    write_report(told, out)
    show(told, out, console if quiet else Console())
    return figures


def _telling(console: Console, progress: Progress, learner: Learner, seed: int, extent: Extent) -> Tell:
    name = f"{learner.name}, seed {seed}"
    task = progress.add_task(name, total=extent.rounds) if console.is_terminal else None

    def tell(done: int, doing: str) -> None:
        if task is not None:
            progress.update(task, completed=done, description=f"{name}: {doing}" if doing else name)

    return tell


def _line(result: Result, made: Plan) -> str:
    rounds = result.rounds
    regret = " ".join(f"{one.regret / one.decisions:.2f}" for one in rounds)
    return (
        f"seed {result.seed} {result.learner.name}: regret {regret}; in the end {result.course.value:.3f} EUR a "
        f"decision, {100 * made.bounds.share(result.course):.0f}% of the gap"
    )
