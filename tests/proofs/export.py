"""Kills the export of a busy service's log at random moments, and counts every decision in what it wrote.

    python -m tests.proofs.export [--quick]

A real server decides and takes feedback over gRPC while `takt log export` is started and killed with SIGKILL, again and
again. Request ids are remembered for a second only, so that the log is trimmed meanwhile. In the end every decision
that a caller was told of is in Parquet exactly once, and so is every event.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import grpc
import pyarrow.parquet as pq
from rich.console import Console

from takt.catalog.workspace import load_workspace
from takt.cli.client import Client, Door
from takt.v1 import decision_pb2, decision_pb2_grpc, feedback_pb2, feedback_pb2_grpc
from takt_training.archive.directory import files
from takt_training.demo import people, places
from tests.integration.rpc.process import Service
from tests.proofs.figures import SHOWN, Figures
from tests.proofs.grounds import HERO, TILES

CALLERS = 4
SEGMENT = 300
"""Entries of a segment: small, so that a run has many moments at which it can be killed."""
EVENTS = ("impression", "click", "purchase")


class Crowd:
    """Callers that decide and report until they are told to stop, and remember what they were told."""

    def __init__(self, address: str, people: Sequence[str]) -> None:
        self._people = people
        self.decisions: list[str] = []
        self.events: list[str] = []
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CALLERS)]

    def start(self) -> None:
        """All at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """When each has its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        with grpc.insecure_channel(self._address) as channel:
            decide = decision_pb2_grpc.DecisionServiceStub(channel).Decide
            record = feedback_pb2_grpc.FeedbackServiceStub(channel).Record
            at = 0
            while not self._stop.is_set():
                at += 1
                answer = decide(
                    decision_pb2.DecideRequest(
                        request_id=f"{number}-{at}",
                        profile_id=chance.choice(self._people),
                        placements=[decision_pb2.PlacementRequest(placement=name) for name in (HERO, TILES)],
                    )
                )
                if not answer.degradations:
                    self.decisions.append(answer.decision_id)
                if chance.random() < 0.3:
                    event_id = f"e{number}-{at}"
                    event = feedback_pb2.Event(
                        event_id=event_id, type=chance.choice(EVENTS), decision_id=answer.decision_id
                    )
                    (result,) = record(feedback_pb2.RecordRequest(events=[event])).results
                    assert result.outcome in {1, 3, 4}, result
                    self.events.append(event_id)


def command(data_dir: Path, out: Path) -> list[str]:
    """One export."""
    return [
        *(str(Path(sys.executable).with_name("takt")), "log", "export", "--json"),
        *("--data-dir", str(data_dir), "--out", str(out), "--segment-entries", str(SEGMENT)),
    ]


def names(out: Path, kind: str, column: str) -> Counter[str]:
    """How often each id stands in the files that anybody can see."""
    found: Counter[str] = Counter()
    for path in files(out, kind):
        found.update(pq.read_table(path, columns=[column], partitioning=None)[column].to_pylist())
    return found


def run(arguments: list[str]) -> dict[str, object]:
    """A run that nobody kills."""
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=300)
    told: dict[str, object] = json.loads(done.stdout)
    return told


def killed(arguments: list[str], out: Path, after_s: float, *, at_work: bool) -> bool:
    """Start an export and kill it after a while, or a while after it began to write; whether it had not ended."""
    came = (out / "positions.json").stat().st_mtime_ns
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while at_work and process.poll() is None and not writes(out, came):
        time.sleep(0.001)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def writes(out: Path, came: int) -> bool:
    """Whether an export has begun to write."""
    return (out / "positions.json").stat().st_mtime_ns != came or any(out.glob("decisions/day=*/.*.part"))


def prove(figures: Figures, directory: Path, kills: int, *, seed: int = 7) -> None:
    """Kill so many exports under load, then let one end, and count."""
    chance = random.Random(seed)
    data_dir, out = directory / "store", directory / "archive"
    arguments = command(data_dir, out)
    figures.step("start takt serve, on a new embedded store that remembers request ids for a second")
    workspace = places.workspace(None)
    options = ["--data-dir", str(data_dir), "--request-id-retention", "1s", "--store-timeout-ms", "2000"]
    with Service([*options, "--model", str(places.model(None))], workspace) as service:
        spec = load_workspace(workspace).spec
        households = people.known(spec)
        with Client(Door(address=service.wait_ready().line("ready")["admin"], timeout_s=60.0)) as admin:
            people.put(admin, households, spec, Console(quiet=True))
        crowd = Crowd(service.line("ready")["listen"], [household.profile_id for household in households])
        crowd.start()
        figures.step(f"{CALLERS} callers decide and report; {kills} exports are killed at random moments")
        begun = time.monotonic()
        trimmed = int(str(run(arguments)["trimmed"]))
        usual_s = time.monotonic() - begun
        figures.note(f"one that nobody kills takes {usual_s:.1f} s")
        died, twice, grown = 0, 0, 0
        while died < kills:
            before = len(files(out, "decisions"))
            # half of them from when Python has started on, half from when it began to write
            at_work = died % 2 == 0
            after_s = chance.uniform(0.0, 0.3) if at_work else chance.uniform(0.4 * usual_s, 1.2 * usual_s)
            was_killed = killed(arguments, out, after_s, at_work=at_work)
            died += was_killed
            twice += sum(count > 1 for count in names(out, "decisions", "decision_id").values())
            grown += was_killed and len(files(out, "decisions")) > before
        crowd.stop()
        figures.note(f"{len(crowd.decisions)} decisions and {len(crowd.events)} events so far")
        time.sleep(2.1)
        last = run(arguments)
        trimmed += int(str(last["trimmed"]))
        decisions, events = names(out, "decisions", "decision_id"), names(out, "feedback", "event_id")
        service.end()
    figures.check("exports_killed", died, f"== {kills}")
    figures.check("killed_after_some_segments", grown, ">= 1")
    figures.check("decisions_told", len(crowd.decisions), ">= 1")
    figures.check("decisions_missing", len(set(crowd.decisions) - decisions.keys()), "== 0")
    figures.check("decisions_in_parquet_twice", sum(n > 1 for n in decisions.values()), "== 0")
    figures.check("seen_twice_after_a_kill", twice, "== 0")
    figures.check("events_told", len(crowd.events), ">= 1")
    figures.check("events_missing", len(set(crowd.events) - events.keys()), "== 0")
    figures.check("events_in_parquet_twice", sum(n > 1 for n in events.values()), "== 0")
    figures.check("entries_left_in_the_store", int(str(last["left"])), "== 0")
    figures.check("warnings", len(last["warnings"]), "== 0")  # type: ignore[arg-type]


def main() -> int:
    """Run all checks; the exit code."""
    parser = argparse.ArgumentParser(prog="prove-export", description="Kill the export of the log at random moments.")
    parser.add_argument("--quick", action="store_true", help="5 kills instead of 20")
    quick = parser.parse_args().quick
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    figures = Figures()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="takt-proof-") as directory:
        prove(figures, Path(directory), 5 if quick else 20)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
