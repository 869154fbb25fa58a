"""Counters that cost little: one dictionary each, made into Prometheus's form only when somebody reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter whose series come to be when they are first counted.

    A series of `prometheus_client` costs several microseconds to find and add to, and a decision adds to a dozen.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        *,
        spelt: Callable[[Any], str] = str,
    ) -> None:
        """Register under `name` (without `_total`). `spelt` makes a label's value of what was counted under."""
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._spelt = spelt
        self._counts: dict[tuple[Any, ...], float] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def add(self, *under: Any, amount: float = 1.0) -> None:
        """Count under one value per label. From any thread."""
        with self._lock:
            self._counts[under] = self._counts.get(under, 0.0) + amount

    def collect(self) -> Iterable[Metric]:
        """All series as they are now."""
        with self._lock:
            counts = dict(self._counts)
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for under, count in counts.items():
            family.add_metric([self._spelt(value) for value in under], count)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Name and labels, without series."""
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labels)
