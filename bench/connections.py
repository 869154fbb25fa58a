"""Connections of the load generator: HTTP/2 for gRPC, HTTP/1.1 for the peer."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from bench import frames
from bench.frames import STAMP_DIGITS, Ints, Tally
from bench.messages import Messages

BUFFER: Final = 4 << 20
READ: Final = 1 << 18


class Run(Struct, frozen=True):
    """What all connections of one run share."""

    messages: Messages
    cursor: Ints
    """int64 [2]: the message that is next, and the number of the next call."""
    tally: Ints
    """int64 [Tally]."""
    taken: npt.NDArray[np.float32]
    """Seconds per answer."""
    limit_s: float
    """Within which an answer is on time."""


def dial(address: str) -> socket.socket:
    """A connection that sends at once and never blocks."""
    host, _, port = address.rpartition(":")
    found = socket.create_connection((host, int(port)), timeout=10)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.setblocking(False)
    return found


class _Sender:
    """A socket with what it would not take yet."""

    def __init__(self, address: str) -> None:
        self.socket = dial(address)
        self._waiting = bytearray()

    @property
    def blocked(self) -> bool:
        """Whether something waits for the socket to take it."""
        return bool(self._waiting)

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def send(self, data: bytes | memoryview) -> None:
        """Send now what can be sent, the rest later."""
        if not self._waiting:
            with contextlib.suppress(BlockingIOError):
                data = data[self.socket.send(data) :]
        if data:
            self._waiting += data

    def flush(self) -> None:
        """Send what waits."""
        with contextlib.suppress(BlockingIOError):
            del self._waiting[: self.socket.send(self._waiting)]

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class Http2(_Sender):
    """Calls of one gRPC method over one connection; or messages of one stream."""

    def __init__(
        self,
        address: str,
        method: str,
        run: Run,
        *,
        streaming: bool = False,
    ) -> None:
        """Connect, and say the preamble; the server's own is awaited, since it bounds the calls that may be open."""
        super().__init__(address)
        self._run = run
        self._state = frames.fresh_state(streaming=streaming)
        self._started = np.zeros(frames.SLOTS, np.float64)
        self._seen = np.zeros(frames.SLOTS, np.uint8)
        self._in = np.zeros(BUFFER, np.uint8)
        self._filled = 0
        self._out = np.zeros(BUFFER, np.uint8)
        self._view = self._in.data
        self._out_view = self._out.data
        first, later = frames.opening(method, address)
        self._first = np.frombuffer(first, np.uint8)
        self._later = np.frombuffer(later, np.uint8)
        self.send(frames.preamble())
        self.socket.setblocking(True)
        self.socket.settimeout(10)
        while not self._absorbed(0.0, self.socket.recv_into(self._view[self._filled :])):
            pass
        self.socket.setblocking(False)

    @property
    def in_flight(self) -> int:
        """Calls without an answer."""
        return int(self._state[frames.IN_FLIGHT])

    def call(self, wanted: int, since: float, gap: float) -> int:
        """Begin up to so many calls, as far as the server lets us."""
        end, written = frames.compose(
            self._out,
            0,
            self._state,
            wanted,
            self._first,
            self._later,
            self._run.messages.bodies,
            self._run.messages.offsets,
            self._run.cursor,
            self._run.messages.stamp_at,
            self._started,
            self._seen,
            since,
            gap,
        )
        if end:
            self.send(self._out_view[:end])
        return written

    def receive(self, now: float) -> None:
        """Take in what came. Raises `ConnectionError` if the server hung up."""
        while True:
            try:
                count = self.socket.recv_into(self._view[self._filled : self._filled + READ])
            except BlockingIOError:
                return
            self._absorbed(now, count)
            if count < READ:
                return

    def _absorbed(self, now: float, count: int) -> int:
        """Take in so many bytes more; how many were whole frames."""
        if count == 0:
            raise ConnectionError("the server hung up")
        self._filled += count
        read, end = frames.absorb(
            self._in,
            self._filled,
            self._state,
            self._started,
            self._seen,
            self._run.tally,
            self._run.taken,
            now,
            self._run.limit_s,
            self._out,
            0,
        )
        if end:
            self.send(self._out_view[:end])
        if read:
            self._in[: self._filled - read] = self._in[read : self._filled].copy()
            self._filled -= read
        return read


class Http1(_Sender):
    """One POST at a time over one connection."""

    def __init__(
        self,
        address: str,
        path: str,
        run: Run,
    ) -> None:
        """Connect."""
        super().__init__(address)
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: "
        ).encode()
        self._run = run
        self._received = bytearray()
        self._begun = 0.0
        self.in_flight = 0

    def call(self, wanted: int, since: float, gap: float) -> int:  # noqa: ARG002 - one at a time has no gaps
        """Begin one call, if none is under way."""
        if not wanted or self.in_flight:
            return 0
        offsets, stamp_at = self._run.messages.offsets, self._run.messages.stamp_at
        at, number = int(self._run.cursor[0]), int(self._run.cursor[1])
        body = bytearray(self._run.messages.bodies[offsets[at] : offsets[at + 1]].tobytes())
        if stamp_at >= 0:
            body[stamp_at : stamp_at + STAMP_DIGITS] = b"%012d" % number
        self._run.cursor[:] = (at + 1) % len(self._run.messages), number + 1
        self.in_flight, self._begun = 1, since
        self.send(self._head + b"%d\r\n\r\n" % len(body) + body)
        return 1

    def receive(self, now: float) -> None:
        """Take in an answer, when it is whole. Raises `ConnectionError` if the server hung up."""
        part = self.socket.recv(READ)
        if not part:
            raise ConnectionError("the server hung up")
        self._received += part
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._received = bytearray()
        self.in_flight = 0
        tally = self._run.tally
        if not head.startswith(b"HTTP/1.1 200"):
            tally[Tally.FAILED] += 1
            return
        seconds = now - self._begun
        tally[Tally.DONE] += 1
        tally[Tally.BYTES] += len(rest)
        tally[Tally.INSPECTED] += 1
        tally[Tally.OFFERS] += rest.count(b'"offer":')
        tally[Tally.ON_TIME] += seconds <= self._run.limit_s
        if tally[Tally.TIMED] < len(self._run.taken):
            self._run.taken[tally[Tally.TIMED]] = seconds
            tally[Tally.TIMED] += 1
