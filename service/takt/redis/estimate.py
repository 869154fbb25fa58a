"""What a store will need, computed from what is known of people and traffic: no key is looked at.

The parts follow from `takt.redis.keys` (names), `takt.domain.ledger` (contacts), `functions.lua` (ids, log) and
`takt.redis.sizes` (what the server makes of them).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct

from takt.domain.ledger import WIDTH
from takt.redis import keys
from takt.redis.sizes import Sizes

_ID, _REMEMBERED = 16, 26
"""Bytes of an id's digest, and of what is kept under it."""
_GENERATIONS: Final = 2
"""Of ids that are alive at any moment, on average."""
_IDENTITY_KEY: Final = 16
_NODE, _STREAM = 4096, 256
"""Bytes of a stream's node, and of a stream without any."""
PROFILE_ID_BYTES: Final = 20
RECORD_BYTES: Final = 450
"""Of a decision's log record: its ids, versions, request and exploration; the tests hold it to real ones."""
SHOWN_BYTES: Final = 600
"""Of a log record for an offer shown: its slot, and its part of the answer."""


class Population(Struct, frozen=True):
    """Whom a store is for, and what they do."""

    profiles: int
    record_bytes: int
    """Of a packed profile record."""
    contacts_per_profile: float = 0.0
    """Entries in a ledger, suppressions included."""
    identities_per_profile: float = 0.0
    decisions_per_second: float = 0.0
    retention_s: float = 900.0
    """How long request ids are remembered."""
    log_hours: float = 0.0
    """How much of the log is in the store before it is exported and trimmed."""
    log_record_bytes: int = 0
    partitions: int = keys.DEFAULT_PARTITIONS


class Part(Struct, frozen=True):
    """One kind of thing in the store. Bytes include the share of the table of keys."""

    name: str
    things: int
    bytes: int

    @property
    def each(self) -> float:
        """Bytes of one."""
        return self.bytes / self.things if self.things else 0.0


def estimate(people: Population, sizes: Sizes) -> tuple[Part, ...]:
    """What everything takes once all are there: profiles, contacts, identities, request ids, log."""
    names = _Names(people.partitions)
    contacts = math.ceil(people.profiles * people.contacts_per_profile)
    identities = math.ceil(people.profiles * people.identities_per_profile)
    ledgers = min(people.profiles, contacts)
    held = _spread(people.decisions_per_second * people.retention_s / people.profiles) if people.profiles else {}
    hashes = sum(held.values()) * people.profiles * _GENERATIONS
    stored = people.profiles + ledgers + identities + math.ceil(hashes)
    # the ids' keys lapse: they stand in a second table as well
    share = sizes.table(stored) / stored if stored else 0.0
    lapsing = share + (sizes.table(math.ceil(hashes)) / hashes if hashes else 0.0)

    generation = len(str(int(1.76e9 / people.retention_s))) + 1
    of_ids = sum(
        share_of_people * names.mean(12 + generation, partial(sizes.hash, fields=count, field=_ID, value=_REMEMBERED))
        for count, share_of_people in held.items()
    )
    logged = math.ceil(people.decisions_per_second * 3600 * people.log_hours)
    remembered = people.decisions_per_second * people.retention_s * _GENERATIONS
    per_ledger = WIDTH * (1 + math.ceil(contacts / ledgers)) if ledgers else 0
    value = 1 + PROFILE_ID_BYTES
    return (
        Part(
            "profile",
            people.profiles,
            _bytes(people.profiles, names.mean(12, lambda key: sizes.text(key, people.record_bytes)) + share),
        ),
        Part("contact", contacts, _bytes(ledgers, names.mean(12, lambda key: sizes.text(key, per_ledger)) + share)),
        Part(
            "identity",
            identities,
            _bytes(identities, names.mean(_IDENTITY_KEY, lambda key: sizes.text(key, value)) + share),
        ),
        Part(
            "request id",
            math.ceil(remembered),
            _bytes(people.profiles * _GENERATIONS, of_ids) + _bytes(hashes, lapsing),
        ),
        Part(
            "log record",
            logged,
            _bytes(logged, sizes.logged(people.log_record_bytes)) + (logged and _begun(people, sizes)),
        ),
    )


class _Names(Struct, frozen=True):
    """How long keys are: partitions have numbers of one digit to four."""

    partitions: int

    def mean(self, digest: int, size: Callable[[int], int]) -> float:
        """Mean over the partitions of what `size` gives for a key `takt:{17}:p:` with `digest` bytes behind it."""
        total, first = 0, 0
        for digits in range(1, 5):
            last = min(10**digits, self.partitions)
            if last > first:
                total += (last - first) * size(10 + digits + digest)
            first = max(first, last)
        return total / self.partitions


def _spread(mean: float) -> dict[int, float]:
    """Share of people who have made 1, 2, ... requests in one retention when they make `mean` on average (Poisson)."""
    if mean <= 0:
        return {}
    most = math.ceil(mean + 10 * math.sqrt(mean) + 10)
    return {
        count: share
        for count in range(1, most)
        if (share := math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))) > 1e-12
    }


def _begun(people: Population, sizes: Sizes) -> int:
    """A stream per partition, the last node of which has all its room from the start and is half full."""
    return people.partitions * (sizes.text(12, 0) + sizes.allocated(_NODE) // 2 + _STREAM)


def _bytes(things: float, each: float) -> int:
    return math.ceil(things * each)
