"""The store that a log is exported from: a server, or the data directory of an embedded one, served or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from takt.errors import NotFoundError, StoreError
from takt.redis.embedded import STORE_ID, EmbeddedServer, embedded_store_id
from takt.redis.store import RedisStore
from takt.redis.wire import Address, Wire

TIMEOUT_S: Final = 10.0
"""A page of the log may be megabytes, and nobody waits for it with a customer in hand."""


@contextmanager
def open_server(address: Address) -> Iterator[RedisStore]:
    """The store of a server. Raises `StoreError`."""
    store = RedisStore.open(address)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_data_dir(data_dir: Path) -> Iterator[RedisStore]:
    """The embedded store of a directory: the one that a service runs there, or one started for as long as this takes.

    Raises `NotFoundError` if no store was ever in it, and `StoreError`.
    """
    if not (data_dir / STORE_ID).exists():
        raise NotFoundError(f"{data_dir}: is no data directory of a store; name the one that `takt serve` was given")
    server = EmbeddedServer(data_dir)
    with ExitStack() as closing:
        if not _answers(server):
            closing.enter_context(server)
        store_id = embedded_store_id(server)
        store = RedisStore.open(Address(server.url, TIMEOUT_S), store_id=store_id)
        closing.callback(store.close)
        yield store


def _answers(server: EmbeddedServer) -> bool:
    """Whether a service has the store running."""
    if not server.socket.exists():
        return False
    wire = Wire(Address(server.url, TIMEOUT_S))
    try:
        wire.call("ping", [("PING",)])
    except StoreError:
        return False
    finally:
        wire.close()
    return True
