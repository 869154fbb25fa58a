"""Policies to judge: what was done, chance, one and the same for everybody, and what scores would choose."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from takt.exploration.distributions import RULES, Rule, keep_floor, spread
from takt_training.offpolicy.draws import SILENCE, Draws, Floats, Policy
from takt_training.offpolicy.support import LEAST_ESS, support


class Exploration(Struct, frozen=True):
    """How the service would spread probability over scores: see `takt.exploration`."""

    rule: Rule = RULES["greedy"]
    epsilon: float = 0.0
    temperature: float = 1.0
    gamma: float = 1.0
    floor: float = 0.0
    """Share that silence keeps."""


class Constant(Struct, frozen=True):
    """An action that is the same for everybody, as it did on the training part."""

    action: int
    name: str
    value: float
    """SNIPS on the training part."""
    ess: float


def uniform(draws: Draws) -> Policy:
    """Each allowed action with the same probability, silence included."""
    return Policy("uniform", draws.allowed / draws.allowed.sum(1, keepdims=True))


def constant(draws: Draws, action: int, name: str = "constant") -> Policy:
    """One action wherever it is allowed; else silence, else chance among what is allowed."""
    probability = np.zeros(draws.allowed.shape)
    fits = draws.allowed[:, action]
    silent = ~fits & draws.allowed[:, SILENCE]
    probability[fits, action] = 1.0
    probability[silent, SILENCE] = 1.0
    rest = ~fits & ~silent
    probability[rest] = draws.allowed[rest] / draws.allowed[rest].sum(1, keepdims=True)
    return Policy(name, probability)


def best_constant(training: Draws, *, least_ess: float = LEAST_ESS) -> Constant | None:
    """The action that earned most on the training part (SNIPS); None if none was drawn often enough to choose it.

    Chosen where it will not be judged: the best of A actions on the rows that judge it is too good by chance. Actions
    whose effective sample size is below `least_ess` do not take part.
    """
    found: Constant | None = None
    for action, name in enumerate(training.names):
        if not training.allowed[:, action].any():
            continue
        weight = constant(training, action).weight(training)
        stands = support(weight, training.person)
        if stands.ess < least_ess:
            continue
        value = float(weight @ training.reward / weight.sum())
        if found is None or value > found.value:
            found = Constant(action, name, value, stands.ess)
    return found


def by_scores(draws: Draws, scores: Floats, exploration: Exploration, name: str) -> Policy:
    """What the service would draw on scores `[n, A]`: silence first, then the offers, by its own distributions.

    Scores of what is not allowed are not looked at. Ties go to the earlier action, as in the service.
    """
    probability = np.zeros(draws.allowed.shape)
    out = np.zeros(draws.allowed.shape[1])
    for row in range(len(draws)):
        actions = np.flatnonzero(draws.allowed[row])
        n = len(actions)
        spread(
            exploration.rule,
            exploration.epsilon,
            exploration.temperature,
            exploration.gamma,
            np.ascontiguousarray(scores[row, actions], np.float64),
            n,
            out,
        )
        if draws.allowed[row, SILENCE]:
            keep_floor(exploration.floor, n, out)
        probability[row, actions] = out[:n]
    return Policy(name, probability)
