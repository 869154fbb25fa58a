"""One worker: a whole service, that tells its parent when it is ready and ends when that has gone."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing.connection import Connection
from typing import Final

import uvloop

from takt.app import serve
from takt.errors import StoreError, TaktError
from takt.observation import logs
from takt.settings import Settings
from takt.workers.word import Failed, Ready

FAILED: Final = 1


def work(settings: Settings, worker: int, pipe: Connection) -> None:
    """Serve until SIGTERM, or until the other end of the pipe is closed. Runs in a process of its own."""
    logs.configure(settings.log_level, settings.log_format, worker=worker)
    threading.Thread(target=_end_with_parent, args=(pipe,), name="takt-parent", daemon=True).start()
    try:
        uvloop.run(
            serve(
                settings,
                on_ready=lambda listening: pipe.send(Ready(listening.metrics.port if listening.metrics else 0)),
                shared=True,
            )
        )
    except TaktError as error:
        pipe.send(Failed(str(error), store=isinstance(error, StoreError)))
        raise SystemExit(FAILED) from None


def _end_with_parent(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
