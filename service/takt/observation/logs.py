"""Structured logs: one line per event in the life of a process and per error, and nothing about people.

A line may bear only the keys that are listed here; of an error, only its class and the places in the code. What it says
may quote data, and is kept only where it is our own, whose messages are written to be shown. So a line cannot leak what
nobody thought of.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

from takt.errors import InvalidRequestError, TaktError

KEYS: Final = frozenset(
    {
        # the line itself
        "event", "level", "timestamp", "logger",
        # errors
        "call", "error", "message", "method", "where", "work",
        # a process
        "admin", "catalog", "edition", "features", "listen", "listener", "metrics", "model", "offers", "pid",
        "placements", "signal", "store", "tls", "token", "transport", "version", "worker", "workers",
        "workspace",
        # figures
        "batch", "cause", "clean", "code", "drained", "grace_s", "known", "lost", "partitions", "restored",
        "seconds", "uncounted",
    }
)  # fmt: skip
WITHHELD: Final = "(withheld)"
DEEPEST: Final = 12
"""Places in the code that an error's line names, the innermost."""

Event = MutableMapping[str, Any]


def configure(level: str, form: str, stream: TextIO | None = None, *, worker: int | None = None) -> None:
    """Log from now on, at `level` (debug, info, warning, error) and above, as `json` or for the `console`.

    With `worker`, every line bears its number.

    What libraries log through `logging` comes out the same way, from warnings up, as templates without their values.
    """
    stream = stream or sys.stderr
    least = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        *([] if worker is None else [_numbered(worker)]),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        summarised,
        allowed,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(stream),  # in one piece: workers share one stream
        cache_logger_on_first_use=False,
    )
    handler = _Forward(max(least, logging.WARNING))
    logging.basicConfig(handlers=[handler], level=handler.level, force=True)


class _Forward(logging.Handler):
    """Passes on what libraries log: who, how bad, where in its code, and the template, which holds no values yet."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. A message that came ready made may quote anything, so that it is withheld."""
        try:
            structlog.get_logger().log(
                record.levelno,
                "library",
                logger=record.name,
                message=str(record.msg) if record.args else WITHHELD,
                where=[f"{record.filename}:{record.lineno} {record.funcName}"],
                exc_info=record.exc_info,
            )
        except Exception:  # noqa: BLE001 - logging must not raise
            self.handleError(record)


def _numbered(worker: int) -> Callable[[Any, str, Event], Event]:
    """A processor of structlog that says which worker a line is from."""

    def numbered(_: Any, __: str, event: Event) -> Event:
        event["worker"] = worker
        return event

    return numbered


def summarised(_: Any, __: str, event: Event) -> Event:
    """An exception as its class and the places in the code; its message only where it is our own.

    Processor of structlog. A request's violations quote the request, so that they are not kept either.
    """
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-DEEPEST:]
        ]
        if isinstance(error, TaktError) and not isinstance(error, InvalidRequestError):
            event["message"] = str(error)
    return event


def allowed(_: Any, __: str, event: Event) -> Event:
    """Values of keys that are not listed are withheld. Processor of structlog."""
    for key in event.keys() - KEYS:
        event[key] = WITHHELD
    return event
