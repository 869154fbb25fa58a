"""Tables of serialised requests on disk: what the load generator sends, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct

from bench.frames import STAMP_DIGITS, Bytes, Ints

STAMP: Final = b"0" * STAMP_DIGITS
"""Stands in a request where the number of its call is written."""


class Messages(Struct, frozen=True):
    """Serialised requests, end to end."""

    bodies: Bytes
    offsets: Ints
    """int64 [n + 1]."""
    stamp_at: int
    """Where in every request the number of its call goes, in 12 digits; -1: nowhere."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, requests: Sequence[bytes]) -> Messages:
        """Join requests. Their ids are found by `STAMP`, at the same place in all or in none."""
        places = {request.find(STAMP) for request in requests}
        if len(places) != 1:
            raise ValueError(f"requests have their stamps at different places: {sorted(places)}")
        offsets = np.concatenate(([0], np.cumsum([len(request) for request in requests]))).astype(np.int64)
        return cls(np.frombuffer(b"".join(requests), np.uint8), offsets, places.pop())

    def write(self, path: Path) -> Path:
        """Keep them in a file; its name."""
        with path.open("wb") as file:
            np.savez(file, bodies=self.bodies, offsets=self.offsets, stamp_at=np.int64(self.stamp_at))
        return path

    @classmethod
    def read(cls, path: Path) -> Messages:
        """What `write` kept."""
        with np.load(path) as kept:
            return cls(kept["bodies"], kept["offsets"], int(kept["stamp_at"]))
