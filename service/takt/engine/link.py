"""Merging people: `Link`, and finishing what others began. No cap is exceeded on the way, whoever stops wherever.

The winner is the person before the anonymous, then the lower id: an order in which no circle can wait for itself. It
first expects the loser and counts nothing from then on, then the loser is sealed and leads to the winner, then the
winner absorbs what it leaves, and last the loser is closed. A copy of a sealed loser without the first step would
exceed caps: the winner would go on without the contacts that are on their way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from takt.domain.consent import changes, joined_origins, pack_origins, parse_origins
from takt.domain.decision import person_address
from takt.domain.ledger import LAYOUT_VERSION, STATE_AT, WIDTH, LedgerState
from takt.domain.merge import Linked, MergeStep
from takt.domain.person import Address
from takt.engine.ledgers import is_whole
from takt.engine.validation import LONGEST_ID, MOST_IDENTITIES
from takt.errors import InvalidRequestError, PreconditionError, RecordError, Violation
from takt.features.reader import RecordReader, RowStatus
from takt.features.record import pack_profiles, unpack_rows
from takt.features.validation import ProfileRow
from takt.identity import anonymous_id, is_anonymous

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from takt.clock import Clock
    from takt.domain.consent import ConsentChange, Origin
    from takt.domain.merge import Estate, Merges
    from takt.domain.request import Identity
    from takt.features.spec import FeatureSpec
    from takt.ports import Store

ATTEMPTS: Final = 8
"""How often a step is tried again on what others did meanwhile."""
REDIRECTS: Final = 8
"""How many merges in a row are followed."""
DEEPEST: Final = 16
"""How many merges may wait for each other to be finished."""


class Lead(Struct, frozen=True):
    """Where somebody is to be looked for."""

    profile_id: str
    settled: bool
    """Whether the merges that were under way are finished. If not, nothing may be decided."""


def takes_part(ledger: bytes) -> bool:
    """Whether a ledger that is whole belongs to somebody who is being merged or was."""
    return ledger[STATE_AT] in (LedgerState.PENDING, LedgerState.MOVED)


def has_moved(ledger: bytes) -> bool:
    """Whether a ledger is that of somebody who was merged into another."""
    return is_whole(ledger) and ledger[STATE_AT] == LedgerState.MOVED


class ConsentCodec(Protocol):
    """The encoding of what is logged of consents."""

    def encode_consent(self, change: ConsentChange) -> bytes:
        """The log record of a consent that changed."""
        ...


class Merger:
    """Merges people and leads to them. Safe to use from any thread that may use the store.

    Every call may raise `StoreError`; what was begun is then finished by whoever meets it.
    """

    def __init__(self, store: Store, *, codec: ConsentCodec, clock: Clock, spec: Callable[[], FeatureSpec]) -> None:
        """`spec` gives the feature spec in force; `codec` encodes what is logged of consents."""
        self._codec = codec
        self._store = store
        self._steps = store.merging
        self._clock = clock
        self._spec = spec

    def follow(self, people: Sequence[bytes]) -> list[Lead]:
        """One step on from the persons at n addresses whose ledgers take part in merges; finishes what is unfinished.

        One round trip, and those of the steps that are left to do.
        """
        return [self._followed(card) for card in self._steps.read(people)]

    def lead(self, profile_ids: Sequence[str]) -> list[Lead]:
        """Whom n persons go by now. One round trip if nobody was merged."""
        leads = [Lead(profile_id, settled=True) for profile_id in profile_ids]
        for _ in range(REDIRECTS if leads else 0):
            cards = self._steps.read([person_address(lead.profile_id) for lead in leads])
            merging = [i for i, card in enumerate(cards) if card.leads_to or card.pending]
            if not merging:
                return leads
            for i in merging:
                leads[i] = self._followed(cards[i])
            if not all(lead.settled for lead in leads):
                return leads
            # all of them once more: what was finished for one may have moved another
        return [Lead(lead.profile_id, settled=False) for lead in leads]

    def link(self, profile_id: str, identities: Sequence[Identity]) -> Linked:
        """State that all these names are one person's; merges the profiles that they led to.

        Raises `InvalidRequestError`, `PreconditionError` when others merge the same people, and `RecordError` when a
        ledger cannot be read.
        """
        _check(profile_id, identities)
        tried: list[str] = []
        for _ in range(ATTEMPTS):
            owners = self._store.resolve(identities)
            named = [owner or anonymous_id(i.namespace, i.value) for owner, i in zip(owners, identities, strict=True)]
            leads = self.lead([profile_id, *named] if profile_id else named)
            if not all(lead.settled for lead in leads):
                continue
            winner, *losers = sorted({lead.profile_id for lead in leads}, key=_rank)
            if not losers:
                if self._name(identities, owners, winner):
                    return Linked(winner, self._absorbed(winner, tried))
                continue
            self._check_ledgers([winner, *losers])
            for loser in losers:
                tried.append(loser)
                if not self._merge(winner, loser):
                    break
        raise PreconditionError("others are merging the same people; link them again")

    def rename(self, profile_id: str, identities: Sequence[Identity]) -> bool:
        """Let identities whose people were merged into this profile lead to it; False if any is somebody else's."""
        owners = self._store.resolve(identities)
        named = [owner or anonymous_id(i.namespace, i.value) for owner, i in zip(owners, identities, strict=True)]
        taken = [at for at, name in enumerate(named) if owners[at] or self._is_merged(name)]
        leads = self.lead([named[at] for at in taken])
        if any(lead.profile_id != profile_id for lead in leads):
            return False
        return self._name([identities[at] for at in taken], [owners[at] for at in taken], profile_id)

    def _is_merged(self, profile_id: str) -> bool:
        return bool(self._steps.read([person_address(profile_id)])[0].leads_to)

    def _followed(self, card: Merges) -> Lead:
        if card.leads_to:
            return Lead(card.leads_to, settled=card.closed or self._finish(card.leads_to, card.profile_id))
        return Lead(card.profile_id, settled=all(self._finish(card.profile_id, loser) for loser in card.pending))

    def _merge(self, winner: str, loser: str) -> bool:
        """Whether there is nothing left to do for these two, as far as could be seen."""
        match self._steps.expect(winner, loser):
            case MergeStep.DONE:
                return self._finish(winner, loser)
            case MergeStep.ABSORBED:
                return True
            case _:
                return False

    def _finish(self, winner: str, loser: str, depth: int = 0) -> bool:
        """Take all steps that are left of a merge that was begun; whether that was possible."""
        for _ in range(ATTEMPTS):
            step, estate = self._steps.seal(loser, winner)
            match step:
                case MergeStep.ABSORBED:
                    return True
                case MergeStep.ELSEWHERE:
                    self._steps.forgo(winner, loser)
                    return True
                case MergeStep.BUSY:
                    (card,) = self._steps.read([person_address(loser)])
                    if depth >= DEEPEST or not all(self._finish(loser, one, depth + 1) for one in card.pending):
                        return False
                case _:
                    if estate is None:
                        return False
                    step = self._absorb(winner, loser, estate)
                    if step is MergeStep.DONE:
                        self._steps.close(loser, winner)
                        return True
                    if step is MergeStep.CORRUPT:
                        return False
        return False

    def _absorb(self, winner: str, loser: str, estate: Estate) -> MergeStep:
        if estate.record is None:
            return self._steps.absorb(winner, loser, estate=estate, record=None, expected=None)
        expected = self._store.fetch([winner]).records[0]
        spec, now_us = self._spec(), self._clock.now_us()
        array, status = RecordReader(spec, self._store.layouts()).read([expected, estate.record])
        if expected is not None and status[0] != RowStatus.OK:
            return self._steps.absorb(winner, loser, estate=estate, record=None, expected=None)
        first, second = unpack_rows(spec, array)
        if status[1] != RowStatus.OK:
            second = ProfileRow()  # what cannot be read says nothing: not who may be contacted, either
        row = second if expected is None else joined(first, second)
        before, left = self._origins(self._store.consents([winner])[0]), self._origins(estate.consents)
        consents = {name: name in row.consents for name in spec.person.consents}
        after = joined_origins(before, left, consents)
        changed = changes(
            *(winner, before, after), withdrawn=first.consents - row.consents, now_us=now_us, merged_from=loser
        )
        return self._steps.absorb(
            *(winner, loser),
            estate=estate,
            record=estate.record if expected is None else pack_profiles(spec, [row], now_us)[0],
            expected=expected,
            consents=pack_origins(after) if after or before else None,
            changes=tuple(self._codec.encode_consent(change) for change in changed),
        )

    @staticmethod
    def _origins(data: bytes | None) -> dict[str, Origin]:
        """Origins of consents; what is damaged says nothing, and must not stop a merge."""
        try:
            return parse_origins(data)
        except RecordError:
            return {}

    def _name(self, identities: Sequence[Identity], owners: Sequence[str | None], winner: str) -> bool:
        """Let identities lead to the winner directly; False if one has found another owner meanwhile."""
        return all(
            owner == winner or self._steps.name(identity, winner, former=owner)
            for identity, owner in zip(identities, owners, strict=True)
        )

    def _absorbed(self, winner: str, tried: Sequence[str]) -> tuple[str, ...]:
        if not tried:
            return ()
        (card,) = self._steps.read([person_address(winner)])
        return tuple(one for one in dict.fromkeys(tried) if one in card.absorbed)

    def _check_ledgers(self, people: Sequence[str]) -> None:
        for ledger in self._store.fetch(people).ledgers:
            if len(ledger) < WIDTH or len(ledger) % WIDTH or ledger[STATE_AT - 1] != LAYOUT_VERSION:
                raise RecordError("a contact ledger of these people cannot be read, and must not be lost; restore it")


def joined(winner: ProfileRow, loser: ProfileRow) -> ProfileRow:
    """Two people's rows as one: the winner's word, the loser's where it has none, and no consent of one alone."""
    return ProfileRow(
        features={**loser.features, **winner.features},
        consents=winner.consents & loser.consents,
        time_zone=winner.time_zone or loser.time_zone,
        locale=winner.locale or loser.locale,
        address=loser.address if winner.address == Address.NEUTRAL else winner.address,
    )


def _rank(profile_id: str) -> tuple[bool, str]:
    return is_anonymous(profile_id), profile_id


def _check(profile_id: str, identities: Sequence[Identity]) -> None:
    found: list[Violation] = []
    if is_anonymous(profile_id):
        found.append(Violation("profile_id", "ids of this form belong to people who are not known; name an identity"))
    if len(profile_id) > LONGEST_ID:
        found.append(Violation("profile_id", f"has {len(profile_id)} characters, at most {LONGEST_ID}"))
    if not 1 <= len(identities) <= MOST_IDENTITIES:
        found.append(Violation("identities", f"{len(identities)} given, from 1 to {MOST_IDENTITIES} can be linked"))
    elif len(set(identities)) + bool(profile_id) < 2:
        found.append(Violation("identities", "give a profile_id and an identity, or two identities"))
    if found:
        raise InvalidRequestError(tuple(found))
