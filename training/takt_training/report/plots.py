"""Plots as SVG and CSS: no library, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np

from takt_training.metrics import Bin
from takt_training.report.document import Bars, Intervals, Line
from takt_training.report.numbers import plain, with_interval

_SIZE, _MARGIN = 320, 46


def ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Round numbers from `low` to `high`, some `count` of them: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return (low,)
    rough = (high - low) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = np.ceil(low / step - 1e-9)
    return tuple(float(step * (first + number)) for number in range(int(np.floor(high / step - first + 1e-9)) + 1))


def reliability(bins: tuple[Bin, ...]) -> str:
    """The diagonal, and a point for each bin with its binomial 95% interval; the dot's size is the number of rows."""
    spread = [1.96 * (part.observed * (1 - part.observed) / max(part.rows, 1)) ** 0.5 for part in bins]
    most = max(1e-6, *(max(part.expected, part.observed + half) for part, half in zip(bins, spread, strict=True)))
    most = min(most * 1.06, 1.0) if most <= 1 else most
    rows = max(part.rows for part in bins)

    def at(value: float) -> float:
        return float(round(min(max(value, 0.0), most) / most * _SIZE, 1))

    end = _MARGIN + _SIZE
    parts = [
        f'<rect x="{_MARGIN}" y="10" width="{_SIZE}" height="{_SIZE}" fill="none" stroke="var(--line)"/>',
        f'<line x1="{_MARGIN}" y1="{10 + _SIZE}" x2="{end}" y2="10" stroke="var(--soft)" stroke-dasharray="4 5"/>',
    ]
    for tick in ticks(0, most, 4):
        label = f"{tick:.10g}"
        parts.append(f'<text x="{_MARGIN + at(tick)}" y="{_SIZE + 28}" text-anchor="middle">{label}</text>')
        parts.append(f'<text x="{_MARGIN - 7}" y="{14 + _SIZE - at(tick)}" text-anchor="end">{label}</text>')
    points = " ".join(f"{_MARGIN + at(part.expected)},{10 + _SIZE - at(part.observed)}" for part in bins)
    parts.append(f'<polyline points="{points}" fill="none" stroke="var(--accent)" stroke-width="1.5" opacity=".6"/>')
    for part, half in zip(bins, spread, strict=True):
        x = _MARGIN + at(part.expected)
        top, bottom = 10 + _SIZE - at(part.observed + half), 10 + _SIZE - at(part.observed - half)
        said = f"{part.rows} rows: expected {part.expected:.4f}, observed {part.observed:.4f}"
        parts.append(f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="var(--accent)" opacity=".55"/>')
        parts.append(
            f'<circle cx="{x}" cy="{10 + _SIZE - at(part.observed)}" r="{3 + 2.5 * (part.rows / rows) ** 0.5:.1f}" '
            f'fill="var(--accent)"><title>{said}</title></circle>'
        )
    middle = 10 + _SIZE / 2
    parts.append(f'<text x="{_MARGIN + _SIZE / 2}" y="{_SIZE + 48}" text-anchor="middle">expected</text>')
    parts.append(f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">observed</text>')
    box = f"0 0 {_SIZE + _MARGIN + 14} {_SIZE + 56}"
    name = "Reliability: observed share over expected probability"
    return (
        f'<figure class="plot"><svg viewBox="{box}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
        "<figcaption>On the dashed line, what was expected is what was seen. Whiskers: what chance does to the "
        "observed "
        "share (95%). Dots are bins of equally many rows.</figcaption></figure>"
    )


def intervals(block: Intervals) -> str:
    """A strip for each line on one common axis; refusals in words."""
    told = [edge for line in block.lines for edge in _edges(line) if np.isfinite(edge)]
    told += [] if block.reference is None else [block.reference]
    low, high = (min(told), max(told)) if told else (0.0, 1.0)
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = low - pad, high + pad

    def at(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / (high - low), 2)

    zero = "" if block.reference is None else f'<i class="zero" style="left:{at(block.reference)}%"></i>'
    rows = [_row(line, block, at, zero) for line in block.lines]
    scale, unit = (100, "%") if block.percent else (1, "")
    marks = "".join(
        f'<i style="left:{at(tick)}%">{scale * tick:.10g}{unit}</i>' for tick in ticks(low, high) if 3 < at(tick) < 97
    )
    if told:
        rows.append(f'<div class="row axis"><div></div><div class="mid strip">{marks}</div><div></div></div>')
    caption = f'<p class="note">{escape(block.caption)}</p>' if block.caption else ""
    return f'<div class="intervals">{"".join(rows)}{caption}</div>'


def _edges(line: Line) -> tuple[float, ...]:
    found = [one for one in (line.interval, line.truth) if one is not None]
    return tuple(edge for one in found for edge in (one.low, one.value, one.high))


def _row(line: Line, block: Intervals, at: Callable[[float], float], zero: str) -> str:
    detail = f"<small>{escape(line.detail)}</small>" if line.detail else ""
    name = f'<div class="name">{escape(line.name)}{detail}</div>'
    if line.interval is None:
        return f'<div class="row refused">{name}<div class="why"><b>refused</b> {escape(line.refused)}</div></div>'
    marks = _span(at(line.interval.low), at(line.interval.high), "span")
    truth = ""
    if line.truth is not None:
        marks += _span(at(line.truth.low), at(line.truth.high), "truth-span")
        marks += f'<i class="truth" style="left:{at(line.truth.value)}%"></i>'
        truth = f"<small>truth {with_interval(line.truth, decimals=block.decimals, as_percent=block.percent)}</small>"
    marks += f'<i class="dot" style="left:{at(line.interval.value)}%"></i>'
    said = with_interval(line.interval, decimals=block.decimals, as_percent=block.percent)
    strong = " strong" if line.strong else ""
    return (
        f'<div class="row{strong}">{name}<div class="mid strip">{zero}{marks}</div>'
        f'<div class="said">{escape(said)}{truth}</div></div>'
    )


def _span(left: float, right: float, kind: str) -> str:
    return f'<i class="{kind}" style="left:{left}%;width:{max(right - left, 0.3):.2f}%"></i>'


def bars(block: Bars) -> str:
    """Bars from zero to the longest."""
    most = max((bar.value for bar in block.bars), default=0.0)
    rows = [
        f'<div class="row"><div class="name">{escape(bar.name)}</div><div class="mid meter">'
        f'<i style="width:{100 * max(bar.value, 0) / most if most > 0 else 0:.1f}%"></i></div>'
        f'<div class="said">{escape(bar.text or plain(bar.value))}</div></div>'
        for bar in block.bars
    ]
    caption = f'<p class="note">{escape(block.caption)}</p>' if block.caption else ""
    return f'<div class="intervals">{"".join(rows)}{caption}</div>'
