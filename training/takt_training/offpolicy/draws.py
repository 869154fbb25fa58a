"""What was drawn, with which probability and what came of it: the rows that every estimate is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

SILENCE = 0
"""Code of silence among the actions; the offers follow. A log without silence never allows it."""
_SLACK = 1e-6
"""How far a policy's probabilities may be off a sum of 1."""


class Draws(Struct, frozen=True, eq=False):
    """n draws among A actions. One slot of one placement of one decision is one draw.

    Raises ValueError if columns differ in length, a propensity is not in (0, 1], a reward is not a finite number, or
    an action was drawn that is not allowed; the message names the column and the first row.
    """

    action: Ints
    """int64 `[n]`: code of what was drawn, 0 is silence."""
    propensity: Floats
    """float64 `[n]`: with which probability, given the picks before it; arms apart, see `Policy.arm_ratio`."""
    reward: Floats
    """float64 `[n]`."""
    person: Ints
    """int64 `[n]`: whose row it is; rows of one person are never taken as independent."""
    slot: Ints
    """int64 `[n]`: place in its slate, from 0."""
    allowed: Bools
    """bool `[n, A]`: what the draw was among."""
    features: Floats32
    """float32 `[n, F]`: what was known before the draw; NaN where it was not."""
    time_us: Ints
    """int64 `[n]`: moment of the decision."""
    names: tuple[str, ...]
    """`[A]`."""

    def __post_init__(self) -> None:
        """Check what everything after relies on."""
        n = len(self.action)
        for name in ("propensity", "reward", "person", "slot", "allowed", "features", "time_us"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, action has {n}; give one row per draw")
        if self.allowed.shape[1:] != (len(self.names),):
            raise ValueError(
                f"allowed has {self.allowed.shape[1:]} columns; give one for each of {len(self.names)} names"
            )
        _refuse(~((self.propensity > 0) & (self.propensity <= 1)), "propensity", "lies outside (0, 1]", self.propensity)
        _refuse(~np.isfinite(self.reward), "reward", "is no finite number", self.reward)
        _refuse((self.action < 0) | (self.action >= len(self.names)), "action", "is no code of a name", self.action)
        _refuse(~self.allowed[np.arange(n), self.action], "action", "was drawn but is not allowed", self.action)

    def __len__(self) -> int:
        return len(self.action)

    def take(self, rows: Bools | Ints) -> Draws:
        """Some rows: of a split, of a slot."""
        parts = {name: getattr(self, name)[rows] for name in self.__struct_fields__ if name != "names"}
        return Draws(names=self.names, **parts)


class Policy(Struct, frozen=True, eq=False):
    """What another policy would do in each of n draws.

    Raises ValueError if a row is no distribution over what is allowed there (`checked`).
    """

    name: str
    probability: Floats
    """float64 `[n, A]`: of offer or silence."""
    arm_ratio: Floats | None = None
    """float64 `[n]`: P(the drawn timing and tonality | offer) over that of the log; None leaves arms as they are."""

    def checked(self, draws: Draws) -> Policy:
        """Itself, if it fits the draws."""
        if self.probability.shape != draws.allowed.shape:
            raise ValueError(f"policy {self.name} has shape {self.probability.shape}, the draws {draws.allowed.shape}")
        _refuse(
            np.abs(self.probability.sum(1) - 1) > _SLACK, self.name, "does not add up to 1", self.probability.sum(1)
        )
        outside = (self.probability * ~draws.allowed).sum(1)
        _refuse(outside > _SLACK, self.name, "puts probability on what could not be drawn", outside)
        _refuse(
            np.asarray((self.probability < 0).any(1)), self.name, "has a negative probability", self.probability.min(1)
        )
        return self

    def weight(self, draws: Draws) -> Floats:
        """P(what was drawn) under this policy over that of the log: float64 `[n]`."""
        ratio = self.probability[np.arange(len(draws)), draws.action] / draws.propensity
        if self.arm_ratio is None:
            return np.asarray(ratio)
        return np.asarray(ratio * self.arm_ratio)

    def take(self, rows: Bools | Ints) -> Policy:
        """The same policy on some rows."""
        arms = None if self.arm_ratio is None else self.arm_ratio[rows]
        return Policy(self.name, self.probability[rows], arms)


def _refuse(wrong: Bools, column: str, why: str, values: npt.NDArray[np.generic]) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{column}, row {row}: {values[row]} {why} ({int(wrong.sum())} rows like it)")
