"""What a reward model expects of every action, learned on other people's rows: the regression half of doubly robust."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from takt_training.offpolicy.draws import Bools, Draws, Floats, Floats32
from takt_training.split import person_folds

_BLOCK = 20_000
"""Rows whose design matrix is in memory at once."""


class FittedReward(Protocol):
    """A reward model that has learned."""

    def expect(self, draws: Draws) -> Floats:
        """Expected reward of every action in each draw: float64 `[n, A]`."""
        ...


class RewardModel(Protocol):
    """Anything that learns rewards from draws. It may be wrong: doubly robust then only loses precision."""

    def fit(self, draws: Draws) -> FittedReward:
        """Learn from draws."""
        ...


class Ridge(Struct, frozen=True):
    """A linear model of what was known, the action and the slot, with a penalty on everything but the mean.

    Quick and stable on thousands of rows or millions. Another model is given in its place by its two methods.
    """

    penalty: float = 10.0
    """In rows: an action seen as often as this is trusted half."""

    def fit(self, draws: Draws) -> FittedReward:
        """By the normal equations, gathered in blocks of rows."""
        known = np.isfinite(draws.features)
        counts = np.maximum(known.sum(0), 1)
        filled = np.where(known, draws.features, 0).astype(np.float64)
        centre = filled.sum(0) / counts
        scale = np.sqrt((np.where(known, filled - centre, 0) ** 2).sum(0) / counts)
        fitted = _FittedRidge(
            centre=centre,
            scale=np.where(scale > 0, scale, 1.0),
            gaps=np.asarray(~known.all(0)),
            actions=len(draws.names),
            slots=int(draws.slot.max()) + 1 if len(draws) else 1,
            mean=float(draws.reward.mean()) if len(draws) else 0.0,
        )
        gram = self.penalty * np.eye(fitted.width)
        right = np.zeros(fitted.width)
        for first in range(0, len(draws), _BLOCK):
            part = draws.take(np.arange(first, min(first + _BLOCK, len(draws))))
            design = np.concatenate(
                [fitted.inputs(part.features), np.eye(fitted.actions)[part.action], np.eye(fitted.slots)[part.slot]],
                axis=1,
            )
            gram += design.T @ design
            right += design.T @ (part.reward - fitted.mean)
        return replace(fitted, weights=np.linalg.solve(gram, right).astype(np.float64))


class _FittedRidge(Struct, frozen=True, eq=False):
    """Learned weights: of inputs, of actions, of slots."""

    centre: Floats
    scale: Floats
    gaps: Bools
    """Columns `[F]` that were not always known: that one is not is an input of its own."""
    actions: int
    slots: int
    mean: float
    weights: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def width(self) -> int:
        """Number of weights."""
        return len(self.centre) + int(self.gaps.sum()) + self.actions + self.slots

    def inputs(self, features: Floats32) -> Floats:
        """Centred and scaled; what is not known lies at the mean."""
        known = np.isfinite(features)
        scaled = np.where(known, (np.where(known, features, 0) - self.centre) / self.scale, 0.0)
        return np.concatenate([scaled, (~known[:, self.gaps]).astype(np.float64)], axis=1)

    def expect(self, draws: Draws) -> Floats:
        """See `FittedReward.expect`; a slot that was never learned from counts as the last one."""
        inputs = self.inputs(draws.features)
        size = inputs.shape[1]
        of_action = self.weights[size : size + self.actions]
        of_slot = self.weights[size + self.actions :][np.minimum(draws.slot, self.slots - 1)]
        return np.asarray((self.mean + inputs @ self.weights[:size] + of_slot)[:, None] + of_action)


def cross_fitted(model: RewardModel, draws: Draws, *, folds: int = 3, seed: int = 0) -> Floats:
    """Expected reward of every action `[n, A]`, each person's rows by a model that has seen none of them."""
    expected = np.zeros(draws.allowed.shape)
    for fold in person_folds(draws.person, folds=folds, seed=seed):
        if fold.test.any() and fold.train.any():
            expected[fold.test] = model.fit(draws.take(fold.train)).expect(draws.take(fold.test))
    return expected
