"""Which operands arithmetic takes, and whether its result can leave the range in which it is exact."""

from __future__ import annotations

from typing import Final

from takt.catalog.rules.expressions import (
    NUMBERS,
    Arithmetic,
    Choice,
    Convert,
    Expression,
    Field,
    Kind,
    Literal,
    Negative,
    Size,
)
from takt.catalog.rules.literals import EXACT
from takt.features.section import INT_BOUND, MOST_FLAGS

_TIMES: Final = {
    ("+", Kind.TIMESTAMP, Kind.DURATION): Kind.TIMESTAMP,
    ("+", Kind.DURATION, Kind.TIMESTAMP): Kind.TIMESTAMP,
    ("+", Kind.DURATION, Kind.DURATION): Kind.DURATION,
    ("-", Kind.TIMESTAMP, Kind.TIMESTAMP): Kind.DURATION,
    ("-", Kind.TIMESTAMP, Kind.DURATION): Kind.TIMESTAMP,
    ("-", Kind.DURATION, Kind.DURATION): Kind.DURATION,
}


def arithmetic(operator: str, left: Expression, right: Expression) -> Arithmetic:
    """The operation on two operands. Raises ValueError, in words, where there is none."""
    kind = _TIMES.get((operator, left.kind, right.kind))
    if kind is not None:
        return Arithmetic(operator, left, right, kind, checked=True)
    if {left.kind, right.kind} & {Kind.TIMESTAMP, Kind.DURATION}:
        raise ValueError(f"`{operator}` joins times with durations only")
    if left.kind not in NUMBERS or left.kind is not right.kind:
        raise ValueError(f"`{operator}` needs two numbers of one kind")
    if operator == "%" and left.kind is Kind.DOUBLE:
        raise ValueError("`%` needs whole numbers")
    if operator in {"/", "%"} and isinstance(right, Literal) and right.value == 0:
        raise ValueError(f"`{operator}` needs something other than zero on the right")
    checked = left.kind is Kind.INT and operator in {"+", "-", "*"} and _largest(operator, left, right) > EXACT
    return Arithmetic(operator, left, right, left.kind, checked)


def _largest(operator: str, left: Expression, right: Expression) -> float:
    """Bound of the magnitude of a sum, difference or product of whole numbers."""
    a, b = magnitude(left), magnitude(right)
    return a * b if operator == "*" else a + b


def magnitude(expression: Expression) -> float:
    """Bound of the magnitude of a whole number. A checked result is an error beyond `EXACT`, so that bounds all."""
    match expression:
        case Literal():
            return abs(expression.value)
        case Field():
            return INT_BOUND
        case Size():
            return MOST_FLAGS
        case Negative():
            return magnitude(expression.operand)
        case Choice():
            return max(magnitude(expression.then), magnitude(expression.otherwise))
        case Arithmetic(operator="/" | "%"):
            return magnitude(expression.left)
        case Arithmetic():
            return min(_largest(expression.operator, expression.left, expression.right), EXACT)
        case _:
            return EXACT


def conversion(kind: Kind, operand: Expression) -> Expression:
    """`double(x)` or `int(x)`; nothing where `x` is of that kind already."""
    return operand if operand.kind is kind else Convert(operand, kind)
