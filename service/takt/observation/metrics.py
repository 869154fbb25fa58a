"""What Prometheus reads. Nothing here names a person; labels come from closed sets and from the catalog."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from takt.domain.reasons import Cause, Reason, Status
from takt.observation.tally import Distribution, Tally

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from takt.catalog.snapshot import Catalog
    from takt.domain.decision import Decision
    from takt.ports import Counted, Outcome

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
CALL_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
STAGE_S: Final = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
APPLIES: Final = ("APPLIED", "UNCHANGED", "INVALID", "NOT_COVERED", "CHANGED")
STATUSES: Final = tuple(Status)
BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Summed(Struct):
    """What `takt.ports.Counted` tells by placement, reason and channel, summed over batches of one catalog.

    A batch so adds three arrays, where the series would be a dozen additions, each under a lock.
    """

    catalog: Catalog
    statuses: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.int64]
    offers: npt.NDArray[np.int64]


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
        self._summed: Summed | None = None
        self._summing = threading.Lock()
        self._calls = Distribution(
            "takt_call_seconds",
            "Calls by method and status code.",
            ["method", "code"],
            registry,
            buckets=CALL_S,
        )
        self._decisions = Tally(
            "takt_decisions",
            "Requests that were answered.",
            ["degraded", "dry_run"],
            registry,
            spelt=lambda flag: str(flag).lower(),
        )
        self._placements = Tally(
            "takt_placements",
            "Placements that were decided, by what they got.",
            ["placement", "status"],
            registry,
            ahead=self._tell,
        )
        self._offers = Tally("takt_offers", "Offers that were given.", ["channel"], registry, ahead=self._tell)
        self._exclusions = Tally(
            "takt_exclusions",
            "Offers that were left out, by reason.",
            ["reason"],
            registry,
            spelt=lambda reason: Reason(reason).name,
            ahead=self._tell,
        )
        self._degradations = Tally(
            "takt_degradations", "Answers that were less than they should be, by cause.", ["cause"], registry
        )
        self._refusals = Tally("takt_refusals", "Requests that were wrong, by what was wrong.", ["reason"], registry)
        self._attempts = Distribution(
            "takt_decision_attempts", "Attempts until a decision was committed.", [], registry, buckets=(1, 2, 3, 4)
        )
        self._repeats = Tally(
            "takt_repeats", "Requests that were decided before and given the same answer.", [], registry
        )
        self._batch = Distribution(
            "takt_batch_size", "Requests that were decided together.", [], registry, buckets=BATCH
        )
        self._stages = Distribution(
            "takt_stage_seconds", "Stages of a batch's decision.", ["stage"], registry, buckets=STAGE_S
        )
        self._commits = Tally(
            "takt_commits",
            "Groups (one person's decisions of a batch) by outcome of their commit.",
            ["outcome"],
            registry,
        )
        self._store = Distribution(
            "takt_store_seconds", "Round trips to the store.", ["call", "ok"], registry, buckets=STAGE_S
        )
        self._events = Tally("takt_feedback_events", "Feedback by outcome.", ["outcome"], registry)
        self._tokens = Tally(
            "takt_total_tokens",
            "Tokens of totals that upkeep took in from unfinished transfers, or gave back from expired holds.",
            ["what"],
            registry,
        )
        self._spent = Gauge(
            "takt_total_spent",
            "Contacts that a total cap has counted in its window, and how many it allows.",
            ["cap", "what"],
            registry=registry,
        )
        self._applies = Tally(
            "takt_catalog_applies", "Catalogs that somebody wanted applied here, by outcome.", ["outcome"], registry
        )
        self._edition = Gauge(
            "takt_catalog_edition",
            "Number of the catalog's edition that is in force in the store, and the one this replica decides by.",
            ["where"],
            registry=registry,
        )
        self._differs = Gauge(
            "takt_workspace_differs",
            "1 if the workspace that this replica was started with is not the catalog that was in force.",
            registry=registry,
        )
        self._log_entries = Gauge(
            "takt_log_entries", "Entries of the decision log that are in the store.", registry=registry
        )
        self._log_oldest = Gauge(
            "takt_log_oldest_seconds", "Age of the oldest entry of the decision log in the store.", registry=registry
        )
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
            self._degradations.add(cause, amount=0)
        for outcome in APPLIES:
            self._applies.add(outcome, amount=0)

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a batch took this long."""
        self._stages.add(name, observed=seconds)

    def batch(self, size: int) -> None:
        """A batch of this many requests was taken up."""
        self._batch.add(observed=size)

    def settled(self, counted: Counted) -> None:
        """Requests of a batch were answered as they were decided."""
        for flags, amount in counted.decisions.items():
            self._decisions.add(*flags, amount=amount)
        for attempts, amount in counted.attempts.items():
            self._attempts.add(observed=attempts, amount=amount)
        for cause in counted.causes:
            self._degradations.add(cause)
        with self._summing:
            summed = self._summed
            if summed is None or summed.catalog is not counted.catalog:
                self._tell_summed()
                self._summed = Summed(
                    counted.catalog, counted.statuses.copy(), counted.reasons.copy(), counted.offers.copy()
                )
            else:
                summed.statuses += counted.statuses
                summed.reasons += counted.reasons
                summed.offers += counted.offers

    def _tell(self) -> None:
        """Count what was summed, as somebody reads it."""
        with self._summing:
            self._tell_summed()

    def _tell_summed(self) -> None:
        """Count what was summed, if anything was; under the lock."""
        summed, self._summed = self._summed, None
        if summed is None:
            return
        placements, channels = summed.catalog.placements, summed.catalog.channels
        for p, status in zip(*summed.statuses.nonzero(), strict=True):
            self._placements.add(placements[p].id, STATUSES[status - 1], amount=int(summed.statuses[p, status]))
        for h in summed.offers.nonzero()[0]:
            self._offers.add(channels[h].id, amount=int(summed.offers[h]))
        for reason in summed.reasons.nonzero()[0].tolist():
            self._exclusions.add(reason, amount=int(summed.reasons[reason]))

    def repeated(self) -> None:
        """A request that was decided before was given the same answer."""
        self._repeats.add()

    def decided(self, decision: Decision, amount: int = 1) -> None:
        """So many requests were answered like this."""
        self._decisions.add(decision.degraded, decision.dry_run, amount=amount)
        if decision.attempts:
            self._attempts.add(observed=decision.attempts, amount=amount)
        for degradation in decision.degradations:
            self._degradations.add(degradation.cause, amount=amount)
        for placement in decision.placements:
            self._placements.add(placement.placement, placement.status, amount=amount)
            if placement.offers:
                self._offers.add(placement.channel, amount=amount * len(placement.offers))
            for exclusion in placement.exclusions:
                # enums are slow to hash; numbers are not
                self._exclusions.add(int(exclusion.reason), amount=amount * exclusion.count)

    def refused(self, reason: str) -> None:
        """A request was wrong; `reason` is the error's class."""
        self._refusals.add(_WORD.sub("_", reason.removesuffix("Error")).upper())

    def races(self, outcomes: Sequence[Outcome]) -> None:
        """What became of the groups of one commit."""
        for outcome in outcomes:
            self._commits.add(outcome.commit)

    def round_trip(self, call: str, seconds: float, ok: bool) -> None:
        """One round trip to the store ended."""
        self._store.add(call, "true" if ok else "false", observed=seconds)

    def called(self, method: str, code: str, seconds: float) -> None:
        """A call ended with this status code."""
        self._calls.add(method, code, observed=seconds)

    def answered(self, method: str, seconds: Sequence[float]) -> None:
        """Calls ended with OK, one for each duration."""
        self._calls.add_all(method, "OK", observed=seconds)

    def feedback(self, outcome: str) -> None:
        """An event had this outcome."""
        self._events.add(outcome)

    def watch_queue(self, name: str, waiting: Callable[[], int]) -> None:
        """Read a queue's length whenever metrics are read."""
        self._waiting.labels(name).set_function(waiting)

    def totals(self, spent: Mapping[str, int], limits: Mapping[str, int], *, recovered: int, returned: int) -> None:
        """What upkeep saw and did in one round, by cap."""
        self._tokens.add("recovered", amount=recovered)
        self._tokens.add("returned", amount=returned)
        for cap, limit in limits.items():
            self._spent.labels(cap, "limit").set(limit)
            self._spent.labels(cap, "spent").set(spent.get(cap, 0))

    def edition(self, where: str, number: int) -> None:
        """Which edition of the catalog is in force, in the `store` or for the `replica`."""
        self._edition.labels(where).set(number)

    def applied(self, outcome: str) -> None:
        """Somebody wanted a catalog applied."""
        self._applies.add(outcome)

    def workspace_differs(self, *, differs: bool) -> None:
        """Whether the workspace at the start was not what is in force."""
        self._differs.set(float(differs))

    def log(self, entries: int, oldest_s: float) -> None:
        """How much of the decision log waits in the store to be exported and trimmed."""
        self._log_entries.set(entries)
        self._log_oldest.set(oldest_s)

    def watch_store(self, up: Callable[[], bool]) -> None:
        """Read whether the store answers whenever metrics are read."""
        self._store_up.set_function(lambda: float(up()))

    def in_force(self, *, version: str, catalog: str, model: str, features: str) -> None:
        """Say what is in force now, in place of what was."""
        self._info.clear()
        self._info.labels(version, catalog, model, features).set(1)
