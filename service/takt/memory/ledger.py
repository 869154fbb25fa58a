"""What may be done to one ledger, on its bytes. Said plainly: a faster version elsewhere has this to equal.

Layout and words are `takt.domain.ledger`'s.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from takt.domain.ledger import LATE, LAYOUT_VERSION, WIDTH, EntryState, LedgerState
from takt.ports import MarkKind, MarkOutcome

_HEADER: Final = struct.Struct("<qqqBBI2x")
_ENTRY: Final = struct.Struct("<qQIIHHHBB")

_STATES: Final = 4
"""A contact's state is what remains modulo this; the rest is what was added to it."""


class CorruptLedgerError(ValueError):
    """Bytes that are not a ledger: wrong length or layout."""


class LedgerEntry(Struct, frozen=True):
    """One contact or suppression. Fields as in `takt.domain.ledger.ENTRY`."""

    time_us: int
    decision: int
    expiry_s: int
    offer: int
    group: int
    channel: int
    placement: int
    state: int
    origin: int

    @property
    def is_contact(self) -> bool:
        """A contact, held or not; otherwise a suppression."""
        return self.state < EntryState.SUPPRESS_OFFER

    @property
    def end_us(self) -> int | None:
        """When the hold lapses or the suppression ends; None for never."""
        return self.time_us + self.expiry_s * 1_000_000 if self.expiry_s else None

    def ended_before(self, moment_us: int) -> bool:
        """Whether nothing about this entry reaches `moment_us`. A contact without expiry is over at its own time."""
        end_us = self.time_us if self.is_contact and self.end_us is None else self.end_us
        return end_us is not None and end_us < moment_us

    def lapsed_before(self, moment_us: int) -> bool:
        """Whether this is a contact whose hold ended before `moment_us` without a confirmation."""
        waits = self.is_contact and self.state % _STATES in (EntryState.HELD, EntryState.RELEASED)
        return waits and self.ended_before(moment_us)

    def suppresses_the_same_as(self, other: LedgerEntry) -> bool:
        """Whether two suppressions differ in nothing but their time and what caused them."""
        return (self.state, self.offer, self.group, self.channel, self.placement) == (
            other.state,
            other.offer,
            other.group,
            other.channel,
            other.placement,
        )

    def outlasts(self, other: LedgerEntry) -> bool:
        """Whether this suppression ends after `other`."""
        if other.end_us is None:
            return False
        return self.end_us is None or self.end_us > other.end_us


class Ledger(Struct, frozen=True):
    """One person's ledger. The default is the one that was never written."""

    gate: int = 0
    appends: int = 0
    trimmed_before_us: int = 0
    state: int = LedgerState.OPEN
    entries: tuple[LedgerEntry, ...] = ()
    lapsed_before_s: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Ledger:
        """Read a ledger. Raises `CorruptLedgerError`."""
        if len(data) < WIDTH or len(data) % WIDTH:
            raise CorruptLedgerError(f"{len(data)} bytes; a ledger has a header and entries of {WIDTH} bytes each")
        gate, appends, trimmed_before_us, layout, state, lapsed_before_s = _HEADER.unpack_from(data)
        if layout != LAYOUT_VERSION:
            raise CorruptLedgerError(f"layout {layout}; only layout {LAYOUT_VERSION} is known")
        return cls(gate, appends, trimmed_before_us, state, parse_entries(data[WIDTH:]), lapsed_before_s)

    def pack(self) -> bytes:
        """Bytes of the ledger."""
        header = _HEADER.pack(
            *(self.gate, self.appends, self.trimmed_before_us, LAYOUT_VERSION, self.state, self.lapsed_before_s)
        )
        return header + b"".join(
            _ENTRY.pack(e.time_us, e.decision, e.expiry_s, e.offer, e.group, e.channel, e.placement, e.state, e.origin)
            for e in self.entries
        )

    def tightened(self, now_us: int) -> Ledger:
        """Move the gate: every snapshot taken before is out of date."""
        return replace(self, gate=max(self.gate + 1, now_us))

    def appended(self, contacts: tuple[LedgerEntry, ...]) -> Ledger:
        """Add contacts. The gate stays."""
        return replace(self, appends=self.appends + len(contacts), entries=self.entries + contacts)

    def with_room_for(self, count: int, max_entries: int, before_us: int, lapsed_before_us: int) -> Ledger:
        """Drop what ended before a moment, and remember that moment if anything was dropped.

        Only where there is cause: the entry has ended that is an eighth in, or `count` more do not fit. If they do not
        fit even so, drop the contacts that lapsed before a moment of their own, which is remembered too.
        """
        fits = len(self.entries) + count <= max_entries
        if fits and not (self.entries and self.entries[len(self.entries) // 8].ended_before(before_us)):
            return self
        kept = tuple(entry for entry in self.entries if not entry.ended_before(before_us))
        trimmed = self
        if len(kept) < len(self.entries):
            trimmed = replace(self, entries=kept, trimmed_before_us=max(self.trimmed_before_us, before_us))
        return trimmed if len(kept) + count <= max_entries else trimmed.compacted(lapsed_before_us)

    def compacted(self, before_us: int) -> Ledger:
        """Drop the contacts that lapsed before a moment, and remember it, rounded up, if there were any."""
        kept = tuple(entry for entry in self.entries if not entry.lapsed_before(before_us))
        if len(kept) == len(self.entries):
            return self
        return replace(self, entries=kept, lapsed_before_s=max(self.lapsed_before_s, -(-before_us // 1_000_000)))

    def suppressed(self, suppression: LedgerEntry) -> Ledger:
        """Add a suppression, or renew the one that stands already: repeated refusals must not fill the ledger.

        Itself if the one that stands lasts as long. Otherwise the gate is to be moved.
        """
        for at, standing in enumerate(self.entries):
            if standing.suppresses_the_same_as(suppression):
                if not suppression.outlasts(standing):
                    return self
                entries = (*self.entries[:at], suppression, *self.entries[at + 1 :])
                return replace(self, entries=entries)
        return self.appended((suppression,))

    def rewritten(self, entries: tuple[LedgerEntry, ...], appended: int, lapsed_before_s: int, now_us: int) -> Ledger:
        """Put other entries in place of all, `appended` of them new. The gate moves."""
        made = replace(self, appends=self.appends + appended, entries=entries)
        return replace(made, lapsed_before_s=max(self.lapsed_before_s, lapsed_before_s)).tightened(now_us)

    def marked(self, decision: int, offer: int, kind: MarkKind, now_us: int) -> tuple[Ledger, MarkOutcome]:
        """Confirm or release the contacts of a decision, `offer` 0 standing for all of them.

        ORPHAN if there is none. LATE if one that no longer counted, lapsed or released, turns out to have been shown
        or clicked: it counts again, its time unchanged, and the gate is to be moved.
        """
        outcome = MarkOutcome.ORPHAN
        entries = list(self.entries)
        for at, entry in enumerate(entries):
            if entry.decision != decision or not entry.is_contact or offer not in (0, entry.offer):
                continue
            before = entry.state % _STATES
            state = _next_state(before, kind) + entry.state - before
            revived = state != entry.state and kind is not MarkKind.RELEASED
            lapsed = before == EntryState.RELEASED or (entry.end_us is not None and entry.end_us <= now_us)
            if revived and lapsed:
                outcome = MarkOutcome.LATE
                state |= LATE
            elif outcome is MarkOutcome.ORPHAN:
                outcome = MarkOutcome.APPLIED
            entries[at] = replace(entry, state=state)
        return replace(self, entries=tuple(entries)), outcome


def parse_entries(data: bytes) -> tuple[LedgerEntry, ...]:
    """Read whole entries. Raises `ValueError` on a broken one."""
    if len(data) % WIDTH:
        raise ValueError(f"{len(data)} bytes of ledger entries; expected a multiple of {WIDTH}")
    return tuple(LedgerEntry(*fields) for fields in _ENTRY.iter_unpack(data))


def _next_state(state: int, kind: MarkKind) -> int:
    """State of a contact after an event: forward only, a click over an impression over a hold."""
    if kind is MarkKind.CLICKED:
        return EntryState.CLICKED
    if kind is MarkKind.SHOWN:
        return state if state == EntryState.CLICKED else EntryState.SHOWN
    if kind is MarkKind.RELEASED and state == EntryState.HELD:
        return EntryState.RELEASED
    return state
