"""Values as people write them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from takt.cli import values
from takt.errors import InvalidRequestError
from takt.v1 import types_pb2


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("home", "string_value", "home"),
        ("3", "int_value", 3),
        ("-3.5", "double_value", -3.5),
        ("true", "bool_value", True),
        ('"3"', "string_value", "3"),
        ("a=b", "string_value", "a=b"),
        ("", "string_value", ""),
        ('{"a": 1}', "string_value", '{"a": 1}'),
        ("null", None, None),
    ],
)
def test_assignments_are_what_json_says_or_texts(text: str, kind: str | None, expected: Any) -> None:
    """What stands behind the equals sign is JSON, and a text where it is none."""
    found = values.values(values.assignments((f"name={text}",), "context"), "context")["name"]
    assert kind == found.WhichOneof("kind")
    assert kind is None or expected == getattr(found, kind)


def test_moments_are_timestamps() -> None:
    """A whole RFC 3339 moment with its offset is a timestamp; anything less is a text."""
    found = values.value("2026-01-31T13:00:00.25+01:00", "f")
    assert "2026-01-31T12:00:00.250Z" == values.written(found.timestamp_value)
    assert "string_value" == values.value("2026-01-31", "f").WhichOneof("kind")
    assert "string_value" == values.value("2026-01-31T13:00:00", "f").WhichOneof("kind")


def test_missing_is_no_value() -> None:
    """None and NaN are missing, which the contract writes as a value without a kind."""
    assert types_pb2.Value() == values.value(None, "f")
    assert types_pb2.Value() == values.value(math.nan, "f")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (math.inf, "infinity is no value"),
        (2**63, "does not fit into 64 bits"),
        (["a", 1], "a list is of texts"),
        ({"a": 1}, "dict is no value"),
        ("2026-13-31T12:00:00Z", "is no moment"),
    ],
)
def test_what_is_no_value_is_refused(plain: Any, message: str) -> None:
    """A refusal names the field and what would be right."""
    with pytest.raises(InvalidRequestError, match=message) as caught:
        values.values({"x": plain}, "features")
    assert 'features["x"]' == caught.value.violations[0].field


def test_every_wrong_assignment_is_named() -> None:
    """All that is wrong is said at once."""
    with pytest.raises(InvalidRequestError) as caught:
        values.assignments(("page", "=x", "a=1", "a=2"), "context")
    assert ["context", "context", 'context["a"]'] == [v.field for v in caught.value.violations]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80ms", Duration(nanos=80_000_000)),
        ("1.5s", Duration(seconds=1, nanos=500_000_000)),
        ("1m", Duration(seconds=60)),
    ],
)
def test_durations(text: str, expected: Duration) -> None:
    """Times are written with their unit."""
    assert expected == values.duration(text, "budget")


@pytest.mark.parametrize("text", ["80", "ms", "-1s", "1 h"])
def test_durations_without_a_unit_are_refused(text: str) -> None:
    """A bare number could be anything."""
    with pytest.raises(InvalidRequestError, match="write it like 80ms"):
        values.duration(text, "budget")


@given(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.text())
)
def test_what_was_written_is_read_again(plain: Any) -> None:
    """Every value survives the way to a message and back."""
    assert plain == values.plain(values.value(plain, "f"))
