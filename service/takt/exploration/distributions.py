"""Exact distributions over candidates. What is drawn from is what is logged."""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from takt.kernel import kernel


class Rule(IntEnum):
    """How probability is spread over scored candidates."""

    GREEDY = 0
    EPSILON = 1
    SOFTMAX = 2
    SQUARECB = 3


RULES = {"greedy": Rule.GREEDY, "epsilon": Rule.EPSILON, "softmax": Rule.SOFTMAX, "squarecb": Rule.SQUARECB}


@kernel
def spread(
    rule: int,
    epsilon: float,
    temperature: float,
    gamma: float,
    scores: npt.NDArray[np.float64],
    n: int,
    out: npt.NDArray[np.float64],
) -> None:
    """Write the probabilities of the first `n` `scores` (float64) to `out`. Ties go to the earlier candidate.

    greedy: all on the best. epsilon: `epsilon / n` each, the rest on the best. softmax: proportional to
    `exp(score / temperature)`. squarecb (Foster and Rakhlin, 2020): `1 / (n + gamma * (best - score))` for all but the
    best, which gets the rest; it is written here with scores as rewards.
    """
    best = 0
    for i in range(1, n):
        if scores[i] > scores[best]:
            best = i
    if rule == 2:
        total = 0.0
        for i in range(n):
            out[i] = math.exp((scores[i] - scores[best]) / temperature)
            total += out[i]
        for i in range(n):
            out[i] /= total
        return
    if rule == 3:
        rest = 1.0
        for i in range(n):
            if i != best:
                out[i] = 1.0 / (n + gamma * (scores[best] - scores[i]))
                rest -= out[i]
        out[best] = rest
        return
    share = epsilon / n if rule == 1 else 0.0
    for i in range(n):
        out[i] = share
    out[best] += 1.0 - share * n


@kernel
def keep_floor(floor: float, n: int, out: npt.NDArray[np.float64]) -> None:
    """Mix a floor into candidate 0, silence: `p = (1 - floor) * p`, and the floor on top of silence's own."""
    for i in range(n):
        out[i] *= 1.0 - floor
    out[0] += floor


@kernel
def draw(probabilities: npt.NDArray[np.float64], n: int, number: float) -> int:
    """Index drawn from the first `n` probabilities by inverting their sum at `number` in [0, 1)."""
    total = 0.0
    last = 0
    for i in range(n):
        if probabilities[i] > 0.0:
            last = i
            total += probabilities[i]
            if number < total:
                return i
    return last
