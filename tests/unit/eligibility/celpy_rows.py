"""Random expressions and rows, and cel-python's evaluator for one row at a time: what rules are held against."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import celpy
from celpy import celtypes
from hypothesis import strategies as st

from takt.domain.request import Scalar
from takt.features.section import Feature, FeatureType, Section
from takt.features.spec import FeatureSpec, load_spec

SPEC: FeatureSpec = load_spec(
    """
    profile:
      - {name: recency, type: float}
      - {name: spend, type: float, default: 1.5}
      - {name: visits, type: int}
      - {name: orders, type: int, default: 0}
      - {name: member, type: bool}
      - {name: opted, type: bool, default: true}
      - {name: segment, type: category, values: [budget, premium, gold]}
      - {name: favourite, type: category, values: [toys, garden]}
      - {name: interests, type: flags, values: [kitchen, garden, toys]}
      - {name: born, type: timestamp}
    context:
      - {name: basket, type: float}
      - {name: hour, type: int}
      - {name: mobile, type: bool}
      - {name: page, type: category, values: [home, "it's \\"odd\\"", größe]}
      - {name: seen, type: timestamp}
    offer:
      - {name: price, type: float}
      - {name: pieces, type: int}
      - {name: clearance, type: bool}
      - {name: department, type: category, values: [garden, kitchen, toys]}
      - {name: fits, type: flags, values: [gold, premium, other]}
      - {name: launched, type: timestamp}
    """,
    "features.yaml",
)
SECTIONS: dict[str, Section] = {"profile": SPEC.profile, "context": SPEC.context, "offer": SPEC.offer}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW_US = 1_780_000_000_000_000
YEAR_US = 31_557_600_000_000
UNEQUAL_ZERO = [-7, -3, -1, 1, 2, 3, 10, 100]

Row = dict[str, Scalar]


# Rows ----------------------------------------------------------------------------------------------------------------


def _values(feature: Feature) -> st.SearchStrategy[Any]:
    """Values of a feature, small enough that sums and products stay exact; None = missing."""
    match feature.type:
        case FeatureType.FLOAT:
            some: st.SearchStrategy[Any] = st.sampled_from([-2.5, -1.0, 0.0, 0.25, 1.5, 3.0, 1000.0])
        case FeatureType.INT:
            some = st.integers(-20, 20)
        case FeatureType.BOOL:
            some = st.booleans()
        case FeatureType.CATEGORY:
            some = st.sampled_from(feature.values)
        case FeatureType.FLAGS:
            return st.lists(st.sampled_from(feature.values), unique=True).map(tuple)
        case FeatureType.TIMESTAMP:
            some = st.integers(NOW_US - 30 * YEAR_US, NOW_US + YEAR_US)
    return st.one_of(some, some, st.none())


def rows(section: Section) -> st.SearchStrategy[Row]:
    """Rows of a section in which any value may be missing."""
    made: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({f.name: _values(f) for f in section.features})
    return made.map(lambda row: {name: value for name, value in row.items() if value is not None})


# Expressions ---------------------------------------------------------------------------------------------------------


def _fields(*types: FeatureType) -> list[str]:
    return [f"{name}.{f.name}" for name, section in SECTIONS.items() for f in section.features if f.type in types]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _pairs(left: st.SearchStrategy[str], operators: list[str], right: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("({} {} {})".format, left, st.sampled_from(operators), right)


def _choices(condition: st.SearchStrategy[str], branch: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("({} ? {} : {})".format, condition, branch, branch)


ORDER = ["<", "<=", ">", ">=", "==", "!="]


@functools.cache
def whole(depth: int) -> st.SearchStrategy[str]:
    """Expressions of whole numbers, of at most some 100**(2**depth)."""
    leaf = st.one_of(
        st.sampled_from(UNEQUAL_ZERO).map(str),
        st.sampled_from(_fields(FeatureType.INT)),
        st.sampled_from(_fields(FeatureType.FLAGS)).map("size({})".format),
    )
    if depth == 0:
        return leaf
    below = whole(depth - 1)
    return st.one_of(
        leaf,
        _pairs(below, ["+", "-", "*", "/", "%"], below),
        below.map("-({})".format),
        _choices(truth(depth - 1), below),
        decimal(depth - 1).map("int({})".format),
    )


@functools.cache
def decimal(depth: int) -> st.SearchStrategy[str]:
    """Expressions of decimal numbers."""
    leaf = st.one_of(
        st.sampled_from(["0.5", "-1.25", "3.0", ".75", "1e2"]), st.sampled_from(_fields(FeatureType.FLOAT))
    )
    if depth == 0:
        return leaf
    below = decimal(depth - 1)
    return st.one_of(
        leaf,
        _pairs(below, ["+", "-", "*", "/"], below),
        below.map("-({})".format),
        _choices(truth(depth - 1), below),
        whole(depth - 1).map("double({})".format),
    )


@functools.cache
def moment(depth: int) -> st.SearchStrategy[str]:
    """Expressions of timestamps."""
    leaf = st.one_of(
        st.sampled_from(["now", 'timestamp("2026-05-28T18:00:00.25Z")', 'timestamp("2020-02-29T23:59:59+02:00")']),
        st.sampled_from(_fields(FeatureType.TIMESTAMP)),
    )
    if depth == 0:
        return leaf
    return st.one_of(
        leaf,
        _pairs(moment(depth - 1), ["+", "-"], span(depth - 1)),
        _pairs(span(depth - 1), ["+"], moment(depth - 1)),
        _choices(truth(depth - 1), moment(depth - 1)),
    )


@functools.cache
def span(depth: int) -> st.SearchStrategy[str]:
    """Expressions of durations."""
    leaf = st.sampled_from(['duration("36h")', 'duration("1h30m")', 'duration("-90s")', 'duration("1.5s")'])
    if depth == 0:
        return leaf
    return st.one_of(
        leaf,
        _pairs(moment(depth - 1), ["-"], moment(depth - 1)),
        _pairs(span(depth - 1), ["+", "-"], span(depth - 1)),
        _choices(truth(depth - 1), span(depth - 1)),
    )


def _about_names() -> st.SearchStrategy[str]:
    """Everything that can be said about categories and flags."""
    said: list[st.SearchStrategy[str]] = [
        st.sampled_from(
            [
                "profile.favourite == offer.department",
                "offer.department != profile.favourite",
                "profile.segment == profile.segment",
                "profile.favourite in profile.interests",
                "offer.department in profile.interests",
                "profile.segment in offer.fits",
            ]
        )
    ]
    for name, section in SECTIONS.items():
        for f in section.features:
            texts = st.sampled_from([_quoted(value) for value in f.values]) if f.values else st.nothing()
            if f.type is FeatureType.CATEGORY:
                said.append(st.builds(f"{name}.{f.name} {{}} {{}}".format, st.sampled_from(["==", "!="]), texts))
                said.append(texts.map(f"{{}} == {name}.{f.name}".format))
                said.append(
                    st.lists(texts, min_size=1, max_size=3).map(", ".join).map(f"{name}.{f.name} in [{{}}]".format)
                )
            if f.type is FeatureType.FLAGS:
                said.append(texts.map(f"{{}} in {name}.{f.name}".format))
    return st.one_of(said).map("({})".format)


@functools.cache
def truth(depth: int) -> st.SearchStrategy[str]:
    """Expressions that are true or false."""
    present = [f"has({field})" for field in _fields(*FeatureType)]
    leaf = st.one_of(
        st.sampled_from(["true", "false", *present]), st.sampled_from(_fields(FeatureType.BOOL)), _about_names()
    )
    if depth == 0:
        return leaf
    below = truth(depth - 1)
    numbers = st.lists(st.sampled_from(UNEQUAL_ZERO), min_size=1, max_size=20).map(str)  # cel-python cannot print `[]`
    return st.one_of(
        leaf,
        _pairs(below, ["&&", "||"], below),
        _pairs(below, ["&&", "||"], below),
        st.builds("({0} && {1} && {2})".format, below, below, below),
        st.builds("({0} || {1} || {2})".format, below, below, below),
        _pairs(below, ["==", "!="], below),
        below.map("!({})".format),
        _choices(below, below),
        _pairs(whole(depth - 1), ORDER, whole(depth - 1)),
        _pairs(decimal(depth - 1), ORDER, decimal(depth - 1)),
        _pairs(moment(depth - 1), ORDER, moment(depth - 1)),
        _pairs(span(depth - 1), ORDER, span(depth - 1)),
        _pairs(whole(depth - 1), ["in"], numbers),
    )


# The reference -------------------------------------------------------------------------------------------------------


class Reference:
    """cel-python's evaluator for one expression. None stands for an error."""

    environment = celpy.Environment()

    def __init__(self, text: str) -> None:
        """Compile `text`."""
        self._program = self.environment.program(self.environment.compile(text), functions={"_/_": _divide})

    def evaluate(self, profile: Row, context: Row, offer: Row) -> bool | float | None:
        """The value for one row, numbers as float, or None for an error."""
        given = {
            "profile": _map(SPEC.profile, profile),
            "context": _map(SPEC.context, context),
            "offer": _map(SPEC.offer, offer),
            "now": _moment(NOW_US),
        }
        try:
            value: Any = self._program.evaluate(given)
        except celpy.CELEvalError:
            return None
        return bool(value) if isinstance(value, celtypes.BoolType) else float(value)


def _divide(left: Any, right: Any) -> Any:
    """CEL's division, save that a decimal divided by zero is an error, as it is for whole numbers."""
    if isinstance(right, float) and right == 0.0:
        raise ZeroDivisionError
    return left / right


def _map(section: Section, row: Mapping[str, Scalar]) -> celtypes.MapType:
    """A row as the reference reads it: defaults filled in, what is missing left out, decimals as stored."""
    filled = {f.name: f.default for f in section.features if f.default is not None}
    filled |= {f.name: () for f in section.features if f.type is FeatureType.FLAGS}
    return celtypes.MapType(
        {celtypes.StringType(name): _value(section[name], value) for name, value in (filled | dict(row)).items()}
    )


def _value(feature: Feature, value: Any) -> Any:
    match feature.type:
        case FeatureType.FLOAT:
            return celtypes.DoubleType(value)
        case FeatureType.INT:
            return celtypes.IntType(value)
        case FeatureType.BOOL:
            return celtypes.BoolType(value)
        case FeatureType.CATEGORY:
            return celtypes.StringType(value)
        case FeatureType.FLAGS:
            return celtypes.ListType([celtypes.StringType(name) for name in value])
        case FeatureType.TIMESTAMP:
            return _moment(value)


def _moment(at_us: int) -> celtypes.TimestampType:
    return celtypes.TimestampType(EPOCH + timedelta(microseconds=at_us))
