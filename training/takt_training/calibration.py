"""Platt scaling that knows how little a handful of campaigns can tell.

Rows of one campaign share its luck: what its coupons were, the weather, the season. Taken as independent, a thousand
rows of one lucky campaign would look like proof that all estimates are too low. Here each campaign has an intercept
of its own, drawn from a normal distribution whose variance is estimated along (EM with a Laplace approximation), and
the correction is adopted only if it differs from none by more than chance would make it.
"""

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CRITICAL = 5.991
"""95th percentile of chi-squared with two degrees of freedom (scale and shift together)."""
_ROUNDS = 200
_LEAST_VARIANCE = 1e-3


class Platt(Struct, frozen=True):
    """P = sigmoid(scale x logit + shift), where `scale` and `shift` are 1 and 0 unless the fitted ones are adopted."""

    scale: float
    shift: float
    fitted_scale: float
    fitted_shift: float
    spread: float
    """Standard deviation of the groups' own intercepts."""
    wald: float
    """Squared distance of the fitted pair from (1, 0), in units of its covariance; compare with `CRITICAL`."""
    groups: int

    @property
    def adopted(self) -> bool:
        """Whether the correction is in force."""
        return self.wald > CRITICAL


def fit_platt(logit: Floats, accepted: npt.NDArray[np.bool_], group: Ints, anyway: Floats | float = 0.0) -> Platt:
    """Fit on forward-chained predictions: logit [n], accepted [n], group [n] (the campaign of each row).

    `anyway` [n]: P(accepted) is 1 - (1 - anyway) (1 - P) with the P that is calibrated.
    Raises ValueError without rows or if all rows were accepted, or none.
    """
    if len(logit) == 0 or accepted.all() or not accepted.any():
        raise ValueError("calibration needs rows that were accepted and rows that were not; widen the forward chain")
    _, of_row = np.unique(group, return_inverse=True)
    count = int(of_row.max()) + 1
    fixed = np.array([1.0, 0.0])
    random = np.zeros(count)
    variance = 0.1
    covariance: Floats = np.eye(count + 2)
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-(fixed[0] * logit + fixed[1] + random[of_row])))
        either = anyway + (1 - anyway) * p
        share = p / either  # of the log-odds of either in those of p; Fisher scoring
        weight, rest = share**2 * either * (1 - either), share * (accepted - either)
        gradient = np.concatenate([[rest @ logit, rest.sum()], np.bincount(of_row, rest, count) - random / variance])
        per_group = np.bincount(of_row, weight, count)
        hessian = np.zeros((count + 2, count + 2))
        hessian[0, 0] = weight @ logit**2
        hessian[0, 1] = hessian[1, 0] = weight @ logit
        hessian[1, 1] = weight.sum()
        hessian[0, 2:] = hessian[2:, 0] = np.bincount(of_row, weight * logit, count)
        hessian[1, 2:] = hessian[2:, 1] = per_group
        hessian[2:, 2:] = np.diag(per_group + 1 / variance)
        covariance = np.linalg.inv(hessian).astype(np.float64)
        step = covariance @ gradient
        fixed = fixed + step[:2]
        random = random + step[2:]
        variance = max(float(np.mean(random**2 + np.diag(covariance)[2:])), _LEAST_VARIANCE)
    away = fixed - np.array([1.0, 0.0])
    wald = float(away @ np.linalg.solve(covariance[:2, :2], away))
    adopted = wald > CRITICAL
    return Platt(
        scale=float(fixed[0]) if adopted else 1.0,
        shift=float(fixed[1]) if adopted else 0.0,
        fitted_scale=float(fixed[0]),
        fitted_shift=float(fixed[1]),
        spread=float(np.sqrt(variance)),
        wald=wald,
        groups=count,
    )
