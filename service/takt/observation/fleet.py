"""What Prometheus reads of several workers: their metrics as one, and how the workers themselves do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.request import urlopen

from prometheus_client import CollectorRegistry, Counter, Gauge

from takt.observation.merging import Merged

READ_S: Final = 2.0


class FleetMetrics:
    """The metrics of a process that watches over workers."""

    def __init__(self, ports: Callable[[], Mapping[str, int]]) -> None:
        """`ports` gives, by the worker's name, the port on this machine where its own metrics are read."""
        self.registry = CollectorRegistry()
        self._workers = Gauge("takt_workers", "Workers that are ready.", registry=self.registry)
        self._restarts = Counter(
            "takt_worker_restarts",
            "Workers that ended unasked and were started anew.",
            ["worker"],
            registry=self.registry,
        )
        self._merged = Merged(
            lambda: {name: lambda port=port: read(port) for name, port in ports().items()}  # type: ignore[misc]
        )
        self.registry.register(self._merged)

    def ready(self, workers: int) -> None:
        """So many workers are ready."""
        self._workers.set(workers)

    def watch(self, worker: int) -> None:
        """From zero, so that the first restart is a change that alerts see."""
        self._restarts.labels(str(worker)).inc(0)

    def ended(self, worker: int, name: str) -> None:
        """A worker ended; another one will be started in its place. `name` is that of its metrics."""
        self._restarts.labels(str(worker)).inc()
        self._merged.end(name)


def read(port: int) -> str:
    """The metrics of one worker. Raises `OSError`."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=READ_S) as answer:
        text: str = answer.read().decode()
    return text
