"""HTTP/2 and gRPC by the byte, so that every byte can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 0x1, 0x4
INITIAL_WINDOW_SIZE: Final = 4
LARGEST_FRAME: Final = 16_384

Header = tuple[bytes, bytes]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(pairs: Iterable[tuple[int, int]] = ()) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


def opening(pairs: Iterable[tuple[int, int]] = ()) -> bytes:
    """How a caller begins."""
    return PREFACE + settings(pairs)


def headers_of(path: str, further: Sequence[Header] = ()) -> list[Header]:
    """The headers of a call."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"fuzz"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *further,
    ]


def packed(headers: Iterable[Header]) -> bytes:
    """Headers as HPACK literals, without tables and Huffman codes."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def message(payload: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message; `length` is what it says of itself."""
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


def call(stream: int, path: str, body: bytes, further: Sequence[Header] = (), *, ends: bool = True) -> bytes:
    """A whole call: headers, and the body in frames."""
    parts = [frame(HEADERS, END_HEADERS, stream, packed(headers_of(path, further)))]
    chunks = [body[at : at + LARGEST_FRAME] for at in range(0, len(body), LARGEST_FRAME)] or [b""]
    for n, chunk in enumerate(chunks):
        last = ends and n == len(chunks) - 1
        parts.append(frame(DATA, END_STREAM if last else 0, stream, chunk))
    return b"".join(parts)


def _text(text: bytes) -> bytes:
    """A string with its length, as an integer with a prefix of seven bits."""
    if len(text) < 0x7F:
        return bytes((len(text),)) + text
    rest, size = len(text) - 0x7F, bytearray(b"\x7f")
    while rest > 0x7F:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    size.append(rest)
    return bytes(size) + text
