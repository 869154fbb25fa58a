"""Line charts as SVG: no library, no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Final

from takt_training.report.document import Lines
from takt_training.report.plots import ticks

WIDTH: Final = 560
HEIGHT: Final = 320
LEFT: Final = 58
TOP: Final = 12
NAMES: Final = 200
"""Room for names at the right."""
APART: Final = 14
"""Pixels between two names."""
COLOURS: Final = (*("#0f6f7c", "#b4541a", "#5b4bb5", "#1f7a45", "#a8261c", "#8a6d00", "#3b6fd1", "#a2408f", "#5c6a70"),)
"""Readable on light and dark ground; they come again where there are more lines."""


def lines(block: Lines) -> str:
    """All series on common axes; their names stand at their ends, moved apart where they would meet."""
    values = [value for one in block.series for value in one.values]
    steps = max((len(one.values) for one in block.series), default=0)
    if not values:
        return ""
    low, high = min(0.0, *values), max(values)
    high = high if high > low else low + 1.0

    def x(step: float) -> float:
        return round(LEFT + WIDTH * (step - 1) / max(steps - 1, 1), 1)

    def y(value: float) -> float:
        return round(TOP + HEIGHT * (high - value) / (high - low), 1)

    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="var(--line)"/>']
    for tick in ticks(low, high):
        parts.append(f'<line x1="{LEFT}" y1="{y(tick)}" x2="{LEFT + WIDTH}" y2="{y(tick)}" stroke="var(--line)"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4}" text-anchor="end">{tick:.10g}</text>')
    parts += [
        f'<text x="{x(step)}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{step:.0f}</text>'
        for step in ticks(1, steps, 10)
        if step == int(step)
    ]
    for at, one in enumerate(block.series):
        points = " ".join(f"{x(step)},{y(value)}" for step, value in enumerate(one.values, 1))
        dash = ' stroke-dasharray="5 5"' if one.dashed else ""
        told = f"{one.name}: {one.values[-1]:.4g} at the end"
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[at % len(COLOURS)]}" stroke-width="2"{dash}>'
            f"<title>{escape(told)}</title></polyline>"
        )
    parts += [
        f'<text x="{LEFT + WIDTH + 8}" y="{where + 4:.1f}" style="fill:{COLOURS[at % len(COLOURS)]}">'
        f"{escape(block.series[at].name)}</text>"
        for at, where in _apart([y(one.values[-1]) for one in block.series])
    ]
    middle = TOP + HEIGHT / 2
    parts.append(
        f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">{escape(block.across)}</text>'
    )
    parts.append(
        f'<text x="13" y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})">{escape(block.up)}</text>'
    )
    box = f"0 0 {LEFT + WIDTH + NAMES} {TOP + HEIGHT + 46}"
    return (
        f'<figure class="chart"><svg viewBox="{box}" role="img" aria-label="{escape(block.up)}">{"".join(parts)}</svg>'
        f"<figcaption>{escape(block.caption)}</figcaption></figure>"
    )


def _apart(wanted: list[float]) -> list[tuple[int, float]]:
    """Where each name goes, from the top: where it is wanted, or below the one above."""
    placed: list[tuple[int, float]] = []
    for at in sorted(range(len(wanted)), key=lambda at: wanted[at]):
        least = placed[-1][1] + APART if placed else TOP
        placed.append((at, max(wanted[at], least)))
    return placed
