"""The parent of the workers: starts them, replaces those that end, and ends them in order.

It serves nothing itself but metrics, and loads nothing heavy: no model, no engine, no gRPC.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from takt import __version__
from takt.errors import StoreError, TaktError
from takt.loading import for_good
from takt.observation import logs
from takt.observation.exposition import Exposition
from takt.observation.fleet import FleetMetrics
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt.settings import Address, Settings
from takt.workers.ports import SharedPort
from takt.workers.word import Failed, Ready

WATCH_S: Final = 0.5
"""How often the embedded store is looked after."""
LONGER_S: Final = 5.0
"""That workers get beyond the grace to end by themselves."""
LEAST_PAUSE_S: Final = 0.1
MOST_PAUSE_S: Final = 5.0
"""Between the end of a worker and the next one in its place; longer each time that one does not become ready."""

_log = structlog.stdlib.get_logger("takt.workers")
_spawn = multiprocessing.get_context("spawn")


class WorkerError(TaktError):
    """A worker could not begin."""


def work(settings: Settings, worker: int, pipe: Connection) -> None:
    """Be a worker. Runs in a process of its own."""
    with for_good():
        from takt.workers.worker import work as serve  # noqa: PLC0415 - what it imports is for the workers alone

    serve(settings, worker, pipe)


def main(settings: Settings) -> None:
    """Serve with several workers until SIGTERM or Ctrl-C. Raises `TaktError` if the service cannot begin."""
    logs.configure(settings.log_level, settings.log_format)
    begun = time.monotonic()
    _log.info("starting", version=__version__, workspace=str(settings.workspace), workers=settings.workers)
    with ExitStack() as closing:
        told = closing.enter_context(signals())
        public = closing.enter_context(SharedPort(settings.listen, "listen")).address
        admin = closing.enter_context(SharedPort(settings.admin_listen, "admin_listen")).address
        embedded = None if settings.redis_url else closing.enter_context(EmbeddedServer(settings.data_dir))
        if embedded is not None:
            embedded_store_id(embedded, retention_us=settings.request_id_retention_us)
        fleet = Fleet(of_a_worker(settings, public, admin, embedded), settings.workers, embedded, told)
        closing.callback(fleet.kill)
        metrics_at = None
        if settings.metrics_listen is not None:
            at = settings.metrics_listen
            served = closing.enter_context(Exposition(fleet.metrics.registry, at.host, at.port))
            metrics_at = Address(at.host, served.port)
        if fleet.begin():
            _log.info(
                "ready",
                listen=str(public),
                admin=str(admin),
                metrics=str(metrics_at or ""),
                transport="native" if settings.native else "grpcio",
                workers=settings.workers,
                store="embedded" if embedded else "own",
                version=__version__,
                seconds=round(time.monotonic() - begun, 3),
            )
            fleet.watch()
        _log.info("draining", signal=told.name)
        begun = time.monotonic()
        clean = fleet.end(settings.grace_s)
        _log.info("drained", clean=clean, seconds=round(time.monotonic() - begun, 3))
    _log.info("stopped")


def of_a_worker(settings: Settings, public: Address, admin: Address, embedded: EmbeddedServer | None) -> Settings:
    """The settings of each worker: the same ports and store for all, and metrics where only the parent reads them."""
    return replace(
        settings,
        workers=1,
        listen=public,
        admin_listen=admin,
        metrics_listen=None if settings.metrics_listen is None else Address("127.0.0.1", 0),
        redis_url=embedded.url if embedded else settings.redis_url,
        # the parent tells of beginnings and ends, for all
        log_level="warning" if settings.log_level == "info" else settings.log_level,
    )


class Told(Struct):
    """The signal that asked for the end, once one has."""

    reading: int
    """Can be read as soon as there was one."""
    name: str = ""


@contextmanager
def signals() -> Iterator[Told]:
    """SIGTERM and SIGINT are taken down, and wake whoever waits; after one, others change nothing to the end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    told = Told(reading)

    def take_down(number: int, _: Any) -> None:
        told.name = signal.Signals(number).name
        with suppress(BlockingIOError):
            os.write(writing, b"!")

    before = {number: signal.signal(number, take_down) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if told.name else handler)
        os.close(reading)
        os.close(writing)


class Worker(Struct):
    """One place in the fleet, and the process that is in it."""

    number: int
    process: SpawnProcess | None = None
    pipe: Connection | None = None
    metrics_port: int = 0
    ready: bool = False
    pause_s: float = LEAST_PAUSE_S
    failure: TaktError | None = None
    """Why the last process could not begin, if it said so."""
    due_s: float = 0.0
    """When the next process is started, while there is none."""

    @property
    def name(self) -> str:
        """Of this very process, for its metrics."""
        return f"{self.number}/{self.process.pid if self.process else 0}"


class Fleet:
    """Workers that are kept at their number."""

    def __init__(self, settings: Settings, count: int, embedded: EmbeddedServer | None, told: Told) -> None:
        """So many workers with these settings; `embedded` is kept running. All is over once something is `told`."""
        self._settings = settings
        self._embedded = embedded
        self._told = told
        self._workers = [Worker(number) for number in range(count)]
        self.metrics = FleetMetrics(lambda: {w.name: w.metrics_port for w in self._workers if w.ready and w.process})
        for worker in self._workers:
            self.metrics.watch(worker.number)

    def begin(self) -> bool:
        """Start all; False if something was told before they were ready. Raises `TaktError` if one cannot begin.

        The first goes ahead: it compiles what the others then find compiled.
        """
        for some in (self._workers[:1], self._workers[1:]):
            for worker in some:
                self._start(worker)
            while not all(worker.ready for worker in some):
                if self._told.name:
                    return False
                for worker in self._look(WATCH_S):
                    raise worker.failure or WorkerError(f"worker {worker.number} ended before it was ready")
        return True

    def watch(self) -> None:
        """Replace workers that end, until something is told."""
        while not self._told.name:
            for worker in self._look(WATCH_S):
                self.metrics.ended(worker.number, worker.name)
                worker.pause_s = LEAST_PAUSE_S if worker.ready else min(MOST_PAUSE_S, 2 * worker.pause_s)
                worker.due_s = time.monotonic() + worker.pause_s
                self._clear(worker)
            for worker in self._workers:
                if worker.process is None and worker.due_s <= time.monotonic():
                    self._start(worker)
            if self._embedded is not None and self._embedded.pid is None:
                self._revive(self._embedded)

    def end(self, grace_s: float) -> bool:
        """Ask all to end, and wait; whether all did, in order."""
        living = [worker.process for worker in self._workers if worker.process is not None]
        for process in living:
            process.terminate()
        until = time.monotonic() + grace_s + LONGER_S
        for process in living:
            process.join(max(0.0, until - time.monotonic()))
        return all(process.exitcode == 0 for process in living)

    def kill(self) -> None:
        """End what has not ended."""
        for worker in self._workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.join()
                self._clear(worker)

    def _start(self, worker: Worker) -> None:
        ours, theirs = _spawn.Pipe()
        worker.process = _spawn.Process(target=work, args=(self._settings, worker.number, theirs), daemon=True)
        worker.process.start()
        theirs.close()
        worker.pipe = ours

    def _look(self, timeout_s: float) -> list[Worker]:
        """Wait for something to happen; the workers that have ended."""
        due = [worker.due_s for worker in self._workers if worker.process is None]
        if due:
            timeout_s = max(0.0, min(timeout_s, min(due) - time.monotonic()))
        living = [(worker, worker.process) for worker in self._workers if worker.process is not None]
        pipes = [worker.pipe for worker, _ in living if worker.pipe is not None]
        happened = wait([*pipes, *(process.sentinel for _, process in living), self._told.reading], timeout_s)
        for worker, process in living:
            if worker.pipe in happened:
                self._listen(worker, process)
        ended = []
        for worker, process in living:
            if process.sentinel in happened:
                process.join()
                _log.error("worker_ended", worker=worker.number, pid=process.pid, code=process.exitcode)
                ended.append(worker)
        self.metrics.ready(sum(worker.ready for worker in self._workers if worker not in ended))
        return ended

    def _listen(self, worker: Worker, process: SpawnProcess) -> None:
        """Take a worker's word."""
        if worker.pipe is None:
            return
        try:
            word = worker.pipe.recv()
        except (EOFError, OSError):  # it is about to end
            worker.pipe.close()
            worker.pipe = None
            return
        match word:
            case Ready(metrics_port=port):
                worker.ready, worker.metrics_port = True, port
                _log.info("worker_ready", worker=worker.number, pid=process.pid)
            case Failed(message=message, store=store):
                _log.error("worker_failed", worker=worker.number, pid=process.pid, message=message)
                worker.failure = StoreError(message) if store else WorkerError(message)

    def _clear(self, worker: Worker) -> None:
        """Nobody is in a worker's place."""
        if worker.pipe is not None:
            worker.pipe.close()
        worker.process, worker.pipe, worker.ready, worker.metrics_port = None, None, False, 0

    def _revive(self, embedded: EmbeddedServer) -> None:
        """Start the embedded store anew; until then, callers get their fallbacks."""
        _log.error("store_ended", store="embedded")
        try:
            embedded.start()
        except StoreError as error:
            _log.error("store_not_started", exc_info=error)
        else:
            _log.info("store_started", store="embedded")
