"""Columns of a table as values: every cell that does not fit its type is named by its row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from takt.features.section import INT_BOUND, MISSING_TIME
from takt.spelling import did_you_mean, shown
from takt_training.table.mapping import Source

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_TRUE = frozenset(("1", "true", "yes", "y", "t", "1.0"))
_FALSE = frozenset(("0", "false", "no", "n", "f", "0.0", ""))
HEADER_ROWS = 2
"""Row 1 of the file is the header; the first of the data is row 2."""


class Columns:
    """The table as text; readers report into the mapping's problems and go on with what is missing."""

    def __init__(self, table: pd.DataFrame, filename: str, zone: str) -> None:
        """`table` has text columns, empty where there is nothing."""
        self.table = table
        self.filename = filename
        self.zone = zone

    def __len__(self) -> int:
        return len(self.table)

    def texts(self, source: Source) -> pd.Series:
        """Text, stripped; empty and reported where there is no such column."""
        if source.column not in self.table.columns:
            known = [str(name) for name in self.table.columns]
            source.fail(f"is not in {self.filename}; {did_you_mean(source.column, known)}")
            return pd.Series([""] * len(self.table), dtype="str")
        return self.table[source.column].str.strip()

    def numbers(self, source: Source, *, whole: bool = False) -> Floats:
        """float64 [n], NaN where empty."""
        texts = self.texts(source)
        found = pd.to_numeric(texts.where(texts != "", None), errors="coerce")
        numbers = np.array(found.to_numpy(dtype=np.float64, na_value=np.nan))
        bad = (np.isnan(numbers) & (texts != "").to_numpy()) | np.isinf(numbers)
        if whole:
            bad |= ~np.isnan(numbers) & ((numbers != np.round(numbers)) | (np.abs(numbers) > INT_BOUND))
        self._refuse(source, texts, bad, "a whole number" if whole else "a number")
        numbers[bad] = np.nan
        return numbers

    def truths(self, source: Source, *, empty: bool = False) -> Floats:
        """1.0 and 0.0 [n], NaN where empty; 0.0 there if `empty` means no."""
        texts = self.texts(source).str.lower()
        true, false = texts.isin(_TRUE).to_numpy(), texts.isin(_FALSE).to_numpy()
        self._refuse(source, texts, ~(true | false), "true or false (1 or 0, yes or no)")
        missing = (texts == "").to_numpy() & (not empty)
        return np.where(missing, np.nan, true.astype(np.float64))

    def moments(self, source: Source) -> Ints:
        """Microseconds since the epoch, int64 [n]; `MISSING_TIME` where empty. Times without an offset are local."""
        texts = self.texts(source)
        given = (texts != "").to_numpy()
        cells = texts.where(texts != "", None)
        found = pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=_has_offset(texts))
        if found.dt.tz is None:
            found = found.dt.tz_localize(self.zone, ambiguous=False, nonexistent="shift_forward").dt.tz_convert("UTC")
        missing = found.isna().to_numpy()
        self._refuse(source, texts, missing & given, "a moment like 2026-03-01T18:30:00 or 2026-03-01")
        micros = found.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
        return np.where(missing, MISSING_TIME, micros)

    def codes(self, source: Source) -> tuple[Ints, tuple[str, ...]]:
        """Indices int64 [n] in the sorted values, -1 where empty; and the values."""
        texts = self.texts(source)
        values = tuple(sorted(set(texts.unique().tolist()) - {""}))
        index = pd.Index(values, dtype=object)
        return np.asarray(index.get_indexer(texts.astype(object)), np.int64), values

    def names(self, source: Source) -> tuple[Ints, tuple[str, ...]]:
        """As `codes`, for ids of a catalog: with hyphens for what an id cannot hold."""
        codes, values = self.codes(source)
        spelled = [spell(value) for value in values]
        for i, (value, name) in enumerate(zip(values, spelled, strict=True)):
            if not name:
                source.fail(f"{shown(value)} holds no letter or digit to make a name of")
            elif name in spelled[:i]:
                source.fail(
                    f"{shown(values[spelled.index(name)])} and {shown(value)} would both be called {shown(name)}"
                )
        order = np.argsort(np.array(spelled, object), kind="stable") if spelled else np.zeros(0, np.int64)
        place = np.empty(len(order) + 1, np.int64)
        place[order], place[-1] = np.arange(len(order)), -1
        return place[codes], tuple(sorted(spelled))

    def _refuse(self, source: Source, texts: pd.Series, bad: Bools, wanted: str) -> None:
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            more = f" and {int(bad.sum()) - 1:,} more rows" if bad.sum() > 1 else ""
            cell: Any = texts.iloc[at]
            source.fail(f"{self.filename}, row {at + HEADER_ROWS}{more}: {shown(cell)} is not {wanted}")


def spell(text: str) -> str:
    """The text as an id of a catalog; empty if nothing of it can be kept."""
    return re.sub(r"[^A-Za-z0-9_.:/@+-]+", "-", text).strip("-.:/@+")[:128]


def _has_offset(texts: pd.Series) -> bool:
    """Whether times carry an offset from UTC."""
    return bool(texts.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True).any())
