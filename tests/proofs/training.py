"""Checks what Takt promises about training and evaluation, on real data and on worlds whose truth is known.

    python -m tests.proofs.training [--quick]

Prints what it does as it goes, and as its last line one JSON object of figures with the bar beside each. Ends with 1
when one is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from tests.proofs import adapting, estimating, learning
from tests.proofs.figures import SHOWN, Figures

PARTS: tuple[Callable[[Figures, bool], None], ...] = (
    learning.complete_journey,
    adapting.adapter,
    estimating.open_bandit,
    estimating.coverage,
)
"""What is proved, in this order: each takes the figures and whether to be quick."""


def main() -> int:
    """Run all parts; the exit code."""
    parser = argparse.ArgumentParser(
        prog="prove-training", description="Hold models and estimates against data whose answer is known."
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, under a minute")
    quick = parser.parse_args().quick
    figures = Figures()
    begun = time.monotonic()
    for part in PARTS:
        part(figures, quick)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
