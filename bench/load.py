"""Load: a number of callers, each with one call at a time, for a given time. The same generator for every server.

Run as `python -m bench.load ADDRESS METHOD CALLERS SECONDS FILE`, with the requests in FILE (4-byte length, then
bytes); it is overwritten with JSON. A process of its own, so that its work does not slow the server's event loop.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What one round of load showed."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: list[bytes]
    """The first and the last hundred answers."""


async def generate(address: str, method: str, callers: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    """Call until the time is over; every request once, unless there is only one."""
    taken: list[float] = []
    answers: list[bytes] = []
    source = iter(requests) if len(requests) > 1 else itertools.repeat(requests[0])
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(method)
        await call(requests[0])
        began = time.perf_counter()
        until = began + seconds

        async def caller() -> None:
            while (start := time.perf_counter()) < until and (request := next(source, None)) is not None:
                answers.append(await call(request))
                taken.append(time.perf_counter() - start)

        await asyncio.gather(*(caller() for _ in range(callers)))
        took = time.perf_counter() - began
    p50, p99 = np.percentile(np.array(taken), [50, 99]) * 1_000
    kept = [*answers[:100], *answers[-100:]]
    return {"per_second": len(taken) / took, "p50_ms": p50, "p99_ms": p99, "answers": [a.hex() for a in kept]}


def run(address: str, method: str, *, callers: int, seconds: float, requests: list[bytes]) -> Load:
    """One round, in a process of its own."""
    framed = b"".join(struct.pack("<I", len(request)) + request for request in requests)
    with tempfile.NamedTemporaryFile(prefix="takt-load-") as file:
        Path(file.name).write_bytes(framed)
        command = [sys.executable, "-m", "bench.load", address, method, str(callers), str(seconds), file.name]
        subprocess.run(command, check=True)
        told = json.loads(Path(file.name).read_bytes())
    return Load(told["per_second"], told["p50_ms"], told["p99_ms"], [bytes.fromhex(a) for a in told["answers"]])


def main() -> None:
    """Read the requests, make the load, write what it showed."""
    address, method, callers, seconds, name = sys.argv[1:]
    framed = Path(name).read_bytes()
    requests, at = [], 0
    while at < len(framed):
        (length,) = struct.unpack_from("<I", framed, at)
        requests.append(framed[at + 4 : at + 4 + length])
        at += 4 + length
    Path(name).write_text(json.dumps(uvloop.run(generate(address, method, int(callers), float(seconds), requests))))


if __name__ == "__main__":
    main()
