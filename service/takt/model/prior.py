"""What stands in when no model is usable: one acceptance for everybody and everything, flagged as degraded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from takt.ports import Scores


class ConstantScorer:
    """A scorer that knows nothing: offers are ranked by value, levers and costs alone."""

    def __init__(self, acceptance: float = 0.01) -> None:
        """Give everybody this acceptance, a probability."""
        if not 0.0 <= acceptance <= 1.0:
            raise ValueError(f"acceptance is {acceptance}, expected a probability")
        self._acceptance = np.float32(acceptance)

    @property
    def version(self) -> str:
        """`prior/` and the acceptance that it gives."""
        return f"prior/{float(self._acceptance):.4g}"

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],  # noqa: ARG002 - the protocol's
        offers: npt.NDArray[np.float32],  # noqa: ARG002 - the protocol's
        offer_code: npt.NDArray[np.int64],  # noqa: ARG002 - the protocol's
    ) -> Scores:
        """Acceptance float32 [R, 1, 1, 1] for `profile` [R, P]. Never fails."""
        return Scores(acceptance=np.full((len(profile), 1, 1, 1), self._acceptance, dtype=np.float32))

    def offer_codes(self, offers: Sequence[str]) -> npt.NDArray[np.int64]:
        """int64 [n] of zeros: it never saw an offer."""
        codes: npt.NDArray[Any] = np.zeros(len(offers), dtype=np.int64)
        return codes
