"""Every store there is, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.harness import Harness, MemoryHarness, RedisHarness
from tests.servers import cluster_server, redis_server, valkey_server

__all__ = ["cluster_server", "redis_server", "valkey_server"]


@pytest.fixture(params=["memory", "valkey", "valkey as scripts", "valkey as cluster", "redis"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """A fresh store of each kind."""
    if request.param == "memory":
        yield MemoryHarness()
        return
    servers = {"redis": "redis_server", "valkey as cluster": "cluster_server"}
    server = request.getfixturevalue(servers.get(request.param, "valkey_server"))
    fresh = RedisHarness(server.url, mode="scripts" if request.param == "valkey as scripts" else "functions")
    yield fresh
    fresh.close()
