"""Whom decisions are for: the households of The Complete Journey and resampled ones, with their contacts.

They are laid into the store in bulk, by the store's own keys and layouts: over the service's calls, a million would
take an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from bench.workspace import DERIVED, PLACEMENTS
from takt.catalog.snapshot import Catalog
from takt.clock import DAY_US, HOUR_US, SystemClock
from takt.domain.ledger import ENTRY, LAYOUT_VERSION, EntryState, code16, empty_header
from takt.features.record import pack_profiles
from takt.features.section import Section
from takt.features.spec import FeatureSpec
from takt.features.validation import ProfileRow
from takt.redis import keys
from takt.redis.store import RedisStore
from takt_training.complete_journey.profiles import Household, households
from takt_training.complete_journey.tables import load_tables
from takt_training.demo.people import AS_OF

AT_ONCE: Final = 2_000
"""Keys in one command."""
BUSY_SHARE: Final = 0.08
"""Share of people whose contacts all lie in the last days, so that caps bind for them."""
CONTACTS: Final = 20
OLD_DAYS: Final = (31, 34)
"""Contacts beyond the usual 20 are older than any cap looks: they cost their reading, and change no decision."""


def records(spec: FeatureSpec) -> list[bytes]:
    """The records of all 2,469 households, with the features that the bench adds."""
    without = Section("profile", tuple(f for f in spec.profile.features if f.name not in DERIVED))
    found = households(load_tables(), without, AS_OF)
    return pack_profiles(spec, [_with_trends(household) for household in found], SystemClock().now_us())


def _with_trends(household: Household) -> ProfileRow:
    """A household's row with the derived features."""
    features = dict(household.row.features)
    for name, (recent, longer) in zip(
        DERIVED, (("spend_28d", "spend_84d"), ("baskets_28d", "baskets_84d")), strict=True
    ):
        if features.get(longer):
            features[name] = 3.0 * float(features[recent]) / float(features[longer])  # type: ignore[arg-type]
    return ProfileRow(
        features, household.row.consents, household.row.time_zone, household.row.locale, household.row.address
    )


def ids(count: int) -> list[str]:
    """Profile ids: `hh-0000000` and so on."""
    return [f"hh-{n:07}" for n in range(count)]


def lay_profiles(store: RedisStore, names: Sequence[str], known: Sequence[bytes]) -> None:
    """Write a record for each name: those that are known, over and over."""
    pairs = ((store.keys_of(name).profile, known[n % len(known)]) for n, name in enumerate(names))
    _set(store, pairs)


def lay_ledgers(store: RedisStore, names: Sequence[str], ledgers: Sequence[bytes]) -> None:
    """Write a ledger for each name, in place of what was there: whatever runs made is forgotten."""
    _set(store, ((store.keys_of(name).ledger, ledger) for name, ledger in zip(names, ledgers, strict=True)))


def forget_ledgers(store: RedisStore, names: Sequence[str]) -> None:
    """Take the ledgers away."""
    rest = iter(store.keys_of(name).ledger for name in names)
    while part := list(islice(rest, AT_ONCE)):
        store.wire.call("bench", [("UNLINK", *part)])


def clear_log(store: RedisStore) -> None:
    """Drop the decision log, as `takt log export` does with what it has kept elsewhere."""
    store.wire.call("bench", [("XTRIM", keys.log(p), "MAXLEN", "0") for p in range(store.marker.partitions)])


def _set(store: RedisStore, pairs: Iterator[tuple[bytes, bytes]]) -> None:
    while part := list(islice(pairs, AT_ONCE)):
        store.wire.call("bench", [("MSET", *(word for pair in part for word in pair))])


class Past(Struct, frozen=True):
    """Makes ledgers of contacts that people had before the run."""

    catalog: Catalog
    draw: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def ledgers(self, count: int, contacts: int = CONTACTS) -> list[bytes]:
        """Ledgers of `contacts` shown contacts each, in the order of their times, ending an hour ago."""
        now_us = SystemClock().now_us()
        usual, old = min(contacts, CONTACTS), max(0, contacts - CONTACTS)
        entries = np.zeros((count, old + usual), ENTRY)
        if not contacts:
            return [empty_header().tobytes()] * count
        busy = self.draw.random(count) < BUSY_SHARE
        reach_us = np.where(busy, 4 * DAY_US, 27 * DAY_US)[:, None]
        ago_us = HOUR_US + self.draw.random((count, usual)) * reach_us
        old_us = self.draw.uniform(OLD_DAYS[0] * DAY_US, OLD_DAYS[1] * DAY_US, (count, old))
        entries["time_us"] = now_us - np.sort(np.concatenate((old_us, ago_us), axis=1), axis=1)[:, ::-1].astype(int)
        entries["decision"] = self.draw.integers(1, 2**63, entries.shape)
        offers = self.draw.integers(0, len(self.catalog.offers), entries.shape)
        entries["offer"] = np.array([offer.code for offer in self.catalog.offers], np.uint32)[offers]
        of_offer = np.array([offer.group for offer in self.catalog.offers])
        groups = np.where(of_offer < 0, 0, self.catalog.group_codes[of_offer])
        entries["group"] = groups[offers]
        entries["channel"] = code16("web")
        codes = np.array([code16(name) for name in PLACEMENTS], np.uint16)
        entries["placement"] = codes[self.draw.integers(0, len(codes), entries.shape)]
        entries["state"] = EntryState.SHOWN
        header = empty_header()
        header["gate"] = now_us
        header["appends"] = contacts
        header["layout"] = LAYOUT_VERSION
        head = header.tobytes()
        return [head + row.tobytes() for row in entries]


def sample(names: Sequence[str], count: int, seed: int = 3) -> list[str]:
    """So many of the names, each once, in no order."""
    draw = np.random.default_rng(seed)
    chosen: npt.NDArray[np.int64] = draw.permutation(len(names))[:count]
    return [names[n] for n in chosen.tolist()]
