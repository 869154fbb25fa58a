"""What the log says that a person's ledger should hold: their deeds, played again in order.

It goes by what became of events when they were recorded (`Happened.outcome`), and by no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from takt.clock import SECOND_US
from takt.domain.audit import Changed, Decided, Happened
from takt.domain.decision import ledger_code
from takt.domain.ledger import ENTRY, LATE, OUTSIDE, EntryState, code16, code32
from takt.ports import MarkKind, MarkOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from takt.domain.audit import Deed, LoggedContact

Key = tuple[int, int, int]
"""Codes of decision, offer and placement: what tells a person's contacts apart, merges included."""
PLAIN = ~(OUTSIDE | LATE) & 0xFF


class Expected(Struct):
    """One contact as the log has it."""

    key: Key
    counted_us: int
    channel: int
    """Code."""
    decision_id: str
    """As it was answered; empty for a contact from outside."""
    hold_expires_us: int = 0
    """0: not known."""
    state: int = EntryState.HELD
    """Without `OUTSIDE` and `LATE`."""
    outside: bool = False
    late: bool | None = False
    """None: the log does not say which contact of the decision was late."""
    sure: bool = True
    """False once an event happened whose type is declared no longer: nobody can say what it did."""
    named: LoggedContact | None = None
    """Its names at that time."""

    def entry(self) -> np.void:
        """What a ledger should say of it, but for what the log does not tell."""
        made = np.zeros(1, ENTRY)
        made["time_us"] = self.counted_us
        made["decision"], made["offer"], made["placement"] = self.key
        made["channel"] = self.channel
        made["expiry_s"] = max(0, self.hold_expires_us - self.counted_us) // SECOND_US
        made["state"] = self.state | (OUTSIDE if self.outside else 0) | (LATE if self.late else 0)
        (entry,) = made
        return entry


def key_of(entry: np.void) -> Key:
    """The key of a ledger entry."""
    return int(entry["decision"]), int(entry["offer"]), int(entry["placement"])


def contacts_in(entries: bytes) -> npt.NDArray[np.void]:
    """The entries that are contacts, as an array of `ENTRY`."""
    read = np.frombuffer(entries, ENTRY)
    return read[read["state"] < EntryState.SUPPRESS_OFFER]


def expected(deeds: Iterable[Deed], kinds: Mapping[str, MarkKind]) -> list[Expected]:
    """The contacts that one person's deeds, in the order in which they happened, leave.

    `kinds` says what each type of event does that is declared.
    """
    contacts: dict[Key, list[Expected]] = {}
    decided: set[str] = set()
    for deed in deeds:
        match deed:
            case Decided(decision_id=decision_id) if decision_id not in decided:
                decided.add(decision_id)  # one that was put back after a fail-over may stand twice
                for contact in deed.contacts:
                    made = _made(decision_id, contact)
                    contacts.setdefault(made.key, []).append(made)
            case Happened():
                _happen(contacts, deed, kinds)
            case Changed():
                for entry in contacts_in(deed.removed):
                    _remove(contacts.get(key_of(entry), []), int(entry["time_us"]))
                for entry in contacts_in(deed.added):
                    contacts.setdefault(key_of(entry), []).append(_added(entry))
            case _:
                pass
    return [one for same in contacts.values() for one in same]


def next_state(state: int, kind: MarkKind) -> int:
    """State of a contact after an event: forward only, a click over an impression over a hold."""
    match kind:
        case MarkKind.CLICKED:
            return EntryState.CLICKED
        case MarkKind.SHOWN:
            return EntryState.CLICKED if state == EntryState.CLICKED else EntryState.SHOWN
        case MarkKind.RELEASED if state == EntryState.HELD:
            return EntryState.RELEASED
        case _:
            return state


def _made(decision_id: str, contact: LoggedContact) -> Expected:
    """A contact that was decided."""
    return Expected(
        key=(ledger_code(decision_id), code32(contact.offer), code16(contact.placement)),
        counted_us=contact.counted_us,
        channel=code16(contact.channel),
        decision_id=decision_id,
        hold_expires_us=contact.hold_expires_us,
        named=contact,
    )


def _added(entry: np.void) -> Expected:
    """A contact that was added by hand."""
    state = int(entry["state"])
    return Expected(
        key=key_of(entry),
        counted_us=int(entry["time_us"]),
        channel=int(entry["channel"]),
        decision_id="",
        state=state & PLAIN,
        outside=bool(state & OUTSIDE),
        late=bool(state & LATE),
    )


def _remove(same: list[Expected], counted_us: int) -> None:
    """Take out the contact of that moment, or else the first of its key."""
    if same:
        same.remove(next((one for one in same if one.counted_us == counted_us), same[0]))


def _happen(contacts: Mapping[Key, Sequence[Expected]], event: Happened, kinds: Mapping[str, MarkKind]) -> None:
    """Let an event change the contacts of its decision."""
    if not event.decision_id or event.outcome == MarkOutcome.ORPHAN:
        return
    decision = ledger_code(event.decision_id)
    offer = code32(event.offer) if event.offer else 0
    concerned = [one for key, same in contacts.items() if key[0] == decision and offer in (0, key[1]) for one in same]
    kind = kinds.get(event.type)
    if kind is None:
        for one in concerned:
            one.sure = False
        return
    changed = [(one, one.state) for one in concerned if next_state(one.state, kind) != one.state]
    for one, before in changed:
        one.state = next_state(before, kind)
        if event.outcome == MarkOutcome.LATE:
            if before == EntryState.RELEASED or len(changed) == 1:
                one.late = True
            elif not one.late:
                one.late = None
