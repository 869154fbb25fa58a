"""Counters and histograms that cost little, made into Prometheus's form only when somebody reads them."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


def nothing() -> None:
    """Count nothing."""


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
        ahead: Callable[[], None] = nothing,
    ) -> None:
        """Register under `name` (without `_total`). `spelt` makes a label's value of what was counted under.

        `ahead` is called before the counter is read, to count what waits for that.
        """
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._spelt = spelt
        self._ahead = ahead
        self._counts: dict[tuple[Any, ...], float] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def add(self, *under: Any, amount: float = 1.0) -> None:
        """Count under one value per label. From any thread."""
        with self._lock:
            self._counts[under] = self._counts.get(under, 0.0) + amount

    def collect(self) -> Iterable[Metric]:
        """All series as they are now."""
        self._ahead()
        with self._lock:
            counts = dict(self._counts)
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for under, count in counts.items():
            family.add_metric([self._spelt(value) for value in under], count)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Name and labels, without series."""
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labels)


class Distribution(Collector):
    """A histogram that costs little for each observation, and less where it takes many at once."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        *,
        buckets: Sequence[float],
    ) -> None:
        """Register under `name`, with these upper bounds, in ascending order; one without bound comes last."""
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = [*buckets, math.inf]
        self._series: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def add(self, *under: str, observed: float, amount: int = 1) -> None:
        """Count so many equal observations under one value per label. From any thread."""
        with self._lock:
            counts, total = self._series.get(under) or self._begin(under)
            counts[bisect_left(self._bounds, observed)] += amount
            total[0] += observed * amount

    def add_all(self, *under: str, observed: Sequence[float]) -> None:
        """Count observations under one value per label. From any thread."""
        with self._lock:
            counts, total = self._series.get(under) or self._begin(under)
            for value in observed:
                counts[bisect_left(self._bounds, value)] += 1
            total[0] += sum(observed)

    def _begin(self, under: tuple[str, ...]) -> tuple[list[int], list[float]]:
        """A new series; under the lock."""
        series = self._series[under] = ([0] * len(self._bounds), [0.0])
        return series

    def collect(self) -> Iterable[Metric]:
        """All series as they are now."""
        with self._lock:
            series = {under: (list(counts), total[0]) for under, (counts, total) in self._series.items()}
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for under, (counts, total) in series.items():
            buckets = zip(map(floatToGoString, self._bounds), accumulate(counts), strict=True)
            family.add_metric(under, list(buckets), total)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Name and labels, without series."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
