"""Real servers, and proxies that lose what passes through them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from takt.redis.embedded import EmbeddedServer
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from tests.servers import redis_server, valkey_server

__all__ = ["redis_server", "valkey_server"]


@pytest.fixture(params=["valkey_server", "redis_server"])
def server(request: pytest.FixtureRequest) -> EmbeddedServer:
    """An empty server of each kind."""
    server: EmbeddedServer = request.getfixturevalue(request.param)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return server


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    """A bare client of the server, to look inside and to break things."""
    with redis.Redis.from_url(server.url, protocol=2) as client:
        yield client


@pytest.fixture
def address(server: EmbeddedServer) -> Address:
    """Where the server is, with a time-out that a busy machine keeps."""
    return Address(server.url, timeout_s=10.0)


@pytest.fixture
def store(address: Address) -> Iterator[RedisStore]:
    """A new store on the server, on the server's own time."""
    init_store(address)
    store = RedisStore.open(address)
    yield store
    store.close()
