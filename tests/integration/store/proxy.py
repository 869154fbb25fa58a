"""A proxy between a store and its server that can keep a reply to itself."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path
from typing import Self


class Proxy:
    """Passes bytes between clients and a server's Unix socket; one thread per connection.

    Listens on the Unix socket `listen`, or with `tls` on a loopback port. While `losing` is set, what the server
    answers is thrown away and the connection closed: the command was executed, and its reply is lost.
    """

    def __init__(self, target: Path, *, listen: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.losing = threading.Event()
        self.target = target
        """Where new connections go."""
        self._tls = tls
        if listen is not None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(listen))
            self._listener.listen()
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        """The loopback port."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_ones:
            open_ones.enter_context(client)
            if self._tls is not None:
                client = open_ones.enter_context(self._tls.wrap_socket(client, server_side=True))
            server = open_ones.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            server.connect(str(self.target))
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if client in readable:
                    data = client.recv(1 << 16)
                    server.sendall(data)
                    while isinstance(client, ssl.SSLSocket) and client.pending():
                        server.sendall(client.recv(1 << 16))
                    if not data:
                        return
                if server in readable:
                    data = server.recv(1 << 16)
                    if not data or self.losing.is_set():
                        return
                    client.sendall(data)
