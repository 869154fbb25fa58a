"""A checked rule as a tree of values.

Names are resolved to codes and bits; nothing is left to look up in the feature spec.

Every node is a frozen value: equal expressions are equal, wherever they were written. Numbers are float64, times and
durations int64 microseconds, category values their code in a record (0 = missing, else 1 + position in the vocabulary).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What an expression yields. The names are CEL's, with `flags` for a list of names."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    TEXT = "text"
    FLAGS = "flags"
    TIMESTAMP = "timestamp"
    DURATION = "duration"


NUMBERS = frozenset({Kind.INT, Kind.DOUBLE})
ORDERED = frozenset({Kind.INT, Kind.DOUBLE, Kind.TIMESTAMP, Kind.DURATION})


class Source(StrEnum):
    """What an expression reads."""

    PROFILE = "profile"
    CONTEXT = "context"
    OFFER = "offer"
    NOW = "now"


class Literal(Struct, frozen=True):
    """A constant: bool, or a number, or microseconds."""

    value: bool | float
    kind: Kind


class Field(Struct, frozen=True):
    """A feature of the person, the request or the offer. Missing is an error, save for flags, which are empty then."""

    source: Source
    name: str
    kind: Kind


class Now(Struct, frozen=True):
    """The moment of the decision."""

    kind: Kind = Kind.TIMESTAMP


class Has(Struct, frozen=True):
    """Whether a feature is there. Never an error."""

    field: Field
    kind: Kind = Kind.BOOL


class Size(Struct, frozen=True):
    """How many flags are set."""

    field: Field
    kind: Kind = Kind.INT


class Not(Struct, frozen=True):
    """`!x`."""

    operand: Expression
    kind: Kind = Kind.BOOL


class And(Struct, frozen=True):
    """`a && b && ...`: false if any is false, else an error if any is one."""

    terms: tuple[Expression, ...]
    kind: Kind = Kind.BOOL


class Or(Struct, frozen=True):
    """`a || b || ...`: true if any is true, else an error if any is one."""

    terms: tuple[Expression, ...]
    kind: Kind = Kind.BOOL


class Choice(Struct, frozen=True):
    """`condition ? then : otherwise`. Errors of the branch not taken do not count."""

    condition: Expression
    then: Expression
    otherwise: Expression
    kind: Kind


class Compare(Struct, frozen=True):
    """Two of one kind, by `==`, `!=`, `<`, `<=`, `>` or `>=`."""

    operator: str
    left: Expression
    right: Expression
    kind: Kind = Kind.BOOL


class AmongNumbers(Struct, frozen=True):
    """`x in [1, 2, 3]` for numbers, booleans and times."""

    operand: Expression
    values: tuple[float, ...]
    kind: Kind = Kind.BOOL


class AmongNames(Struct, frozen=True):
    """A category compared with names: by code, whether it holds. `table[0]`, for a missing one, is False."""

    field: Field
    table: tuple[bool, ...]
    kind: Kind = Kind.BOOL


class SameName(Struct, frozen=True):
    """Two categories compared. `table`: the left one's code for every code of the right one, -1 where it has none."""

    left: Field
    right: Field
    table: tuple[int, ...]
    negated: bool
    kind: Kind = Kind.BOOL


class HasFlag(Struct, frozen=True):
    """`"name" in flags`: whether the bit is set."""

    field: Field
    bit: int
    kind: Kind = Kind.BOOL


class NamesFlag(Struct, frozen=True):
    """`category in flags`. `masks` has the flag's bit for every code of the category, 0 where there is none."""

    field: Field
    item: Field
    masks: tuple[int, ...]
    kind: Kind = Kind.BOOL


class Negative(Struct, frozen=True):
    """`-x`."""

    operand: Expression
    kind: Kind


class Arithmetic(Struct, frozen=True):
    """`+`, `-`, `*`, `/`, `%` on two numbers of one kind; `+`, `-` on times and durations.

    Whole numbers divide towards zero, and `%` takes the sign of the left. Division by zero is an error for both.
    """

    operator: str
    left: Expression
    right: Expression
    kind: Kind
    checked: bool
    """Whether the result can leave its kind's range (2**53 - 1, years 1 to 9999, 10,000 years), which is an error."""


class Convert(Struct, frozen=True):
    """`double(x)` or `int(x)`; the latter cuts towards zero."""

    operand: Expression
    kind: Kind


Expression = (
    Literal
    | Field
    | Now
    | Has
    | Size
    | Not
    | And
    | Or
    | Choice
    | Compare
    | AmongNumbers
    | AmongNames
    | SameName
    | HasFlag
    | NamesFlag
    | Negative
    | Arithmetic
    | Convert
)


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The direct operands of a node."""
    match expression:
        case And() | Or():
            return expression.terms
        case Not() | Negative() | Convert() | AmongNumbers():
            return (expression.operand,)
        case Choice():
            return expression.condition, expression.then, expression.otherwise
        case Compare() | Arithmetic() | SameName():
            return expression.left, expression.right
        case Has() | Size() | AmongNames() | HasFlag():
            return (expression.field,)
        case NamesFlag():
            return expression.field, expression.item
        case Literal() | Field() | Now():
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The node and all below it."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(parts(node))
