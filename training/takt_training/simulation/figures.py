"""What a simulation is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

import numpy as np
from msgspec import Struct

from takt_training.report.document import Figure
from takt_training.simulation.campaign import Plan, Result
from takt_training.simulation.optimum import difference
from takt_training.simulation.policy import ModelPolicy
from takt_training.simulation.truth import expected

ROUNDS, DECISIONS = 20, 5000
"""From so many on the bars hold; before, figures are shown."""
CLOSED: Final = 0.65
FEWER: Final = 0.3
SILENT: Final = 0.8
ANYWAY: Final = 0.1
"""A goal that so many people reach by themselves within the window."""
SHOWN: Final = "shown"


class _Bars(Struct, frozen=True):
    """Bars that hold, or do not yet."""

    hold: bool

    def figure(self, name: str, label: str, value: float, bar: str = SHOWN) -> Figure:
        """A figure; `bar` is `>= x` or `> x`."""
        if bar == SHOWN or not self.hold:
            return Figure(name, label, round(value, 4), SHOWN, ok=True)
        sign, _, limit = bar.partition(" ")
        compare: Mapping[str, Callable[[float, float], bool]] = {">=": float.__ge__, ">": float.__gt__}
        return Figure(name, label, round(value, 4), bar, ok=compare[sign](float(value), float(limit)))


def figures_of(rounds: int, decisions: int, plans: Sequence[Plan], results: Sequence[Result]) -> tuple[Figure, ...]:
    """All figures that the learners who took part allow; medians over seeds."""
    bars = _Bars(rounds >= ROUNDS and decisions >= DECISIONS)
    plan_of = {plan.customers.seed: plan for plan in plans}
    by_name: dict[str, dict[int, Result]] = {}
    for result in results:
        by_name.setdefault(result.learner.name, {})[result.seed] = result
    found = []
    for name, of_seed in by_name.items():
        share = median(plan_of[seed].bounds.share(result.course) for seed, result in of_seed.items())
        bar = f">= {CLOSED}" if name == "squarecb" else SHOWN
        found.append(bars.figure(f"gap_closed_{_plain(name)}", f"of the gap closed: {name}", share, bar))
    main = by_name.get("squarecb", {})
    if main:
        low = min(difference(result.course, plan_of[seed].bounds.constant).low for seed, result in main.items())
        found.append(bars.figure("over_constant_low", "EUR over the best constant, lower end, worst seed", low, "> 0"))
    blind = by_name.get("squarecb-without-reaction", {})
    both = sorted(main.keys() & blind.keys())
    if both:
        fall = median(1 - main[seed].course.unsubscribes / blind[seed].course.unsubscribes for seed in both)
        gain = median(main[seed].course.value - blind[seed].course.value for seed in both)
        found.append(
            bars.figure("unsubscribes_fewer", "unsubscribes fewer with the reaction head", fall, f">= {FEWER}")
        )
        found.append(bars.figure("reaction_gain", "EUR a decision more with it", gain, ">= 0"))
    for name, bar in (("squarecb", f">= {SILENT}"), ("squarecb-without-baseline", SHOWN)):
        if name in by_name:
            share = median(
                silent_share(result.policy, plan_of[seed]) for seed, result in by_name[name].items() if result.policy
            )
            label = f"offers that come anyway below silence: {name}"
            found.append(bars.figure(f"organic_silent_{_plain(name)}", label, share, bar))
    return tuple(found)


def silent_share(policy: ModelPolicy, plan: Plan) -> float:
    """Of offers whose goal is reached anyway, and which are truly worth less than silence: the share scored below it.

    Pairs of a customer, nobody contacted lately, and an offer, in the first week that is judged.
    """
    customers = plan.customers
    known = customers.at(plan.judged.first, np.arange(len(customers)), np.zeros(len(customers)))
    truth = expected(known)
    organic = (truth.anyway >= ANYWAY) & (truth.worth.max((1, 2)) <= plan.bounds.cost)
    return float((policy.totals(known).max((1, 2))[organic] <= 0).mean())


def _plain(name: str) -> str:
    return name.replace("-", "_")
