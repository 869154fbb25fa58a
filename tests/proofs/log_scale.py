"""Exports a million logged decisions, turns them into examples and trains on them, and shows what it takes.

    python -m tests.proofs.log_scale [--quick]

The records are those of the real engine on the demo's household profiles, with ids and times of their own; the log
hands them out page by page as a store would. Time per million and the most memory that each step ever had are shown;
loading and training have processes of their own.
Training is `takt train --log` as anyone runs it, twice: the bundles have to be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from takt.catalog.legend import legend
from takt.catalog.workspace import load_workspace
from takt.clock import MINUTE_US, ManualClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.feedback import FeedbackEvent
from takt.domain.log import START, LogEntry, LogExtent, LogKind, LogPosition
from takt.domain.request import DecideRequest, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.force import force
from takt.features.layout import layout_json
from takt.features.record import pack_profiles
from takt.memory.store import MemoryStore
from takt.model.onnx import load_scorer
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter, ProfileWrite
from takt.v1 import decision_pb2, log_pb2
from takt_training.archive.directory import opened
from takt_training.archive.drain import Drain
from takt_training.demo import people, places
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from tests.proofs.figures import SHOWN, Figures
from tests.proofs.grounds import HERO, TILES

PARTITIONS: Final = 64
BEGIN_MS: Final = 1_795_431_600_000
STEP_MS: Final = 500
"""Between two decisions of a partition: a million take some two hours."""
MODELS: Final = 400
"""Decisions of the real engine, of which all others are made."""
EVENT_EVERY: Final = 3
MOST_BYTES: Final = 4 * 1024**3
BUNDLE: Final = (".onnx", ".npz", ".json", ".html")
"""What a bundle consists of; its report included."""


def real_records() -> tuple[list[bytes], str, str, str, int]:
    """Records of real decisions, with the catalog's version and legend, and the layout's text and fingerprint."""
    catalog = load_workspace(places.workspace(None))
    store = MemoryStore(ManualClock(BEGIN_MS * 1_000))
    households = people.known(catalog.spec)[:MODELS]
    records = pack_profiles(catalog.spec, [household.row for household in households], BEGIN_MS * 1_000)
    store.put([ProfileWrite(h.profile_id, r, (), tightens=False) for h, r in zip(households, records, strict=True)])
    engine = Engine(
        force(catalog, load_scorer(places.model(None), catalog)),
        store,
        ProtobufCodec(PARTITIONS),
        prior=ConstantScorer(),
        clock=ManualClock(BEGIN_MS * 1_000),
        meter=NullMeter(),
        service_version="0",
    )
    asks = (PlacementAsk(HERO), PlacementAsk(TILES))
    requests = [DecideRequest(f"r{n}", asks, profile_id=h.profile_id) for n, h in enumerate(households)]
    for at in range(0, len(requests), 50):
        engine.decide(requests[at : at + 50])
    layout = layout_json(catalog.spec)
    return (
        [bytes(record) for kind, record in store.log if kind == "decision"],
        catalog.version,
        legend(catalog),
        layout,
        catalog.spec.layout_fingerprint,
    )


class LongLog:
    """A log of so many decisions that are made as they are read; every third is followed by an event."""

    store_id = "scale"
    partitions = PARTITIONS

    def __init__(self, decisions: int, records: Sequence[bytes], catalog: str, text: str) -> None:
        self._each = decisions // PARTITIONS
        self._models = []
        for record in records:
            kept = log_pb2.DecisionRecord.FromString(record)
            answer = decision_pb2.DecideResponse.FromString(kept.answer)
            self._models.append((kept, answer, _moments(answer)))
        self._catalog, self._legend = catalog, text
        self._codec = ProtobufCodec(PARTITIONS)

    def extents(self) -> list[LogExtent]:
        """See `takt.ports.DecisionLog`."""
        last = LogPosition(BEGIN_MS + (self._each - 1) * STEP_MS, 1)
        entries = self._each + len(range(0, self._each, EVENT_EVERY))
        return [LogExtent(entries, entries, LogPosition(BEGIN_MS, 0), last)] * PARTITIONS

    def read(self, partition: int, after: LogPosition, most: int) -> list[LogEntry]:
        """See `takt.ports.DecisionLog`."""
        first = 0 if after == START else (after.ms - BEGIN_MS) // STEP_MS + 1
        return [
            entry
            for number in range(first, min(first + most // 2, self._each))
            for entry in self._entries(partition, number)
        ]

    def trim(self, up_to: Sequence[LogPosition]) -> int:
        """See `takt.ports.DecisionLog`."""
        del up_to
        return 0

    def legends(self) -> dict[str, str]:
        """See `takt.ports.DecisionLog`."""
        return {self._catalog: self._legend}

    def register_legend(self, catalog: str, legend: str) -> None:
        """See `takt.ports.DecisionLog`."""

    def _entries(self, partition: int, number: int) -> list[LogEntry]:
        kept, answer, moments = self._models[(number * PARTITIONS + partition) % len(self._models)]
        ms = BEGIN_MS + number * STEP_MS
        for moment, us in moments:
            moment.FromMicroseconds(us + number * STEP_MS * 1_000)
        name = f"{number * PARTITIONS + partition:048x}"
        kept.decision_id = answer.decision_id = name
        kept.request_id = answer.request_id = name[-16:]
        kept.profile_id = answer.profile_id = f"p{(number * PARTITIONS + partition) % 300_000}"
        kept.decided_at_us = kept.snapshot_at_us = ms * 1_000
        kept.answer = answer.SerializeToString()
        made = [LogEntry(LogPosition(ms, 0), LogKind.DECISION, kept.SerializeToString(), "")]
        if number % EVENT_EVERY == 0:
            event = FeedbackEvent(
                f"e{name[-16:]}",
                "purchase" if number % 2 else "impression",
                decision_id=name,
                occurred_at_us=ms * 1_000,
                value=1.5,
            )
            record = self._codec.encode_event(event, kept.profile_id, ms * 1_000)
            made.append(LogEntry(LogPosition(ms, 1), LogKind.FEEDBACK, record, "APPLIED"))
        return made


def _moments(answer: decision_pb2.DecideResponse) -> list[tuple[Timestamp, int]]:
    """Every moment that an answer names, with its microseconds."""
    named = [answer.decided_at]
    for placement in answer.placements:
        for offer in placement.offers:
            named += [offer.timing.not_before, offer.timing.not_after, offer.hold_expires_at]
    return [(moment, moment.ToMicroseconds()) for moment in named if moment.ToMicroseconds()]


class LongStore(MemoryStore):
    """A store whose log is long."""

    def __init__(self, log: LongLog) -> None:
        super().__init__(ManualClock(BEGIN_MS * 1_000))
        self.decision_log = log  # type: ignore[assignment]


def most_bytes() -> int:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def watched(process: subprocess.Popen[str]) -> int:
    """Wait for a process; the most memory it ever had, in bytes. What its parent had before it began does not count."""
    most = 0
    while process.poll() is None:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            most = max(most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        time.sleep(0.1)
    return most * 1_024


def prove(figures: Figures, directory: Path, wanted: int) -> None:
    """Export, and count."""
    figures.step(f"decide for {MODELS} households, as models for {wanted:,} decisions")
    records, version, text, layout, fingerprint = real_records()
    log = LongLog(wanted, records, version, text)
    store = LongStore(log)
    store.register_layout(fingerprint, layout)
    decisions = wanted // PARTITIONS * PARTITIONS
    figures.check("bytes_per_record", sum(map(len, records)) // len(records), SHOWN)
    figures.step("export them")
    begun = time.monotonic()
    said = begun

    def tell(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > 15:
            said = time.monotonic()
            figures.note(f"{done:,} of {total:,} after {said - begun:.0f} s")

    with opened(directory) as archive:
        done = Drain(store, archive, trim=False).run(tell)
    seconds = time.monotonic() - begun
    figures.check("decisions_exported", done.entries["decisions"], f"== {decisions}")
    figures.check("export_seconds_per_million", round(seconds / decisions * 1e6, 1), SHOWN)
    size = sum(path.stat().st_size for path in directory.rglob("*.parquet"))
    figures.check("bytes_on_disk_per_decision", size // decisions, SHOWN)
    figures.check("export_most_mb", round(most_bytes() / 1e6), f"<= {MOST_BYTES // 10**6}")


def prove_loading(figures: Figures, archive: Path, wanted: int) -> None:
    """Load the archive with the candidates of every draw, in a process that has done nothing before."""
    figures.step("turn them into examples, in a process of its own")
    decisions = wanted // PARTITIONS * PARTITIONS
    command = [sys.executable, "-m", "tests.proofs.log_scale", "--load", str(archive)]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loading:
        most = watched(loading)
        printed = loading.stdout.read() if loading.stdout else ""
    seconds = time.monotonic() - begun
    figures.check("loading_ended_with", loading.returncode, "== 0")
    told = json.loads(printed)
    figures.check("decisions_loaded", told["decisions"], f">= {int(decisions * 0.8)}")
    figures.check("slots_loaded", told["slots"], SHOWN)
    figures.check("candidates_loaded", told["candidates"], f">= {10 * decisions}")
    figures.check("share_that_happened", told["happened"], "> 0.0")
    figures.check("load_seconds_per_million", round(seconds / decisions * 1e6, 1), SHOWN)
    figures.check("load_most_mb", round(most / 1e6), f"<= {MOST_BYTES // 10**6}")


def loaded(archive: Path) -> dict[str, float]:
    """What an archive holds, once it is loaded as a judge needs it."""
    logged = load(archive, load_workspace(places.workspace(None)).spec, Goal(("purchase",), MINUTE_US))
    return {
        "decisions": len(logged.decisions),
        "slots": len(logged.slots),
        "candidates": len(logged.slots.candidates.offer),
        "happened": round(float(np.mean(logged.slots.happened)), 4),
    }


def prove_training(figures: Figures, archive: Path, directory: Path, decisions: int) -> None:
    """Train on the archive twice, each time in a process of its own, and compare what it wrote."""
    settings = directory / "training.yaml"
    plain = {"name": "scale", "version": "1.0.0", "goal": "purchase", "window": "1m", "seed": 1}
    settings.write_text(json.dumps(plain), encoding="utf-8")
    written = []
    for number in (1, 2):
        figures.step("train on them" if number == 1 else "and again")
        out = directory / f"bundle-{number}"
        begun = time.monotonic()
        command = [
            *(str(Path(sys.executable).with_name("takt")), "train", "--log", str(archive), "--out", str(out)),
            *("--workspace", str(places.workspace(None)), "--settings", str(settings)),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
            most = watched(training)
            printed = training.stdout.read() if training.stdout else ""
        seconds = time.monotonic() - begun
        figures.note((printed.strip().splitlines() or ["it printed nothing"])[-1])
        if number == 1:
            # 1: a bar of its report was missed, which it may be: outcomes here are drawn without regard to anything
            figures.check("training_ended_with", training.returncode, "<= 1")
            figures.check("train_seconds_per_million", round(seconds / decisions * 1e6, 1), SHOWN)
            figures.check("train_most_mb", round(most / 1e6), f"<= {MOST_BYTES // 10**6}")
        written.append({path.name: path.read_bytes() for path in out.iterdir() if path.suffix in BUNDLE})
    figures.check("files_of_the_bundle", len(written[0]), ">= 3")
    same = sum(written[1].get(name) == data for name, data in written[0].items())
    figures.check("files_that_are_the_same_again", same, f"== {len(written[0])}")


def main() -> int:
    """Run all checks; the exit code."""
    parser = argparse.ArgumentParser(
        prog="prove-log-scale", description="Export a million decisions, load them, train on them."
    )
    parser.add_argument("--quick", action="store_true", help="50,000 instead")
    parser.add_argument("--load", type=Path, metavar="ARCHIVE", help="load this archive, say what it holds, and end")
    given = parser.parse_args()
    if given.load is not None:
        print(json.dumps(loaded(given.load)))
        return 0
    wanted = 50_000 if given.quick else 1_000_000
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="takt-proof-") as directory:
        archive, trained = Path(directory) / "archive", Path(directory) / "trained"
        trained.mkdir()
        prove(figures, archive, wanted)
        prove_loading(figures, archive, wanted)
        prove_training(figures, archive, trained, wanted)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
