"""What no decision can be cheaper than: a round trip to the store, a run of the model, a sync of the disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from bench.scenes import Bench
from bench.stand import Stand
from takt.features.matrix import model_matrix
from takt.model.onnx import load_scorer

BATCH = 64


def measure(bench: Bench, on: Stand) -> None:
    """Note medians in microseconds: for one request, and for a batch of 64."""
    spec = on.catalog.spec
    people = np.frombuffer(b"".join(on.known[:BATCH]), spec.profile.dtype)
    profile = model_matrix(spec.profile, people, 0)
    context = model_matrix(spec.context, np.repeat(spec.context.default, BATCH), 0)
    offers = model_matrix(spec.offer, on.catalog.offer_table, 0)
    codes = np.arange(1, len(offers) + 1)
    scorer = load_scorer(on.model, on.catalog)
    bench.notes.add("floor_round_trip_us", timed_us(lambda: on.store.wire.call("bench", [("PING",)]), 500))
    for n in (1, BATCH):
        fetch = partial(on.store.fetch, on.asked[:n])
        score = partial(scorer.score, profile[:n], context[:n], offers, codes)
        bench.notes.add(f"floor_fetch_us_{n}", timed_us(fetch, 200))
        bench.notes.add(f"floor_model_us_{n}", timed_us(score, 100))
    for name, folder in (("data", bench.scratch), ("disk", tempfile.gettempdir())):
        with tempfile.TemporaryFile(dir=folder) as file:

            def sync(number: int = file.fileno()) -> None:
                os.write(number, b"x" * 1_024)
                os.fdatasync(number)

            bench.notes.add(f"floor_sync_us_{name}", timed_us(sync, 30))


def timed_us(action: Callable[[], object], times: int) -> float:
    """Median microseconds of a call, over so many."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6
