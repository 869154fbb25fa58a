"""The page of a simulation: regret per round, what each learner has learned, and what is held against."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any, Final

import numpy as np

from takt_training.metrics import Interval
from takt_training.report.document import Figure, Intervals, Line, Lines, Points, Report, Section, Series, Table
from takt_training.simulation.campaign import Plan, Result
from takt_training.simulation.optimum import ACTIONS
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES

DASHED: Final = ("uniform", "constant")
WARNINGS: Final = (
    (
        "Simulated: customers are invented, and so is what they do (docs/simulation.md). It shows that the loop closes "
        "and what its parts are worth in that world, not what they are worth in yours."
    ),
    "The optimum looks one step ahead, on what can be observed. Who plans further ahead may earn more.",
)


def report(
    rounds: int,
    decisions: int,
    plans: Sequence[Plan],
    results: Sequence[Result],
    figures: tuple[Figure, ...],
) -> Report:
    """All of it."""
    names = list(dict.fromkeys(result.learner.name for result in results))
    of = {name: [result for result in results if result.learner.name == name] for name in names}
    seeds = f"{len(plans)} seed{'s' if len(plans) > 1 else ''}"
    return Report(
        title=f"Simulation: {rounds} rounds of {decisions:,} decisions",
        lead=f"{seeds}, {len(plans[0].customers):,} customers each, through the service and its store.",
        warnings=WARNINGS,
        figures=figures,
        sections=(
            Section(
                "Regret per round",
                "By how much less than the optimum's choices in the same situations, EUR per decision.",
                (
                    Lines(
                        tuple(Series(name, _regret(of[name]), dashed=name in DASHED) for name in names),
                        across="round",
                        up="regret, EUR per decision",
                        caption="Expectations by the truth, exploration included, mean over seeds. All learners begin "
                        "with a round of chance, so that there is something to learn from.",
                    ),
                ),
            ),
            Section(
                "What each has learned",
                "What the last model earns over the weeks after the last round, without noise and without exploration.",
                (_values(names, of, plans), _table(names, of, plans)),
            ),
            Section("Who they are", "", (Points(tuple(f"{name}: {of[name][0].learner.told}" for name in names)),)),
        ),
        data={"rounds": rounds, "decisions": decisions, "seeds": [_told(plan, results) for plan in plans]},
    )


def _regret(results: Sequence[Result]) -> tuple[float, ...]:
    """EUR per decision, round by round, mean over seeds."""
    each = [[one.regret / one.decisions for one in result.rounds] for result in results]
    return tuple(fmean(part) for part in zip(*each, strict=True))


def _values(names: Sequence[str], of: dict[str, list[Result]], plans: Sequence[Plan]) -> Intervals:
    lines = [
        _line("best constant action", [plan.bounds.constant.value for plan in plans], _action(plans[0].bounds.action)),
        *(
            _line(name, [result.course.value for result in of[name]], "", strong=name == "squarecb")
            for name in names
            if name != "constant"
        ),
        _line("optimum", [plan.bounds.optimum.value for plan in plans], f"contact cost {plans[0].bounds.cost:g} EUR"),
    ]
    caption = "EUR per decision over silence: median of the seeds, with the lowest and the highest."
    return Intervals(tuple(lines), decimals=3, caption=caption)


def _line(name: str, values: Sequence[float], detail: str, *, strong: bool = False) -> Line:
    return Line(name, Interval(median(values), min(values), max(values)), detail=detail, strong=strong)


def _action(action: int) -> str:
    """An action in words."""
    if action < 0:
        return "silence"
    timing, tonality, offer = np.unravel_index(action, (len(TIMINGS), len(TONALITIES), ACTIONS // 9))
    return f"{OFFERS[offer]}, {TIMINGS[timing]}, {TONALITIES[tonality]}"


def _table(names: Sequence[str], of: dict[str, list[Result]], plans: Sequence[Plan]) -> Table:
    plan_of = {plan.customers.seed: plan for plan in plans}
    rows = []
    for name in names:
        courses = [result.course for result in of[name]]
        shares = [plan_of[result.seed].bounds.share(result.course) for result in of[name]]
        regret = _regret(of[name])
        rows.append(
            (
                name,
                f"{100 * median(shares):.0f}%",
                f"{median(course.value for course in courses):.2f}",
                f"{median(course.unsubscribes for course in courses):.1f}",
                f"{100 * median(course.contacted for course in courses):.0f}%",
                f"{regret[0]:.2f}",
                f"{regret[-1]:.2f}",
                f"{sum(regret) * plans[0].decisions / 1000:.0f}",
            )
        )
    header = (
        *("", "gap closed", "EUR / decision", "unsubscribes / 1,000", "contacted"),
        *("regret, first round", "last round", "sum, 1,000 EUR"),
    )
    return Table(header, tuple(rows), note="Medians over seeds; regret is a mean, in EUR per decision.")


def _told(plan: Plan, results: Sequence[Result]) -> dict[str, Any]:
    """One seed, for scripts."""
    seed = plan.customers.seed
    return {
        "seed": seed,
        "constant": {"action": _action(plan.bounds.action), "value": plan.bounds.constant.value},
        "optimum": {
            "value": plan.bounds.optimum.value,
            "contact_cost": plan.bounds.cost,
            "unsubscribes": plan.bounds.optimum.unsubscribes,
        },
        "learners": {
            result.learner.name: {
                "value": result.course.value,
                "gap_closed": plan.bounds.share(result.course),
                "unsubscribes": result.course.unsubscribes,
                "contacted": result.course.contacted,
                "by_offer": dict(zip(OFFERS, result.course.by_offer, strict=True)),
                "rounds": [
                    {
                        "regret": one.regret / one.decisions,
                        "value": one.worth / one.decisions,
                        "contacts": one.contacts,
                        "unsubscribed": one.unsubscribed,
                        "earned": one.earned,
                    }
                    for one in result.rounds
                ],
            }
            for result in results
            if result.seed == seed
        },
    }
