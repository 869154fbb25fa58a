"""What the engine needs of the encoding of requests, answers and records. An adapter knows the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.domain.consent import ConsentChange
    from takt.domain.decision import Decision, Versions
    from takt.domain.request import DecideRequest
    from takt.engine.asking import Asking
    from takt.engine.compute import Computed
    from takt.engine.force import Force
    from takt.engine.ledgers import Made


class Letters(Struct, frozen=True):
    """Answers and log records of a computed batch. Items n in the layout's order, spots S."""

    data: memoryview
    """All of them in one buffer."""
    spans: npt.NDArray[np.int64]
    """int64 [n, 3]: where each record starts, where the answer in it starts, and where both end."""
    status: npt.NDArray[np.int64]
    """int64 [S]: `takt.v1.PlacementStatus`."""

    def all(self) -> tuple[list[bytes], list[memoryview]]:
        """The answers, and the records that hold them."""
        data = self.data
        answers, records = [], []
        for start, answer, end in self.spans.tolist():
            answers.append(bytes(data[answer:end]))
            records.append(data[start:end])
        return answers, records


class Codec(Protocol):
    """Requests in, answers and records out."""

    def read(self, force: Force, requests: Sequence[DecideRequest]) -> Asking:
        """Requests as columns, with an error for each that the catalog does not allow."""
        ...

    def reread(self, force: Force, asking: Asking, indices: Sequence[int]) -> Asking:
        """Some requests of an asking as columns of another catalog."""
        ...

    def write(self, computed: Computed, made: Made, versions: Versions) -> Letters:
        """Answers and records, with the contacts that were made."""
        ...

    def answer_in(self, record: bytes) -> bytes:
        """The answer in a record, as it was given. Raises `RecordError` if it is damaged."""
        ...

    def encode(self, decision: Decision) -> bytes:
        """An answer that was not computed in a batch: a fallback."""
        ...

    def encode_alike(self, decision: Decision, names: Sequence[tuple[str, str, str]]) -> list[bytes]:
        """An answer without names under many: id of the decision, of the request, and of the profile."""
        ...

    def encode_consent(self, change: ConsentChange) -> bytes:
        """The log record of a consent that changed."""
        ...

    def decode(self, answer: bytes) -> Decision:
        """An answer of this service as a value."""
        ...
