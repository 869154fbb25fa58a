"""Throws malformed input at a running service, and looks whether it still stands.

    python -m tests.proofs.fuzz [--quick] [--inputs N] [--transport native|grpcio] [--seed N]

Truncated frames, bad protobuf, lies about lengths, huge headers, resets, callers that never read, thousands of calls
that never end. In between, a right call has to be answered. Afterwards the process has to be the same one, with as many
files open as before, no call waiting, no defect in its log, and without having grown. Prints as its last line one JSON
object of figures with the bar beside each, and ends with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from takt.rpc.overlap import MOST_ON_THE_WAY
from takt.v1 import decision_pb2_grpc
from tests.integration.rpc.asking import ask
from tests.integration.rpc.process import TRANSPORT, Service
from tests.proofs.figures import SHOWN, Figures
from tests.proofs.malforming import KINDS, Input

FULL, QUICK = 100_000, 6_000
ROUNDS = 10
"""A right call is made, and memory is read, after each of them."""
AT_ONCE = 16
"""Connections that are open at a time, lingering ones not counted."""
LINGER_S = 1.0
ANSWER_S = 60.0
"""Within which a right call has to be answered: a bound for hanging, not for speed."""
SETTLED_S = 30.0
GIVING_BACK = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Has the allocator give back what is freed, so that memory shows what is in use: else it goes up and down by 30 MB."""


class Storm:
    """Connections that send what is wrong."""

    def __init__(self, address: str, seed: int) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._seed = seed
        self._lingering: list[socket.socket] = []
        self.sent: Counter[str] = Counter()
        self.refused = 0
        """Connections that could not be made: the service takes them all."""
        self._lock = threading.Lock()

    def blow(self, inputs: int, salt: int) -> None:
        """Send at least so many, of all kinds in turn."""
        names = list(KINDS)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            n, sent = 0, 0
            while sent < inputs:
                batch = []
                for _ in range(AT_ONCE * 4):
                    name = names[n % len(names)]
                    batch.append((name, KINDS[name](random.Random(f"{self._seed}/{salt}/{n}"))))
                    n += 1
                sent += sum(made.count for _, made in batch)
                list(pool.map(lambda both: self._send(*both), batch))
        self._let_go()

    def _send(self, name: str, made: Input) -> None:
        try:
            caller = socket.create_connection(self._address, timeout=10)
        except OSError:
            with self._lock:
                self.refused += 1
            return
        try:
            caller.settimeout(5)
            for part in made.parts:
                caller.sendall(part)
            if not made.lingers:
                caller.settimeout(0.02)
                caller.recv(4_096)
        except OSError:
            pass  # it hung up on us, which is one right answer
        with self._lock:
            self.sent[name] += made.count
            if made.lingers:
                self._lingering.append(caller)
                return
        caller.close()

    def _let_go(self) -> None:
        time.sleep(LINGER_S)
        for caller in self._lingering:
            caller.close()
        self._lingering.clear()


def rss_mb(pid: int) -> float:
    """Memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1_024, 1)
    raise ProcessLookupError(pid)


def open_files(pid: int) -> int:
    """Files, sockets and pipes of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def settled(figures: Figures, pid: int, files: int) -> int:
    """Wait until a process has closed what it had to; how many files more than `files` are open."""
    until = time.monotonic() + SETTLED_S
    while (more := open_files(pid) - files) >= MOST_ON_THE_WAY and time.monotonic() < until:
        time.sleep(0.1)
    if more > 0:
        figures.note(f"{more} files are still open")
    return max(0, more)


def waiting(service: Service) -> float:
    """Calls that wait for their batch, once nothing comes any more."""
    until = time.monotonic() + SETTLED_S
    while True:
        families = text_string_to_metric_families(service.metrics())
        found = sum(s.value for f in families for s in f.samples if s.name == "takt_waiting")
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def prove(inputs: int, transport: str, seed: int) -> int:
    """Start, storm in rounds, look after each, judge; the exit code."""
    figures = Figures()
    before = TRANSPORT.set(transport)
    arguments = ["--store-timeout-ms", "5000", "--decide-budget-ms", "20000"]
    with (
        tempfile.TemporaryDirectory(prefix="takt-fuzz-") as data,
        Service(["--data-dir", data, *arguments], variables=GIVING_BACK) as service,
    ):
        TRANSPORT.reset(before)
        ready = service.wait_ready().line("ready")
        pid = service.process.pid
        figures.step(f"{inputs} malformed inputs in {ROUNDS} rounds on {ready['transport']}, seed {seed}")
        storm = Storm(ready["listen"], seed)
        with service.public as channel:
            decide = decision_pb2_grpc.DecisionServiceStub(channel).Decide
            files, answered, memory = 0, 0, []
            for n in range(ROUNDS):
                storm.blow(inputs // ROUNDS, n)
                answered += _answers(decide)
                if not n:
                    time.sleep(LINGER_S)
                    files = open_files(pid)
                memory.append(rss_mb(pid))
                figures.note(f"round {n + 1}: {storm.sent.total()} sent, {memory[-1]} MB, {open_files(pid)} files")
            left = settled(figures, pid, files)
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
        stuck = waiting(service)
        alive = service.process.poll() is None
        code = service.end()
        defects = sum(line["event"] in {"defect", "batch_failed"} for line in service.lines)
        clean = [line["clean"] for line in service.lines if line["event"] == "drained"]

    figures.step("what came of it")
    for name, sent in sorted(storm.sent.items()):
        figures.note(f"{sent:>8} {name}")
    figures.check("malformed_inputs", storm.sent.total(), f">= {inputs}")
    figures.check("kinds", len(storm.sent), f"== {len(KINDS)}")
    figures.check("connections_refused", storm.refused, "== 0")
    figures.check("right_calls_answered", answered, f"== {ROUNDS}")
    figures.check("crashes", int(not alive), "== 0")
    figures.check("serving", int(health.status == health_pb2.HealthCheckResponse.SERVING), "== 1")
    figures.check("calls_stuck", int(stuck), "== 0")
    # each batch on the way has a connection to the store, which is kept: the first round need not have used them all
    figures.check("files_left_open", left, f"<= {MOST_ON_THE_WAY - 1}")
    figures.check("defects", defects, "== 0")
    figures.check("ended_in_order", int(code == 0 and clean == [True]), "== 1")
    figures.check("memory_mb", memory[-1], SHOWN)
    # what is in use goes up and down by what happens to be held: a leak lifts the least
    growth = round(min(memory[-3:]) - min(memory[ROUNDS // 2 - 3 : ROUNDS // 2]), 1)
    figures.check("memory_growth_in_the_second_half_mb", growth, "<= 16.0")
    return figures.end()


def _answers(decide: grpc.UnaryUnaryMultiCallable) -> int:  # type: ignore[type-arg]  # stubs differ in this
    """1 if a right call is answered."""
    try:
        return int(bool(decide(ask("home_hero"), timeout=ANSWER_S).placements))
    except grpc.RpcError as error:
        print(f"    not answered: {error}")
        return 0


def main() -> int:
    """Read the command line, and prove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} inputs instead of {FULL}")
    parser.add_argument("--inputs", type=int, help="so many inputs")
    parser.add_argument("--transport", choices=("native", "grpcio"), default="native", help="front end under test")
    parser.add_argument("--seed", type=int, default=1, help="where the inputs are drawn from")
    given = parser.parse_args()
    return prove(given.inputs or (QUICK if given.quick else FULL), given.transport, given.seed)


if __name__ == "__main__":
    sys.exit(main())
