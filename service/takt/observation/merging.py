"""The metrics of several processes as those of one: counts add up, and do not fall when a process ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
Join = Callable[[float, float], float]

COUNTED: Final = ("counter", "histogram", "summary")
JOINS: Final[Mapping[str, Join]] = {
    # the others are amounts, which add up
    "takt_store_up": min,
    "takt_total_spent": max,
    "takt_build_info": max,
    "python_info": max,
    "process_start_time_seconds": min,
}
"""How gauges of one name and one set of labels are joined."""


class Merged(Collector):
    """The metrics of several sources, each as Prometheus's text."""

    def __init__(self, sources: Callable[[], Mapping[str, Callable[[], str]]]) -> None:
        """`sources` gives, by name, what reads a source's text; one that raises `OSError` is shown as it was last."""
        self._sources = sources
        self._seen: dict[str, str] = {}
        self._ended: dict[Key, float] = {}
        """What sources that have ended had counted, as far as anybody saw it."""
        self._lock = threading.Lock()

    def end(self, source: str) -> None:
        """A source has ended: what was seen of its counts stays counted."""
        with self._lock:
            text = self._seen.pop(source, None)
            if text is None:
                return
            for family in text_string_to_metric_families(text):
                if family.type in COUNTED:
                    for sample in family.samples:
                        _add(self._ended, sample, sum_of)

    def collect(self) -> Iterable[Metric]:
        """Every metric that any source has."""
        with self._lock:
            for name, read in self._sources().items():
                try:
                    self._seen[name] = read()
                except OSError:
                    continue  # about to end, or just busy: a gap would look like a reset
            return merge(list(self._seen.values()), self._ended)

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is is known when it is read."""
        return ()


def merge(texts: Sequence[str], ended: Mapping[Key, float] | None = None) -> list[Metric]:
    """The metrics of several texts as one, on top of what was counted before."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[Key, float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            found = values.setdefault(family.name, {})
            for sample in family.samples:
                _add(found, sample, _join(family, sample))
    for name, found in values.items():
        family = families[name]
        for key, value in found.items():
            sample_name, labels = key
            before = (ended or {}).get(key, 0.0) if not sample_name.endswith("_created") else 0.0
            family.samples.append(Sample(sample_name, dict(labels), value + before))
    for key, value in (ended or {}).items():
        # counted by nobody who still lives
        for name, family in families.items():
            if _belongs(key[0], family) and key not in values[name]:
                family.samples.append(Sample(key[0], dict(key[1]), value))
    return list(families.values())


def sum_of(one: float, other: float) -> float:
    """Both together."""
    return one + other


def _join(family: Metric, sample: Sample) -> Join:
    if sample.name.endswith("_created"):
        return min
    return JOINS.get(family.name, sum_of) if family.type not in COUNTED else sum_of


def _belongs(sample_name: str, family: Metric) -> bool:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("", "_count", "_sum")}
    return any(sample_name == family.name + suffix for suffix in suffixes.get(family.type, ("",)))


def _add(values: dict[Key, float], sample: Sample, join: Join) -> None:
    key = (sample.name, tuple(sorted(sample.labels.items())))
    values[key] = join(values[key], sample.value) if key in values else sample.value
