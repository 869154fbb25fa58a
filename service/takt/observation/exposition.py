"""The address that Prometheus reads from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from prometheus_client import start_http_server

from takt.errors import TaktError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class ExpositionError(TaktError):
    """The address of the metrics cannot be listened on."""


class Exposition(AbstractContextManager["Exposition"]):
    """Serves a registry over HTTP on a thread of its own, until closed. Any path gives the metrics."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Begin to serve. Port 0 takes a free one. Raises `ExpositionError`."""
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ExpositionError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from None
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
