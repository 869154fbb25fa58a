"""Protobuf's wire format, written from the end: each kernel writes before `at` and returns where it began.

`out` is uint8 with enough room; nobody checks here. As in proto3, a field that has its default is left out.
See https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from takt.kernel import kernel

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

VARINT: Final = 0
FIXED64: Final = 1
DELIMITED: Final = 2

LONGEST_VARINT: Final = 10
LONGEST_NUMBER: Final = 2 + LONGEST_VARINT
"""Bytes of a field that is a number, its tag included."""


@kernel
def varint(out: Bytes, at: int, number: int) -> int:
    """A number of 64 bits; a negative one has ten bytes."""
    rest = np.uint64(number)
    size = 1
    while (rest >> np.uint64(7 * size)) != 0 and size < LONGEST_VARINT:
        size += 1
    at -= size
    for i in range(size - 1):
        out[at + i] = np.uint8((rest & np.uint64(0x7F)) | np.uint64(0x80))
        rest >>= np.uint64(7)
    out[at + size - 1] = np.uint8(rest)
    return at


@kernel
def wrap(out: Bytes, at: int, end: int, field: int) -> int:
    """Make what stands in `out[at:end]` the value of a field: a message, a text or bytes."""
    at = varint(out, at, end - at)
    return varint(out, at, field << 3 | DELIMITED)


@kernel
def copy(out: Bytes, at: int, source: Bytes, start: int, length: int) -> int:
    """Bytes as they are."""
    at -= length
    # unsigned: an index that might be negative would be looked at each time
    target, origin = np.uint64(at), np.uint64(start)
    for i in range(np.uint64(length)):
        out[target + i] = source[origin + i]
    return at


@kernel
def text_field(out: Bytes, at: int, field: int, source: Bytes, spans: Ints, k: int) -> int:
    """A text or bytes: the one that starts at `spans[k, 0]` of `source` and has `spans[k, 1]` bytes."""
    if spans[k, 1] == 0:
        return at
    return wrap(out, copy(out, at, source, spans[k, 0], spans[k, 1]), at, field)


@kernel
def number_field(out: Bytes, at: int, field: int, number: int) -> int:
    """An integer, an enum or a bool."""
    if number == 0:
        return at
    return varint(out, varint(out, at, number), field << 3 | VARINT)


@kernel
def double_field(out: Bytes, at: int, field: int, number: float) -> int:
    """A double. The default is 0.0 alone: -0.0 has other bits."""
    bits = np.float64(number).view(np.uint64)
    if bits == 0:
        return at
    at -= 8
    for i in range(8):
        out[at + i] = np.uint8((bits >> np.uint64(8 * i)) & np.uint64(0xFF))
    return varint(out, at, field << 3 | FIXED64)


@kernel
def time_field(out: Bytes, at: int, field: int, moment_us: int) -> int:
    """A `google.protobuf.Timestamp` of microseconds since the epoch, written also where it is the epoch."""
    end = at
    seconds = moment_us // 1_000_000
    at = number_field(out, at, 2, (moment_us - seconds * 1_000_000) * 1_000)
    at = number_field(out, at, 1, seconds)
    return wrap(out, at, end, field)
