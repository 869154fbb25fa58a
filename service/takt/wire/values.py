"""Typed values, identities, times: what several messages share.

Reading collects every violation instead of stopping at the first, so functions that read take the field's path and a
list to add to.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from takt.clock import SECOND_US
from takt.domain.request import Identity, Scalar
from takt.errors import Violation
from takt.spelling import shown
from takt.v1 import types_pb2

FIRST_SECOND: Final = -62_135_596_800
"""0001-01-01T00:00:00Z, the least that a Timestamp may say."""
LAST_SECOND: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the most."""
LONGEST_ID: Final = 128
LONGEST_PROFILE_ID: Final = 64
LONGEST_NAME: Final = 256
"""Names of the catalog (placements, timings, offers); what is longer is not compared with any."""
LONGEST_STRING: Final = 256
LONGEST_FLAG: Final = 128
MOST_FLAGS: Final = 64
MOST_IDENTITIES: Final = 8
LONGEST_NAMESPACE: Final = 32
LONGEST_IDENTITY: Final = 256
_NAMESPACE: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def time_us(message: Timestamp, path: str, found: list[Violation]) -> int:
    """Microseconds since the epoch; finer digits are cut off. 0 where it is not a time."""
    if not (FIRST_SECOND <= message.seconds <= LAST_SECOND and 0 <= message.nanos < 1_000_000_000):
        found.append(Violation(path, "is not a time between the years 1 and 9999"))
        return 0
    return message.seconds * SECOND_US + message.nanos // 1_000


def timestamp(at_us: int) -> Timestamp:
    """Microseconds since the epoch as a message."""
    seconds, micros = divmod(at_us, SECOND_US)
    return Timestamp(seconds=seconds, nanos=micros * 1_000)


def stamped_us(message: Timestamp) -> int:
    """The inverse of `timestamp`, for messages that the service itself has written."""
    return message.seconds * SECOND_US + message.nanos // 1_000


def duration_us(message: Duration) -> int:
    """Microseconds; finer digits are cut off."""
    return message.seconds * SECOND_US + int(message.nanos / 1_000)


def scalar(message: types_pb2.Value, path: str, found: list[Violation]) -> Scalar | None:
    """The value, None where none is set or it is no value (which is added to `found`).

    Whether its type fits the feature is judged against the declaration, elsewhere.
    """
    match message.WhichOneof("kind"):
        case "string_value":
            if len(message.string_value) > LONGEST_STRING:
                found.append(Violation(path, f"has {len(message.string_value)} characters, at most {LONGEST_STRING}"))
                return None
            return message.string_value
        case "int_value":
            return message.int_value
        case "double_value":
            if not math.isfinite(message.double_value):
                found.append(Violation(path, "must be finite; leave out what is missing"))
                return None
            return message.double_value
        case "bool_value":
            return message.bool_value
        case "timestamp_value":
            return time_us(message.timestamp_value, path, found)
        case "string_list_value":
            return _flags(message.string_list_value, path, found)
        case _:
            return None


def _flags(message: types_pb2.StringList, path: str, found: list[Violation]) -> tuple[str, ...] | None:
    """Flags that are set, each once, sorted: order and repetition do not matter."""
    if len(message.values) > MOST_FLAGS:
        found.append(Violation(path, f"has {len(message.values)} flags, at most {MOST_FLAGS}"))
        return None
    if not all(1 <= len(value) <= LONGEST_FLAG for value in message.values):
        found.append(Violation(path, f"each flag must have 1 to {LONGEST_FLAG} characters"))
        return None
    return tuple(sorted(set(message.values)))


def scalars(
    message: Mapping[str, types_pb2.Value],
    path: str,
    found: list[Violation],
    *,
    most: int,
    times: Container[str] | None = None,
) -> dict[str, Scalar]:
    """A map of values by name, in the order of names; values without a kind are left out, as missing.

    `times` are the names that are declared as timestamps, None where nothing is declared. A timestamp is an int inside:
    here the two are told apart.
    """
    if len(message) > most:
        found.append(Violation(path, f"{len(message)} entries given, at most {most}"))
        return {}
    values: dict[str, Scalar] = {}
    for name in sorted(message):
        kind = message[name].WhichOneof("kind")
        if times is not None and kind == "int_value" and name in times:
            found.append(Violation(entry(path, name), "is a timestamp; send a timestamp_value"))
        elif times is not None and kind == "timestamp_value" and name not in times:
            found.append(Violation(entry(path, name), "is not declared as a timestamp"))
        else:
            value = scalar(message[name], entry(path, name), found)
            if value is not None:
                values[name] = value
    return values


def entry(path: str, name: str) -> str:
    """Path of a map's entry, with an absurd name cut short."""
    return f'{path}["{shown(name)[1:-1]}"]'


def value_message(value: Scalar, *, time: bool = False) -> types_pb2.Value:
    """A value as a message; with `time`, an int is a timestamp. Without, it stays the int that it is inside."""
    match value:
        case bool():
            return types_pb2.Value(bool_value=value)
        case int() if time:
            return types_pb2.Value(timestamp_value=timestamp(value))
        case int():
            return types_pb2.Value(int_value=value)
        case float():
            return types_pb2.Value(double_value=value)
        case str():
            return types_pb2.Value(string_value=value)
        case _:
            return types_pb2.Value(string_list_value=types_pb2.StringList(values=value))


def identity(message: types_pb2.Identity, path: str, found: list[Violation]) -> Identity:
    """An identity. Its value is not repeated in messages: it is personal."""
    namespace, value = message.namespace, message.value
    if not 1 <= len(namespace) <= LONGEST_NAMESPACE or not _NAMESPACE.issuperset(namespace):
        found.append(
            Violation(
                f"{path}.namespace", f'must have 1 to {LONGEST_NAMESPACE} characters out of a-z, 0-9, "_" and "-"'
            )
        )
    if not 1 <= len(value) <= LONGEST_IDENTITY:
        found.append(Violation(f"{path}.value", f"must have 1 to {LONGEST_IDENTITY} characters"))
    return Identity(namespace, value)


def length(text: str, path: str, found: list[Violation], *, least: int = 0, most: int = LONGEST_NAME) -> str:
    """`text`, with a violation unless it has `least` to `most` characters."""
    if not least <= len(text) <= most:
        found.append(Violation(path, f"must have {least} to {most} characters, and has {len(text)}"))
    return text
