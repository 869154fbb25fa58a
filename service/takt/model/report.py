"""What a check found, point by point, for people and for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from takt.errors import ModelError


class Point(Struct, frozen=True):
    """One verified point of the contract."""

    name: str
    expected: str
    found: str
    refusal: str = ""
    """What is wrong, where, and what would be right; empty if the point holds."""

    @property
    def ok(self) -> bool:
        """Whether the point holds."""
        return not self.refusal


class Cost(Struct, frozen=True):
    """Medians of a few runs on this machine; informative. `offers` offers each."""

    offers: int
    alone_us: float
    """One row."""
    batch_rows: int
    batch_us: float

    @property
    def per_decision_us(self) -> float:
        """Cost of one row in a full batch."""
        return self.batch_us / self.batch_rows


class CheckReport(Struct, frozen=True):
    """The contract as far as it was verified. Points that depend on a refused one are not among them."""

    path: Path
    bundle: str
    """`name/version`, empty if the manifest could not be read."""
    points: tuple[Point, ...]
    cost: Cost | None = None

    @property
    def ok(self) -> bool:
        """Whether the bundle may be served."""
        return all(point.ok for point in self.points)

    @property
    def refusals(self) -> tuple[str, ...]:
        """One sentence for everything that is wrong."""
        return tuple(point.refusal for point in self.points if not point.ok)

    def raise_if_refused(self) -> None:
        """Raise `ModelError` with every refusal unless the bundle may be served."""
        if not self.ok:
            listed = "".join(f"\n  {refusal}" for refusal in self.refusals)
            raise ModelError(f"bundle {self.bundle or self.path} is refused:{listed}")

    def lines(self) -> list[str]:
        """The report as text, a line per point."""
        width = max((len(point.name) for point in self.points), default=0)
        out = []
        for point in self.points:
            if point.ok:
                out.append(f"  ok       {point.name:<{width}}  {point.found}")
            else:
                out.append(f"  REFUSED  {point.name:<{width}}  {point.refusal}")
        if self.cost is not None:
            out.append(
                f"  cost     {self.cost.offers} offers: {self.cost.alone_us:.0f} us for one decision, "
                f"{self.cost.per_decision_us:.1f} us per decision in a batch of {self.cost.batch_rows}"
            )
        return out

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "bundle": self.bundle,
            "ok": self.ok,
            "points": [{**asdict(point), "ok": point.ok} for point in self.points],
            "cost": None
            if self.cost is None
            else {**asdict(self.cost), "per_decision_us": round(self.cost.per_decision_us, 2)},
        }
