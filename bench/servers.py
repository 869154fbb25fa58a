"""What is measured, as processes: the references, the store, the service on either front end, the peer."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from takt.settings import OPTIONS
from takt_training.demo.serving import Service

DECIDE: Final = "/takt.v1.DecisionService/Decide"
DECIDE_STREAM: Final = "/takt.v1.DecisionService/DecideStream"
STORE_TIMEOUT_MS: Final = 2_000
"""Longer than the service's own: a run on a busy machine shall be slow, not degraded."""


def free_addresses(count: int) -> list[str]:
    """Different loopback addresses that nobody listens on."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]


@contextmanager
def child(module: str, *arguments: str) -> Iterator[int]:
    """A Python module as a process that prints a line once it serves; its process id."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE)
    try:
        if process.stdout is not None and not process.stdout.readline():
            raise SystemExit(f"{module} did not start; its error is above")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def reference(module: str) -> Iterator[tuple[str, int]]:
    """A server whose only call does nothing; its address and process id."""
    (address,) = free_addresses(1)
    with child(module, address) as pid:
        yield address, pid


@contextmanager
def kept(folder: Path) -> Iterator[tuple[EmbeddedServer, RedisStore]]:
    """A store as the service embeds it (every commit is on disk before it is answered), and our own way in."""
    with EmbeddedServer(folder) as server:
        embedded_store_id(server)
        store = RedisStore.open(Address(server.url, timeout_s=60.0))
        try:
            yield server, store
        finally:
            store.close()


class Serving(Struct, frozen=True):
    """The service under test."""

    address: str
    metrics: str
    pid: int
    ready_s: float
    """From the start of the process until it served."""

    def stages(self) -> dict[str, tuple[float, float]]:
        """Seconds so far and times so far of every stage and every round trip to the store, by name."""
        found: dict[str, list[float]] = {}
        for family in text_string_to_metric_families(self._read()):
            if family.name not in {"takt_stage_seconds", "takt_store_seconds", "takt_batch_size"}:
                continue
            for sample in family.samples:
                if sample.name.endswith(("_sum", "_count")):
                    kind = {"takt_stage_seconds": "", "takt_store_seconds": "trip "}.get(family.name, "batch")
                    name = kind + sample.labels.get("stage", sample.labels.get("call", ""))
                    found.setdefault(name, [0.0, 0.0])[sample.name.endswith("_count")] += sample.value
        return {name: (pair[0], pair[1]) for name, pair in found.items()}

    def _read(self) -> str:
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def resident_mb(self) -> float:
        """Memory that the process holds now, in megabytes (Linux)."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("this system does not tell a process's memory")


def knows(option: str) -> bool:
    """Whether the installed service has a setting."""
    return any(known.name == option for known in OPTIONS)


def settings_for(*, workspace: Path, model: Path, store: EmbeddedServer, transport: str) -> dict[str, str]:
    """Settings of a service on a store that runs already, at addresses of its own."""
    listen, admin, metrics = free_addresses(3)
    return {
        "workspace": str(workspace),
        "model": str(model),
        "redis_url": store.url,
        "listen": listen,
        "admin_listen": admin,
        "metrics_listen": metrics,
        "store_timeout_ms": str(STORE_TIMEOUT_MS),
        "transport": transport,
        "log_level": "warning",
    }


@contextmanager
def serving(folder: Path, given: Mapping[str, str]) -> Iterator[Serving]:
    """`takt serve` with these settings. `folder` gets its log."""
    begun = time.perf_counter()
    with Service(given, folder / f"serve-{given['transport']}-{given['listen'].rpartition(':')[2]}.log") as service:
        service.await_ready()
        ready_s = time.perf_counter() - begun
        yield Serving(given["listen"], given["metrics_listen"], service.pid, ready_s)


@contextmanager
def peer(*, model: Path, store: EmbeddedServer, catalog: Path) -> Iterator[tuple[str, int]]:
    """The service that a team would otherwise write (`bench.peer`); its address and process id."""
    (address,) = free_addresses(1)
    with child("bench.peer", address, str(model), store.url, str(catalog)) as pid:
        yield address, pid


_WHEN_READY: Final = """
import sys
bare = set(sys.modules)
import asyncio, json
import takt.cli.main, takt.cli.serve
from takt.app import serve
from takt.observation import logs
from takt.settings import load
settings = load(json.load(sys.stdin), {})
logs.configure(settings.log_level, settings.log_format)
stop = asyncio.Event()
def tell(_):
    print(json.dumps([name for name in sys.modules if name not in bare and name.partition(".")[0] != "takt"]))
    stop.set()
asyncio.run(serve(settings, on_ready=tell, stop=stop))
"""
_IMPORT_THEM: Final = """
import importlib, json, sys
names = json.load(sys.stdin)
class Others:
    known = set(names)
    @classmethod
    def find_spec(cls, name, path, target=None):
        if name not in cls.known:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Others)
for name in names:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
print("done", flush=True)
"""


def imported(given: Mapping[str, str]) -> list[str]:
    """Every module that a service with these settings has loaded once it is ready, but its own, in order."""
    found = subprocess.run(
        [sys.executable, "-c", _WHEN_READY], check=True, input=json.dumps(given), stdout=subprocess.PIPE, text=True
    )
    names: list[str] = json.loads(found.stdout)
    return names


def import_s(names: list[str]) -> float:
    """Seconds from the start of a process that imports these modules, and no others, until it has."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _IMPORT_THEM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("a process without its pipes")
        process.stdin.write(json.dumps(names))
        process.stdin.close()
        done = process.stdout.readline()
        merely_s = time.perf_counter() - begun
    if not done:
        raise SystemExit("the modules of the service could not be imported; the error is above")
    return merely_s


def used_memory(store: RedisStore) -> int:
    """Bytes that the store says it uses for everything."""
    return int(_info(store, "memory")["used_memory"])


def rewrite(store: RedisStore) -> None:
    """Have the store write its file anew, and wait until it has."""
    if not _rewrites(store):  # it may have begun by itself
        store.wire.call("bench", [("BGREWRITEAOF",)])
    while _rewrites(store):
        time.sleep(0.05)


def _rewrites(store: RedisStore) -> bool:
    """Whether the store writes its file anew now, or will soon."""
    told = _info(store, "persistence")
    return told["aof_rewrite_in_progress"] != "0" or told["aof_rewrite_scheduled"] != "0"


def _info(store: RedisStore, section: str) -> Mapping[str, str]:
    """What the store says of itself."""
    (reply,) = store.wire.call("bench", [("INFO", section)])
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
