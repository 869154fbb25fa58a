"""The corners of evaluation: ranges, divisions, wide flags, shapes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from takt.catalog.rules import RuleCompiler, Want
from takt.domain.request import Scalar
from takt.eligibility.evaluation import evaluate
from takt.features.columns import Columns
from takt.features.record import pack_section
from takt.features.spec import load_spec

FLAGS = [f"flag{i}" for i in range(64)]
SPEC = load_spec(
    f"""
    profile:
      - {{name: count, type: int}}
      - {{name: amount, type: float}}
      - {{name: marks, type: flags, values: {FLAGS}}}
      - {{name: born, type: timestamp}}
    offer:
      - {{name: price, type: float}}
    """
)
COMPILER = RuleCompiler(SPEC)
LARGEST = 2**24


def _evaluate(
    text: str, *rows: Mapping[str, Scalar], want: Want = Want.CONDITION, now_us: int = 0
) -> list[bool | float | None]:
    """Values by row, None for an error."""
    columns = Columns(SPEC.profile, pack_section(SPEC.profile, rows))
    values, errors = evaluate(COMPILER.compile(text, want), columns, None, None, now_us)
    shape = (len(rows), 1)
    pairs = zip(np.broadcast_to(values, shape)[:, 0], np.broadcast_to(errors, shape)[:, 0], strict=True)
    return [None if error else value.item() for value, error in pairs]


@pytest.mark.parametrize(
    ("text", "rows", "expected"),
    [
        # whole numbers are exact below 2**53, and an error from there on
        ("(profile.count * profile.count - 1) * 32 + 31", [LARGEST, 3], [2**53 - 1, 287]),
        ("(profile.count * profile.count - 1) * 32 + 32", [LARGEST, 3], [None, 288]),
        ("profile.count * profile.count * 32", [LARGEST, -LARGEST, 3], [None, None, 288]),
        ("-(profile.count * profile.count * 32) - 1", [LARGEST, 3], [None, -289]),
        ("profile.count * profile.count * profile.count", [LARGEST, 2, None], [None, 8, None]),
        # division cuts towards zero, the remainder takes the sign of the left
        ("profile.count / 2", [7, -7, 0], [3, -3, 0]),
        ("profile.count % 3", [7, -7, 0], [1, -1, 0]),
        ("7 / profile.count", [0, 2, None], [None, 3, None]),
        ("7 % profile.count", [0, 4, -4], [None, 3, 3]),
    ],
)
def test_whole_numbers(text: str, rows: list[int | None], expected: list[float | None]) -> None:
    """Arithmetic of whole numbers is exact, or an error."""
    given = [{} if value is None else {"count": value} for value in rows]

    assert expected == _evaluate(text, *given, want=Want.NUMBER)


@pytest.mark.parametrize(
    ("text", "rows", "expected"),
    [
        ("1.0 / profile.amount", [0.0, 4.0, None], [None, 0.25, None]),
        ("profile.amount / profile.amount", [0.0, -2.0], [None, 1.0]),
        ("double(int(profile.amount))", [-2.75, 2.75], [-2.0, 2.0]),
        ("double(int(profile.amount * 1e300 * 1e300))", [1.0, 0.0], [None, 0.0]),
        ("double(int(profile.amount * 1e16))", [1.0, 0.5], [None, 5e15]),
    ],
)
def test_decimals(text: str, rows: list[float | None], expected: list[float | None]) -> None:
    """A decimal divided by zero is an error, and so is a whole number that would not be exact."""
    given = [{} if value is None else {"amount": value} for value in rows]

    assert expected == _evaluate(text, *given, want=Want.NUMBER)


def test_errors_are_absorbed() -> None:
    """`&&` and `||` decide without an error where they can, from either side; `? :` asks one branch only."""
    some, none = {"count": 1}, {}

    assert [True, None] == _evaluate("profile.count > 0 || false", some, none)
    assert [True, True] == _evaluate("profile.count > 5 || true", some, none)
    assert [False, False] == _evaluate("false && profile.count > 0", some, none)
    assert [True, True] == _evaluate("profile.count > 0 || !has(profile.count)", some, none)
    assert [True, False] == _evaluate("has(profile.count) ? profile.count > 0 : false", some, none)
    assert [False, None] == _evaluate("!(profile.count > 0)", some, none)


def test_the_last_flag() -> None:
    """All 64 flags can be asked for."""
    assert [True, False] == _evaluate('"flag63" in profile.marks', {"marks": ("flag63",)}, {"marks": ("flag0",)})
    assert [True, True] == _evaluate(
        "size(profile.marks) == 64 || size(profile.marks) == 0", {"marks": tuple(FLAGS)}, {}
    )


def test_long_lists() -> None:
    """A list may be longer than the few that are compared one by one."""
    text = f"profile.count in {list(range(0, 100, 2))}"

    assert [True, False, None] == _evaluate(text, {"count": 98}, {"count": 97}, {})


def test_time_beyond_the_calendar_is_an_error() -> None:
    """A moment outside the years 1 to 9999 is an error, as is a span over 10,000 years."""
    late = {"born": 253_402_300_799_000_000}

    assert [None] == _evaluate('profile.born + duration("1s") > now', late)
    assert [True] == _evaluate('profile.born + duration("999ms") > now', late)
    assert [None] == _evaluate('duration("3652500d") + duration("1d") > duration("1s")', {})


def test_shapes() -> None:
    """What depends on people is a column, what depends on offers a row, and both together a table."""
    people = Columns(SPEC.profile, pack_section(SPEC.profile, [{"count": 1}, {"count": 2}]))
    offers = Columns(SPEC.offer, pack_section(SPEC.offer, [{"price": 1.0}, {"price": 2.0}, {}]))

    def shape(text: str) -> tuple[int, ...]:
        values, _ = evaluate(COMPILER.compile(text), people, None, offers, np.array([1, 2]))
        return values.shape

    assert (2, 1) == shape("profile.count > 1")
    assert (1, 3) == shape("offer.price > 1.0")
    assert (2, 3) == shape("double(profile.count) > offer.price")
    assert (2, 1) == shape('now > timestamp("1970-01-01T00:00:00.000001Z")')
    assert () == shape("true")


def test_a_section_that_was_not_given() -> None:
    """Reading what was not given is a defect of the caller, and is named."""
    with pytest.raises(KeyError, match=r"offer\.price was not given"):
        _evaluate("offer.price > 1.0", {})
