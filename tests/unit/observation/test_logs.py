"""Logs are lines that machines read, and say nothing about people."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from takt.errors import InvalidRequestError, StoreError, Violation
from takt.observation import logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was logged so far, line by line."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("info", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


def fail(error: Exception) -> None:
    """Raise it."""
    raise error


def raised(error: Exception) -> Exception:
    """An error with a place in the code."""
    with pytest.raises(type(error)) as caught:
        fail(error)
    return caught.value


def test_a_line_is_one_event(lines: Lines) -> None:
    """Level, time and event stand in every line, with what was said beside them."""
    structlog.get_logger().info("ready", version="1.0", offers=3)

    (line,) = lines()
    assert {"event": "ready", "level": "info", "version": "1.0", "offers": 3} == {
        key: value for key, value in line.items() if key != "timestamp"
    }
    assert line["timestamp"].endswith("Z")


def test_a_line_is_written_in_one_piece() -> None:
    """Several processes write to one stream: what one writes in parts, another's may stand in between."""
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str, /) -> int:
            written.append(text)
            return len(text)

    logs.configure("info", "json", Stream())
    structlog.get_logger().info("ready")
    structlog.reset_defaults()

    assert 1 == len(written)
    assert written[0].endswith("}\n")


def test_less_severe_lines_are_not_written(lines: Lines) -> None:
    """Below the level that was asked for, nothing is written."""
    structlog.get_logger().debug("ready")

    assert [] == lines()


def test_keys_that_are_not_listed_are_withheld(lines: Lines) -> None:
    """What nobody thought of cannot leak: the key shows that something was there, and not what."""
    structlog.get_logger().warning("ready", profile_id="p-secret", context={"mood": "secret"})

    (line,) = lines()
    assert (logs.WITHHELD, logs.WITHHELD) == (line["profile_id"], line["context"])


def test_an_error_says_where_and_not_what(lines: Lines) -> None:
    """A foreign error's message may quote anything; its class and place do not."""
    structlog.get_logger().error("defect", exc_info=raised(KeyError("ada@example.org")))

    (line,) = lines()
    assert "KeyError" == line["error"]
    assert "test_logs.py" in line["where"][-1]
    assert "ada" not in json.dumps(line)


def test_our_own_errors_are_quoted(lines: Lines) -> None:
    """Messages of our own errors are written to be shown, but for those that quote a request."""
    structlog.get_logger().error("store", exc_info=raised(StoreError("no answer within 50 ms")))
    structlog.get_logger().error("x", exc_info=raised(InvalidRequestError((Violation("a", "'secret' is wrong"),))))

    ours, request = lines()
    assert "no answer within 50 ms" == ours["message"]
    assert "message" not in request


def test_an_exception_that_is_being_handled(lines: Lines) -> None:
    """Within an except clause the error need not be named."""
    try:
        fail(ZeroDivisionError("secret"))
    except ZeroDivisionError:
        structlog.get_logger().exception("defect")

    (line,) = lines()
    assert ("ZeroDivisionError", "error") == (line["error"], line["level"])
    assert "secret" not in json.dumps(line)


def test_libraries_are_heard_without_their_values(lines: Lines) -> None:
    """Libraries' warnings come out as templates; a message that came ready made is withheld."""
    logging.getLogger("some.library").warning("cannot reach %s", "ada@example.org")
    logging.getLogger("some.library").error("cannot reach ada@example.org")
    logging.getLogger("some.library").info("chatter")

    template, ready_made = lines()
    assert ("some.library", "cannot reach %s", "warning") == (
        template["logger"],
        template["message"],
        template["level"],
    )
    assert logs.WITHHELD == ready_made["message"]
    assert "test_logs.py" in ready_made["where"][0]


def test_the_console_form_is_for_people() -> None:
    """The other form is not JSON, and withholds the same."""
    stream = io.StringIO()
    logs.configure("info", "console", stream)
    try:
        structlog.get_logger().info("ready", version="1.0", profile_id="secret")
    finally:
        structlog.reset_defaults()

    assert "ready" in stream.getvalue()
    assert "version=1.0" in stream.getvalue()
    assert "secret" not in stream.getvalue()
