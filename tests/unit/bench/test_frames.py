"""The load generator counts what servers answer, whatever the pieces in which it comes."""

from __future__ import annotations

import numpy as np
import pytest

from bench import frames
from bench.frames import Tally
from takt.v1 import decision_pb2

HEADERS = b"\x88"


def answer(offers: int, *, degraded: bool = False) -> bytes:
    """A serialised answer with so many offers."""
    response = decision_pb2.DecideResponse(decision_id="d", request_id="r", attempts=300)
    placement = response.placements.add(placement="home", silence_propensity=0.25)
    for rank in range(offers):
        placement.offers.add(rank=rank + 1, offer=f"offer-{rank}", propensity=0.5).score.total = 1.5
    if degraded:
        response.degradations.add()
    return response.SerializeToString()


def replied(stream: int, message: bytes) -> bytes:
    """Frames of a whole answer to one call."""
    prefixed = b"\x00" + len(message).to_bytes(4, "big") + message
    return (
        frames.frame(frames.HEADERS, 4, stream, HEADERS)
        + frames.frame(frames.DATA, 0, stream, prefixed)
        + frames.frame(frames.HEADERS, 4 | frames.END_STREAM, stream, HEADERS)
    )


class Caller:
    """A connection without a socket."""

    def __init__(self, *, streaming: bool = False) -> None:
        self.state = frames.fresh_state(streaming=streaming)
        self.started = np.zeros(frames.SLOTS)
        self.seen = np.zeros(frames.SLOTS, np.uint8)
        self.tally = np.zeros(len(Tally), np.int64)
        self.taken = np.zeros(100, np.float32)
        self.cursor = np.zeros(2, np.int64)
        self.data = np.zeros(1 << 16, np.uint8)
        self.filled = 0

    def call(self, wanted: int, message: bytes, stamp_at: int = -1) -> bytes:
        """What it sends for so many calls of one message."""
        out = np.zeros(1 << 18, np.uint8)
        block = np.frombuffer(HEADERS, np.uint8)
        bodies, offsets = np.frombuffer(message, np.uint8), np.array([0, len(message)])
        end, _ = frames.compose(
            out,
            0,
            self.state,
            wanted,
            block,
            block,
            bodies,
            offsets,
            self.cursor,
            stamp_at,
            self.started,
            self.seen,
            1.0,
            0.5,
        )
        return out[:end].tobytes()

    def receive(self, data: bytes, now: float = 2.0) -> bytes:
        """Take in bytes; what it replies."""
        out = np.zeros(1 << 12, np.uint8)
        self.data[self.filled : self.filled + len(data)] = np.frombuffer(data, np.uint8)
        self.filled += len(data)
        read, end = frames.absorb(
            self.data, self.filled, self.state, self.started, self.seen, self.tally, self.taken, now, 0.75, out, 0
        )
        self.data[: self.filled - read] = self.data[read : self.filled].copy()
        self.filled -= read
        return out[:end].tobytes()

    def told(self, *names: Tally) -> tuple[int, ...]:
        """Some of what was counted."""
        return tuple(int(self.tally[name]) for name in names)


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_answers_are_counted_whatever_the_pieces(piece: int) -> None:
    """Two calls, one answered in full and in time, one degraded and late."""
    caller = Caller()
    caller.call(2, b"ask")
    data = replied(1, answer(0, degraded=True)) + replied(3, answer(5))

    for at in range(0, len(data), piece):
        caller.receive(data[at : at + piece])

    assert (2, 0, 1, 5, 1) == caller.told(Tally.DONE, Tally.FAILED, Tally.DEGRADED, Tally.OFFERS, Tally.ON_TIME)
    assert [1.0, 0.5] == caller.taken[:2].tolist()
    assert 0 == caller.state[frames.IN_FLIGHT]


def test_a_call_without_a_message_has_failed() -> None:
    """Trailers alone, and a reset, are failures; a reset after the end is none."""
    caller = Caller()
    caller.call(2, b"ask")
    reset = frames.frame(frames.RST_STREAM, 0, 3, bytes(4))

    caller.receive(frames.frame(frames.HEADERS, 4 | frames.END_STREAM, 1, HEADERS) + reset + reset)

    assert (0, 2) == caller.told(Tally.DONE, Tally.FAILED)
    assert 0 == caller.state[frames.IN_FLIGHT]


def test_every_call_has_a_number_of_its_own() -> None:
    """The number of the call is written into its message."""
    caller = Caller()

    sent = caller.call(12, b"id-000000000000-end", stamp_at=3)

    assert [b"id-%012d-end" % n for n in range(12)] == [sent[at : at + 19] for at in _places(sent, b"id-")]


def test_no_more_calls_are_open_than_the_server_allows() -> None:
    """Its settings bound them; calls go on as others end."""
    caller = Caller()
    acknowledged = caller.receive(frames.frame(frames.SETTINGS, 0, 0, b"\x00\x03" + (2).to_bytes(4, "big")))

    caller.call(5, b"ask")

    assert frames.frame(frames.SETTINGS, frames.ACK, 0, b"") == acknowledged
    assert 2 == caller.state[frames.IN_FLIGHT]


def test_no_more_is_sent_than_the_servers_window_takes() -> None:
    """65,535 bytes until the server opens it further."""
    caller = Caller()
    message = bytes(30_000)

    caller.call(5, message)
    before = int(caller.state[frames.IN_FLIGHT])
    caller.receive(frames.frame(frames.WINDOW_UPDATE, 0, 0, (40_000).to_bytes(4, "big")))
    caller.call(5, message)

    assert (2, 3) == (before, int(caller.state[frames.IN_FLIGHT]))


def test_a_ping_is_answered() -> None:
    """With the bytes that it brought."""
    caller = Caller()

    assert frames.frame(frames.PING, frames.ACK, 0, b"12345678") == caller.receive(
        frames.frame(frames.PING, 0, 0, b"12345678")
    )


@pytest.mark.parametrize("piece", [3, 50, 100_000])
def test_answers_of_a_stream_are_counted_wherever_frames_end(piece: int) -> None:
    """Messages begin and end anywhere in frames."""
    caller = Caller(streaming=True)
    caller.call(3, b"ask")
    streamed = decision_pb2.DecideStreamResponse(request_id="r")
    streamed.response.ParseFromString(answer(4))
    message = streamed.SerializeToString()
    data = 3 * (b"\x00" + len(message).to_bytes(4, "big") + message)

    for at in range(0, len(data), piece):
        caller.receive(frames.frame(frames.DATA, 0, 1, data[at : at + piece]))

    assert (3, 0) == caller.told(Tally.DONE, Tally.FAILED)
    assert 0 == caller.state[frames.IN_FLIGHT]
    if piece > len(data):
        assert 12 == caller.tally[Tally.OFFERS]


def _places(data: bytes, part: bytes) -> list[int]:
    """Where a part begins."""
    return [at for at in range(len(data)) if data.startswith(part, at)]
