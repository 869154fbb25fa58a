"""Commands out, replies in: one call is one round trip, never repeated by itself.

A client library that sends a command again after a lost reply could commit twice behind the caller's back. Here a lost
reply is a `StoreError`, the connection is dropped, and the next call makes a new one.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import hiredis
import redis
from msgspec import Struct
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from takt.clock import Clock, SystemClock
from takt.errors import StoreError
from takt.redis.breaker import Breaker
from takt.redis.trips import RoundTrips

Argument = bytes | str | int
Command = tuple[Argument, ...]

_RUN_ID: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_SCHEMES: Final = ("redis", "rediss", "unix")


class Address(Struct, frozen=True):
    """Where a store is and how to get in. Raises `StoreError` if that cannot mean anything."""

    url: str
    """`redis://`, `rediss://` (TLS) or `unix:///path/to/socket`; `?db=1` picks a database."""
    timeout_s: float = 0.25
    """How long to wait for a connection, and for the next part of a reply."""
    password_file: Path | None = None
    """File whose first line is the password: a URL ends up in process lists and logs."""
    ca_file: Path | None = None
    """PEM file of the authorities that may sign the server's certificate; the system's own by default."""
    max_connections: int = 128

    def __post_init__(self) -> None:
        scheme = urlsplit(self.url).scheme
        if scheme not in _SCHEMES:
            raise StoreError(f"{self.shown}: a store's URL starts with redis://, rediss:// or unix://")
        if self.ca_file is not None and scheme != "rediss":
            raise StoreError(f"{self.shown}: a CA file is for TLS; use rediss:// with it")
        if self.timeout_s <= 0:
            raise StoreError(f"{self.shown}: a time-out of {self.timeout_s} s; it must be positive")

    @property
    def shown(self) -> str:
        """The URL without user, password and options, for people and logs."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def password(self) -> str | None:
        """Read the password file. Raises `StoreError` naming the file."""
        if self.password_file is None:
            return None
        try:
            lines = self.password_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.password_file}: cannot be read as the store's password: {error}") from error
        if not lines or not lines[0]:
            raise StoreError(f"{self.password_file}: is empty; its first line should be the store's password")
        return lines[0]


class Wire:
    """Connections to one server, shared by all threads.

    Every method raises `StoreError` when the server cannot be reached, is too slow, or left alone by the breaker.
    """

    def __init__(
        self,
        address: Address,
        *,
        trips: RoundTrips | None = None,
        breaker: Breaker | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.shown = address.shown
        self.trips = trips or RoundTrips()
        self._clock = clock or SystemClock()
        self.breaker = breaker or Breaker(self._clock)
        self._pool = _pool(address, self._greet)
        self._idle: deque[Any] = deque()
        """Connections that the pool has given out and that nobody uses now, the one used last at the end."""
        self.on_change: Callable[[], None] = _nothing
        """Called before anything else is asked of a server that is not the one before; may ask it things itself."""
        self._server = b""
        self._changes = 0
        """How often the server was another one than before."""
        self._settled = 0
        """How many of the changes `on_change` has seen to."""
        self._settling = threading.Lock()
        self._settler = 0
        """The thread that is at it."""

    def call(self, name: str, commands: Sequence[Command]) -> list[Any]:
        """Send commands and give their replies, all in one round trip counted as `name`. Raises on any error reply."""
        return self.checked(self.attempt(name, commands))

    def attempt(self, name: str, commands: Sequence[Command]) -> list[Any]:
        """Do as `call` does, with error replies among the replies as `redis.exceptions.ResponseError`."""
        return self.begin(name, commands)()

    def begin(self, name: str, commands: Sequence[Command]) -> Callable[[], list[Any]]:
        """Send commands, and give what waits for the replies that `attempt` gives: it is called once, or never.

        What is counted as the round trip's time is the sending and that waiting.
        """
        part = self._settler == threading.get_ident()  # of the call that met a change, which was admitted
        if not (part or self.breaker.admit()):
            raise StoreError(f"{self.shown}: did not answer lately and is left alone for a moment")
        begun_us = self._clock.monotonic_us()
        try:
            connection = self._send(commands, settle=not part)
        except BaseException as error:
            self._failed(error, name, self._clock.monotonic_us() - begun_us, part=part)
            raise
        sending_us = self._clock.monotonic_us() - begun_us

        def replies() -> list[Any]:
            since_us = self._clock.monotonic_us() - sending_us
            try:
                received = self._receive(connection, len(commands))
            except BaseException as error:
                self._failed(error, name, self._clock.monotonic_us() - since_us, part=part)
                raise
            self.trips.add(name, self._clock.monotonic_us() - since_us, ok=True)
            if not part:
                self.breaker.succeeded()
            return received

        return replies

    def checked(self, replies: list[Any]) -> list[Any]:
        """These replies. Raises `StoreError` if an error is among them."""
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise StoreError(f"{self.shown}: {explained(reply)}")
        return replies

    def close(self) -> None:
        """Close all connections. Calls under way fail."""
        self._pool.close()

    def _failed(self, error: BaseException, name: str, us: int, *, part: bool) -> None:
        """Note a call that came to nothing (`part`: not for the breaker). Raises `StoreError` where that is why."""
        if not part:
            self.breaker.failed()
        if isinstance(error, RedisError | OSError):
            self.trips.add(name, us, ok=False)
            raise StoreError(f"{self.shown}: {explained(error)}") from error

    def _send(self, commands: Sequence[Command], *, settle: bool) -> Any:
        """Send commands; the connection that their replies come on."""
        connection = self._take()
        if settle and self._changes != self._settled:
            self._idle.append(connection)
            self._settle()
            connection = self._take()
        try:
            connection.send_packed_command([packed(commands)], check_health=False)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _receive(self, connection: Any, count: int) -> list[Any]:
        """So many replies, after which the connection is idle."""
        replies: list[Any] = []
        try:
            for _ in range(count):
                try:
                    replies.append(connection.read_response())
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            self._drop(connection)
            raise
        self._idle.append(connection)
        return replies

    def _drop(self, connection: Any) -> None:
        """Hang up: a reply that comes after all must not be taken for the answer to the next call."""
        connection.disconnect()
        self._idle.append(connection)

    def _take(self) -> Any:  # a connection's methods carry no annotations
        """A connection that is ready: one that is idle, else one of the pool's, which costs more each time."""
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._pool.get_connection()
        try:
            stale = not connection.is_connected or connection.can_read()
        except (RedisError, OSError):
            stale = True
        if stale:  # the server hung up meanwhile
            try:
                connection.disconnect()
                connection.connect()
            except BaseException:
                self._idle.append(connection)
                raise
        return connection

    def _greet(self, connection: Any) -> None:
        """Ask a server who it is, once per connection: one that took over, or was started anew, has another id."""
        connection.on_connect()
        connection.send_command("INFO", "server", check_health=False)
        try:
            found = _RUN_ID.search(connection.read_response())
        except ResponseError:
            return  # we may not ask; then one server looks like another
        server = found[1] if found else b""
        if self._server and server != self._server:
            self._changes += 1
        self._server = server

    def _settle(self) -> None:
        """See to a change of the server, once; others wait until that is done."""
        with self._settling:
            changes = self._changes
            if changes == self._settled:
                return
            self._settler = threading.get_ident()
            try:
                self.on_change()
                self._settled = changes
            finally:
                self._settler = 0


def packed(commands: Sequence[Command]) -> bytes:
    """Commands as they are sent. As the connection would pack them, which looks at every argument of its own again."""
    return b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]  # any length


def _nothing() -> None:
    """See to nothing."""


def explained(error: Exception) -> str:
    """Say what is the matter, with advice where there is any."""
    text = str(error) or type(error).__name__
    match error:
        case AuthenticationError():
            return "refuses to let us in; check user and password file"
        case RedisTimeoutError():
            return "does not answer in time"
        case ReadOnlyError():
            return "is a replica and takes no writes; name the primary"
        case OutOfMemoryError():
            return "is out of memory (maxmemory); nothing more can be written"
        case AskError() | ClusterDownError():  # AskError is also the base of MOVED
            return f"is one node of a cluster of several, which is not supported ({text})"
        case _:
            return text


def _pool(address: Address, greet: Callable[[Any], None]) -> redis.ConnectionPool:
    options: dict[str, Any] = {
        "redis_connect_func": greet,
        "decode_responses": False,
        "health_check_interval": 0,
        "max_connections": address.max_connections,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": address.timeout_s,
        "socket_timeout": address.timeout_s,
    }
    password = address.password()
    if password is not None:
        options["password"] = password
    if address.ca_file is not None:
        options["ssl_ca_certs"] = str(address.ca_file)
    try:
        return redis.ConnectionPool.from_url(address.url, **options)
    except ValueError as error:
        raise StoreError(f"{address.shown}: {error}") from error
