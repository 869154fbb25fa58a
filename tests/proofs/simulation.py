"""Holds the whole loop against simulated customers whose truth is known.

    python -m tests.proofs.simulation [--quick] [--seeds 5] [--out DIR]

In full: how much of the gap between the best constant action and the optimum a LightGBM closes that is fitted on
100,000 decisions drawn by chance, which is how hard the world was made; then twenty rounds of 5,000 decisions through
the real service. With `--quick` two short rounds. The last line is one JSON object of figures with the bar beside each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np

from takt_training.report.document import Figure
from takt_training.simulation import truth
from takt_training.simulation.command import QUICK_DECISIONS, QUICK_LEARNERS, QUICK_ROUNDS
from takt_training.simulation.customers import WEEK_DAYS, Floats, Ints, Situations, faded
from takt_training.simulation.figures import DECISIONS, ROUNDS
from takt_training.simulation.learners import named
from takt_training.simulation.optimum import ACTIONS, ASKING_DAYS, Policy, Weeks, best_of, difference
from takt_training.simulation.optimum import run as run_policy
from takt_training.simulation.policy import chance
from takt_training.simulation.run import Extent, plan, run
from tests.proofs.figures import SHOWN, Figures

SEEDS: Final = 5
"""Populations of the full run."""
PROVED: Final = ("squarecb", "squarecb-without-reaction", "squarecb-without-baseline")
OFFERS: Final = len(truth.OFFERS)
CATEGORIES: Final = (4, 12, 13, 14)
"""Columns of `inputs` and `with_arms` that are codes: segment, offer, tonality, timing."""
TREES: Final[dict[str, Any]] = {"learning_rate": 0.05, "min_child_samples": 50, "verbose": -1, "random_state": 0}


def simulation(figures: Figures, quick: bool, *, seeds: int = SEEDS, out: Path | None = None) -> None:
    """The loop; in full with its difficulty beside it."""
    if not quick:
        figures.step("Simulated customers: how hard it is for a LightGBM on 100,000 decisions drawn by chance")
        difficulty(figures)
    figures.step("Simulated customers: decide, react, log, export, train, deploy, through the real service")
    extent = Extent(QUICK_ROUNDS, QUICK_DECISIONS, 1) if quick else Extent(ROUNDS, DECISIONS, seeds)
    with tempfile.TemporaryDirectory() as made:
        told = run(extent, named(QUICK_LEARNERS if quick else PROVED), out=out or Path(made), quiet=True)
    for figure in told:
        check(figures, figure)


def check(figures: Figures, figure: Figure) -> None:
    """A figure of the simulation as one of the proof."""
    figures.check(f"simulation_{figure.name}", figure.value, figure.bar)


def difficulty(figures: Figures) -> None:
    """The share of the gap that the reference closes, and that it beats the best constant action."""
    with tempfile.TemporaryDirectory() as made:
        found = plan(Extent(ROUNDS, DECISIONS, 1), 0, Path(made))
    course = run_policy(reference(found.customers.seed, found.judged, found.bounds.cost), found.judged)
    share = round(found.bounds.share(course), 3)
    figures.check("simulation_lightgbm_closes", share, ">= 0.6")
    figures.check("simulation_lightgbm_closes_at_most", share, "<= 0.8")
    figures.check("simulation_lightgbm_over_constant", str(difference(course, found.bounds.constant)), SHOWN)


@dataclass(slots=True)
class _Seen:
    """What chance has shown, in columns."""

    people: list[Floats] = field(default_factory=list)
    action: list[Ints] = field(default_factory=list)
    booked: list[Any] = field(default_factory=list)
    annoyed: list[Any] = field(default_factory=list)
    anyway: list[Any] = field(default_factory=list)


def reference(seed: int, judged: Weeks, cost: float) -> Policy:
    """A policy of three boosted classifiers, fitted on what chance showed in the rounds before the judged weeks."""
    seen = _shown(seed, Weeks(judged.customers, 0, judged.first, judged.decisions))
    people, action = np.concatenate(seen.people), np.concatenate(seen.action)
    said = action >= 0
    silent = people[~said]
    offers = np.tile(np.arange(OFFERS), len(silent))
    booked = _fitted(with_arms(people[said], action[said]), np.concatenate(seen.booked)[said], trees=200)
    annoyed = _fitted(with_arms(people[said], action[said]), np.concatenate(seen.annoyed)[said], trees=120)
    anyway = _fitted(
        np.column_stack([np.repeat(silent, OFFERS, 0), offers]), np.concatenate(seen.anyway)[~said].ravel(), trees=120
    )
    return partial(_choose, models=(booked, annoyed, anyway), cost=cost)


def _choose(known: Situations, *, models: tuple[Callable[[Floats], Floats], ...], cost: float) -> Ints:
    n = len(known)
    shape = (n, len(truth.TIMINGS), len(truth.TONALITIES), OFFERS)
    rows = with_arms(np.repeat(inputs(known), ACTIONS, 0), np.tile(np.arange(ACTIONS), n))
    of_offers = np.column_stack([np.repeat(inputs(known), OFFERS, 0), np.tile(np.arange(OFFERS), n)])
    booked, annoyed, anyway = (
        model(x).reshape(to)
        for model, x, to in zip(models, (rows, rows, of_offers), (shape, shape, (n, OFFERS)), strict=True)
    )
    return best_of(truth.worth(booked, anyway, annoyed), cost)


def _fitted(x: Floats, happened: Any, *, trees: int) -> Callable[[Floats], Floats]:
    leaves = 31 if trees > 150 else 15
    model = lightgbm.LGBMClassifier(n_estimators=trees, num_leaves=leaves, **TREES)
    model.fit(x, happened, categorical_feature=[at for at in CATEGORIES if at < x.shape[1]])
    return lambda rows: np.asarray(model.booster_.predict(rows))


def _shown(seed: int, weeks: Weeks) -> _Seen:
    """Chance decides; tempers and draws are real, so that outcomes are 0 or 1."""
    rng, policy, customers = np.random.default_rng((seed, 23)), chance(seed), weeks.customers
    pressure, seen = np.zeros(len(customers)), _Seen()
    for week in range(weeks.first, weeks.first + weeks.count):
        for day, people in zip(ASKING_DAYS, weeks.asked(week), strict=True):
            known = customers.at(week, people, faded(pressure[people], day))
            action = policy(known)
            found = truth.expected(known, customers.temper[people])
            left = rng.random(len(people)) < truth.chosen(found.annoyed, action)
            seen.people.append(inputs(known))
            seen.action.append(action)
            seen.booked.append(rng.random(len(people)) < truth.chosen(found.booked, action))
            seen.annoyed.append(left)
            seen.anyway.append(rng.random((len(people), OFFERS)) < found.anyway)
            after = np.where(action < 0, known.pressure, known.pressure + 1.0)
            pressure[people] = faded(np.where(left, 0.0, after), -day)
        pressure = faded(pressure, WEEK_DAYS)
    return seen


def inputs(known: Situations) -> Floats:
    """What can be observed, float64 [n, 12]."""
    lease = np.where(np.isfinite(known.lease_days), known.lease_days, np.nan)
    return np.column_stack(
        [
            *(known.urban, known.informal, known.app, known.electric, known.segment, known.children),
            *(known.km_year, known.car_age, lease, known.service_days, known.visits, known.pressure),
        ]
    )


def with_arms(people: Floats, action: Ints) -> Floats:
    """The same with offer, tonality and timing."""
    arm = action // OFFERS
    return np.column_stack([people, action % OFFERS, arm % len(truth.TONALITIES), arm // len(truth.TONALITIES)])


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="prove-simulation", description="Hold the loop against a known truth.")
    parser.add_argument("--quick", action="store_true", help="two short rounds, some half a minute")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="populations of the full run")
    parser.add_argument("--out", type=Path, help="keep the report there")
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error(f"--seeds is {given.seeds}; at least 1 is needed")
    figures = Figures()
    begun = time.monotonic()
    simulation(figures, given.quick, seeds=given.seeds, out=given.out)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
