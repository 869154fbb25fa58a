"""A store is chosen once and known again; what is not that store is refused with advice."""

from __future__ import annotations

import pytest
import redis

from takt.errors import StoreError, StoreMarkerError
from takt.redis import keys
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address


def test_new_server_is_refused_with_advice(address: Address) -> None:
    """A server without marker is not used, and the message says what to do in either case."""
    with pytest.raises(StoreMarkerError, match=r"run `takt store init` once; if it was in use, restore its data first"):
        RedisStore.open(address)


def test_store_is_made_once(client: redis.Redis, address: Address) -> None:
    """The marker stands in all partitions and is not written over."""
    marker = init_store(address, partitions=7, retention_us=60_000_000)

    with pytest.raises(StoreMarkerError, match=f"is a store already \\({marker.store_id}\\)"):
        init_store(address)

    assert {marker.pack()} == set(client.mget([keys.marker(at) for at in range(7)]))
    assert 7 == client.dbsize()
    store = RedisStore.open(address)
    assert marker == store.marker
    store.close()


@pytest.mark.parametrize("lost", [0, 5])
def test_store_that_lost_a_part_is_refused(client: redis.Redis, address: Address, lost: int) -> None:
    """One missing partition is enough, and making a new store over the rest is refused."""
    init_store(address, partitions=7)
    client.delete(keys.marker(lost))

    with pytest.raises(StoreMarkerError):
        RedisStore.open(address)
    with pytest.raises(StoreMarkerError):
        init_store(address)


def test_other_store_is_refused(address: Address) -> None:
    """Whoever expects a certain store does not get another."""
    marker = init_store(address)

    with pytest.raises(StoreMarkerError, match=f"is store {marker.store_id}, not {'0' * 32}"):
        RedisStore.open(address, store_id="0" * 32)
    RedisStore.open(address, store_id=marker.store_id).close()


def test_foreign_key_is_refused(client: redis.Redis, address: Address) -> None:
    """Something else under the marker's key is named as such."""
    client.set(keys.marker(0), "hello")

    with pytest.raises(StoreMarkerError, match="stands where a marker should be"):
        RedisStore.open(address)
    with pytest.raises(StoreMarkerError, match="stands where a marker should be"):
        init_store(address)


@pytest.mark.parametrize(("partitions", "retention_us"), [(0, 10**9), (4097, 10**9), (64, 999_999)])
def test_absurd_choices_are_refused(client: redis.Redis, address: Address, partitions: int, retention_us: int) -> None:
    """Numbers that cannot work are refused before anything is written."""
    with pytest.raises(StoreError):
        init_store(address, partitions=partitions, retention_us=retention_us)

    assert 0 == client.dbsize()
