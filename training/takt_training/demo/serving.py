"""The service as a child process: started as `takt serve` would be, watched until it serves, stopped in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from takt.cli.client import Client, Door
from takt.cli.exits import UnreachableError
from takt.errors import TaktError
from takt.settings import OPTIONS, Address, load

START_S = 120.0
"""How long the first start may take: kernels are compiled for this machine and kept."""
STOP_S = 30.0
LOOK_S = 0.01
"""How often it is looked whether it listens."""
LISTENERS = ("listen", "admin_listen", "metrics_listen")
SETTINGS = {option.variable for option in OPTIONS}
TAIL = 15
"""Lines of the log that are shown when it does not start."""

# Runs `takt serve`, and lets the kernel stop it when whoever started it is gone without stopping it (Linux).
_LAUNCHER = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit("whoever started this service is gone")
from takt.cli.main import main
main(prog_name="takt")
"""


class ServiceError(TaktError):
    """The service did not start, or ended by itself."""


class Service:
    """A running service. `stop` it, or use it as `with Service(...) as service`."""

    def __init__(self, given: Mapping[str, str], log: Path) -> None:
        """Start `takt serve` with these settings (field name to text); `log` gets what it prints.

        No setting is taken from the environment. Raises `SettingsError` for settings that are wrong, and
        `ServiceError` where an address is taken.
        """
        settings = load(given, {})
        self.public = Door(address=str(settings.listen))
        self.admin = Door(address=str(settings.admin_listen), timeout_s=30.0)
        for name in LISTENERS:
            _free(getattr(settings, name), name)
        self._listen = settings.listen
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        # stays open as long as the child: closed in `stop`
        self._output: IO[bytes] = log.open("wb")
        flags = [part for option in OPTIONS if option.name in given for part in (option.flag, given[option.name])]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _LAUNCHER, str(os.getpid()), "serve", *flags],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={name: text for name, text in os.environ.items() if name not in SETTINGS},
            # Ctrl-C is for who started it, who then stops it in order
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        """Use it as `with Service(...) as service:`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the service."""
        return self._process.pid

    def await_ready(self, timeout_s: float = START_S) -> None:
        """Return once it serves. Raises `ServiceError`, with the end of the log, if it ends or takes too long."""
        until = time.monotonic() + timeout_s
        # gRPC would find nobody there, and try again a second later, then after longer
        while self._lives() and not _listens(self._listen) and time.monotonic() < until:
            time.sleep(LOOK_S)
        with Client(self.public) as client:
            while self._lives() and time.monotonic() < until:
                try:
                    client.await_ready(1.0)
                    return
                except UnreachableError:
                    continue
        if not self._lives():
            raise ServiceError(f"the service ended with {self._process.returncode}:\n{self.tail()}")
        raise ServiceError(f"the service does not serve after {timeout_s:g} s:\n{self.tail()}")

    def _lives(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait while it drains; its exit code. Ending what has ended does nothing."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._output.close()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL: no drain, as when a machine loses power."""
        self._process.kill()
        self._process.wait()
        self._output.close()

    def tail(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL:]) or "  (it printed nothing)"


def _listens(address: Address) -> bool:
    """Whether somebody listens there."""
    family, at = (socket.AF_UNIX, address.path) if address.path else (_family(address), (address.host, address.port))
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(at) == 0


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _free(address: Address | None, name: str) -> None:
    """Raise `ServiceError` if somebody listens there already."""
    if address is None or address.path:
        return
    with socket.socket(_family(address), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            flag = f"--{name.replace('_', '-')}"
            raise ServiceError(
                f"{address} cannot be listened on ({error.strerror or error}); "
                f"another takt may be running there: stop it, or choose another address with {flag}"
            ) from None
