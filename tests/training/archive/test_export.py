"""`takt log export` on real stores: served or not, killed or not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis

from takt.catalog.workspace import load_workspace
from takt.clock import SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.decision import Decision
from takt.domain.request import DecideRequest, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.force import force
from takt.features.layout import layout_json
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from takt_training.archive.directory import files
from tests.servers import valkey_server
from tests.unit.engine.conftest import MINIMAL

__all__ = ["valkey_server"]


def decide(store: RedisStore, first: int, count: int) -> list[str]:
    """Decide for people of whom nothing is known; the ids of the decisions, all of which are logged."""
    catalog = load_workspace(MINIMAL)
    store.register_layout(catalog.spec.layout_fingerprint, layout_json(catalog.spec))
    engine = Engine(
        force(catalog, ConstantScorer()),
        store,
        ProtobufCodec(store.marker.partitions),
        prior=ConstantScorer(),
        clock=SystemClock(),
        meter=NullMeter(),
        service_version="0",
    )
    requests = [
        DecideRequest(f"r{n}", (PlacementAsk("home_hero"),), profile_id=f"p{n}") for n in range(first, first + count)
    ]
    answers = [answer for at in range(0, count, 50) for answer in engine.decide(requests[at : at + 50])]
    return [answer.decision_id for answer in answers if isinstance(answer, Decision) and not answer.degraded]


def command(out: Path, *options: str) -> list[str]:
    """One export as a process."""
    return [str(Path(sys.executable).with_name("takt")), "log", "export", "--json", "--out", str(out), *options]


def exported(out: Path, *options: str) -> dict[str, Any]:
    """What an export said that nobody killed."""
    done = subprocess.run(command(out, *options), check=True, capture_output=True, text=True, timeout=100)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def ids(out: Path) -> Counter[str]:
    """How often each decision stands in the files."""
    found: Counter[str] = Counter()
    for path in files(out, "decisions"):
        found.update(pq.read_table(path, columns=["decision_id"], partitioning=None)["decision_id"].to_pylist())
    return found


@pytest.fixture
def store(valkey_server: EmbeddedServer) -> Iterator[RedisStore]:
    """A new store on a real server, that remembers request ids for a second."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    init_store(Address(valkey_server.url, 10.0), retention_us=1_000_000)
    opened = RedisStore.open(Address(valkey_server.url, 10.0))
    yield opened
    opened.close()


def test_killed_exports_lose_and_double_nothing(
    store: RedisStore, valkey_server: EmbeddedServer, tmp_path: Path
) -> None:
    """Wherever SIGKILL hits, each decision is in Parquet exactly once in the end, and never twice before."""
    chance = random.Random(3)
    options = ("--redis-url", valkey_server.url, "--segment-entries", "25")
    told = decide(store, 0, 200)
    exported(tmp_path, *options)
    for kill in range(3):
        told += decide(store, 1_000 * (kill + 1), 400)
        process = subprocess.Popen(command(tmp_path, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        began = (tmp_path / "positions.json").stat().st_mtime_ns
        while process.poll() is None and (tmp_path / "positions.json").stat().st_mtime_ns == began:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        process.wait()
        assert {1} == set(ids(tmp_path).values())

    last = exported(tmp_path, *options)

    assert dict.fromkeys(told, 1) == dict(ids(tmp_path))
    assert [] == last["warnings"]


def test_what_is_exported_is_trimmed(store: RedisStore, valkey_server: EmbeddedServer, tmp_path: Path) -> None:
    """Once ids are forgotten, the streams are as empty as if nothing had been decided."""
    told = decide(store, 0, 30)
    deadline = time.monotonic() + 30
    left = exported(tmp_path, "--redis-url", valkey_server.url)["left"]
    while left and time.monotonic() < deadline:  # ids are forgotten in two seconds
        left = exported(tmp_path, "--redis-url", valkey_server.url)["left"]

    assert [0] * store.marker.partitions == [extent.entries for extent in store.decision_log.extents()]
    assert dict.fromkeys(told, 1) == dict(ids(tmp_path))


def test_a_data_directory_is_exported_served_or_not(tmp_path: Path) -> None:
    """The embedded store is used where it runs, and started where it does not."""
    data_dir, out = tmp_path / "data", tmp_path / "out"
    with EmbeddedServer(data_dir) as server:
        store_id = embedded_store_id(server)
        store = RedisStore.open(Address(server.url, 10.0), store_id=store_id)
        told = decide(store, 0, 10)
        assert {"decisions": 10} == exported(out, "--data-dir", str(data_dir))["entries"]
        told += decide(store, 100, 10)
        store.close()

    assert {"decisions": 10} == exported(out, "--data-dir", str(data_dir))["entries"]
    assert dict.fromkeys(told, 1) == dict(ids(out))


def test_other_directories_are_refused(tmp_path: Path) -> None:
    """A directory that never was a store is not made one."""
    done = subprocess.run(
        command(tmp_path / "out", "--data-dir", str(tmp_path)), capture_output=True, text=True, check=False
    )

    assert (1, []) == (done.returncode, list(tmp_path.iterdir()))
    assert "is no data directory of a store" in done.stderr


def test_a_store_has_to_be_named(tmp_path: Path) -> None:
    """Without one there is nothing to drain."""
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert "name the store with --redis-url or --data-dir" in done.stderr
