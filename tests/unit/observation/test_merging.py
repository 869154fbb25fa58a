"""Several processes are seen as one: what they count adds up, and stays counted when one ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from takt.observation.fleet import FleetMetrics
from takt.observation.merging import Merged, merge
from takt.observation.metrics import Metrics


def text(metrics: Metrics) -> str:
    """As Prometheus reads it."""
    return generate_latest(metrics.registry).decode()


def samples(*texts: str) -> dict[str, float]:
    """What several texts come to, by name and labels."""
    return {f"{s.name}{sorted(s.labels.items())}": s.value for family in merge(texts) for s in family.samples}


def worker(calls: int, *, up: bool = True, waiting: int = 0) -> Metrics:
    """The metrics of a process that answered so many calls."""
    metrics = Metrics(CollectorRegistry())
    metrics.answered("Decide", [0.003] * calls)
    for _ in range(calls):
        metrics.feedback("APPLIED")
    metrics.watch_store(lambda: up)
    metrics.watch_queue("decide", lambda: waiting)
    metrics.in_force(version="1", catalog="c", model="m", features="f")
    metrics.totals({"cap": 40 + calls}, {"cap": 100}, recovered=0, returned=0)
    return metrics


def test_counts_add_up_and_states_are_joined() -> None:
    """Counters, histograms and amounts are sums; the store is up if all see it; what is in force is told once."""
    found = samples(text(worker(2, waiting=3)), text(worker(5, up=False, waiting=4)))
    of_call = "[('code', 'OK'), ('method', 'Decide')]"

    assert 7 == found[f"takt_call_seconds_count{of_call}"]
    assert pytest.approx(7 * 0.003) == found[f"takt_call_seconds_sum{of_call}"]
    assert 0 == found["takt_call_seconds_bucket[('code', 'OK'), ('le', '0.002'), ('method', 'Decide')]"]
    assert 7 == found["takt_call_seconds_bucket[('code', 'OK'), ('le', '0.005'), ('method', 'Decide')]"]
    assert 7 == found["takt_call_seconds_bucket[('code', 'OK'), ('le', '+Inf'), ('method', 'Decide')]"]
    assert 7 == found["takt_feedback_events_total[('outcome', 'APPLIED')]"]
    assert 7 == found["takt_waiting[('queue', 'decide')]"]
    assert 0 == found["takt_store_up[]"]
    assert 1 == found["takt_build_info[('catalog', 'c'), ('features', 'f'), ('model', 'm'), ('version', '1')]"]
    assert 45 == found["takt_total_spent[('cap', 'cap'), ('what', 'spent')]"]
    assert 100 == found["takt_total_spent[('cap', 'cap'), ('what', 'limit')]"]


def test_one_source_is_shown_as_it_is() -> None:
    """Merging a single text changes nothing."""
    metrics = worker(3)
    given = {f"{s.name}{sorted(s.labels.items())}": s.value for f in metrics.registry.collect() for s in f.samples}

    assert {k: v for k, v in given.items() if "_created" not in k} == {
        k: v for k, v in samples(text(metrics)).items() if "_created" not in k
    }


class Sources:
    """Processes that come and go, and can be out of reach."""

    def __init__(self) -> None:
        self.texts: dict[str, str | None] = {}

    def __call__(self) -> dict[str, Callable[[], str]]:
        """What reads each of them."""

        def read(name: str) -> str:
            found = self.texts[name]
            if found is None:
                raise OSError("nobody answers")
            return found

        return {name: lambda name=name: read(name) for name in self.texts}  # type: ignore[misc]


def total(merged: Merged, name: str) -> float:
    """The sum over all series of a name."""
    return sum(s.value for family in merged.collect() for s in family.samples if s.name == name)


def test_counts_do_not_fall_when_a_process_ends() -> None:
    """What was seen of a process that ended is kept below what its successor counts from zero; states are not kept."""
    sources = Sources()
    sources.texts = {"0/1": text(worker(10, waiting=2)), "1/1": text(worker(1))}
    merged = Merged(sources)
    events, waiting = "takt_feedback_events_total", "takt_waiting"
    assert (11, 2) == (total(merged, events), total(merged, waiting))

    del sources.texts["0/1"]
    merged.end("0/1")
    assert (11, 0) == (total(merged, events), total(merged, waiting))
    sources.texts["0/2"] = text(worker(4))
    assert 15 == total(merged, events)
    assert 15 == total(merged, "takt_call_seconds_count")
    del sources.texts["0/2"]
    merged.end("0/2")
    merged.end("never seen")
    assert 15 == total(merged, events)


def test_a_process_that_does_not_answer_is_shown_as_it_was() -> None:
    """A gap would look like a reset to whoever computes rates."""
    sources = Sources()
    sources.texts = {"0/1": text(worker(10))}
    merged = Merged(sources)
    assert 10 == total(merged, "takt_feedback_events_total")
    sources.texts["0/1"] = None
    assert 10 == total(merged, "takt_feedback_events_total")


def test_series_that_nobody_counts_any_more_are_kept() -> None:
    """A series that only a process had which has ended does not vanish."""
    degraded = worker(0)
    degraded.called("Decide", "INTERNAL", 0.1)
    sources = Sources()
    sources.texts = {"0/1": text(degraded), "1/1": text(worker(1))}
    merged = Merged(sources)
    total(merged, "takt_waiting")
    del sources.texts["0/1"]
    merged.end("0/1")

    found = {
        s.labels["code"]: s.value
        for family in merged.collect()
        for s in family.samples
        if s.name == "takt_call_seconds_count"
    }
    assert {"OK": 1, "INTERNAL": 1} == found


def test_restarts_are_counted_from_zero() -> None:
    """Each worker has its series before anything happened to it."""
    metrics = FleetMetrics(dict)
    metrics.watch(0)
    metrics.watch(1)
    metrics.ready(2)
    metrics.ended(1, "1/77")

    value = metrics.registry.get_sample_value
    assert [0, 1] == [value("takt_worker_restarts_total", {"worker": n}) for n in ("0", "1")]
    assert 2 == value("takt_workers")
