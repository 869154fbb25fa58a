"""How much of a call's time is left for a decision."""

import pytest

from takt.rpc.decision import latest


@pytest.mark.parametrize(
    ("remaining_s", "moment_us"),
    [
        (None, 0),
        (0.001, 1_000_000 + 1_000 - 2_000),
        (0.02, 1_000_000 + 20_000 - 2_000),
        (0.1, 1_000_000 + 100_000 - 5_000),
        (10.0, 1_000_000 + 10_000_000 - 20_000),
    ],
)
def test_the_way_back_takes_its_share(remaining_s: float | None, moment_us: int) -> None:
    """A twentieth of what a call has is kept for its answer, between 2 and 20 ms."""
    assert moment_us == latest(1_000_000, remaining_s)
