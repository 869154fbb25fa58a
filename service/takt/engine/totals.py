"""Totals in a batch: who may take how many tokens before anything is drawn, and how tokens get to where they lack.

Which request gets a scarce token is decided by a hash of its id, never by a draw: so the propensities stay exact.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.clock import SECOND_US
from takt.domain.ledger import ENTRY
from takt.domain.totals import CountedEvent, debts_of, field_of, home_of, open_transfers
from takt.engine.arrays import Totals
from takt.policy.moments import FOREVER_US
from takt.ports import Allotment, Gift, Hold, Spend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.clock import Clock
    from takt.domain.totals import Book, Pool
    from takt.engine.asking import Asking
    from takt.engine.batch import Layout, Zones
    from takt.engine.compute import Computed
    from takt.engine.force import Force
    from takt.ports import Totals as TotalsStore

DRY_US: Final = SECOND_US
"""For so long nobody is asked again for tokens that there were none of."""


class Window(Struct, frozen=True):
    """One total cap in one window: what its pools are named, and what they must be in line with."""

    field: bytes
    cap: int
    """Index among the catalog's caps."""
    limit: int
    ends_us: int
    """0 = never."""


class Shortage(Struct, frozen=True):
    """A partition whose pool has less than its requests could take."""

    window: Window
    partition: int
    wanted: int


class Tally(Struct, frozen=True):
    """What the requests of a batch were given before the draw. Requests R in the layout's order, windows W."""

    totals: Totals
    windows: tuple[Window, ...]
    given: npt.NDArray[np.int64]
    """int64 [R, W]; of a dry run 0: it takes nothing from anybody."""
    short: tuple[Shortage, ...] = ()


def windows(force: Force, where: Zones) -> tuple[tuple[Window, ...], npt.NDArray[np.int64]]:
    """The windows that the batch's slots fall in, and which it is, int64 [Z, K, T]; -1 for a slot that has passed."""
    tables, caps = where.tables, force.total_caps
    found: dict[bytes, int] = {}
    listed: list[Window] = []
    index = np.full((len(tables.open), len(caps), tables.open.shape[1]), -1, np.int64)
    for z, t in zip(*np.nonzero(tables.open), strict=True):
        for k, c in enumerate(caps):
            start, end = tables.window_us[z, c, t]
            cap = force.catalog.caps[c]
            name = field_of(cap.id, int(start))
            if name not in found:
                found[name] = len(listed)
                listed.append(Window(name, int(c), cap.limit, 0 if end == FOREVER_US else int(end)))
            index[z, k, t] = found[name]
    return tuple(listed), index


def wants(
    force: Force,
    layout: Layout,
    where: Zones,
    timings: npt.NDArray[np.bool_],
    excluded: npt.NDArray[np.uint8],
    index: npt.NDArray[np.int64],
    n_windows: int,
) -> npt.NDArray[np.int64]:
    """int64 [R, W]: the most that each request could take, whatever is drawn. A function of the snapshot."""
    shelf = force.shelf
    request = np.repeat(np.arange(len(layout.items)), np.diff(layout.first_spot))
    channel = shelf.placements["channel"][layout.placement]
    possible = shelf.placement_offers[layout.placement] & (excluded[layout.row] == 0)
    deliverable = shelf.placement_timings[layout.placement] & timings[request]
    wanted = np.zeros((len(layout.items), n_windows), np.int64)
    for k, cover in enumerate(force.total_cover):
        units = np.minimum((possible & cover[channel]).sum(axis=1), layout.slots)
        reach = np.zeros((len(request), n_windows), np.bool_)
        pool = index[where.of_item[request], k]
        for t in range(pool.shape[1]):
            spots = np.flatnonzero(deliverable[:, t] & (pool[:, t] >= 0))
            reach[spots, pool[spots, t]] = True
        np.add.at(wanted, request, units[:, None] * reach)
    return wanted


def lot(request_id: str, window: Window) -> bytes:
    """What decides between requests that want the same token."""
    return hashlib.blake2b(request_id.encode(), key=window.field, digest_size=8, person=b"takt-lot").digest()


def held(pools: Mapping[bytes, Pool], window: Window) -> int:
    """Tokens left in a partition; none where the pool is missing or not in line with the limit."""
    pool = pools.get(window.field)
    return pool.left if pool is not None and pool.limit == window.limit else 0


def tally(
    asking: Asking,
    layout: Layout,
    where: Zones,
    timings: npt.NDArray[np.bool_],
    excluded: npt.NDArray[np.uint8],
) -> Tally:
    """Assign tokens to requests: all that each could take, or where there are too few, by lot."""
    force = asking.force
    n_requests = len(layout.items)
    if not len(force.total_caps):
        none = np.zeros((len(where.tables.open), 0, timings.shape[1]), np.int64)
        left = np.zeros((n_requests, 0), np.int64)
        return Tally(Totals(force.total_caps, force.total_cover, none, left), (), left)
    listed, index = windows(force, where)
    wanted = wants(force, layout, where, timings, excluded, index, len(listed))
    dry = asking.dry_run[layout.index]
    partition = np.array([item.partition for item in layout.items], np.int64)
    pools: dict[int, tuple[int, Mapping[bytes, Pool]]] = {}
    for item in layout.items:
        if item.now_us >= pools.get(item.partition, (0, {}))[0]:
            pools[item.partition] = (item.now_us, item.pools)
    given = np.where(dry[:, None], 0, wanted)
    left = wanted.copy()
    short = []
    for p, (_, read) in pools.items():
        members = np.flatnonzero(partition == p)
        for w, window in enumerate(listed):
            has = held(read, window)
            asked_for = int(given[members, w].sum())
            if asked_for > has:
                short.append(Shortage(window, p, asked_for))
                rest = has
                for i in sorted(members, key=lambda i: lot(layout.items[i].request_id, window)):
                    given[i, w] = min(int(given[i, w]), rest)
                    rest -= int(given[i, w])
            left[members, w] = np.where(dry[members], np.minimum(wanted[members, w], has), given[members, w])
    # a window that a request's placements cannot reach concerns it as advice at most
    left[wanted == 0] = 1
    return Tally(Totals(force.total_caps, force.total_cover, index, left), listed, given, tuple(short))


def spends(computed: Computed, g: int, members: Sequence[tuple[int, bytes]]) -> tuple[Spend, ...]:
    """What group `g` takes from each pool; `members` are those to be committed, by their place, with their contacts.

    Whatever was drawn, as many tokens must be left as were assigned: silence loses the same races as a contact.
    """
    tally, layout, picked, force = computed.tally, computed.layout, computed.picked, computed.asking.force
    span = slice(layout.group_first[g], layout.group_first[g + 1])
    if not tally.windows or not picked.live[span].any():
        return ()
    need = tally.given[span].sum(axis=0)
    units: dict[int, int] = defaultdict(int)
    holds: dict[int, list[Hold]] = defaultdict(list)
    for i, contacts in members:
        entries = iter(np.frombuffer(contacts, ENTRY))
        z = computed.asked.requests[i]["zone"]
        for s in range(layout.first_spot[i], layout.first_spot[i + 1]):
            h = force.shelf.placements["channel"][layout.placement[s]]
            for pick in picked.picks[s][picked.picks[s]["offer"] >= 0]:
                entry = next(entries)
                for k in np.flatnonzero(tally.totals.cover[:, h, pick["offer"]]):
                    w = int(tally.totals.pool[z, k, pick["timing"]])
                    units[w] += 1
                    expires_us = int(entry["time_us"]) + int(entry["expiry_s"]) * SECOND_US
                    holds[w].append(
                        Hold(expires_us, int(entry["decision"]), int(entry["offer"]), int(entry["placement"]))
                    )
    found = []
    for w in map(int, np.flatnonzero(need)):
        window = tally.windows[w]
        counts = CountedEvent(force.catalog.caps[window.cap].counts)
        kept = () if counts is CountedEvent.DECISION else tuple(holds[w])
        found.append(Spend(window.field, window.limit, int(need[w]), units[w], counts, kept))
    return tuple(found)


def plan(short: Sequence[Shortage], books: Sequence[Book]) -> tuple[list[Gift], set[bytes]]:
    """Who gives what to whom, the fullest first; and the windows of which there is too little anywhere.

    A giver gives at least its share for all partitions, so that a full one is not asked for every single token.
    """
    left = {(p, s.window.field): held(books[p].pools, s.window) for s in short for p in range(len(books))}
    gifts, dry = [], set()
    for s in short:
        name = s.window.field
        lack = s.wanted - left[s.partition, name]
        givers = sorted((p for p in range(len(books)) if p != s.partition), key=lambda p: -left[p, name])
        for p in givers:
            has = left[p, name]
            if lack <= 0 or has <= 0:
                break
            units = min(has, max(lack, has // (2 * len(books))))
            gifts.append(Gift(name, p, s.partition, units, s.window.limit, s.window.ends_us))
            left[p, name] -= units
            left[s.partition, name] += units
            lack -= units
        if lack > 0:
            dry.add(name)
    return gifts, dry


class Escrow:
    """Moves tokens to where they are asked for. Used by one thread."""

    def __init__(self, totals: TotalsStore, clock: Clock) -> None:
        self._totals = totals
        self._clock = clock
        self._dry: dict[bytes, int] = {}

    def pull(self, short: Sequence[Shortage]) -> list[Book] | None:
        """Fetch tokens for partitions that are short of them; what there is after that, None if nothing was done.

        Opens windows that are new, and brings pools in line with a limit that has changed. Where there was too little
        anywhere, nobody is asked again for a second.
        """
        now_us = self._clock.monotonic_us()
        short = [s for s in short if self._dry.get(s.window.field, 0) <= now_us]
        if not short:
            return None
        self._dry = {name: until_us for name, until_us in self._dry.items() if until_us > now_us}
        books = self._totals.read()
        changed = self._out_of_line(short, books)
        if changed:
            sent = self._totals.allot(changed)
            if sent:
                self._totals.receive(sent)
            books = self._totals.read()
        gifts, dry = plan(short, books)
        self._dry.update(dict.fromkeys(dry, now_us + DRY_US))
        if gifts:
            self._totals.receive(self._totals.give(gifts))
            books = self._totals.read()
        return books

    def _out_of_line(self, short: Sequence[Shortage], books: Sequence[Book]) -> list[Allotment]:
        """Homes that have not opened a window yet, and pools of another limit."""
        found = []
        for window in {s.window for s in short}:
            home = home_of(window.field, len(books))
            for p, book in enumerate(books):
                pool = book.pools.get(window.field)
                if (pool is None and p == home) or (pool is not None and pool.limit != window.limit):
                    found.append(Allotment(p, window.field, window.limit, window.ends_us))
        return found


class Kept(Struct, frozen=True):
    """What one round of upkeep did and saw."""

    recovered: int
    """Tokens that were on their way and had not arrived: somebody stopped in between, or is at it right now."""
    returned: int
    """Tokens that went back because their hold expired."""
    spent: Mapping[str, int]
    """By cap, in its window now."""


def keep_up(force: Force, store: TotalsStore, now_us: int) -> Kept:
    """Take in what was given and never arrived, settle debts, give back what holds have expired, see how much is spent.

    Any replica does so, each second: it is the same whoever does it, and how often.
    """
    books = store.read()
    transfers = open_transfers(books)
    recovered = store.receive(transfers) if transfers else 0
    debts = [Gift(*debt) for debt in debts_of(books)] if not transfers else []
    if debts:
        store.receive(store.give(debts))
    spent: dict[str, int] = {}
    for c in force.total_caps:
        cap = force.catalog.caps[c].id
        prefix = field_of(cap, 0)[:4]
        found = [(name, pool) for book in books for name, pool in book.pools.items() if name[:4] == prefix]
        now = min((p.ends_us for _, p in found if p.ends_us > now_us), default=0)
        spent[cap] = sum(pool.spent for _, pool in found if pool.ends_us == now)
    return Kept(recovered, store.sweep(), spent)
