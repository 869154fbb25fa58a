"""What Prometheus reads. Nothing here names a person; labels come from closed sets and from the catalog."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from takt.domain.reasons import Cause, Status

if TYPE_CHECKING:
    from takt.domain.decision import Decision
    from takt.ports import Outcome

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
CALL_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
STAGE_S: Final = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Implements `takt.ports.Meter` and `takt.rpc.calls.CallMeter` on a registry of its own.

    Every method may be called from any thread.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register everything; by default on a new registry that also has the process's own figures."""
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
        self.registry = registry
        self._calls = Histogram(
            "takt_call_seconds",
            "Calls by method and status code.",
            ["method", "code"],
            buckets=CALL_S,
            registry=registry,
        )
        self._decisions = Counter(
            "takt_decisions", "Requests that were answered.", ["degraded", "dry_run"], registry=registry
        )
        self._placements = Counter(
            "takt_placements",
            "Placements that were decided, by what they got.",
            ["placement", "status"],
            registry=registry,
        )
        self._offers = Counter("takt_offers", "Offers that were given.", ["channel"], registry=registry)
        self._exclusions = Counter(
            "takt_exclusions", "Offers that were left out, by reason.", ["reason"], registry=registry
        )
        self._degradations = Counter(
            "takt_degradations", "Answers that were less than they should be, by cause.", ["cause"], registry=registry
        )
        self._refusals = Counter(
            "takt_refusals", "Requests that were wrong, by what was wrong.", ["reason"], registry=registry
        )
        self._attempts = Histogram(
            "takt_decision_attempts",
            "Attempts until a decision was committed.",
            buckets=(1, 2, 3, 4),
            registry=registry,
        )
        self._batch = Histogram(
            "takt_batch_size", "Requests that were decided together.", buckets=BATCH, registry=registry
        )
        self._stages = Histogram(
            "takt_stage_seconds", "Stages of a batch's decision.", ["stage"], buckets=STAGE_S, registry=registry
        )
        self._commits = Counter(
            "takt_commits",
            "Groups (one person's decisions of a batch) by outcome of their commit.",
            ["outcome"],
            registry=registry,
        )
        self._store = Histogram(
            "takt_store_seconds", "Round trips to the store.", ["call", "ok"], buckets=STAGE_S, registry=registry
        )
        self._events = Counter("takt_feedback_events", "Feedback by outcome.", ["outcome"], registry=registry)
        self._waiting = Gauge("takt_waiting", "Calls that wait for their batch.", ["queue"], registry=registry)
        self._store_up = Gauge(
            "takt_store_up", "1 while the store answers, 0 while it is left alone.", registry=registry
        )
        self._info = Gauge(
            "takt_build_info",
            "What is in force; always 1.",
            ["version", "catalog", "model", "features"],
            registry=registry,
        )
        for cause in Cause:
            # from zero, so that the first one is a change that alerts see
            self._degradations.labels(cause.name)

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a batch took this long."""
        self._stages.labels(name).observe(seconds)

    def batch(self, size: int) -> None:
        """A batch of this many requests was taken up."""
        self._batch.observe(size)

    def decided(self, decision: Decision) -> None:
        """A request was answered."""
        self._decisions.labels(str(decision.degraded).lower(), str(decision.dry_run).lower()).inc()
        if decision.attempts:
            self._attempts.observe(decision.attempts)
        for degradation in decision.degradations:
            self._degradations.labels(degradation.cause.name).inc()
        for placement in decision.placements:
            self._placements.labels(placement.placement, placement.status.name).inc()
            if placement.status is Status.OFFERED:
                self._offers.labels(placement.channel).inc(len(placement.offers))
            for exclusion in placement.exclusions:
                self._exclusions.labels(exclusion.reason.name).inc(exclusion.count)

    def refused(self, reason: str) -> None:
        """A request was wrong; `reason` is the error's class."""
        self._refusals.labels(_WORD.sub("_", reason.removesuffix("Error")).upper()).inc()

    def races(self, outcomes: Sequence[Outcome]) -> None:
        """What became of the groups of one commit."""
        for outcome in outcomes:
            self._commits.labels(outcome.commit.name).inc()

    def round_trip(self, call: str, seconds: float, ok: bool) -> None:
        """One round trip to the store ended."""
        self._store.labels(call, str(ok).lower()).observe(seconds)

    def called(self, method: str, code: str, seconds: float) -> None:
        """A call ended with this status code."""
        self._calls.labels(method, code).observe(seconds)

    def feedback(self, outcome: str) -> None:
        """An event had this outcome."""
        self._events.labels(outcome).inc()

    def watch_queue(self, name: str, waiting: Callable[[], int]) -> None:
        """Read a queue's length whenever metrics are read."""
        self._waiting.labels(name).set_function(waiting)

    def watch_store(self, up: Callable[[], bool]) -> None:
        """Read whether the store answers whenever metrics are read."""
        self._store_up.set_function(lambda: float(up()))

    def in_force(self, *, version: str, catalog: str, model: str, features: str) -> None:
        """Say what is in force now, in place of what was."""
        self._info.clear()
        self._info.labels(version, catalog, model, features).set(1)
