"""Real servers for tests, one of a kind for all tests of a run. Import the fixtures where they are wanted."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from takt.redis.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The server that comes with Takt, as it is run by default."""
    with EmbeddedServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The redis-server on PATH, where there is one."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on PATH")
    with EmbeddedServer(tmp_path_factory.mktemp("redis"), binary=Path(binary)) as server:
        yield server


class ClusterServer(EmbeddedServer):
    """One node that has all slots of a cluster: a command that spans two slots fails here as it would on many."""

    def _options(self) -> list[str]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            bus = str(free.getsockname()[1])
        return [*super()._options(), "--cluster-enabled", "yes", "--bind", "127.0.0.1", "--cluster-port", bus]


@pytest.fixture(scope="session")
def cluster_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A cluster of one node."""
    with ClusterServer(tmp_path_factory.mktemp("cluster")) as server:
        with redis.Redis.from_url(server.url, protocol=2) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            pause = threading.Event()
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                pause.wait(0.05)  # a new node waits for two seconds before it answers
        yield server
