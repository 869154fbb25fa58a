"""Names met in many files, each given one code."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from takt_training.logged.dataset import NONE, Coded


class Vocabulary:
    """Codes in the order in which names were first met."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names so far."""
        return tuple(self._codes)

    def encode(self, column: Any) -> npt.NDArray[np.int32]:
        """Codes int32 `[n]` of a column of texts, `NONE` where it is null."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        found = column.dictionary_encode()
        codes = [self._codes.setdefault(name, len(self._codes)) for name in found.dictionary.to_pylist()]
        of_all: npt.NDArray[np.int32] = np.array([*codes, NONE], np.int32)
        return np.take(of_all, np.asarray(found.indices.fill_null(len(codes))))

    def coded(self, parts: list[npt.NDArray[np.int32]]) -> Coded:
        """Some encoded columns, one after the other."""
        return Coded(np.concatenate(parts) if parts else np.empty(0, np.int32), self.names)
