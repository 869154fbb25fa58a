"""The names that a request may use, as a table that kernels look up bytes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.features.blocks import blocks_of
from takt.features.section import FeatureType, Source
from takt.kernel import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from takt.engine.force import Force

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

PLACEMENT: Final = 0
TIMING: Final = 1
FEATURE: Final = 2
VALUES: Final = 3
"""The vocabulary of feature f has kind VALUES + f."""

FEATURE_ROW: Final = np.dtype(
    [
        ("kind", "<i8"),  # of values: NUMBER, WHOLE, TRUTH, NAME or ELSE
        ("column", "<i8"),  # within its block
        ("low", "<f8"),
        ("high", "<f8"),
    ]
)
ELSE: Final = 0
"""Not read here: lists, times, and what the service fills."""
NUMBER: Final = 1
WHOLE: Final = 2
TRUTH: Final = 3
NAME: Final = 4
KINDS: Final = {
    FeatureType.FLOAT: NUMBER,
    FeatureType.INT: WHOLE,
    FeatureType.BOOL: TRUTH,
    FeatureType.CATEGORY: NAME,
}


class Names(NamedTuple):
    """Names n, sorted by their hash."""

    hashes: npt.NDArray[np.uint64]
    """uint64 [n], ascending."""
    kinds: Ints
    indices: Ints
    """What each name stands for: an index, or a stored code."""
    spans: Ints
    """int64 [n, 2]: start and length in `text`."""
    text: Bytes
    features: npt.NDArray[np.void]
    """`FEATURE_ROW` of each context feature."""
    most_offers: Ints
    """int64 [P]: the most offers of each placement."""
    numbers: npt.NDArray[np.float32]
    """float32 [F]: the context's numbers where nothing is said."""
    categories: npt.NDArray[np.uint16]
    """uint16 [F]: likewise its categories."""


@kernel
def hash_of(kind: int, source: Bytes, start: int, length: int) -> np.uint64:
    """FNV-1a, 64 bits, over the kind and the name."""
    found = (np.uint64(14695981039346656037) ^ np.uint64(kind)) * np.uint64(1099511628211)
    for i in range(start, start + length):
        found = (found ^ np.uint64(source[i])) * np.uint64(1099511628211)
    return found


@kernel
def look_up(names: Names, kind: int, source: Bytes, start: int, length: int) -> int:
    """What a name of a kind stands for, -1 if it is not known."""
    wanted = hash_of(kind, source, start, length)
    low, high = 0, names.hashes.shape[0]
    while low < high:
        middle = (low + high) // 2
        if names.hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    while low < names.hashes.shape[0] and names.hashes[low] == wanted:
        if names.kinds[low] == kind and names.spans[low, 1] == length:
            same = True
            for i in range(length):
                if names.text[names.spans[low, 0] + i] != source[start + i]:
                    same = False
                    break
            if same:
                return int(names.indices[low])
        low += 1
    return -1


def names_of(force: Force) -> Names:
    """The names of a catalog in force."""
    catalog = force.catalog
    section = catalog.spec.context
    places, usual = list(section.places.values()), blocks_of(section.default)
    listed: list[tuple[int, int, bytes]] = []

    def add(kind: int, named: Iterable[tuple[str, int]]) -> None:
        listed.extend((kind, index, name.encode()) for name, index in named)

    add(PLACEMENT, force.placement_index.items())
    add(TIMING, force.timing_index.items())
    add(FEATURE, ((place.feature.name, f) for f, place in enumerate(places)))
    for f, place in enumerate(places):
        if place.feature.type is FeatureType.CATEGORY:
            add(VALUES + f, place.codes.items())
    text = np.frombuffer(b"".join(name for _, _, name in listed), np.uint8).copy()
    lengths = np.array([len(name) for _, _, name in listed], np.int64)
    starts = np.cumsum(lengths) - lengths
    hashes = np.array(
        [hash_of(kind, text, int(at), int(n)) for (kind, _, _), at, n in zip(listed, starts, lengths, strict=True)],
        np.uint64,
    )
    order = np.argsort(hashes, kind="stable")
    return Names(
        hashes=hashes[order],
        kinds=np.array([kind for kind, _, _ in listed], np.int64)[order],
        indices=np.array([index for _, index, _ in listed], np.int64)[order],
        spans=np.stack((starts, lengths), axis=1)[order],
        text=text,
        features=np.array(
            [
                (
                    ELSE if p.feature.source is Source.SERVICE else KINDS.get(p.feature.type, ELSE),
                    p.column,
                    p.low,
                    p.high,
                )
                for p in places
            ],
            FEATURE_ROW,
        ),
        most_offers=np.array([p.max_offers for p in catalog.placements], np.int64),
        numbers=usual.num.reshape(-1),
        categories=usual.cat.reshape(-1),
    )
