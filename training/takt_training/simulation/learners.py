"""Who learns: how each explores, what it knows of annoyance and of what happens anyway, whether it may be silent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from takt.errors import PreconditionError
from takt.spelling import did_you_mean
from takt_training.simulation.truth import ANNOYANCE_COST
from takt_training.simulation.workspace import UNIFORM, Dials


class Cost(StrEnum):
    """Where a learner's contact cost comes from."""

    NONE = "none"
    OPTIMUM = "optimum"
    """Tuned for who knows all that can be observed."""
    BLIND = "blind"
    """Tuned for who knows all of that but annoyance, so that the cost alone keeps from contacts."""


SILENCE_FLOOR: Final = 0.03
"""Share of decisions that are silent whatever the scores say: where what happens anyway is learned from."""
GREEDY: Final[Mapping[str, Any]] = {"rule": "greedy", "silence_floor": SILENCE_FLOOR, "arms": {"rule": "greedy"}}
CONSTANT: Final[Mapping[str, Any]] = {**GREEDY, "silence_floor": 0.0}
EPSILON: Final[Mapping[str, Any]] = {
    "rule": "epsilon",
    "epsilon": 0.1,
    "silence_floor": SILENCE_FLOOR,
    "arms": {"rule": "epsilon", "epsilon": 0.1},
}
SOFTMAX: Final[Mapping[str, Any]] = {
    "rule": "softmax",
    "temperature": 0.6,
    "silence_floor": SILENCE_FLOOR,
    "arms": {"rule": "softmax", "temperature": 0.4},
}
SQUARECB: Final[Mapping[str, Any]] = {
    "rule": "squarecb",
    "gamma": 20.0,
    "silence_floor": SILENCE_FLOOR,
    "arms": {"rule": "softmax", "temperature": 0.3},
}


class Learner(Struct, frozen=True):
    """One way to decide and to learn."""

    name: str
    told: str
    """For people."""
    exploration: Mapping[str, Any] = field(default_factory=lambda: SQUARECB)
    learns: bool = True
    baseline: bool = True
    reaction: bool = True
    cost: Cost = Cost.OPTIMUM

    @property
    def heads(self) -> tuple[str, ...]:
        """Outputs that it trains besides acceptance."""
        return tuple(name for name, wanted in (("baseline", self.baseline), ("reaction", self.reaction)) if wanted)

    def dials(self, costs: Mapping[Cost, float]) -> Dials:
        """What its workspace says once it has learned something."""
        return Dials(self.exploration, ANNOYANCE_COST if self.reaction else 0.0, costs[self.cost])


LEARNERS: Final = {
    learner.name: learner
    for learner in (
        Learner("uniform", "chance, always", UNIFORM, learns=False, cost=Cost.NONE),
        Learner("constant", "the best constant action, known from the truth", CONSTANT, learns=False, cost=Cost.NONE),
        Learner("greedy", "what scores best, and silence now and then", GREEDY),
        Learner("epsilon", "a tenth by chance", EPSILON),
        Learner("softmax", "by the exponential of scores", SOFTMAX),
        Learner("squarecb", "by the inverse of gaps", SQUARECB),
        Learner(
            "squarecb-without-reaction",
            "nothing known of annoyance, a contact cost tuned for that",
            reaction=False,
            cost=Cost.BLIND,
        ),
        Learner("squarecb-without-baseline", "nothing known of what happens anyway", baseline=False),
        Learner(
            "squarecb-without-silence",
            "acceptance times value alone: something is always worth saying",
            baseline=False,
            reaction=False,
            cost=Cost.NONE,
        ),
    )
}


def named(names: tuple[str, ...]) -> tuple[Learner, ...]:
    """Learners by name, in the order given, all for none. Raises `PreconditionError` naming what is wrong."""
    for name in names:
        if name not in LEARNERS:
            raise PreconditionError(f"--learners: {name!r} is no learner; {did_you_mean(name, tuple(LEARNERS))}")
    if len(set(names)) < len(names):
        raise PreconditionError("--learners: one is named twice; keep one")
    return tuple(LEARNERS[name] for name in names) or tuple(LEARNERS.values())
