"""The names of a catalog as bytes, made once, for kernels that write them into answers and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.catalog.snapshot import Counts
from takt.domain.decision import Degradation
from takt.domain.reasons import Cause
from takt.v1 import decision_pb2
from takt.wire.answer import COUNTED_EVENT, FORM_OF_ADDRESS, degradation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from takt.catalog.snapshot import Catalog

CORRUPT = Degradation(Cause.PROFILE, "the profile record could not be read; treated as unknown")
"""What an answer says whose profile record was treated as unknown."""


class Texts(NamedTuple):
    """Every name that an answer may need, as spans of one buffer. Of each kind, the first's place among the spans."""

    buffer: npt.NDArray[np.uint8]
    spans: npt.NDArray[np.int64]
    """int64 [n, 2]: where each text starts, and its length."""
    offer: int
    channel: int
    placement: int
    fallback: int
    """By placement."""
    timing: int
    tonality: int
    stage: int
    rule: int
    cap: int
    treatment: int
    """By treatment: a whole `takt.v1.Treatment`."""
    treatment_id: int
    corrupt: int
    """One: a `takt.v1.Degradation`, of a profile record that cannot be read."""
    names: int
    """How many rules and caps there are."""
    form_of_address: npt.NDArray[np.int64]
    """By treatment: `takt.v1.FormOfAddress`."""
    counted_event: npt.NDArray[np.int64]
    """By placement: `takt.v1.CountedEvent`."""
    held: npt.NDArray[np.bool_]
    """By placement: a contact is held until it is confirmed."""
    longest: int
    """Bytes of the longest text."""


class _Buffer:
    """Texts as they are added."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, texts: Iterable[str | bytes]) -> int:
        """The place of the first of more texts."""
        first = len(self._parts)
        self._parts += [text.encode() if isinstance(text, str) else text for text in texts]
        return first

    @property
    def longest(self) -> int:
        """Bytes of the longest text."""
        return max(map(len, self._parts))

    def joined(self) -> npt.NDArray[np.uint8]:
        """All of them, writeable as kernels know arrays."""
        return np.frombuffer(b"".join(self._parts), np.uint8).copy()

    def spans(self) -> npt.NDArray[np.int64]:
        """int64 [n, 2]: start and length of each."""
        lengths = np.array([len(part) for part in self._parts], np.int64)
        return np.stack((np.cumsum(lengths) - lengths, lengths), axis=1)


def texts_of(catalog: Catalog) -> Texts:
    """The names of a catalog."""
    buffer = _Buffer()
    treatments = [decision_pb2.Treatment(id=t.id, content=t.content, locale=t.locale) for t in catalog.treatments]
    places = {
        "offer": buffer.add(offer.id for offer in catalog.offers),
        "channel": buffer.add(channel.id for channel in catalog.channels),
        "placement": buffer.add(placement.id for placement in catalog.placements),
        "fallback": buffer.add(placement.fallback for placement in catalog.placements),
        "timing": buffer.add(timing.id for timing in catalog.timings),
        "tonality": buffer.add(catalog.tonalities),
        "stage": buffer.add(stage.id for stage in catalog.stages),
        "rule": buffer.add(rule.id for rule in catalog.rules),
        "cap": buffer.add(cap.id for cap in catalog.caps),
        "treatment": buffer.add(message.SerializeToString() for message in treatments),
        "treatment_id": buffer.add(treatment.id for treatment in catalog.treatments),
        "corrupt": buffer.add([degradation(CORRUPT).SerializeToString()]),
    }
    return Texts(
        buffer=buffer.joined(),
        spans=buffer.spans(),
        **places,
        names=len(catalog.rules) + len(catalog.caps),
        form_of_address=np.array([FORM_OF_ADDRESS[t.address.name] for t in catalog.treatments], np.int64),
        counted_event=np.array([COUNTED_EVENT[p.counted_event.name] for p in catalog.placements], np.int64),
        held=np.array([p.counted_event != Counts.DECISION for p in catalog.placements], np.bool_),
        longest=buffer.longest,
    )
