"""Two plots: latency over load, and what a decision costs over offers, caps, contacts and profiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Notes

CALLERS: Final = (1, 8, 32, 64, 128, 256)
CURVES: Final = (
    ("empty_grpcio", "empty call, grpcio", "#888888"),
    ("empty_native", "empty call, native", "#bbbbbb"),
    ("decide_native", "decision, native", "#c2410c"),
    ("decide_grpcio", "decision, grpcio", "#1d4ed8"),
    ("peer", "peer's decision", "#15803d"),
)
COSTS: Final = (
    ("offers", (("offers_10", "10"), ("usual", "100"), ("offers_1000", "1,000"), ("offers_10000", "10,000"))),
    ("caps", (("caps_1", "1"), ("usual", "5"), ("caps_10", "10"))),
    ("contacts in the ledger", (("ledger_0", "0"), ("ledger_20", "20"), ("ledger_200", "200"))),
    ("profiles", (("profiles_1k", "1 thousand"), ("profiles_1m", "1 million"))),
)
AT: Final = 64
"""Callers at which costs are compared."""


def draw(notes: Notes, folder: Path) -> list[Path]:
    """Write `load.svg` and `cost.svg` into a folder, as far as there is something to show."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "takt"})
    return [path for path in (_load(notes, folder / "load.svg"), _cost(notes, folder / "cost.svg")) if path]


def _load(notes: Notes, path: Path) -> Path | None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    shown = 0
    for name, label, colour in CURVES:
        points = [
            (notes.median(f"{name}_per_s_{c}"), notes.median(f"{name}_p50_ms_{c}"), notes.median(f"{name}_p99_ms_{c}"))
            for c in CALLERS
            if f"{name}_p50_ms_{c}" in notes.rounds
        ]
        if len(points) > 1:
            shown += 1
            rates, p50, p99 = zip(*points, strict=True)
            axes.plot(rates, p50, "o-", color=colour, label=label, markersize=3)
            axes.plot(rates, p99, "--", color=colour, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="calls per second", ylabel="milliseconds (p50; dashed: p99)")
    axes.set_title("latency over load, from 1 caller to 256")
    axes.grid(visible=True, which="both", linewidth=0.2)
    if not shown:
        return None
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    return path


def _cost(notes: Notes, path: Path) -> Path | None:
    figure = Figure(figsize=(10, 3), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, len(COSTS), sharey=False)
    shown = 0
    for axes, (title, bars) in zip(panels, COSTS, strict=True):
        rates = {label: f"{name}_per_s_{AT}" for name, label in bars}
        known = [(label, 1e6 / notes.median(rate)) for label, rate in rates.items() if rate in notes.rounds]
        axes.set_title(title)
        if known:
            shown += 1
            labels, costs = zip(*known, strict=True)
            axes.bar(labels, costs, color="#c2410c", width=0.6)
    panels[0].set_ylabel(f"microseconds per decision, {AT} callers")
    if not shown:
        return None
    figure.savefig(path, metadata={"Date": None})
    return path
