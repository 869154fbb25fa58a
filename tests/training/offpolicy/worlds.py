"""Invented logs whose truth is known: who accepts what is a curve that no linear reward model can follow."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from takt_training.offpolicy.draws import Draws, Floats, Policy

ACTIONS = 5
PEOPLE = 700


def chances(taste: Floats) -> Floats:
    """P(accepted) of each action `[n, A]` for tastes `[n, 2]`: thresholds and an interaction."""
    likes = np.stack(
        [
            np.full(len(taste), 0.08),
            0.1 + 0.3 * (taste[:, 0] > 0.3),
            0.15 + 0.25 * (taste[:, 0] * taste[:, 1] > 0),
            0.3 - 0.2 * (np.abs(taste[:, 1]) > 1),
            0.12 + 0.1 * np.tanh(taste[:, 0] - taste[:, 1]),
        ],
        axis=1,
    )
    return np.asarray(likes)


def softmax(scores: Floats) -> Floats:
    """Rows that add up to 1."""
    risen = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(risen / risen.sum(1, keepdims=True))


def world(seed: int, *, rows: int = 2400, sharpness: float = 1.0, floor: float = 0.04) -> tuple[Draws, Policy, Policy]:
    """A log of people who come back with their moods, the policy that wrote it, and another to be judged.

    A person's luck is shared by all of their rows, so that rows are not independent. The log explores by
    `sharpness`, at least `floor` in all.
    """
    rng = np.random.default_rng(seed)
    person = rng.integers(0, PEOPLE, rows)
    of_person = rng.normal(size=(PEOPLE, 2))
    taste = of_person[person] + 0.5 * rng.normal(size=(rows, 2))
    slope = np.random.default_rng(7).normal(size=(2, ACTIONS))
    log = (1 - floor) * softmax(sharpness * taste @ slope) + floor / ACTIONS
    target = softmax(2.0 * chances(taste) * 4 + 0.5 * taste @ slope)
    action = (rng.random(rows)[:, None] > log.cumsum(1)).sum(1).clip(max=ACTIONS - 1)
    luck = rng.normal(0, 0.05, PEOPLE)[person]
    at = np.arange(rows)
    reward = (rng.random(rows) < np.clip(chances(taste)[at, action] + luck, 0, 1)).astype(np.float64)
    draws = Draws(
        action=action.astype(np.int64),
        propensity=log[at, action],
        reward=reward,
        person=person.astype(np.int64),
        slot=np.zeros(rows, np.int64),
        allowed=np.ones((rows, ACTIONS), np.bool_),
        features=taste.astype(np.float32),
        time_us=np.arange(rows, dtype=np.int64),
        names=("silence", "a", "b", "c", "d"),
    )
    return draws, Policy("log", log), Policy("other", target)


def truth(draws_seed: int = 10_000_019, rows: int = 400_000) -> float:
    """What the other policy earns per draw, over many fresh moods and without drawing actions."""
    rng = np.random.default_rng(draws_seed)
    taste = rng.normal(size=(rows, 2)) + 0.5 * rng.normal(size=(rows, 2))
    slope = np.random.default_rng(7).normal(size=(2, ACTIONS))
    target = softmax(2.0 * chances(taste) * 4 + 0.5 * taste @ slope)
    luck = rng.normal(0, 0.05, rows)[:, None]
    return float((target * np.clip(chances(taste) + luck, 0, 1)).sum(1).mean())


def with_heavy_row(draws: Draws, policy: Policy, *, share: float) -> Draws:
    """The same log with one propensity so small that its row carries `share` of the sum of weights."""
    weight = policy.weight(draws)
    row = int(np.argmax(weight))
    wanted = share / (1 - share) * (weight.sum() - weight[row])
    propensity = draws.propensity.copy()
    propensity[row] *= weight[row] / wanted
    return replace(draws, propensity=propensity)
