"""Values as people write them, to values of the contract and back.

On the command line and in JSON, a value is what JSON says it is: `3` an int, `3.5` a float, `true` a bool, `["a", "b"]`
flags, `"text"` a text. Two things are added. A word that is no JSON is a text, so that `page=home` needs no quotes. And
a text that is a whole RFC 3339 moment with its offset, such as `2026-01-31T12:00:00Z`, is a timestamp.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from takt.errors import InvalidRequestError, Violation
from takt.settings import UNITS
from takt.v1 import types_pb2

Plain: TypeAlias = str | int | float | bool | datetime | list[str] | tuple[str, ...] | None
"""What a value may be on our side; None is missing, and so is NaN."""

MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(us|ms|s|m|h|d)")
LONGEST_INT = 2**63


def refuse(field: str, message: str) -> InvalidRequestError:
    """One thing wrong, as an error to raise."""
    return InvalidRequestError((Violation(field, message),))


def value(plain: object, field: str) -> types_pb2.Value:
    """A value of the contract. Raises `InvalidRequestError` naming `field` for what cannot be one."""
    match plain:
        case None:
            return types_pb2.Value()
        case bool():
            return types_pb2.Value(bool_value=plain)
        case int():
            if not -LONGEST_INT <= plain < LONGEST_INT:
                raise refuse(field, f"{plain} does not fit into 64 bits")
            return types_pb2.Value(int_value=plain)
        case float():
            if math.isnan(plain):
                return types_pb2.Value()
            if math.isinf(plain):
                raise refuse(field, "infinity is no value; leave it out if it is not known")
            return types_pb2.Value(double_value=plain)
        case str() if MOMENT.fullmatch(plain):
            return types_pb2.Value(timestamp_value=moment(plain, field))
        case str():
            return types_pb2.Value(string_value=plain)
        case datetime():
            return types_pb2.Value(timestamp_value=_stamp(plain))
        case list() | tuple():
            if not all(isinstance(flag, str) for flag in plain):
                raise refuse(field, "a list is of texts, such as ['garden', 'kitchen']")
            return types_pb2.Value(string_list_value=types_pb2.StringList(values=plain))
        case _:
            raise refuse(field, f"{type(plain).__name__} is no value; a text, number, bool or list of texts is")


def plain(message: types_pb2.Value) -> Plain:
    """The way back; timestamps as RFC 3339 texts."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "timestamp_value":
        return written(message.timestamp_value)
    if kind == "string_list_value":
        return list(message.string_list_value.values)
    found: str | int | float | bool = getattr(message, kind)
    return found


def moment(text: str, field: str) -> Timestamp:
    """An RFC 3339 moment with its offset."""
    if not MOMENT.fullmatch(text):
        raise refuse(field, f"{text!r} is no moment; write it like 2026-01-31T12:00:00Z")
    try:
        return _stamp(datetime.fromisoformat(text))
    except ValueError as error:
        raise refuse(field, f"{text!r} is no moment: {error}") from None


def written(stamp: Timestamp) -> str:
    """A moment as RFC 3339 in UTC; empty where it is not set."""
    return stamp.ToJsonString() if stamp.seconds or stamp.nanos else ""


def duration(text: str, field: str) -> Duration:
    """A short time: `250us`, `80ms`, `1.5s`, `15m`."""
    found = DURATION.fullmatch(text.strip())
    if not found:
        raise refuse(field, f"{text!r} is no time; write it like 80ms or 1.5s")
    made = Duration()
    made.FromTimedelta(timedelta(microseconds=round(float(found[1]) * UNITS[found[2]])))
    return made


def assignments(texts: tuple[str, ...], field: str) -> dict[str, Plain]:
    """`name=value` as often as given. Raises `InvalidRequestError` with every one that is none."""
    made: dict[str, Plain] = {}
    wrong = []
    for text in texts:
        name, equals, rest = text.partition("=")
        if not (name and equals):
            wrong.append(Violation(field, f"{text!r} is no assignment; write it like page=home"))
        elif name in made:
            wrong.append(Violation(f'{field}["{name}"]', "is given twice"))
        else:
            made[name] = _guessed(rest)
    if wrong:
        raise InvalidRequestError(tuple(wrong))
    return made


def values(plains: Mapping[str, object], field: str) -> dict[str, types_pb2.Value]:
    """Values by name. Raises `InvalidRequestError` with every one that is wrong."""
    made: dict[str, types_pb2.Value] = {}
    wrong: list[Violation] = []
    for name, one in plains.items():
        try:
            made[name] = value(one, f'{field}["{name}"]')
        except InvalidRequestError as error:
            wrong.extend(error.violations)
    if wrong:
        raise InvalidRequestError(tuple(wrong))
    return made


def _guessed(text: str) -> Plain:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return text
    # braces are no value of ours, and would be refused with a better message as the text they are
    return text if isinstance(found, dict) else found


def _stamp(when: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(when.astimezone(UTC).replace(tzinfo=None))
    return stamp
