"""Checks what Takt promises about training and evaluation, on real data and on worlds whose truth is known.

    python -m tests.proofs.training [--quick]

Prints what it does as it goes, and as its last line one JSON object of figures with the bar beside each. Ends with 1
when one is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.proofs import (
    adapting,
    estimating,
    export,
    learning,
    log_scale,
    planting,
    propensities,
    simulated_log,
    simulation,
)
from tests.proofs.figures import SHOWN, Figures

KILLS = 20
DRAWS = 400_000
"""Per exploration rule."""
DECISIONS = 1_000_000


def drawn_again(figures: Figures, quick: bool) -> None:
    """Logged propensities, recovered by drawing. Not with `--quick`."""
    if not quick:
        propensities.prove(figures, DRAWS, list(propensities.RULES))


def exported(figures: Figures, quick: bool) -> None:
    """The log exported under load, and killed. Not with `--quick`."""
    if not quick:
        with tempfile.TemporaryDirectory(prefix="takt-proof-") as directory:
            export.prove(figures, Path(directory), KILLS)


def at_scale(figures: Figures, quick: bool) -> None:
    """A million decisions, exported, loaded, and trained on twice. Not with `--quick`."""
    if not quick:
        with tempfile.TemporaryDirectory(prefix="takt-proof-") as directory:
            archive, trained = Path(directory) / "archive", Path(directory) / "trained"
            trained.mkdir()
            log_scale.prove(figures, archive, DECISIONS)
            log_scale.prove_loading(figures, archive, DECISIONS)
            log_scale.prove_training(figures, archive, trained, DECISIONS)


PARTS: tuple[Callable[[Figures, bool], None], ...] = (
    learning.complete_journey,
    adapting.adapter,
    planting.planted,
    estimating.open_bandit,
    estimating.coverage,
    simulated_log.simulated_log,
    drawn_again,
    exported,
    at_scale,
    simulation.simulation,
)
"""What is proved, in this order: each takes the figures and whether to be quick."""


def main() -> int:
    """Run all parts; the exit code."""
    parser = argparse.ArgumentParser(
        prog="prove-training", description="Hold models and estimates against data whose answer is known."
    )
    parser.add_argument(
        "--quick", action="store_true", help="The Complete Journey by time and Open Bandit with fewer repetitions"
    )
    quick = parser.parse_args().quick
    figures = Figures()
    begun = time.monotonic()
    for part in PARTS:
        part(figures, quick)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
