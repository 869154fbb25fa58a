"""Every key of the store, and the digests in them. No other module builds a key.

    takt:{17}:m                 marker of partition 17
    takt:{17}:p:<person>        profile record
    takt:{17}:l:<person>        contact ledger
    takt:{17}:r:<person>:<n>    request and event ids of generation n
    takt:{17}:n:<person>        consents with when and where they were given; not read by decisions
    takt:{17}:x:<person>        merges; only of people who were merged or took others in
    takt:{17}:i:<identity>      who an identity is
    takt:{17}:log               decisions and feedback
    takt:{17}:t                 pools of total caps
    takt:{17}:g                 tokens that ever went to other partitions
    takt:{17}:v                 tokens that ever came from other partitions
    takt:{17}:h                 tokens that are held until a contact is confirmed
    takt:{17}:e                 tokens that went back, for late confirmations
    takt:{0}:layouts            registered record layouts
    takt:{0}:legends            what the packed parts of log records mean, by catalog
    takt:{0}:editions           catalogs that were put in force
    takt:{0}:edition:<n>        the files of one
    takt:{0}:replicas           who serves, and which edition each has loaded

`<person>` is 12 bytes of BLAKE2b of the profile id and `<identity>` 16 of namespace and value, raw: no key can be read
back to a name. The hash tag keeps all that one commit touches in one slot of a cluster. A person's partition follows
from the profile id and the number of partitions, which is chosen once. An identity lives in the partition of its
anonymous profile, so that claiming it and closing that profile's ledger are one step.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

from takt.domain.decision import person_address
from takt.identity import anonymous_digest, anonymous_id

DEFAULT_PARTITIONS: Final = 64
MAX_PARTITIONS: Final = 4096
LAYOUTS: Final = b"takt:{0}:layouts"
LEGENDS: Final = b"takt:{0}:legends"
EDITIONS: Final = b"takt:{0}:editions"
REPLICAS: Final = b"takt:{0}:replicas"
_REQUEST: Final = hashlib.blake2b(digest_size=16, person=b"takt-request")
"""Copied for each id: to begin one anew takes twice as long."""


class PersonKeys(NamedTuple):
    """All keys of one person, and those of the partition they live in."""

    partition: int
    marker: bytes
    log: bytes
    profile: bytes
    ledger: bytes
    ids: bytes
    """Without the generation, which follows from the store's time."""
    merges: bytes
    pools: bytes
    holds: bytes
    returned: bytes
    consents: bytes


class TotalsKeys(NamedTuple):
    """The keys of one partition's totals."""

    marker: bytes
    pools: bytes
    given: bytes
    received: bytes
    holds: bytes
    returned: bytes


class IdentityKeys(NamedTuple):
    """The key of an identity, and the ledger and merges that it had while it was anonymous."""

    partition: int
    marker: bytes
    identity: bytes
    anonymous: str
    anonymous_ledger: bytes
    anonymous_merges: bytes


def marker(partition: int) -> bytes:
    """Key of a partition's marker. That of partition 0 is found without knowing how many there are."""
    return b"takt:{%d}:m" % partition


def log(partition: int) -> bytes:
    """Key of a partition's log stream."""
    return b"takt:{%d}:log" % partition


def edition(number: int) -> bytes:
    """Key of the files of an edition."""
    return b"takt:{0}:edition:%d" % number


def partition_of(profile_id: str, partitions: int) -> int:
    """Partition of a person, 0 to `partitions - 1`."""
    return person(profile_id, partitions).partition


@lru_cache(maxsize=2048)  # who is fetched is committed
def person(profile_id: str, partitions: int) -> PersonKeys:
    """Keys of a person."""
    return person_at(person_address(profile_id), partitions)


def person_at(address: bytes, partitions: int) -> PersonKeys:
    """Keys of the person at an address (`takt.domain.decision.person_address`)."""
    partition = int.from_bytes(address[:4], "little") % partitions
    prefix = b"takt:{%d}:" % partition
    digest = address[4:]
    return PersonKeys(
        partition,
        prefix + b"m",
        prefix + b"log",
        prefix + b"p:" + digest,
        prefix + b"l:" + digest,
        prefix + b"r:" + digest,
        prefix + b"x:" + digest,
        prefix + b"t",
        prefix + b"h",
        prefix + b"e",
        prefix + b"n:" + digest,
    )


def totals(partition: int) -> TotalsKeys:
    """Keys of a partition's totals."""
    return TotalsKeys(
        marker(partition), *(b"takt:{%d}:%b" % (partition, name) for name in (b"t", b"g", b"v", b"h", b"e"))
    )


def identity(namespace: str, value: str, partitions: int) -> IdentityKeys:
    """Keys of an identity."""
    anonymous = anonymous_id(namespace, value)
    keys = person(anonymous, partitions)
    prefix = b"takt:{%d}:i:" % keys.partition
    named = prefix + anonymous_digest(anonymous)
    return IdentityKeys(keys.partition, keys.marker, named, anonymous, keys.ledger, keys.merges)


def request_digest(request_id: str) -> bytes:
    """16 bytes that stand for a request id."""
    digest = _REQUEST.copy()
    digest.update(request_id.encode())
    return digest.digest()


def event_digest(event_id: str) -> bytes:
    """16 bytes that stand for a feedback event's id. An event and a request of the same id do not meet."""
    return hashlib.blake2b(event_id.encode(), digest_size=16, person=b"takt-event").digest()
