"""Serialised requests of a batch to the columns that the engine decides on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from takt.domain.request import DecideRequest, Identity
from takt.engine.asking import Asking, merged
from takt.errors import InvalidRequestError, TaktError, Violation
from takt.features.section import Block, FeatureType
from takt.v1 import decision_pb2
from takt.wire.asking import asking_of
from takt.wire.decoding.names import Names, names_of
from takt.wire.decoding.plain import ID_TEXT, NAMESPACE_TEXT, PROFILE_TEXT, TEXTS, Read, read_plain
from takt.wire.request import MOST_CONTEXT, MOST_PLACEMENTS, Budget, decide_request
from takt.wire.values import MOST_IDENTITIES

if TYPE_CHECKING:
    from takt.engine.force import Force

UNREADABLE: Final = Violation("request", "is no takt.v1.DecideRequest: its bytes cannot be read as one")
LOG_MORE: Final = 2
"""Bytes that a request may grow by in the log: the level of explanation is always stated."""


class Ask(NamedTuple):
    """One call as a front end knows it."""

    message: bytes
    """A serialised `takt.v1.DecideRequest`, or whatever the caller sent in its place."""
    received_us: int
    """On the clock's monotonic scale."""
    latest_us: int = 0
    """Past this moment nobody reads the answer; 0 = no such moment."""


class Reading:
    """Reads the messages of batches. `budget_us` is what a request has that names none."""

    def __init__(self, budget_us: int) -> None:
        self._budget_us = budget_us
        self._known: tuple[Force, Names, frozenset[str]] | None = None

    def read(self, force: Force, asks: Sequence[Ask], *, to_keep: bool = True) -> Asking:
        """Messages as columns of a catalog, with an error for each that cannot be decided.

        Where nothing is `to_keep`, what the log and repeats need may be left out.
        """
        names, times = self._names_of(force)
        source = np.frombuffer(b"".join([ask.message for ask in asks]), np.uint8)
        starts = np.fromiter(accumulate([len(ask.message) for ask in asks], initial=0), np.int64, len(asks) + 1)
        read = blank(force, len(asks), len(source))
        received = np.array([ask.received_us for ask in asks], np.int64)
        latest = np.array([ask.latest_us for ask in asks], np.int64)
        plain = read_plain(source, starts, names, received, latest, self._budget_us, read)
        asking = columns(force, read, source, to_keep=to_keep)
        if plain == len(asks):
            return asking
        odd = np.flatnonzero(~read.plain).tolist()
        return merged(asking, odd, self._slow(force, [asks[i] for i in odd], times))

    def _slow(self, force: Force, asks: Sequence[Ask], times: frozenset[str]) -> Asking:
        """The same one message after the other."""
        values = [self._value(ask, times) for ask in asks]
        wrong = {i: value for i, value in enumerate(values) if isinstance(value, TaktError)}
        nothing = DecideRequest("", ())
        asking = asking_of(force, [nothing if isinstance(value, TaktError) else value for value in values])
        asking.errors.update(wrong)
        return asking

    def _value(self, ask: Ask, times: frozenset[str]) -> DecideRequest | TaktError:
        try:
            return decide_request(
                decision_pb2.DecideRequest.FromString(ask.message),
                Budget(ask.received_us, self._budget_us, ask.latest_us),
                times,
            )
        except DecodeError:
            return InvalidRequestError((UNREADABLE,))
        except InvalidRequestError as error:
            return error

    def _names_of(self, force: Force) -> tuple[Names, frozenset[str]]:
        """The names of a catalog, and which features are times; made once."""
        if self._known is None or self._known[0] is not force:
            features = force.catalog.spec.context.features
            times = frozenset(f.name for f in features if f.type is FeatureType.TIMESTAMP)
            self._known = (force, names_of(force), times)
        return self._known[1:]


def blank(force: Force, n: int, size: int) -> Read:
    """Room for n messages of `size` bytes together."""
    features = force.catalog.spec.context.blocks
    return Read(
        plain=np.empty(n, np.bool_),
        texts=np.empty((n, TEXTS, 2), np.int64),
        first_ask=np.empty(n + 1, np.int64),
        placement=np.empty(n * MOST_PLACEMENTS, np.int64),
        slots=np.empty(n * MOST_PLACEMENTS, np.int64),
        timings=np.empty((n, len(force.catalog.timings)), np.bool_),
        numbers=np.empty((n, len(features[Block.NUM])), np.float32),
        categories=np.empty((n, len(features[Block.CAT])), np.uint16),
        dry_run=np.empty(n, np.bool_),
        explain=np.empty(n, np.int64),
        distinct=np.empty(n, np.bool_),
        deadline_us=np.empty(n, np.int64),
        log=np.empty(size + LOG_MORE * n, np.uint8),
        log_spans=np.empty((n, 6), np.int64),
        entries=np.empty((MOST_CONTEXT, 4), np.int64),
    )


def kept(read: Read, data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Each request as the log keeps it, and the digest of what it asks. `data` are the messages."""
    log = read.log.tobytes()
    messages, digests = [], []
    for begin, digest_from, dry, end, first, last in read.log_spans.tolist():
        messages.append(log[begin:end])
        asked = log[digest_from:end] if log[dry : dry + 1] != b"\x38" else log[digest_from:dry] + log[dry + 2 : end]
        digests.append(hashlib.blake2b(data[first:last] + asked, digest_size=16).digest())
    return messages, digests


def identities_of(read: Read, data: bytes) -> dict[int, tuple[Identity, ...]]:
    """The identities of each request that names the person so. `data` are the messages."""
    if not np.count_nonzero(read.texts[:, NAMESPACE_TEXT, 1]):
        return {}
    spans = read.texts[:, NAMESPACE_TEXT:].reshape(len(read.plain), MOST_IDENTITIES, 4)
    given = (spans[:, :, 1] > 0) & read.plain[:, None]
    found: dict[int, tuple[Identity, ...]] = {}
    for i, (a, b, c, d) in zip(np.nonzero(given)[0].tolist(), spans[given].tolist(), strict=True):
        found[i] = (*found.get(i, ()), Identity(str(data[a:b], "ascii"), str(data[c:d], "ascii")))
    return found


def columns(
    force: Force, read: Read, source: np.ndarray[tuple[int], np.dtype[np.uint8]], *, to_keep: bool = True
) -> Asking:
    """What was read as an asking; odd messages ask for nothing."""
    n = len(read.plain)
    asks = int(read.first_ask[n])
    section = force.catalog.spec.context
    contexts = section.default.repeat(n)
    if section.blocks[Block.NUM]:
        contexts[Block.NUM.value] = read.numbers
    if section.blocks[Block.CAT]:
        contexts[Block.CAT.value] = read.categories
    data = source.tobytes()
    messages, digests = kept(read, data) if to_keep else ([b""] * n, [b""] * n)
    return Asking(
        force=force,
        request_ids=[str(data[a:b], "ascii", "replace") for a, b in read.texts[:, ID_TEXT].tolist()],
        profile_ids=[str(data[a:b], "ascii", "replace") for a, b in read.texts[:, PROFILE_TEXT].tolist()],
        identities=identities_of(read, data),
        messages=messages,
        digests=digests,
        deadlines_us=read.deadline_us.tolist(),
        dry_run=read.dry_run,
        explain=read.explain,
        distinct=read.distinct,
        first_ask=read.first_ask,
        placement=read.placement[:asks],
        slots=read.slots[:asks],
        timings=read.timings,
        contexts=contexts,
        errors={},
    )
