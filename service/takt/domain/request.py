"""What a caller asks, as values. The rpc edge builds these; the engine reads nothing else."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

Scalar = str | int | float | bool | tuple[str, ...]
"""A context or feature value. Timestamps are int microseconds; flags are a tuple of names."""


class Explain(IntEnum):
    """How much of the reasoning the caller wants back."""

    COUNTS = 0
    OFFERS = 1
    FULL = 2


class Identity(Struct, frozen=True):
    """A name for a person in some namespace (login, device, cookie, crm)."""

    namespace: str
    value: str


class PlacementAsk(Struct, frozen=True):
    """A placement to fill, and with how many offers at most (0 = as many as the placement declares)."""

    placement: str
    max_offers: int = 0


class DecideRequest(Struct, frozen=True):
    """One request: one person, one moment, all placements of a page."""

    request_id: str
    placements: tuple[PlacementAsk, ...]
    profile_id: str = ""
    """Either this or `identities`."""
    identities: tuple[Identity, ...] = ()
    """The first that is known names the person; if none is, the first names an anonymous one."""
    context: Mapping[str, Scalar] = field(default_factory=dict)
    timings: tuple[str, ...] = ()
    """Allowed timing slots; empty means all that the placement can deliver."""
    dry_run: bool = False
    explain: Explain = Explain.COUNTS
    allow_duplicates: bool = False
    deadline_us: int = 0
    """On the clock's monotonic scale; 0 means none. A repeat may have another."""
