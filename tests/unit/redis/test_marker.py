"""The marker's text."""

from __future__ import annotations

import pytest

from takt.errors import StoreMarkerError
from takt.redis.marker import Marker


def test_marker_is_read_back() -> None:
    """What is written can be read, in this and later versions."""
    marker = Marker("0123456789abcdef" * 2, 64, 1, 900_000_000)

    assert b"takt1 0123456789abcdef0123456789abcdef 64 1 900000000" == marker.pack()
    assert marker == Marker.parse(marker.pack())


@pytest.mark.parametrize("data", [b"", b"takt2 " + b"0" * 32 + b" 64 1 900000000", b"takt1 x 64 1 9", b"\xff"])
def test_anything_else_is_refused(data: bytes) -> None:
    """Another program's value, or another version's."""
    with pytest.raises(StoreMarkerError, match="stands where a marker should be"):
        Marker.parse(data)
