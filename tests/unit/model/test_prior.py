"""Without a usable model everybody gets the same acceptance."""

import numpy as np
import pytest

from takt.model.prior import ConstantScorer

EMPTY = np.zeros((3, 2), dtype=np.float32)


def test_everybody_gets_the_same() -> None:
    """One acceptance per row, every other axis broadcasting."""
    scorer = ConstantScorer(0.25)

    scores = scorer.score(EMPTY, EMPTY, EMPTY, np.zeros(3, dtype=np.int64))

    np.testing.assert_array_equal(np.full((3, 1, 1, 1), 0.25, dtype=np.float32), scores.acceptance)
    assert np.float32 == scores.acceptance.dtype
    assert scores.baseline is None


def test_it_never_saw_an_offer() -> None:
    """Every offer has code 0."""
    assert [0, 0] == ConstantScorer().offer_codes(("milk", "tea")).tolist()


def test_version_tells_what_it_is() -> None:
    """The log shows that no model was at work, and what stood in."""
    assert "prior/0.25" == ConstantScorer(0.25).version


@pytest.mark.parametrize("acceptance", [-0.1, 1.1, float("nan")])
def test_only_probabilities_are_taken(acceptance: float) -> None:
    """A prior that is no probability is refused where it is given."""
    with pytest.raises(ValueError, match="expected a probability"):
        ConstantScorer(acceptance)
