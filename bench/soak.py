"""An hour or some minutes of load: whether memory grows, and whether answers become slower."""

from __future__ import annotations

import time
from typing import Final

from bench.scenes import Bench
from bench.stand import Stand
from bench.subjects import decider

STEP_S: Final = 10.0
SHARE: Final = 0.5
"""Of the highest load."""
CALLERS: Final = 64


def soak(bench: Bench, on: Stand, minutes: float) -> None:
    """Half of the highest load for so many minutes; notes memory and p99 in steps of 10 s.

    The ledgers are put back at every step, as if their windows had passed: else caps would fill up, and what is
    watched would change.
    """
    with on.serve("native", bench.workers) as serving:
        subject = decider("soak", serving, on)
        on.lay()
        rate = SHARE * bench.ask(subject, callers=CALLERS).per_second
        memory: list[tuple[float, float]] = []
        begun = time.monotonic()
        while (at := time.monotonic() - begun) < 60 * minutes:
            on.lay()
            load = bench.ask(subject, rate=rate, seconds=STEP_S)
            memory.append((at, serving.resident_mb()))
            bench.notes.add("soak_rss_mb", memory[-1][1])
            bench.say(
                f"soak: {at / 60:.1f} of {minutes:g} min, {load.per_second:,.0f}/s, p99 {load.p99_ms:.1f} ms, "
                f"{memory[-1][1]:.1f} MB, {load.degraded} degraded"
            )
        half = [mb for at, mb in memory if at >= 30 * minutes]
        if len(half) > 1:
            few = max(1, len(half) // 5)
            bench.notes.add("soak_growth_mb", sum(half[-few:]) / few - sum(half[:few]) / few)
