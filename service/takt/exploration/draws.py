"""Draws derived from ids: the same request draws the same numbers, on any replica and in every repeat."""

from __future__ import annotations

import hashlib

import numpy as np

from takt.kernel import kernel


def request_seed(request_id: str) -> int:
    """64 bits of BLAKE2b over the request id."""
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8, person=b"takt.draw").digest(), "little")


@kernel
def uniform(seed: np.uint64, placement: int, slot: int, stage: int) -> float:
    """A number in [0, 1) from request seed, placement code, slot and stage (0 = offer, 1 = arm), 53 bits.

    The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), applied after each part is mixed in.
    """
    state = np.uint64(seed)
    for part in (np.uint64(placement), np.uint64(slot), np.uint64(stage)):
        state = (state ^ part) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return np.float64(state >> np.uint64(11)) * 2.0**-53
