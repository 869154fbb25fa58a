"""A real service process, found through its own log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc

WORKSPACE: Final = Path(__file__).parents[2] / "workspaces" / "minimal"
ANYWHERE: Final = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
TRANSPORT: Final[ContextVar[str]] = ContextVar("transport", default="auto")
"""Front end of the services that are started."""
START_S: Final = 240
"""Kernels may have to be compiled."""


class Service:
    """`takt serve` on ports of its own, from its start to its end."""

    def __init__(
        self, arguments: Sequence[str], workspace: Path = WORKSPACE, variables: Mapping[str, str] | None = None
    ) -> None:
        """Start, with more environment `variables`; `wait_ready` before use."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TAKT_")}
        if kernels := os.environ.get("TAKT_KERNEL_CACHE"):
            environ["TAKT_KERNEL_CACHE"] = kernels
        environ |= variables or {}
        self.lines: list[dict[str, Any]] = []
        self.text = ""
        self._grown = threading.Condition()
        chosen = ["--transport", TRANSPORT.get()]
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("takt"), "serve", "--workspace", workspace, *ANYWHERE, *chosen, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._grown:
                self.text += line
                if line.startswith("{"):
                    self.lines.append(json.loads(line))
                self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()

    def line(self, event: str) -> dict[str, Any]:
        """The first log line of an event, once it is there."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines if line["event"] == event), None)

        with self._grown:
            self._grown.wait_for(lambda: found() or not self._reading.is_alive(), START_S)
            line = found()
        assert line is not None, f"no {event!r} in: {self.text}"
        return line

    def wait_ready(self) -> Self:
        """Return once it is ready."""
        self.line("ready")
        return self

    @property
    def public(self) -> grpc.Channel:
        """A channel to the public listener."""
        return grpc.insecure_channel(self.line("ready")["listen"])

    @property
    def admin(self) -> grpc.Channel:
        """A channel to the admin listener."""
        return grpc.insecure_channel(self.line("ready")["admin"])

    def metrics(self) -> str:
        """Its metrics as Prometheus reads them."""
        url = f"http://{self.line('ready')['metrics']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and give its exit code."""
        self.process.send_signal(number)
        return self.exit_code()

    def exit_code(self) -> int:
        """Its exit code, once it has ended and all its log is read."""
        code = self.process.wait(60)
        self._reading.join(10)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.exit_code()
        assert self.process.stderr is not None
        self.process.stderr.close()
