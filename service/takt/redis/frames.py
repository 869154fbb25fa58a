"""What goes to the server-side functions and what comes back, as bytes. The layout is told in `functions.lua`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from takt.domain.ledger import WIDTH
from takt.domain.totals import Pool
from takt.ports import (
    Commit,
    Group,
    Mark,
    MarkKind,
    MarkOutcome,
    Outcome,
    ProfileOutcome,
    ProfileWrite,
    Remembered,
    Rewrite,
    RewriteOutcome,
    Spend,
)
from takt.redis import keys

_COMMON: Final = struct.Struct("<qq")
_GROUP: Final = struct.Struct("<BqqqqqIqII")
_ENTRY: Final = struct.Struct("<16s16sI")
_SPENDS: Final = struct.Struct("<H")
_TIME: Final = struct.Struct("<q")
_SPEND: Final = struct.Struct("<12sqqqBI")
_HOLD: Final = struct.Struct("<qQIH")
_MARK: Final = struct.Struct("<16sBQII")
_CONSENTS: Final = struct.Struct("<BI")
_CHANGES: Final = struct.Struct("<H")
_PUT: Final = struct.Struct("<BBI")
_LENGTH: Final = struct.Struct("<I")
_REWRITE: Final = struct.Struct("<IIII")

_COMMITS: Final = (
    Commit.DONE,
    Commit.KNOWN,
    Commit.CONFLICT,
    Commit.STALE,
    Commit.MARKER,
    Commit.LEDGER_FULL,
    Commit.CORRUPT,
    Commit.CATALOG,
)
_MARKS: Final = {
    0: MarkOutcome.APPLIED,
    1: MarkOutcome.LATE,
    2: MarkOutcome.DUPLICATE,
    3: MarkOutcome.ORPHAN,
    5: MarkOutcome.MERGING,
}
APPLIED: Final = frozenset(
    code for code, outcome in _MARKS.items() if outcome in (MarkOutcome.APPLIED, MarkOutcome.LATE, MarkOutcome.ORPHAN)
)
"""Codes of events that were written."""
_KINDS: Final = {MarkKind.NONE: 0, MarkKind.SHOWN: 1, MarkKind.CLICKED: 2, MarkKind.RELEASED: 3}
DONE: Final = 0
KNOWN: Final = 1
PARTLY: Final = 8
"""Code of a commit that was put back without all of its tokens."""
MARKER: Final = 4
"""Code with which every function says that a partition's marker is not the expected one."""

_PUTS: Final = (ProfileOutcome.WRITTEN, ProfileOutcome.CHANGED, ProfileOutcome.MERGED)
_REWRITES: Final = {
    0: RewriteOutcome.DONE,
    1: RewriteOutcome.CHANGED,
    2: RewriteOutcome.CLOSED,
    6: RewriteOutcome.CORRUPT,
}
CLAIMED: Final = 0
_CLAIMS: Final = {2: ProfileOutcome.IDENTITY_TAKEN, 3: ProfileOutcome.IDENTITY_HAS_CONTACTS}


def common(now_us: int, retention_us: int) -> bytes:
    """First argument of every function; `now_us` 0 leaves the time to the server."""
    return _COMMON.pack(now_us, retention_us)


def group(group: Group) -> bytes:
    """Frame of a group. Raises `ValueError` on partial entries or digests of another length."""
    if not group.entries:
        raise ValueError("a group without entries; there is nothing to commit")
    parts: list[bytes | memoryview] = [
        _GROUP.pack(
            group.compare,
            group.gate,
            group.appends,
            group.slack,
            group.snapshot_us,
            group.max_age_us,
            group.max_entries,
            group.trim_before_us,
            group.edition,
            len(group.entries),
        )
    ]
    for entry in group.entries:
        _check_entries(entry.contacts)
        if len(entry.request_digest) != 16:
            raise ValueError(f"{len(entry.request_digest)} bytes of request digest; expected 16")
        parts += (
            _ENTRY.pack(keys.request_digest(entry.request_id), entry.request_digest, len(entry.contacts)),
            entry.contacts,
            _LENGTH.pack(len(entry.record)),
            entry.record,
        )
    parts.append(_SPENDS.pack(len(group.spends)))
    parts += map(spend, group.spends)
    parts.append(_TIME.pack(group.lapsed_before_us))
    return b"".join(parts)


def restored(frame: bytes, ends_us: Sequence[int]) -> bytes:
    """Frame of a commit that is put back, with the end of each spend's window; -1 where nobody knows it."""
    return struct.pack(f"<H{len(ends_us)}q", len(ends_us), *ends_us) + frame


def spend(spend: Spend) -> bytes:
    """Part of a group's frame. Raises `ValueError` on more units than are needed."""
    if not 0 <= spend.units <= spend.need:
        raise ValueError(f"{spend.units} units of {spend.need} that were assigned; between 0 and those are possible")
    head = _SPEND.pack(spend.field, spend.limit, spend.need, spend.units, spend.counts, len(spend.holds))
    return head + b"".join(_HOLD.pack(h.expires_us, h.decision, h.offer, h.placement) for h in spend.holds)


def pools(flat: Sequence[bytes]) -> dict[bytes, Pool]:
    """Pools by field, from alternating fields and values."""
    return {name: Pool.parse(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}


def outcome(group: Group, answer: Any, now_us: int) -> Outcome:
    """Outcome of a group from what the function answered."""
    if isinstance(answer, int):
        return Outcome(_COMMITS[answer], now_us, {})
    code, profile, ledger, totals, *known = answer
    remembered: dict[str, Remembered] = {}
    if known:
        ids = {keys.request_digest(entry.request_id): entry.request_id for entry in group.entries}
        for at in range(0, len(known), 3):
            remembered[ids[known[at]]] = Remembered(known[at + 1], known[at + 2])
    return Outcome(_COMMITS[code], now_us, remembered, profile, ledger, pools(totals) if group.spends else None)


def mark(mark: Mark) -> bytes:
    """Frame of a feedback event. Raises `ValueError` on a partial suppression."""
    _check_entries(mark.suppression)
    event = _MARK.pack(
        keys.event_digest(mark.event_id), _KINDS[mark.kind], mark.decision, mark.offer, len(mark.suppression)
    )
    return b"".join((event, mark.suppression, _LENGTH.pack(len(mark.record)), mark.record))


def mark_outcome(answer: int) -> MarkOutcome:
    """Outcome of an event."""
    return _MARKS[answer]


def consenting(consents: bytes | None, changes: Sequence[bytes]) -> bytes:
    """Head of a frame: the consents to keep (None: as they are), and the log records of what changed of them."""
    kept = consents or b""
    head = _CONSENTS.pack(consents is not None, len(kept)) + kept + _CHANGES.pack(len(changes))
    return head + b"".join(_LENGTH.pack(len(change)) + change for change in changes)


def put(write: ProfileWrite) -> bytes:
    """Frame of a profile to write."""
    expected = write.expected or b""
    head = _PUT.pack(write.tightens, write.expected is not None, len(expected))
    return b"".join((consenting(write.consents, write.changes), head, expected, write.record))


def put_outcome(answer: int) -> ProfileOutcome:
    """Outcome of a profile's own write."""
    return _PUTS[answer]


def rewrite(rewrite: Rewrite) -> bytes:
    """Frame of other entries for a ledger. Raises `ValueError` on partial ones."""
    _check_entries(rewrite.entries)
    _check_entries(rewrite.dropped)
    lengths = (len(rewrite.ledger), len(rewrite.entries), len(rewrite.dropped))
    head = _LENGTH.pack(rewrite.lapsed_before_s) + _REWRITE.pack(rewrite.appended, *lengths)
    return b"".join((head, rewrite.ledger, rewrite.entries, rewrite.dropped, rewrite.record))


def rewrite_outcome(answer: int) -> RewriteOutcome:
    """Outcome of a rewrite."""
    return _REWRITES[answer]


def claim(profile_id: str, *, anonymous: bool) -> bytes:
    """Frame of a claim on an identity; `anonymous` if the profile is the identity's own anonymous one."""
    return (b"\1" if anonymous else b"\0") + profile_id.encode()


def settle(profile_id: str, *, keep: bool, anonymous: bool) -> bytes:
    """Frame that ends a claim: kept or given back."""
    return (b"\1" if keep else b"\0") + claim(profile_id, anonymous=anonymous)


def refusals(answers: Sequence[int]) -> ProfileOutcome:
    """What the claims on a profile's identities come to: the first refusal, or WRITTEN."""
    return next((_CLAIMS[answer] for answer in answers if answer in _CLAIMS), ProfileOutcome.WRITTEN)


def _check_entries(data: bytes) -> None:
    if len(data) % WIDTH:
        raise ValueError(f"{len(data)} bytes of ledger entries; expected a multiple of {WIDTH}")
