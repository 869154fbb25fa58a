"""`make bench`: what a full decision costs beside an empty call, a store round trip and a model run.

Rounds alternate, so that a machine that speeds up or slows down does so for all. Decisions are for the real households
of the demo, committed and logged, with nothing switched off; each is a request of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import empty, load
from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.cli.client import Client
from takt.features.matrix import model_matrix
from takt.model.onnx import OnnxScorer, load_scorer
from takt.redis.embedded import EmbeddedServer
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from takt.v1 import decision_pb2, types_pb2
from takt_training.demo import people, places
from takt_training.demo.serving import Service

DECIDE = "/takt.v1.DecisionService/Decide"
RESULTS = Path("bench/results/latest.json")
CALLERS = (1, 8, 64)
OFFERS = 100

Note = Callable[[str, float], None]


def free_address() -> str:
    """A loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def empty_server() -> Iterator[str]:
    """The reference server; its address."""
    address = free_address()
    process = subprocess.Popen([sys.executable, "-m", "bench.empty", address], stdout=subprocess.PIPE)
    try:
        if process.stdout:
            process.stdout.readline()  # it serves
        yield address
    finally:
        process.terminate()
        process.wait()


def questions(ids: list[str]) -> Iterator[bytes]:
    """Requests without end: two placements for one household after the other, each with an id of its own."""
    page = types_pb2.Value(string_value="home")
    for n, profile_id in enumerate(itertools.cycle(ids)):
        yield decision_pb2.DecideRequest(
            request_id=f"bench-{n}",
            profile_id=profile_id,
            placements=[
                decision_pb2.PlacementRequest(placement="home_tiles"),
                decision_pb2.PlacementRequest(placement="app_inbox"),
            ],
            context={"page": page},
        ).SerializeToString()


def offers_per_decision(answers: list[bytes]) -> float:
    """How many offers an answer carries on average. Raises `SystemExit` if any answer was degraded."""
    decoded = [decision_pb2.DecideResponse.FromString(answer) for answer in answers]
    if any(answer.degradations for answer in decoded):
        raise SystemExit(f"degraded answers: {[a.degradations for a in decoded if a.degradations][:3]}")
    return statistics.mean(sum(len(p.offers) for p in answer.placements) for answer in decoded)


def timed_us(action: Callable[[], object], times: int) -> float:
    """Median microseconds of a call, over so many."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


def main() -> None:
    """Measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds instead of five")
    rounds, seconds, per_round = (3, 1.0, 3_000) if parser.parse_args().quick else (5, 4.0, 12_000)
    out = Console()
    workspace, bundle = places.workspace(None), places.model(None)
    catalog = load_workspace(workspace)
    scorer = load_scorer(bundle, catalog)
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory(prefix="takt-bench-") as scratch, empty_server() as reference:
        given = {
            "workspace": str(workspace),
            "model": str(bundle),
            "data_dir": f"{scratch}/store",
            "listen": free_address(),
            "admin_listen": free_address(),
            "metrics_listen": "",
            "store_timeout_ms": "2000",
            "decide_budget_ms": "5000",
        }
        with Service(given, Path(scratch) / "serve.log") as service:
            households = people.known(catalog.spec)
            service.await_ready()
            with Client(service.admin) as admin:
                people.put(admin, households, catalog.spec, out)
            store = RedisStore.open(Address(f"unix://{EmbeddedServer(Path(given['data_dir'])).socket}", 2.0))
            source = questions([household.profile_id for household in households])
            at_start, at_end = 0.0, 0.0
            for n in range(rounds):
                out.print(f"round {n + 1} of {rounds}")
                floors(note, catalog, scorer, store, [h.profile_id for h in households[:64]])
                for callers in CALLERS:
                    plain = load.run(reference, empty.METHOD, callers=callers, seconds=seconds, requests=[b""])
                    asked = list(itertools.islice(source, per_round))
                    full = load.run(service.public.address, DECIDE, callers=callers, seconds=seconds, requests=asked)
                    note(f"empty_per_s_{callers}", plain.per_second)
                    note(f"decide_per_s_{callers}", full.per_second)
                    note(f"decide_over_empty_{callers}", full.per_second / plain.per_second)
                    if callers == 1:
                        note("lone_p50_over_empty", full.p50_ms / plain.p50_ms)
                    offers = offers_per_decision(full.answers)
                    at_start, at_end = at_start or offers, offers
    report(out, figures, rounds, at_start, at_end)


def floors(note: Note, catalog: Catalog, scorer: OnnxScorer, store: RedisStore, ids: list[str]) -> None:
    """What no decision can be cheaper than: a fetch from the store and a run of the model, for 1 and for 64."""
    spec = catalog.spec
    profile = model_matrix(spec.profile, np.repeat(spec.profile.default, 64), 0)
    context = model_matrix(spec.context, np.repeat(spec.context.default, 64), 0)
    offers = model_matrix(spec.offer, np.resize(catalog.offer_table, OFFERS), 0)
    codes = np.zeros(OFFERS, np.int64)
    for n in (1, 64):
        note(f"fetch_us_{n}", timed_us(lambda n=n: store.fetch(ids[:n]), 200))
        note(f"model_us_{n}", timed_us(lambda n=n: scorer.score(profile[:n], context[:n], offers, codes), 100))


def report(out: Console, figures: dict[str, list[float]], rounds: int, at_start: float, at_end: float) -> None:
    """Print medians with their spread, write them down."""
    table = Table(title=f"medians of {rounds} alternating rounds")
    for column in ("figure", "median", "least", "most"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, values in figures.items():
        shown = (statistics.median(values), min(values), max(values))
        table.add_row(name, *(f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in shown))
    out.print(table)
    out.print(f"offers per decision: {at_start:.2f} at the start, {at_end:.2f} at the end")
    told = {
        name: {"value": statistics.median(values), "least": min(values), "most": max(values)}
        for name, values in figures.items()
    }
    told["offers_per_decision"] = {"at_start": at_start, "at_end": at_end}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")
    out.print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
