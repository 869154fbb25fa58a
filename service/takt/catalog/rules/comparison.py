"""What may be compared with what. Whatever cannot mean anything raises ValueError, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from takt.catalog.rules.expressions import ORDERED, AmongNumbers, Compare, Expression, Field, Kind, Literal

if TYPE_CHECKING:
    from takt.catalog.rules.vocabulary import Vocabularies


class Text(Struct, frozen=True):
    """A text literal; it has a meaning only beside a feature's vocabulary."""

    value: str
    kind: Kind = Kind.TEXT


class ListOf(Struct, frozen=True):
    """A list literal; it has a meaning only at the right of `in`."""

    elements: tuple[Text | Literal, ...]
    kind: str = "a list"


Operand = Expression | Text | ListOf


class Comparisons:
    """`==`, `!=`, `<`, `<=`, `>`, `>=` and `in`, on checked operands."""

    def __init__(self, vocabularies: Vocabularies) -> None:
        self._vocabularies = vocabularies

    def compare(self, operator: str, left: Operand, right: Operand, *, sides: str) -> Expression:
        """`left operator right`. `sides` says what they are, for messages."""
        equality = operator in {"==", "!="}
        if isinstance(left, ListOf) or isinstance(right, ListOf):
            raise ValueError(f"`{operator}` does not compare lists; `in` asks whether a value is in one")  # noqa: TRY004
        if Kind.FLAGS in {left.kind, right.kind}:
            raise ValueError(f'`{operator}` does not compare flags, but {sides}; write `"name" in flags`')
        if left.kind is not right.kind:
            raise ValueError(f"`{operator}` compares like with like, but {sides}{hint(left, right)}")
        if equality and left.kind is Kind.TEXT:
            return self._same(left, right, negated=operator == "!=")
        if isinstance(left, Text) or isinstance(right, Text) or not (equality or left.kind in ORDERED):
            raise ValueError(f"`{operator}` orders numbers and times, but {sides}; use `==`, `!=` or `in`")
        return Compare(operator, _stored(left, right), _stored(right, left))

    def membership(self, left: Operand, right: Operand, sides: str) -> Expression:
        """`left in right`. `sides` says what they are, for messages."""
        if isinstance(right, ListOf) and not isinstance(left, ListOf):
            return self._among(left, right)
        if isinstance(right, Field) and right.kind is Kind.FLAGS:
            if isinstance(left, Text):
                return self._vocabularies.flag(right, left.value)
            if isinstance(left, Field) and left.kind is Kind.TEXT:
                return self._vocabularies.names_flag(right, left)
        raise ValueError(f"`in` asks whether a value is in a list, or a name among flags, but {sides}")

    def _same(self, left: Expression | Text, right: Expression | Text, *, negated: bool) -> Expression:
        """A category beside a text or another category."""
        if isinstance(left, Field) and isinstance(right, Field):
            return self._vocabularies.same(left, right, negated=negated)
        if isinstance(left, Field) and isinstance(right, Text):
            return self._vocabularies.among(left, [right.value], negated=negated)
        if isinstance(right, Field) and isinstance(left, Text):
            return self._vocabularies.among(right, [left.value], negated=negated)
        raise ValueError("compares two texts, which is always the same; one side must be a feature")

    def _among(self, left: Expression | Text, right: ListOf) -> Expression:
        """`left in [...]`."""
        if left.kind is Kind.FLAGS:
            raise ValueError('`in` looks for one name; write `"a" in flags || "b" in flags`')
        if isinstance(left, Text):
            raise ValueError("looks for a text among texts, which is always the same; the left must be a feature")  # noqa: TRY004
        for element in right.elements:
            if element.kind is not left.kind:
                wrong = f"the list holds {element.kind} where {left.kind} is looked for"
                raise ValueError(wrong + hint(left, element))
        if isinstance(left, Field) and left.kind is Kind.TEXT:
            return self._vocabularies.among(left, [e.value for e in right.elements if isinstance(e, Text)])
        constants = [e for e in right.elements if isinstance(e, Literal)]
        values = [(_as_feature(c) if isinstance(left, Field) else c).value for c in constants]
        return AmongNumbers(left, tuple(dict.fromkeys(values)))


def _stored(value: Expression, other: Expression) -> Expression:
    """A decimal literal as a feature would hold it, if that is what it is compared with."""
    if isinstance(value, Literal) and isinstance(other, Field):
        return _as_feature(value)
    return value


def _as_feature(literal: Literal) -> Literal:
    """The float32 nearest to a decimal literal, unless that is infinite.

    Features are float32, so without this `offer.price <= 1.2` would not hold for a price of 1.2.
    """
    if literal.kind is not Kind.DOUBLE:
        return literal
    with np.errstate(over="ignore"):
        nearest = float(np.float32(literal.value))
    return Literal(nearest, Kind.DOUBLE) if np.isfinite(nearest) else literal


def hint(left: Operand, right: Operand) -> str:
    """How to bring a whole number and a decimal together, to be put behind a message; empty for other kinds."""
    if {left.kind, right.kind} != {Kind.INT, Kind.DOUBLE}:
        return ""
    for side in (left, right):
        if isinstance(side, Literal) and side.kind is Kind.INT:
            return f"; write {side.value}.0"
        if isinstance(side, Literal) and side.value == int(side.value):
            return f"; write {int(side.value)}"
    return "; write double(...) around the whole number"
