"""Protobuf's wire format, read forward: each kernel gives what it read and where the next begins, -1 for what is odd.

Odd is whatever generated code does not write: numbers longer than they need be, truncated fields, other wire types.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from takt.kernel import kernel

Bytes = npt.NDArray[np.uint8]

LONGEST_VARINT: Final = 10


@kernel
def varint(source: Bytes, at: int, end: int) -> tuple[int, int]:
    """A number of 64 bits, and where the next field begins."""
    number = np.uint64(0)
    for k in range(LONGEST_VARINT):
        if at + k >= end:
            return 0, -1
        byte = np.uint64(source[at + k])
        if k == LONGEST_VARINT - 1 and byte > 1:
            return 0, -1
        number |= (byte & np.uint64(0x7F)) << np.uint64(7 * k)
        if byte < 0x80:
            return int(np.int64(number)), at + k + 1 if byte > 0 or k == 0 else -1
    return 0, -1


@kernel
def delimited(source: Bytes, at: int, end: int) -> tuple[int, int]:
    """Where a text or message begins and where it ends; the end is -1 if it is not whole."""
    length, start = varint(source, at, end)
    if start < 0 or length < 0 or length > end - start:
        return 0, -1
    return start, start + length


@kernel
def double(source: Bytes, at: int, end: int) -> tuple[float, int]:
    """A double, and where the next field begins."""
    if end - at < 8:
        return 0.0, -1
    bits = np.uint64(0)
    for k in range(8):
        bits |= np.uint64(source[at + k]) << np.uint64(8 * k)
    whole = np.uint64(bits)  # numba views only what is assigned once
    return whole.view(np.float64), at + 8


@kernel
def is_ascii(source: Bytes, start: int, end: int) -> bool:
    """Whether a text has no byte that UTF-8 would have to be checked for."""
    found = 0
    for i in range(start, end):
        found |= source[i]
    return found < 0x80


@kernel
def before(source: Bytes, a: int, a_end: int, b: int, b_end: int) -> bool:
    """Whether one text comes before another, byte by byte."""
    i = 0
    while a + i < a_end and b + i < b_end:
        if source[a + i] != source[b + i]:
            return bool(source[a + i] < source[b + i])
        i += 1
    return a_end - a < b_end - b
