"""Load: the same generator for every server that is measured, in a process of its own.

Closed: so many callers, each with one call at a time. Open: so many calls a second, whether or not the earlier ones
are answered; a call's time then runs from when it was due, so that a server that stalls cannot hide it. A run begins
with a warm-up that does not count and ends when what is in flight has been answered, so that no server works in the
next one's time.

`python -m bench.load` reads one job as JSON per line, and answers each with one line of JSON (`Load`).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
from msgspec import Struct, field
from msgspec.structs import asdict, replace

from bench import frames
from bench.connections import Http1, Http2, Run
from bench.frames import Tally
from bench.messages import Messages

WARM_UP_S: Final = 0.25
DRAIN_S: Final = 10.0
PATIENCE_S: Final = 15.0
"""Seconds of a run that is made again because nothing was answered in a shorter one."""
MOST_CONNECTIONS: Final = 8
MOST_TIMED: Final = 2_000_000
FAST: Final = 10_000.0
"""Calls a second from which on they are sent, and answers read, every `TICK_S`: else the generator's own system calls
would take the processors that are measured."""
TICK_S: Final = 0.0005
TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Job(Struct, frozen=True):
    """What to ask, of whom, and how hard."""

    address: str
    """HOST:PORT."""
    method: str
    """`/package.Service/Method`; the path for HTTP/1.1."""
    messages: str
    """File of serialised requests (`bench.messages`)."""
    seconds: float
    callers: int = 0
    """Closed load: callers with one call at a time each."""
    rate: float = 0.0
    """Open load: calls a second."""
    protocol: str = "grpc"
    """`grpc`, `stream` (one call whose messages are the requests, `callers` of them in flight) or `http1`."""
    connections: int = 0
    """0: as many as callers, at most 8 (HTTP/1.1: as many as callers)."""
    number: int = 0
    """Number of the first call, from which its request id is made."""
    limit_s: float = 0.25
    """Within which an answer is on time."""
    watch: Mapping[str, int] = field(default_factory=dict)
    """Processes whose use of the processor is told, by what they are called."""


class Load(Struct, frozen=True):
    """What one run showed."""

    per_second: float
    """Answers, degraded ones included."""
    on_time_per_second: float
    """Answers that were not degraded and came within the limit."""
    offered_per_second: float
    """Calls that were begun, the warm-up included."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    answers: int
    failed: int
    degraded: int
    offers: float
    """Per answer that was looked into."""
    bytes: float
    """Per answer."""
    cores: Mapping[str, float]
    """Processors used: by `generator`, and by whom the job names."""
    number: int
    """Number of the next call."""


class Connection(Protocol):
    """One connection to the server under load."""

    @property
    def in_flight(self) -> int:
        """Calls without an answer."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether something waits for the socket to take it."""
        ...

    def fileno(self) -> int:
        """For `select`."""
        ...

    def call(self, wanted: int, since: float, gap: float) -> int:
        """Begin up to so many calls, the first at `since`, each `gap` seconds after the one before; how many."""
        ...

    def receive(self, now: float) -> None:
        """Take in what came. Raises `OSError` if the server hung up."""
        ...

    def flush(self) -> None:
        """Send what waits."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


def run(job: Job) -> Load:
    """Do one job."""
    messages = Messages.read(Path(job.messages))
    tally = np.zeros(len(Tally), np.int64)
    taken = np.zeros(MOST_TIMED, np.float32)
    cursor = np.array([job.number % len(messages), job.number], np.int64)
    connections = _connect(job, Run(messages, cursor, tally, taken, job.limit_s))
    try:
        counted, seconds, cores, offered = _drive(job, connections, tally)
    finally:
        for connection in connections:
            connection.close()
    times = taken[: counted[Tally.TIMED]]
    p50, p90, p99 = np.percentile(times, (50, 90, 99)) * 1_000 if len(times) else (np.nan,) * 3
    done = int(counted[Tally.DONE])
    return Load(
        per_second=done / seconds,
        on_time_per_second=float(counted[Tally.ON_TIME]) / seconds,
        offered_per_second=offered,
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        answers=done,
        failed=int(counted[Tally.FAILED]),
        degraded=int(counted[Tally.DEGRADED]),
        offers=float(counted[Tally.OFFERS]) / max(1, int(counted[Tally.INSPECTED])),
        bytes=float(counted[Tally.BYTES]) / max(1, done),
        cores=cores,
        number=int(cursor[1]),
    )


def _connect(job: Job, shared: Run) -> list[Connection]:
    """Connections that share one table of requests and one tally."""
    count = job.connections or (job.callers if job.protocol == "http1" else min(job.callers, MOST_CONNECTIONS) or 8)
    if job.protocol == "http1":
        return [Http1(job.address, job.method, shared) for _ in range(count)]
    streaming = job.protocol == "stream"
    return [Http2(job.address, job.method, shared, streaming=streaming) for _ in range(1 if streaming else count)]


def _drive(
    job: Job, connections: Sequence[Connection], tally: frames.Ints
) -> tuple[frames.Ints, float, Mapping[str, float], float]:
    """Make the load; what was counted, in how many seconds, with how many processors; calls begun per second."""
    shares = [len(part) for part in np.array_split(np.arange(job.callers), len(connections))]
    begun = time.perf_counter()
    counts_from, until = begun + WARM_UP_S, begun + WARM_UP_S + job.seconds
    counting, issuing, sent = False, True, 0
    counted, since, used = tally, begun, _used(job.watch)
    seconds, offered = job.seconds, 0.0
    cores: Mapping[str, float] = {}
    while True:
        now = time.perf_counter()
        if not counting and now >= counts_from:
            counting, since, used = True, now, _used(job.watch)
            until = now + job.seconds
            tally[:] = 0
        if issuing and counting and now >= until:
            issuing, counted, seconds = False, tally.copy(), now - since
            after = _used(job.watch)
            cores = {name: (after[name] - used[name]) / seconds for name in after}
            offered = sent / (now - begun)
        if not issuing and (now >= until + DRAIN_S or not any(c.in_flight for c in connections)):
            return counted, seconds, cores, offered
        wait = 0.05
        if issuing and job.rate:
            due = int((now - begun) * job.rate) - sent
            if due > 0:
                sent += _spread(connections, due, begun + sent / job.rate, 1 / job.rate)
                due = int((now - begun) * job.rate) - sent
            wait = 0.001 if due > 0 else max(0.0, begun + (sent + 1) / job.rate - time.perf_counter())
        elif issuing:
            for connection, share in zip(connections, shares, strict=True):
                if connection.in_flight < share:
                    sent += connection.call(share - connection.in_flight, time.perf_counter(), 0.0)
        if issuing:
            wait = min(wait, max(0.0, (until if counting else counts_from) - now))
        if issuing and job.rate >= FAST:
            time.sleep(TICK_S)
            wait = 0.0
        blocked = [c for c in connections if c.blocked]
        readable, writable, _ = select.select(connections, blocked, [], wait)
        now = time.perf_counter()
        for connection in readable:
            connection.receive(now)
        for connection in writable:
            connection.flush()


def _spread(connections: Sequence[Connection], due: int, since: float, gap: float) -> int:
    """Begin calls that are due, over all connections; how many found room."""
    sent = 0
    by_room = sorted(connections, key=lambda c: c.in_flight)
    each = -(-due // len(connections))
    for connection in by_room:
        wanted = min(each, due - sent)
        if wanted:
            sent += connection.call(wanted, since + sent * gap, gap)
    return sent


def _used(watch: Mapping[str, int]) -> dict[str, float]:
    """Seconds of processor time used so far by this process and by those watched (Linux)."""
    used = {"generator": time.process_time()}
    for name, pid in watch.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        used[name] = (int(fields[11]) + int(fields[12])) / TICKS
    return used


class Generator:
    """The process that makes load, from the outside."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._number = 0
        assert self._process.stdout is not None  # noqa: S101 - pipes were asked for
        self._process.stdout.readline()  # it is ready

    def run(self, job: Job) -> Load:
        """Do one job, with request ids that no job before had. Raises `SystemExit` if nothing was answered."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - pipes were asked for
        assert stdout is not None  # noqa: S101
        stdin.write(json.dumps({**asdict(job), "number": self._number}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise SystemExit("the load generator ended; its error is above")
        load = Load(**json.loads(line))
        self._number = load.number
        if not load.answers and not load.failed and job.seconds < PATIENCE_S:
            return self.run(replace(job, seconds=PATIENCE_S))
        if not load.answers:
            raise SystemExit(f"{job.address} {job.method}: no answers, {load.failed} calls failed")
        return load

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Jobs in, loads out, until the input ends."""
    frames.prepare()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(run(Job(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main()
