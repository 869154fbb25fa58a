"""The caller's side of HTTP/2 as two compiled functions: many calls written at once, many answers read at once.

gRPC's own clients spend more on a call than the servers that are measured here, and would be what is measured. These
functions spend about a microsecond: a request is copied from a table of serialised messages and given an id of its
own; an answer is walked over, not decoded. Nothing in them depends on which server answers.

A connection's state is an int64 array whose fields are the constants below; what all connections of a run add up is an
int64 array of `Tally`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SLOTS: Final = 1 << 16
"""Calls of one connection that are told apart: more than may be open at once."""
SLOT_MASK: Final = SLOTS - 1
WIDE: Final = 2**31 - 1
"""Window for what servers send: answers never wait for leave."""
RENEW: Final = 2**29
"""Bytes received after which the connection's window is opened again."""
FRAME: Final = 9
PREFIX: Final = 5
"""Bytes before a gRPC message: compressed or not, and its length."""
STAMP_DIGITS: Final = 12
ROOM: Final = 64
"""Bytes that are left free in a buffer for what has to be said of the connection itself."""

DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
END_STREAM: Final = 1
ACK: Final = 1

# Fields of a connection's state.
NEXT_ID: Final = 0
IN_FLIGHT: Final = 1
SEND_WINDOW: Final = 2
RECEIVED: Final = 3
MOST_OPEN: Final = 4
"""Calls that the server lets one connection have open."""
CLOSED: Final = 5
STREAMING: Final = 6
"""1 for a connection whose calls are messages of one stream."""
STREAM_WINDOW: Final = 7
LEFT: Final = 8
"""Of a stream's message that is being received: bytes to come."""
PREFIXED: Final = 9
"""Of a stream's next message: bytes of its prefix that came."""
LENGTH: Final = 10
"""Of a stream's next message: the length so far read."""
OPENED: Final = 11
"""Whether the headers of the first call, which later ones refer to, have left."""
INITIAL_WINDOW: Final = 12
FIELDS: Final = 13


class Tally(IntEnum):
    """What a run adds up."""

    DONE = 0
    """Answers, also degraded ones."""
    FAILED = 1
    """Calls that ended without a message."""
    DEGRADED = 2
    INSPECTED = 3
    """Answers that came in one piece and were walked over."""
    OFFERS = 4
    BYTES = 5
    TIMED = 6
    """Answers whose time is kept."""
    ON_TIME = 7
    """Answers that were not degraded and came within the limit."""


DONE: Final = int(Tally.DONE)
FAILED: Final = int(Tally.FAILED)
DEGRADED: Final = int(Tally.DEGRADED)
INSPECTED: Final = int(Tally.INSPECTED)
OFFERS: Final = int(Tally.OFFERS)
BYTES: Final = int(Tally.BYTES)
TIMED: Final = int(Tally.TIMED)
ON_TIME: Final = int(Tally.ON_TIME)

# Fields of `takt.v1.DecideResponse`, `PlacementDecision` and `DecideStreamResponse`.
PLACEMENTS: Final = 6
DEGRADATIONS: Final = 8
RANKED: Final = 4
STREAMED: Final = 2


def opening(path: str, authority: str) -> tuple[bytes, bytes]:
    """Header blocks (HPACK) of a connection's first call, and of every later one.

    The first call's fields go into the server's table, and later calls name them by their places there, as the clients
    of gRPC do.
    """
    fields = (
        (b":path", path.encode()),
        (b":authority", authority.encode()),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"user-agent", b"takt-bench"),
    )
    method_and_scheme = b"\x83\x86"
    literal = b"".join(b"\x40" + _text(name) + _text(value) for name, value in fields)
    newest = 62
    places = bytes(0x80 | newest + len(fields) - 1 - i for i in range(len(fields)))
    return method_and_scheme + literal, method_and_scheme + places


def _text(text: bytes) -> bytes:
    """A string of HPACK, not compressed. Raises `ValueError` for one of 127 bytes or more."""
    if len(text) > 126:
        raise ValueError(f"{text!r} is too long for a header here")
    return bytes([len(text)]) + text


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def preamble() -> bytes:
    """What a caller says first: no push, windows as wide as they go, frames of up to a mebibyte."""
    settings = ((0x2, 0), (0x4, WIDE), (0x5, 1 << 20))
    body = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings)
    wider = (WIDE - 65_535).to_bytes(4, "big")
    return PREFACE + frame(SETTINGS, 0, 0, body) + frame(WINDOW_UPDATE, 0, 0, wider)


def fresh_state(*, streaming: bool) -> Ints:
    """State of a connection that has said nothing yet."""
    state = np.zeros(FIELDS, np.int64)
    state[NEXT_ID] = 1
    state[SEND_WINDOW] = state[STREAM_WINDOW] = state[INITIAL_WINDOW] = 65_535
    state[MOST_OPEN] = 100  # until the server says
    state[STREAMING] = streaming
    return state


@numba.njit(cache=True, nogil=True)
def put_head(out: Bytes, at: int, length: int, kind: int, flags: int, stream: int) -> int:
    """Write the head of a frame; where it ends."""
    out[at] = length >> 16 & 255
    out[at + 1] = length >> 8 & 255
    out[at + 2] = length & 255
    out[at + 3] = kind
    out[at + 4] = flags
    out[at + 5] = stream >> 24 & 127
    out[at + 6] = stream >> 16 & 255
    out[at + 7] = stream >> 8 & 255
    out[at + 8] = stream & 255
    return at + FRAME


@numba.njit(cache=True, nogil=True)
def compose(
    out: Bytes,
    at: int,
    state: Ints,
    wanted: int,
    first_block: Bytes,
    block: Bytes,
    bodies: Bytes,
    offsets: Ints,
    cursor: Ints,
    stamp_at: int,
    started: Floats,
    seen: Bytes,
    since: float,
    gap: float,
) -> tuple[int, int]:
    """Write up to `wanted` calls into `out` from `at`; where they end, and how many there are.

    `cursor` [2]: message that is next, of those that `offsets` [n + 1] bounds in `bodies`, and number of the next call,
    which is written in 12 digits at `stamp_at` of its message (-1: nowhere). Call i of these counts as begun at
    `since + i * gap`. Fewer are written where the server's window or its bound on open calls has no room.
    """
    written = 0
    messages = len(offsets) - 1
    while written < wanted and state[CLOSED] == 0:
        begin, end = offsets[cursor[0]], offsets[cursor[0] + 1]
        size = PREFIX + end - begin
        open_calls = 1 if state[STREAMING] else state[IN_FLIGHT] + 1
        if open_calls > state[MOST_OPEN] or size > state[SEND_WINDOW]:
            break
        if state[STREAMING] and size > state[STREAM_WINDOW]:
            break
        if at + size + 2 * FRAME + len(first_block) + ROOM > len(out):
            break
        stream = 1 if state[STREAMING] else state[NEXT_ID]
        if not (state[STREAMING] and state[OPENED]):
            head = block if state[OPENED] else first_block
            at = put_head(out, at, len(head), HEADERS, 4, stream)
            out[at : at + len(head)] = head
            at += len(head)
            state[OPENED] = 1
        at = put_head(out, at, size, DATA, 0 if state[STREAMING] else END_STREAM, stream)
        out[at] = 0
        length = end - begin
        out[at + 1] = length >> 24 & 255
        out[at + 2] = length >> 16 & 255
        out[at + 3] = length >> 8 & 255
        out[at + 4] = length & 255
        at += PREFIX
        out[at : at + length] = bodies[begin:end]
        if stamp_at >= 0:
            number = cursor[1]
            for digit in range(STAMP_DIGITS):
                out[at + stamp_at + STAMP_DIGITS - 1 - digit] = 48 + number % 10
                number //= 10
        at += length
        slot = stream >> 1 & SLOT_MASK
        started[slot] = since + written * gap
        seen[slot] = 0
        state[NEXT_ID] += 2
        state[IN_FLIGHT] += 1
        state[SEND_WINDOW] -= size
        state[STREAM_WINDOW] -= size
        cursor[0] = (cursor[0] + 1) % messages
        cursor[1] += 1
        written += 1
    return at, written


@numba.njit(cache=True, nogil=True)
def number_at(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value, shift = 0, 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return value, at


@numba.njit(cache=True, nogil=True)
def count_field(data: Bytes, at: int, end: int, field: int) -> int:
    """How often a message from `at` to `end` has a field, of whatever kind."""
    found = 0
    while at < end:
        key, at = number_at(data, at, end)
        found += key >> 3 == field
        kind = key & 7
        if kind == 2:
            length, at = number_at(data, at, end)
            at += length
        elif kind == 0:
            _, at = number_at(data, at, end)
        else:
            at += 8 if kind == 1 else 4
    return found


@numba.njit(cache=True, nogil=True)
def inspect(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Offers in a `DecideResponse` from `at` to `end`, and its degradations."""
    offers, degradations = 0, 0
    while at < end:
        key, at = number_at(data, at, end)
        kind = key & 7
        if kind == 2:
            length, at = number_at(data, at, end)
            if key >> 3 == PLACEMENTS:
                offers += count_field(data, at, at + length, RANKED)
            elif key >> 3 == DEGRADATIONS:
                degradations += 1
            at += length
        elif kind == 0:
            _, at = number_at(data, at, end)
        else:
            at += 8 if kind == 1 else 4
    return offers, degradations


@numba.njit(cache=True, nogil=True)
def inspect_streamed(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Offers in a `DecideStreamResponse` from `at` to `end`, and its degradations; -1 of them for an error."""
    while at < end:
        key, at = number_at(data, at, end)
        length, at = number_at(data, at, end)  # all its fields have a length
        if key >> 3 == STREAMED:
            return inspect(data, at, at + length)
        at += length
    return 0, -1


@numba.njit(cache=True, nogil=True)
def receive_streamed(data: Bytes, at: int, end: int, state: Ints, tally: Ints) -> None:
    """Take in a part of a stream's answers, in which messages begin and end anywhere."""
    while at < end:
        if state[LEFT] > 0:
            taken = min(state[LEFT], end - at)
            state[LEFT] -= taken
            at += taken
            if state[LEFT] == 0:
                tally[DONE] += 1
                state[IN_FLIGHT] -= 1
            continue
        if state[PREFIXED] > 0:
            state[LENGTH] = state[LENGTH] << 8 | data[at]
        else:
            state[LENGTH] = 0
        state[PREFIXED] += 1
        at += 1
        if state[PREFIXED] == PREFIX:
            state[PREFIXED] = 0
            state[LEFT] = state[LENGTH]
            if state[LEFT] == 0:
                tally[FAILED] += 1  # every answer says something
                state[IN_FLIGHT] -= 1
            elif at + state[LEFT] <= end:
                offers, degradations = inspect_streamed(data, at, at + state[LEFT])
                tally[INSPECTED] += 1
                tally[OFFERS] += offers
                tally[DEGRADED] += degradations > 0
                tally[FAILED] += degradations < 0


@numba.njit(cache=True, nogil=True)
def absorb(
    data: Bytes,
    end: int,
    state: Ints,
    started: Floats,
    seen: Bytes,
    tally: Ints,
    taken: npt.NDArray[np.float32],
    now: float,
    limit: float,
    out: Bytes,
    at: int,
) -> tuple[int, int]:
    """Take in whole frames of `data` up to `end`; how many bytes that were, and where what has to be replied ends.

    An answer counts when its trailers come. `seen`, by call: 0 no message yet, 1 a message, 2 a degraded one. `taken`
    gets seconds per answer while it has room; `limit`: seconds within which an answer is on time.
    """
    read = 0
    while read + FRAME <= end:
        length = int(data[read]) << 16 | int(data[read + 1]) << 8 | int(data[read + 2])
        if read + FRAME + length > end:
            break
        kind, flags = data[read + 3], data[read + 4]
        stream = (
            int(data[read + 5] & 127) << 24 | int(data[read + 6]) << 16 | int(data[read + 7]) << 8 | int(data[read + 8])
        )
        body = read + FRAME
        slot = stream >> 1 & SLOT_MASK
        ends = False
        if kind == DATA:
            state[RECEIVED] += length
            tally[BYTES] += length
            if state[STREAMING]:
                receive_streamed(data, body, body + length, state, tally)
            elif length > 0 and seen[slot] == 0 and length >= PREFIX:
                seen[slot] = 1
                size = (
                    int(data[body + 1]) << 24
                    | int(data[body + 2]) << 16
                    | int(data[body + 3]) << 8
                    | int(data[body + 4])
                )
                if size == length - PREFIX:
                    offers, degradations = inspect(data, body + PREFIX, body + length)
                    tally[INSPECTED] += 1
                    tally[OFFERS] += offers
                    if degradations:
                        seen[slot] = 2
            ends = flags & END_STREAM != 0
        elif kind == HEADERS:
            ends = flags & END_STREAM != 0
        elif kind == RST_STREAM:
            ends = seen[slot] != 3
            if ends:
                seen[slot] = 0
        elif kind == SETTINGS:
            if not flags & ACK:
                for entry in range(body, body + length, 6):
                    key = int(data[entry]) << 8 | int(data[entry + 1])
                    value = (
                        int(data[entry + 2]) << 24
                        | int(data[entry + 3]) << 16
                        | int(data[entry + 4]) << 8
                        | int(data[entry + 5])
                    )
                    if key == 3:
                        state[MOST_OPEN] = min(value, SLOTS >> 1)
                    elif key == 4:
                        state[STREAM_WINDOW] += value - state[INITIAL_WINDOW]
                        state[INITIAL_WINDOW] = value
                at = put_head(out, at, 0, SETTINGS, ACK, 0)
        elif kind == PING:
            if not flags & ACK:
                at = put_head(out, at, 8, PING, ACK, 0)
                out[at : at + 8] = data[body : body + 8]
                at += 8
        elif kind == GOAWAY:
            state[CLOSED] = 1
        elif kind == WINDOW_UPDATE:
            more = (
                int(data[body] & 127) << 24 | int(data[body + 1]) << 16 | int(data[body + 2]) << 8 | int(data[body + 3])
            )
            if stream == 0:
                state[SEND_WINDOW] += more
            elif state[STREAMING]:
                state[STREAM_WINDOW] += more
        if ends and state[STREAMING]:
            state[CLOSED] = 1
            tally[FAILED] += state[IN_FLIGHT]
            state[IN_FLIGHT] = 0
        elif ends and seen[slot] != 3:
            state[IN_FLIGHT] -= 1
            if seen[slot] == 0:
                tally[FAILED] += 1
            else:
                tally[DONE] += 1
                tally[DEGRADED] += seen[slot] == 2
                seconds = now - started[slot]
                tally[ON_TIME] += seen[slot] == 1 and seconds <= limit
                if tally[TIMED] < len(taken):
                    taken[tally[TIMED]] = seconds
                    tally[TIMED] += 1
            seen[slot] = 3
        read = body + length
    if state[RECEIVED] > RENEW:
        at = put_head(out, at, 4, WINDOW_UPDATE, 0, 0)
        more = state[RECEIVED]
        state[RECEIVED] = 0
        out[at] = more >> 24 & 127
        out[at + 1] = more >> 16 & 255
        out[at + 2] = more >> 8 & 255
        out[at + 3] = more & 255
        at += 4
    return read, at


def prepare() -> None:
    """Compile, or load from the cache, what a run calls: not while a server is under load."""
    out, state = np.zeros(1 << 12, np.uint8), fresh_state(streaming=False)
    started, seen = np.zeros(SLOTS), np.zeros(SLOTS, np.uint8)
    block = np.frombuffer(b"\x83", np.uint8)
    offsets, cursor, tally = np.array([0, 2]), np.zeros(2, np.int64), np.zeros(len(Tally), np.int64)
    bodies = np.array([8, 1], np.uint8)
    end, _ = compose(out, 0, state, 1, block, block, bodies, offsets, cursor, -1, started, seen, 0.0, 0.0)
    taken = np.zeros(4, np.float32)
    absorb(out, end, state, started, seen, tally, taken, 0.0, 0.0, np.zeros(1 << 12, np.uint8), 0)
