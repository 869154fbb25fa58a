"""Totals of an audit: what the partitions have spent, beside what the log says that was granted.

Others go on spending while the log is read. So what was spent is read before the log and after it: what the log tells
lies in between. A cap on decisions has spent a token for every contact that was granted; one on impressions or clicks
at least those that were confirmed in time, and at most all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from takt.clock import MINUTE_US
from takt.domain.audit import Decided, Finding, FindingKind
from takt.domain.ledger import EntryState
from takt.domain.totals import CountedEvent, field_of, window_start
from takt.engine.audit.comparison import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from takt.domain.audit import Deed
    from takt.domain.totals import Book
    from takt.engine.audit.expected import Expected
    from takt.engine.force import Force
    from takt.ports import Store

STILL_US: Final = MINUTE_US
"""For so long after a catalog came into force somebody may have decided by the one before."""


class _Window(Struct):
    """One cap in one window, and what the log tells of it."""

    field: bytes
    cap: int
    """Index among the catalog's total caps."""
    start_us: int
    ends_us: int
    """0 = never."""
    granted: int = 0
    """Contacts that surely took a token."""
    perhaps: int = 0
    """Contacts that were decided by an earlier catalog, under which the cap may have covered them or not."""
    confirmed: int = 0
    """Granted ones that the counted event was reported for in time."""

    def holds(self, counted_us: int) -> bool:
        """Whether a moment lies in it."""
        return self.start_us <= counted_us and (not self.ends_us or counted_us < self.ends_us)


class TotalsAudit:
    """The total caps of the catalog in force, in the windows that are open. Begin it before the log is read."""

    def __init__(self, store: Store, force: Force) -> None:
        """Note what is spent now."""
        self._totals = store.totals
        self._editions = store.editions
        self._force = force
        self._newest = self._newest_edition()
        since_us = _in_force_since(store, force)
        self._since_us = since_us or 0
        self._before = store.totals.read()
        catalog = force.catalog
        self._channels = {channel.id: h for h, channel in enumerate(catalog.channels)}
        self._offers = {offer.id: o for o, offer in enumerate(catalog.offers)}
        self._counts = [CountedEvent(catalog.caps[c].counts) for c in force.total_caps]
        prefixes = {field_of(catalog.caps[c].id, 0)[:4]: k for k, c in enumerate(force.total_caps)}
        pools = {name: pool.ends_us for book in self._before for name, pool in book.pools.items()}
        self._windows = [
            _Window(name, prefixes[name[:4]], window_start(name), ends_us)
            for name, ends_us in sorted(pools.items())
            if name[:4] in prefixes and since_us is not None
        ]

    def count(self, deeds: Iterable[Deed], contacts: Iterable[Expected]) -> None:
        """Take in all that one person did, and the contacts that this leaves."""
        decided: dict[str, bool] = {}
        for deed in deeds:
            if isinstance(deed, Decided) and deed.decision_id not in decided:
                known = decided[deed.decision_id] = deed.position.ms * 1_000 >= self._since_us
                for contact in deed.contacts:
                    for window in self._windows:
                        if not window.holds(contact.counted_us):
                            continue
                        if not known:
                            window.perhaps += 1
                        elif self._covers(window, contact.channel, contact.offer):
                            window.granted += 1
        for one in contacts:
            if one.named is None or one.late is not False or not one.sure or not decided.get(one.decision_id):
                continue
            for window in self._windows:
                confirmed = one.state in _confirming(self._counts[window.cap])
                covered = self._covers(window, one.named.channel, one.named.offer)
                window.confirmed += confirmed and covered and window.holds(one.counted_us)

    def conclude(self, log_since_us: int) -> tuple[int, list[Finding]]:
        """How many windows were compared, and those that have spent what the log does not tell.

        Of a window that began before `log_since_us`, the log does not know all that was granted. Where another catalog
        came up meanwhile, nobody can say which contacts its caps cover, and nothing is compared.
        """
        after = self._totals.read()
        if self._newest_edition() != self._newest:
            return 0, []
        compared, found = 0, []
        for window in self._windows:
            if not any(window.field in book.pools for book in after):
                continue  # it has ended long ago, and went meanwhile; or totals wait after a fail-over
            compared += 1
            least = window.granted if self._counts[window.cap] is CountedEvent.DECISION else window.confirmed
            most = window.granted + window.perhaps
            before, now = _spent(self._before, window.field), _spent(after, window.field)
            if now < least:
                found.append(self._finding(window, now, least))
            elif before > most and window.start_us >= log_since_us:
                found.append(self._finding(window, before, most))
        return compared, found

    def _newest_edition(self) -> int:
        return max((edition.number for edition in self._editions.history()), default=0)

    def _covers(self, window: _Window, channel: str, offer: str) -> bool:
        h, o = self._channels.get(channel), self._offers.get(offer)
        return h is not None and o is not None and bool(self._force.total_cover[window.cap, h, o])

    def _finding(self, window: _Window, counted: int, logged: int) -> Finding:
        cap = self._force.catalog.caps[self._force.total_caps[window.cap]].id
        since = f"since {told(window.start_us)}" if window.start_us else "ever"
        message = f"the total {cap!r} has spent {counted} {since}, and the log tells of {logged}"
        return Finding(FindingKind.TOTAL_MISMATCH, message, cap=cap, counted=counted, logged=logged)


def _confirming(event: CountedEvent) -> tuple[int, ...]:
    """States of a ledger's entry in which a contact's token is spent for good."""
    return (EntryState.SHOWN, EntryState.CLICKED) if event is CountedEvent.IMPRESSION else (EntryState.CLICKED,)


def _spent(books: Sequence[Book], field: bytes) -> int:
    """Over all partitions: tokens move between them, and what is spent stays."""
    return sum(book.pools[field].spent for book in books if field in book.pools)


def _in_force_since(store: Store, force: Force) -> int | None:
    """From when on everybody decided by this catalog; 0: nobody ever decided by another. None: it is not known."""
    if not force.edition:
        return 0
    for edition in store.editions.history():
        if edition.number == force.edition:
            return edition.in_force_us + STILL_US if edition.number > 1 or edition.kept_before_us else 0
    return None
