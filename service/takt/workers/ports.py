"""Ports that several processes of ours share, and nobody else."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager
from types import TracebackType

from takt.errors import TaktError
from takt.settings import Address, label


class PortError(TaktError):
    """A port cannot be shared among workers."""


class SharedPort(AbstractContextManager["SharedPort"]):
    """Holds a port without listening on it, so that workers may come and go and find it free."""

    def __init__(self, address: Address, setting: str) -> None:
        """Take the port, or a free one for 0. Raises `PortError` naming the setting."""
        family, _, _, _, _ = _resolved(address, setting)
        refusal = f"{label(setting)}: {address} cannot be listened on; is it in use, or not of this machine?"
        try:
            if address.port:
                # others may share their port as well: only without sharing it is seen whether it is free
                with socket.socket(family) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address.host, address.port))
            self._held = socket.socket(family)
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._held.bind((address.host, address.port))
        except OSError as error:
            raise PortError(refusal) from error
        self.address = Address(address.host, self._held.getsockname()[1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()


def _resolved(address: Address, setting: str) -> tuple[socket.AddressFamily, int, int, str, object]:
    try:
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise PortError(f"{label(setting)}: {address} is no address: {error}") from error
