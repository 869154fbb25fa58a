"""Editions: catalogs that were put in force, each with a number that counts up. Going back is an edition of its own.

An edition is *announced* first, so that every replica can load it, and *in force* once they have. It is in force in the
whole store when every partition's marker bears its number.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from takt.clock import DAY_US, MINUTE_US

KEPT_EDITIONS: Final = 100
"""So many stay readable, the newest; files and all."""
PATIENCE_US: Final = 30_000_000
"""An edition comes into force when all replicas have loaded it, and after so long in any case."""
HEARD_WITHIN_US: Final = 5_000_000
"""A replica that was not heard of for so long is taken for gone, and nobody waits for it."""
LAST_TRIM_US: Final = MINUTE_US
"""For so long after an edition came into force somebody may still have dropped contacts as the one before said."""


class SourceFile(Struct, frozen=True):
    """One file of a catalog."""

    path: str
    content: bytes


class Edition(Struct, frozen=True):
    """One entry of the history."""

    number: int
    version: str
    """The catalog's; several editions may have the same."""
    previous: str
    """Version that was in force before; empty for the first."""
    actor: str
    reason: str
    keep_us: int
    """How long contacts are kept under it."""
    kept_before_us: int = 0
    """How long they were kept before; 0: there were none."""
    covered_before_us: int = 0
    """Since when all contacts were known before it; 0: all that there ever were."""
    began_us: int = 0
    """`first_us` of the edition before."""
    announced_us: int = 0
    in_force_us: int = 0
    """Since when, by the store's clock; 0: not yet."""
    stated_us: int | None = None
    """Since when all contacts are known, as somebody stated who has added older ones."""

    @property
    def first_us(self) -> int:
        """When the store's first edition came into force, if there were no contacts before it; else 0."""
        return self.in_force_us if self.number == 1 and not self.kept_before_us else self.began_us

    @property
    def covered_us(self) -> int:
        """Since when all contacts are known that could count; 0: all that there ever were.

        What is older than contacts were kept before this edition may have been dropped until it came into force.
        """
        dropped_us = self.in_force_us + LAST_TRIM_US - self.kept_before_us
        if not self.kept_before_us or (not self.covered_before_us and dropped_us <= self.began_us):
            covered_us = 0
        else:
            covered_us = max(self.covered_before_us, dropped_us)
        return covered_us if self.stated_us is None else min(covered_us, self.stated_us)

    def covers_from(self, span_us: int, now_us: int) -> int | None:
        """When a catalog that looks back for `span_us` can come after this edition: now or later; None: not at all.

        A span is covered if nothing was dropped within it, and nothing will be until the next edition is in force.
        """
        unbroken = not self.covered_us and now_us + DAY_US - self.keep_us <= self.first_us
        if span_us > self.keep_us and not unbroken:
            return None
        return max(now_us, self.covered_us + span_us) if self.covered_us else now_us


class Following(Struct, frozen=True):
    """What a replica is told when it says how far it is."""

    now_us: int
    announced: int
    """Number of the newest edition; 0: there is none."""
    in_force: int
    """Number of the one in force; 0: there is none."""
    replicas: int
    """How many were heard of."""
    ready: int
    """How many of them have loaded the newest."""
    turned: int
    """How many of them decide by the one in force."""
