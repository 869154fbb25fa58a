"""Literals of rules stand for what CEL says they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from celpy import celtypes
from hypothesis import given
from hypothesis import strategies as st

from takt.catalog.rules.literals import FIRST_US, LAST_US, decimal_of, duration_of, text_of, timestamp_of, whole_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@given(
    st.lists(
        st.tuples(st.decimals(0, 999, places=2), st.sampled_from(["h", "m", "s", "d"])).map("{0[0]}{0[1]}".format),
        min_size=1,
        max_size=3,
    ).map("".join),
    st.sampled_from(["", "-", "+"]),
)
def test_durations_are_those_of_cel(text: str, sign: str) -> None:
    """A duration is as long as cel-python says."""
    assert celtypes.DurationType(sign + text) // MICROSECOND == duration_of(sign + text)


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001 - the zone is drawn beside it
    st.integers(-14 * 60, 14 * 60),
)
def test_timestamps_are_those_of_iso(moment: datetime, offset: int) -> None:
    """A timestamp with any offset is the moment that it names."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))

    assert (aware - EPOCH) // MICROSECOND == timestamp_of(aware.isoformat())


def test_timestamps_reach_over_all_of_cels_range() -> None:
    """The first and the last moment are those of the years 1 and 9999."""
    assert FIRST_US == timestamp_of("0001-01-01T00:00:00Z")
    assert LAST_US == timestamp_of("9999-12-31T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0001-01-01T00:00:00+01:00", "years 1 to 9999"),
        ("2026-01-01", "is no timestamp"),
        ("2026-01-01T00:00:00", "is no timestamp"),
        ("2026-01-01T25:00:00Z", "hour must be in"),
        ("2026-01-01T00:00:00.1234567Z", "is no timestamp"),
    ],
)
def test_wrong_timestamps(text: str, message: str) -> None:
    """What is no moment is refused."""
    with pytest.raises(ValueError, match=message):
        timestamp_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no duration"),
        ("h", "is no duration"),
        ("1h-1m", "is no duration"),
        ("1w", "is no duration"),
        ("1 h", "is no duration"),
        ("0.0000001s", "finer than a microsecond"),
        ("3652501d", "longer than 10,000 years"),
    ],
)
def test_wrong_durations(text: str, message: str) -> None:
    """What is no duration is refused."""
    with pytest.raises(ValueError, match=message):
        duration_of(text)


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ('"plain"', "plain"),
        ("'single \"quoted\"'", 'single "quoted"'),
        (r'"tab\tnew\nline\\ \x41\u00e4\U0001F600\101"', "tab\tnew\nline\\ Aä😀A"),
        (r"r'raw\n'", "raw\\n"),
        ('"""three "quotes" """', 'three "quotes" '),
        ("''", ""),
    ],
)
def test_texts(literal: str, text: str) -> None:
    """Quotes and escapes are resolved."""
    assert text == text_of(literal)


def test_numbers() -> None:
    """Numbers are read in CEL's notations, and refused where they cannot be exact."""
    assert [255, -16, 7] == [whole_of("0xFF"), whole_of("-0x10"), whole_of("7")]
    assert [0.5, -1e3] == [decimal_of(".5"), decimal_of("-1e3")]
    with pytest.raises(ValueError, match="up to 2"):
        whole_of("-9007199254740992")
    with pytest.raises(ValueError, match="too large"):
        decimal_of("1e999")
