"""Inputs that no honest caller sends, drawn from a seed: each a kind, and the bytes of one connection."""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from takt.v1 import decision_pb2, feedback_pb2
from tests.proofs import frames

DECIDE: Final = "/takt.v1.DecisionService/Decide"
PATHS: Final = (DECIDE, "/takt.v1.FeedbackService/Record", "/takt.v1.DecisionService/DecideStream")
ODD_PATHS: Final = (
    "/",
    "//",
    "/takt.v1.DecisionService",
    "/a/b/c",
    "*",
    "/" + "x" * 3_000,
    "/grpc.health.v1.Health/Check",
)
TIMEOUTS: Final = (b"0n", b"1n", b"1u", b"99999999H", b"123456789S", b"-1S", b"S", b"", b"\xff\xfe")
STREAMS: Final = 40
"""Malformed calls that share a connection, where they can."""
CUT: Final = 60
"""Calls of a connection that opens many and ends none."""


@dataclass(frozen=True, slots=True)
class Input:
    """The bytes of one connection."""

    parts: tuple[bytes, ...]
    """Sent one after the other."""
    count: int = 1
    """How many malformed inputs these are."""
    lingers: bool = False
    """Whether the caller stays for a while without reading anything."""


def honest(draw: random.Random) -> bytes:
    """A message that could be right."""
    if draw.random() < 0.3:
        event = feedback_pb2.Event(event_id=f"e{draw.getrandbits(32)}", type="click", profile_id="p")
        return feedback_pb2.RecordRequest(events=[event]).SerializeToString()
    return decision_pb2.DecideRequest(
        request_id=f"f{draw.getrandbits(64):x}",
        profile_id=f"p{draw.randrange(1000)}",
        placements=[decision_pb2.PlacementRequest(placement="home_hero")],
    ).SerializeToString()


def garbage(draw: random.Random) -> Input:
    """Bytes that are no HTTP/2 at all."""
    return Input((draw.randbytes(draw.randrange(1, 4_000)),))


def garbage_after_the_preface(draw: random.Random) -> Input:
    """A right beginning, then noise."""
    return Input((frames.opening(), draw.randbytes(draw.randrange(9, 4_000))))


def cut_short(draw: random.Random) -> Input:
    """A right call that ends anywhere."""
    whole = frames.opening() + frames.call(1, draw.choice(PATHS), frames.message(honest(draw)))
    return Input((whole[: draw.randrange(1, len(whole))],))


def flipped(draw: random.Random) -> Input:
    """A right call with some bits turned over."""
    whole = bytearray(frames.call(1, draw.choice(PATHS), frames.message(honest(draw))))
    for _ in range(draw.randrange(1, 9)):
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    return Input((frames.opening(), bytes(whole)))


def no_protobuf(draw: random.Random) -> Input:
    """Right calls with messages that cannot be read, or mean nothing."""

    def wrong() -> bytes:
        right = bytearray(honest(draw))
        match draw.randrange(4):
            case 0:
                return draw.randbytes(draw.randrange(1, 300))
            case 1:
                return bytes(right[: draw.randrange(len(right))])
            case 2:
                right[draw.randrange(len(right))] = draw.randrange(256)
                return bytes(right)
            case _:  # a field that says it is longer than all that there is
                return bytes(right) + b"\x22\xff\xff\xff\xff\x07"

    calls = [frames.call(1 + 2 * n, draw.choice(PATHS), frames.message(wrong())) for n in range(STREAMS)]
    return Input((frames.opening(), *calls), STREAMS)


def lying_about_length(draw: random.Random) -> Input:
    """Messages that say they are longer, or shorter, than they are; several in one call; none."""

    def wrong() -> bytes:
        body = honest(draw)
        match draw.randrange(4):
            case 0:
                return frames.message(body, length=draw.choice((len(body) + 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
            case 1:
                return frames.message(body, length=draw.randrange(len(body)))
            case 2:
                return frames.message(body) * draw.randrange(2, 5)
            case _:
                return frames.message(body)[: draw.randrange(5)]

    calls = [frames.call(1 + 2 * n, draw.choice(PATHS), wrong(), ends=draw.random() < 0.7) for n in range(STREAMS)]
    return Input((frames.opening(), *calls), STREAMS)


def compressed_wrongly(draw: random.Random) -> Input:
    """Messages that say they are compressed and are not, or in ways that nobody knows, or to an absurd degree."""

    def wrong(stream: int) -> bytes:
        body = honest(draw)
        encoding = draw.choice((b"gzip", b"deflate", b"zstd", b"identity", b"", b"no-such"))
        match draw.randrange(3):
            case 0:
                wire = frames.message(body, flag=draw.choice((1, 2, 255)))
            case 1:
                squeezed = bytearray(gzip.compress(body * 20))
                squeezed[draw.randrange(len(squeezed))] ^= 0xFF
                wire = frames.message(bytes(squeezed), flag=1)
            case _:
                wire = frames.message(BOMB, flag=1)
                encoding = b"gzip"
        return frames.call(stream, DECIDE, wire, [(b"grpc-encoding", encoding)])

    return Input((frames.opening(), *(wrong(1 + 2 * n) for n in range(8))), 8)


BOMB: Final = gzip.compress(bytes(8 << 20))
"""8 MiB of nothing in 8 kB."""


def huge_headers(draw: random.Random) -> Input:
    """Header blocks that are too large, never end, or point to where there is nothing."""
    match draw.randrange(4):
        case 0:
            large = [(b"x-%d" % n, b"v" * draw.randrange(1_000, 9_000)) for n in range(draw.randrange(2, 8))]
            block = frames.packed(frames.headers_of(DECIDE, large))
            first, rest = block[: frames.LARGEST_FRAME], block[frames.LARGEST_FRAME :]
            parts = [frames.frame(frames.HEADERS, 0 if rest else frames.END_HEADERS, 1, first)]
            while rest:
                chunk, rest = rest[: frames.LARGEST_FRAME], rest[frames.LARGEST_FRAME :]
                parts.append(frames.frame(frames.CONTINUATION, 0 if rest else frames.END_HEADERS, 1, chunk))
        case 1:
            parts = [frames.frame(frames.HEADERS, 0, 1, b"")]
            parts += [frames.frame(frames.CONTINUATION, 0, 1, draw.randbytes(3))] * draw.randrange(50, 500)
        case 2:
            parts = [frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff" + draw.randbytes(40))]
        case _:
            odd = [(draw.randbytes(draw.randrange(1, 20)), draw.randbytes(draw.randrange(60))) for _ in range(20)]
            parts = [frames.frame(frames.HEADERS, frames.END_HEADERS, 1, frames.packed(odd))]
    return Input((frames.opening(), *parts))


def odd_calls(draw: random.Random) -> Input:
    """Right frames for calls that nobody serves, with strange deadlines, methods and content types."""

    def odd(stream: int) -> bytes:
        path = draw.choice((*PATHS, *ODD_PATHS))
        further = [(b"grpc-timeout", draw.choice(TIMEOUTS)), (b"x-bin", draw.randbytes(9)), (b"grpc-status", b"0")]
        headers = frames.headers_of(path, draw.sample(further, draw.randrange(4)))
        if draw.random() < 0.5:
            del headers[draw.randrange(6)]
        if draw.random() < 0.3:
            headers[draw.randrange(len(headers))] = (
                b"content-type",
                draw.choice((b"text/html", b"application/grpc+x", b"")),
            )
        body = frames.message(honest(draw))
        return frames.frame(frames.HEADERS, frames.END_HEADERS, stream, frames.packed(headers)) + frames.frame(
            frames.DATA, frames.END_STREAM, stream, body
        )

    return Input((frames.opening(), *(odd(1 + 2 * n) for n in range(STREAMS))), STREAMS)


def reset_at_once(draw: random.Random) -> Input:
    """Right calls whose callers have gone before anybody could read them."""

    def gone(stream: int) -> bytes:
        reset = frames.frame(frames.RST_STREAM, 0, stream, struct.pack(">I", draw.choice((0, 8, 0xFFFFFFFF))))
        return frames.call(stream, draw.choice(PATHS), frames.message(honest(draw))) + reset

    return Input((frames.opening(), b"".join(gone(1 + 2 * n) for n in range(STREAMS))), STREAMS)


def never_read(draw: random.Random) -> Input:
    """Right calls of callers that take not a byte of any answer, and stay."""
    calls = b"".join(frames.call(1 + 2 * n, draw.choice(PATHS), frames.message(honest(draw))) for n in range(STREAMS))
    return Input((frames.opening([(frames.INITIAL_WINDOW_SIZE, 0)]), calls), STREAMS, lingers=True)


def never_ended(draw: random.Random) -> Input:
    """Calls that are opened and go no further, as many as there is room for."""
    body = frames.message(honest(draw))[: draw.randrange(8)]
    calls = b"".join(frames.call(1 + 2 * n, draw.choice(PATHS), body, ends=False) for n in range(CUT))
    return Input((frames.opening(), calls), CUT, lingers=draw.random() < 0.2)


def wrong_frames(draw: random.Random) -> Input:
    """Frames that are wrong for their kind: lengths, streams, windows, settings."""
    window = struct.pack(">I", draw.choice((0, 1, 0x7FFFFFFF)))
    ping = frames.frame(frames.PING, 0, 0, draw.randbytes(8))
    wrong = (
        frames.frame(frames.WINDOW_UPDATE, 0, draw.randrange(3), window) * draw.randrange(1, 4),
        ping * draw.randrange(1, 500),
        frames.settings([(draw.randrange(9), draw.getrandbits(32)) for _ in range(draw.randrange(1, 200))]),
        frames.frame(frames.SETTINGS, 1, 0, b"x"),
        frames.frame(frames.DATA, 0, draw.randrange(5), draw.randbytes(100)),
        frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, draw.randbytes(20)),
        frames.frame(frames.GOAWAY, 0, 0, draw.randbytes(draw.randrange(12))),
        frames.frame(frames.PRIORITY, 0, draw.randrange(4), draw.randbytes(draw.randrange(8))),
        frames.frame(frames.RST_STREAM, 0, draw.randrange(4), draw.randbytes(draw.randrange(6))),
        frames.frame(draw.randrange(256), draw.randrange(256), draw.getrandbits(31), draw.randbytes(50)),
        frames.settings() * draw.randrange(1, 300),
    )
    chosen = draw.choices(wrong, k=draw.randrange(1, 4))
    return Input((frames.opening(), *chosen), len(chosen))


KINDS: Final[dict[str, Callable[[random.Random], Input]]] = {
    make.__name__: make
    for make in (
        garbage,
        garbage_after_the_preface,
        cut_short,
        flipped,
        no_protobuf,
        lying_about_length,
        compressed_wrongly,
        huge_headers,
        odd_calls,
        reset_at_once,
        never_read,
        never_ended,
        wrong_frames,
    )
}
