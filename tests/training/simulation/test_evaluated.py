"""The log of a simulated service, judged by `takt evaluate`: what it says of policies is what is true of them."""

from __future__ import annotations

from pathlib import Path

from takt_training.simulation.run import Extent
from tests.proofs.simulated_log import FARTHEST, POLICIES, compared


def test_what_policies_would_earn_is_what_is_true(tmp_path: Path) -> None:
    """What was done, chance, constants and a model: IPS and DR lie as near to the truth as chance puts them."""
    found = compared(Extent(rounds=2, decisions=2000, seeds=1), 1, tmp_path)

    assert set(POLICIES) == {one.policy for one in found}
    assert max(abs(one.errors) for one in found) < FARTHEST, [str(one) for one in found]
    dr = [one for one in found if one.estimate == "dr"]
    assert sum(one.covers for one in dr) >= len(POLICIES) - 1, [str(one) for one in dr]
    truths = {one.policy: one.truth for one in found}
    assert truths["best constant"] > 2 * truths["champion"]
