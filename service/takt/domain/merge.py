"""Merges of people, as values: what a store keeps of them, and what a merged person leaves."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Merges(Struct, frozen=True):
    """What one person's merges have come to. The default is that there were none."""

    profile_id: str = ""
    """The person; empty if there were no merges."""
    leads_to: str = ""
    """Whom the person was merged into; empty for none."""
    closed: bool = False
    """Of a person who leads to another: nothing is left here but that."""
    pending: tuple[str, ...] = ()
    """Whom the person is about to absorb."""
    absorbed: tuple[str, ...] = ()
    """Whom the person has absorbed, and whom these had."""


class Estate(Struct, frozen=True):
    """Everything that a sealed person leaves to the one they were merged into."""

    record: bytes | None
    ledger: bytes
    ids: tuple[tuple[bytes, bytes], ...]
    """Request and event ids with what is remembered of them, as the store has them."""
    absorbed: tuple[str, ...]
    consents: bytes | None = None
    """Where and when they were given (`takt.domain.consent`)."""


class MergeStep(StrEnum):
    """What became of one step of a merge."""

    DONE = "DONE"
    """It is done, now or before."""
    ABSORBED = "ABSORBED"
    """The loser has been absorbed already; there is nothing left to do in this step."""
    BUSY = "BUSY"
    """Expect: an identity of the winner is being claimed. Seal: the loser has merges of its own to finish first."""
    ELSEWHERE = "ELSEWHERE"
    """The person leads to somebody else."""
    CHANGED = "CHANGED"
    """The winner's record is not the expected one; nothing was written. Make it anew and repeat."""
    CORRUPT = "CORRUPT"
    """What the store holds for the person is not a ledger; nothing was written."""


class Linked(Struct, frozen=True):
    """A person under all their names."""

    profile_id: str
    absorbed: tuple[str, ...]
    """Ids of the profiles that this call merged into it."""
