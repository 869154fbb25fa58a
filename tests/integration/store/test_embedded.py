"""The embedded store outlives nothing, loses nothing and shares nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from takt.errors import StoreError, StoreMarkerError
from takt.memory.ledger import Ledger
from takt.redis import keys
from takt.redis.embedded import STORE_ID, EmbeddedServer, embedded_store_id
from takt.redis.store import RedisStore
from takt.redis.wire import Address
from tests.contract.building import write
from tests.integration.store.test_faults import commit

HOST = """
import sys, time
from pathlib import Path
from takt.redis.embedded import EmbeddedServer, embedded_store_id
server = EmbeddedServer(Path(sys.argv[1])).start()
embedded_store_id(server, partitions=4)
print(server.pid, flush=True)
time.sleep(600)
"""


def opened(server: EmbeddedServer) -> RedisStore:
    """The store on a server, made if it is new."""
    store_id = embedded_store_id(server, partitions=4)
    return RedisStore.open(Address(server.url, timeout_s=10.0), store_id=store_id)


def has_ended(pid: int) -> bool:
    """Whether a process that is not our child is gone, or is a zombie that only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    """SIGKILL to the service takes the store with it, and a restart finds what had been committed."""
    host = subprocess.Popen([sys.executable, "-c", HOST, tmp_path], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    pid = int(host.stdout.readline())
    address = Address(f"unix://{tmp_path / 'store.sock'}", timeout_s=10.0)
    store = RedisStore.open(address)
    store.put([write("p", b"kept")])
    commit(store, "r1")
    store.close()

    host.kill()
    host.wait()
    host.stdout.close()

    gone = threading.Event()
    for _ in range(1000):
        if has_ended(pid):
            break
        gone.wait(0.01)
    assert has_ended(pid)
    with EmbeddedServer(tmp_path) as server:
        again = opened(server)
        fetched = again.fetch(["p"])
        again.close()
    assert [b"kept"] == fetched.records
    assert 1 == Ledger.parse(fetched.ledgers[0]).appends


def test_store_does_not_die_with_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel's promise is to a thread; starting the store from a passing one must not end it."""
    server = EmbeddedServer(tmp_path)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()

    store = opened(server)
    assert [None] == store.fetch(["p"]).records
    store.close()
    server.stop()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_restart_finds_everything(tmp_path: Path, end: signal.Signals) -> None:
    """However the server ended, profiles, contacts, ids and functions are there again."""
    server = EmbeddedServer(tmp_path).start()
    store = opened(server)
    store.put([write("p", b"kept")])
    commit(store, "r1")
    assert server.pid is not None
    os.kill(server.pid, end)
    server.stop()

    server.start()
    fetched = store.fetch(["p"])

    assert [b"kept"] == fetched.records
    assert 1 == Ledger.parse(fetched.ledgers[0]).appends
    assert "KNOWN" == commit(store, "r1")
    store.close()
    server.stop()


def test_cut_short_log_loses_only_its_end(tmp_path: Path) -> None:
    """A commit that was being written when the power went is dropped whole; all before it stays."""
    server = EmbeddedServer(tmp_path).start()
    store = opened(server)
    commit(store, "r1")
    commit(store, "r2")
    store.close()
    server.stop()
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(log.read_bytes()[:-10])

    with server.start():
        store = opened(server)
        fetched = store.fetch(["p"])
        outcomes = [commit(store, "r1"), commit(store, "r2")]
        store.close()

    assert 1 == Ledger.parse(fetched.ledgers[0]).appends
    assert ["KNOWN", "DONE"] == outcomes


def test_stop_is_orderly(tmp_path: Path) -> None:
    """A stopped server is gone with its socket, can be stopped again, and can be started again."""
    server = EmbeddedServer(tmp_path).start()
    pid = server.pid
    assert pid is not None
    assert server.start().pid == pid

    server.stop()
    server.stop()

    assert (None, False, True) == (server.pid, server.socket.exists(), has_ended(pid))
    assert "ready to exit" in (tmp_path / "store.log").read_text()


def test_directory_is_used_by_one(tmp_path: Path) -> None:
    """A second server on the same data is refused, naming the first."""
    with EmbeddedServer(tmp_path) as first:
        with pytest.raises(StoreError, match=f"is in use by another store \\(process {first.pid}\\)"):
            EmbeddedServer(tmp_path).start()
        assert opened(first).fetch(["p"]).records == [None]


def test_socket_is_for_its_user_only(tmp_path: Path) -> None:
    """No port is open, and the socket's mode keeps others out."""
    with EmbeddedServer(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            settings = client.config_get("port", "appendfsync", "save", "maxmemory-policy", "appendonly")
        mode = server.socket.stat().st_mode & 0o777

    assert 0o700 == mode
    expected = {"port": "0", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction", "appendonly": "yes"}
    assert expected == settings


def test_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    """A data directory deeper than a socket's path may be works, spaces and all."""
    deep = tmp_path / ("a b" * 20) / ("c" * 60)
    server = EmbeddedServer(deep)
    with server:
        store = opened(server)
        assert "DONE" == commit(store, "r1")
        socket = server.socket
        store.close()

    assert len(str(socket)) < 100 < len(str(deep))
    assert not socket.parent.exists()
    assert (deep / "appendonlydir").exists()


def test_empty_directory_becomes_a_store(tmp_path: Path) -> None:
    """A new directory is made a store without asking, and is the same store ever after."""
    with EmbeddedServer(tmp_path) as server:
        first = embedded_store_id(server, partitions=4)
        second = embedded_store_id(server, partitions=64)

    assert first == second == (tmp_path / STORE_ID).read_text().strip()


def test_interrupted_beginning_is_completed(tmp_path: Path) -> None:
    """Stopped between the marker and its copy beside the data: the store is taken for what it is."""
    with EmbeddedServer(tmp_path) as server:
        first = embedded_store_id(server, partitions=4)
        (tmp_path / STORE_ID).unlink()

        assert first == embedded_store_id(server)
        assert (tmp_path / STORE_ID).exists()


def test_lost_data_is_noticed(tmp_path: Path) -> None:
    """A directory that held a store and is empty now is not made a new one."""
    with EmbeddedServer(tmp_path) as server:
        opened(server).close()
        with redis.Redis.from_url(server.url) as client:
            client.flushall()

        with pytest.raises(StoreMarkerError, match="it lost its data"):
            embedded_store_id(server)


def test_foreign_data_is_left_alone(tmp_path: Path) -> None:
    """A directory with another program's data is not made a store."""
    with EmbeddedServer(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("something", "else")

        with pytest.raises(StoreMarkerError, match="bears no marker"):
            embedded_store_id(server)
        with redis.Redis.from_url(server.url) as client:
            assert [None, b"else"] == client.mget(keys.marker(0), "something")


def test_unusable_directory_is_named(tmp_path: Path) -> None:
    """A file where the directory should be is told as such."""
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="file: cannot be used as data directory"):
        EmbeddedServer(tmp_path / "file").start()


def test_missing_program_is_named(tmp_path: Path) -> None:
    """A server that is not there is told as such."""
    with pytest.raises(StoreError, match="/no-such-server: is not a program"):
        EmbeddedServer(tmp_path, binary=Path("/no-such-server")).start()


def test_damaged_data_is_told_and_kept(tmp_path: Path) -> None:
    """Damage in the middle of the data is not repaired by dropping the rest: the server refuses, and says why."""
    server = EmbeddedServer(tmp_path).start()
    store = opened(server)
    for i in range(20):
        commit(store, f"r{i}")
    store.close()
    server.stop()
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    whole = log.read_bytes()
    damaged = whole.replace(b"*3\r\n$3\r\nSET\r\n", b"#3\r\n$3\r\nSET\r\n", 1)
    assert damaged != whole
    log.write_bytes(damaged)

    with pytest.raises(StoreError, match=r"ended at once: .*Bad file format.*store\.log"):
        server.start()

    assert damaged == log.read_bytes()
