"""`takt.ports.Merging` on plain dictionaries: what may be done to the merges of one person, said plainly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from takt.domain.decision import person_address
from takt.domain.ledger import EMPTY, LedgerState
from takt.domain.merge import Estate, Merges, MergeStep
from takt.domain.request import Identity
from takt.memory.ledger import CorruptLedgerError, Ledger


class Shelves(Protocol):
    """What merging needs of the store it belongs to. All but `entered` is called inside of it."""

    records: dict[str, bytes]
    consents_kept: dict[str, bytes]
    ledgers: dict[bytes, bytes]
    identities: dict[Identity, str]

    def entered(self) -> AbstractContextManager[int]:
        """Hold the store, whose marker is there, for one step; gives its time."""
        ...

    def recall(self, person: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """All ids of a person that are remembered, with what is remembered of them."""
        ...

    def remember(self, person: bytes, ids: Sequence[tuple[bytes, bytes]]) -> None:
        """Remember ids of `recall` for a person, those excepted that are remembered already."""
        ...

    def spend_holds(self, person: bytes, contacts: Sequence[tuple[int, int, int]]) -> None:
        """Spend for good the tokens that contacts (decision, offer, placement) of a person hold."""
        ...

    def keep_consents(self, profile_id: str, consents: bytes | None, changes: Sequence[bytes]) -> None:
        """Keep consents, unless they stay as they are, and log what changed of them."""
        ...

    def forget(self, person: bytes) -> None:
        """Remember no id of a person."""
        ...


class MemoryMerging(Struct):
    """The steps of merging two persons in memory."""

    shelves: Shelves
    cards: dict[bytes, Merges] = field(default_factory=dict)
    """By address of the person; kept for good."""

    def read(self, people: Sequence[bytes]) -> list[Merges]:
        """See `takt.ports.Merging`."""
        return [self.cards.get(address, Merges()) for address in people]

    def expect(self, winner: str, loser: str) -> MergeStep:
        """See `takt.ports.Merging`."""
        with self.shelves.entered() as now_us:
            card = self._card(winner)
            if card.leads_to:
                return MergeStep.ELSEWHERE
            if loser in card.absorbed:
                return MergeStep.ABSORBED
            if loser in card.pending:
                return MergeStep.DONE
            ledger = self._ledger(winner)
            if ledger is None:
                return MergeStep.CORRUPT
            if ledger.state == LedgerState.SEALED:
                return MergeStep.BUSY
            self._keep(winner, replace(ledger, state=LedgerState.PENDING).tightened(now_us))
            self._file(winner, replace(card, profile_id=winner, pending=(*card.pending, loser)))
            return MergeStep.DONE

    def seal(self, loser: str, winner: str) -> tuple[MergeStep, Estate | None]:
        """See `takt.ports.Merging`."""
        with self.shelves.entered() as now_us:
            card = self._card(loser)
            if card.leads_to not in ("", winner):
                return MergeStep.ELSEWHERE, None
            if card.closed:
                return MergeStep.ABSORBED, None
            if card.pending:
                return MergeStep.BUSY, None
            ledger = self._ledger(loser)
            if ledger is None:
                return MergeStep.CORRUPT, None
            estate = Estate(
                record=self.shelves.records.get(loser),
                ledger=ledger.pack(),
                ids=self.shelves.recall(person_address(loser)),
                absorbed=card.absorbed,
                consents=self.shelves.consents_kept.get(loser),
            )
            if not card.leads_to:
                made = [(e.decision, e.offer, e.placement) for e in ledger.entries if e.is_contact]
                self.shelves.spend_holds(person_address(loser), made)
                self._keep(loser, replace(ledger, state=LedgerState.MOVED).tightened(now_us))
                self._file(loser, replace(card, profile_id=loser, leads_to=winner))
            return MergeStep.DONE, estate

    def absorb(
        self,
        winner: str,
        loser: str,
        *,
        estate: Estate,
        record: bytes | None,
        expected: bytes | None,
        consents: bytes | None = None,
        changes: Sequence[bytes] = (),
    ) -> MergeStep:
        """See `takt.ports.Merging`."""
        with self.shelves.entered() as now_us:
            card = self._card(winner)
            if card.leads_to or loser in card.absorbed:
                return MergeStep.DONE  # before it was sealed itself it absorbed all that was pending
            if loser not in card.pending:
                raise ValueError("a sealed person is neither pending at the one it leads to nor absorbed")
            if record is not None and self.shelves.records.get(winner) != expected:
                return MergeStep.CHANGED
            ledger = self._ledger(winner)
            if ledger is None:
                return MergeStep.CORRUPT
            left = Ledger.parse(estate.ledger)
            pending = tuple(one for one in card.pending if one != loser)
            joined = replace(
                ledger.appended(left.entries),
                state=LedgerState.PENDING if pending else LedgerState.OPEN,
                trimmed_before_us=max(ledger.trimmed_before_us, left.trimmed_before_us),
                lapsed_before_s=max(ledger.lapsed_before_s, left.lapsed_before_s),
            )
            self._keep(winner, joined.tightened(now_us))
            self.shelves.remember(person_address(winner), estate.ids)
            if record is not None:
                self.shelves.records[winner] = record
            self.shelves.keep_consents(winner, consents, changes)
            absorbed = tuple(dict.fromkeys((*card.absorbed, loser, *estate.absorbed)))
            self._file(winner, replace(card, pending=pending, absorbed=absorbed))
            return MergeStep.DONE

    def close(self, loser: str, winner: str) -> None:
        """See `takt.ports.Merging`."""
        with self.shelves.entered():
            card = self._card(loser)
            ledger = self._ledger(loser)
            if card.leads_to != winner or card.closed or ledger is None:
                return
            self.shelves.records.pop(loser, None)
            self.shelves.consents_kept.pop(loser, None)
            self.shelves.forget(person_address(loser))
            self._keep(loser, replace(ledger, entries=(), trimmed_before_us=0, lapsed_before_s=0))
            self._file(loser, replace(card, closed=True, absorbed=()))

    def forgo(self, winner: str, loser: str) -> None:
        """See `takt.ports.Merging`."""
        with self.shelves.entered() as now_us:
            card = self._card(winner)
            if loser not in card.pending:
                return
            pending = tuple(one for one in card.pending if one != loser)
            ledger = self._ledger(winner)
            if ledger is not None and not pending:
                self._keep(winner, replace(ledger, state=LedgerState.OPEN).tightened(now_us))
            self._file(winner, replace(card, pending=pending))

    def name(self, identity: Identity, profile_id: str, *, former: str | None) -> bool:
        """See `takt.ports.Merging`."""
        with self.shelves.entered():
            if self.shelves.identities.get(identity) not in (profile_id, former):
                return False
            self.shelves.identities[identity] = profile_id
            return True

    def _card(self, profile_id: str) -> Merges:
        return self.cards.get(person_address(profile_id), Merges())

    def _file(self, profile_id: str, card: Merges) -> None:
        self.cards[person_address(profile_id)] = card

    def _ledger(self, profile_id: str) -> Ledger | None:
        """The person's ledger; None if it is corrupt."""
        try:
            return Ledger.parse(self.shelves.ledgers.get(person_address(profile_id), EMPTY))
        except CorruptLedgerError:
            return None

    def _keep(self, profile_id: str, ledger: Ledger) -> None:
        self.shelves.ledgers[person_address(profile_id)] = ledger.pack()
