"""Figures beside their bars: told as they come, and as one JSON object at the end."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    ">": operator.gt,
}
SHOWN = "shown"
"""Bar of a figure that is told for people to judge."""


@dataclass(slots=True)
class Figures:
    """What was measured so far."""

    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def step(self, text: str) -> None:
        """Say what is done next."""
        print(f"\n==> {text}", flush=True)

    def note(self, text: str) -> None:
        """Say something that is no figure."""
        print(f"    {text}", flush=True)

    def check(self, name: str, value: float | str, bar: str) -> None:
        """Hold a figure against its bar: a comparison such as `== 0`, or `shown`."""
        ok = True
        if bar != SHOWN:
            sign, _, limit = bar.partition(" ")
            ok = COMPARISONS[sign](value, type(value)(limit))
        assert name not in self.kept, f"{name} is told twice"
        self.kept[name] = {"value": value, "bar": bar, "ok": ok}
        print(f"    {'ok  ' if ok else 'MISS'} {name} = {value}  ({bar})", flush=True)

    def end(self) -> int:
        """Print all as the last line; 0 if every bar is met."""
        missed = [name for name, figure in self.kept.items() if not figure["ok"]]
        print(f"\n{len(self.kept)} figures, {len(missed)} missed{': ' + ', '.join(missed) if missed else ''}")
        print(json.dumps(self.kept), flush=True)
        return 1 if missed else 0
