"""Rules evaluated for all rows of a batch at once, with CEL's three values: true, false and error.

What depends on the person or the request is a column `[R, 1]`, what depends on the offer a row `[1, O]`, and what
depends on both `[R, O]`; numpy broadcasts. An error (a missing value, a division by zero, a number out of range) is a
second array beside the values, or None where there is none. A boolean is False wherever it is an error, which makes
`&&` and `||` cheap. A number is arbitrary there.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from takt.catalog.rules.expressions import (
    AmongNames,
    AmongNumbers,
    And,
    Arithmetic,
    Choice,
    Compare,
    Convert,
    Expression,
    Field,
    Has,
    HasFlag,
    Kind,
    Literal,
    NamesFlag,
    Negative,
    Not,
    Now,
    Or,
    SameName,
    Size,
    Source,
)
from takt.catalog.rules.literals import EXACT, FIRST_US, LAST_US, LONGEST_US

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from takt.catalog.rules import Program
    from takt.features.columns import Columns

Values = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Result = tuple[Values, Bools | None]
"""Values, and where they are errors: None where nowhere."""

FEW: Final = 16
"""Up to so many values, comparing with each is cheaper than `np.isin`."""


class Evaluation:
    """Expressions over one batch. Each is evaluated once, however often it is asked for."""

    def __init__(
        self,
        *,
        profile: Columns | None = None,
        context: Columns | None = None,
        offers: Columns | None = None,
        now_us: int | Ints = 0,
        known: Mapping[int, Result] | None = None,
    ) -> None:
        """`now_us` is one moment or int64 `[R]`. `known` has results by `id` of the expression, which must outlive it.

        A section that no rule reads may be left out.
        """
        self._columns = {Source.PROFILE: profile, Source.CONTEXT: context, Source.OFFER: offers}
        moments: Values = np.asarray(now_us, np.int64)
        self.now_us: Final[Values] = moments[:, None] if moments.ndim == 1 else moments
        """int64 `[R, 1]`, or `[]` for one moment."""
        self._made: dict[int, Result] = dict(known) if known else {}

    def result(self, expression: Expression) -> Result:
        """Values and errors, broadcastable to `[R, O]`."""
        made = self._made.get(id(expression))
        if made is None:
            made = self._made[id(expression)] = _RULES[type(expression)](self, expression)
        return made

    def column(self, field: Field) -> Result:
        """A feature with where it is missing, as a column of the batch or a row of its offers."""
        columns = self._columns[field.source]
        if columns is None:
            raise KeyError(f"{field.source}.{field.name} was not given")
        values, missing = columns.column(field.name)
        if field.kind is Kind.BOOL:
            values = values == 1.0
        if missing is not None and not np.count_nonzero(missing):
            missing = None
        axis = (None, slice(None)) if field.source is Source.OFFER else (slice(None), None)
        return values[axis], None if missing is None else missing[axis]

    def over(self, offers: Columns) -> Evaluation:
        """The same rows with other offers."""
        of = self._columns
        return Evaluation(profile=of[Source.PROFILE], context=of[Source.CONTEXT], offers=offers, now_us=self.now_us)

    def made(self) -> dict[int, Result]:
        """All results so far by `id` of their expression."""
        return dict(self._made)


def evaluate(
    program: Program, profile: Columns | None, context: Columns | None, offers: Columns | None, now_us: int | Ints
) -> tuple[Values, Bools]:
    """Values and errors of a program over rows `[R]` and offers `[O]`, both broadcastable to `[R, O]`."""
    evaluation = Evaluation(profile=profile, context=context, offers=offers, now_us=now_us)
    with np.errstate(all="ignore"):
        values, errors = evaluation.result(program.root)
    return values, np.bool_(False) if errors is None else errors  # type: ignore[return-value]


# One function per kind of expression -------------------------------------------------------------------------------


def _literal(_: Evaluation, node: Literal) -> Result:
    match node.kind:
        case Kind.BOOL:
            return np.asarray(node.value, np.bool_), None
        case Kind.TIMESTAMP | Kind.DURATION:
            return np.asarray(node.value, np.int64), None
        case _:
            return np.asarray(node.value, np.float64), None


def _field(batch: Evaluation, node: Field) -> Result:
    return batch.column(node)


def _now(batch: Evaluation, _: Now) -> Result:
    return batch.now_us, None


def _has(batch: Evaluation, node: Has) -> Result:
    _, missing = batch.result(node.field)
    return np.asarray(True) if missing is None else ~missing, None


def _size(batch: Evaluation, node: Size) -> Result:
    flags, errors = batch.result(node.field)
    return np.bitwise_count(flags).astype(np.float64), errors


def _not(batch: Evaluation, node: Not) -> Result:
    values, errors = batch.result(node.operand)
    return _normal(~values, errors)


def _and(batch: Evaluation, node: And) -> Result:
    results = [batch.result(term) for term in node.terms]
    values = functools.reduce(np.logical_and, [term for term, _ in results])
    if all(errors is None for _, errors in results):
        return values, None
    not_false = [term if errors is None else term | errors for term, errors in results]
    return values, functools.reduce(np.logical_and, not_false) & ~values


def _or(batch: Evaluation, node: Or) -> Result:
    results = [batch.result(term) for term in node.terms]
    values = functools.reduce(np.logical_or, [term for term, _ in results])
    errors = functools.reduce(_either, [wrong for _, wrong in results])
    return values, None if errors is None else errors & ~values


def _choice(batch: Evaluation, node: Choice) -> Result:
    condition, wrong = batch.result(node.condition)
    then, then_errors = batch.result(node.then)
    otherwise, otherwise_errors = batch.result(node.otherwise)
    values = np.where(condition, then, otherwise)
    errors = wrong
    if then_errors is not None or otherwise_errors is not None:
        none = np.bool_(False)
        taken = np.where(
            condition,
            none if then_errors is None else then_errors,
            none if otherwise_errors is None else otherwise_errors,
        )
        errors = taken if wrong is None else taken | wrong
    return _normal(values, errors) if node.kind is Kind.BOOL else (values, errors)


_COMPARISONS: Final[dict[str, Callable[[Values, Values], Bools]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _compare(batch: Evaluation, node: Compare) -> Result:
    left, left_errors = batch.result(node.left)
    right, right_errors = batch.result(node.right)
    return _normal(_COMPARISONS[node.operator](left, right), _either(left_errors, right_errors))


def _among_numbers(batch: Evaluation, node: AmongNumbers) -> Result:
    values, errors = batch.result(node.operand)
    if len(node.values) > FEW:
        return _normal(np.isin(values, node.values), errors)
    found: Bools = np.zeros(values.shape, np.bool_)
    for value in node.values:
        found = found | (values == value)
    return _normal(found, errors)


def _among_names(batch: Evaluation, node: AmongNames) -> Result:
    codes, errors = batch.result(node.field)
    return _table(node.table, "?").take(codes, mode="clip"), errors


def _same_name(batch: Evaluation, node: SameName) -> Result:
    left, left_errors = batch.result(node.left)
    right, right_errors = batch.result(node.right)
    same = left == _table(node.table, "i4").take(right, mode="clip")
    return _normal(~same if node.negated else same, _either(left_errors, right_errors))


def _has_flag(batch: Evaluation, node: HasFlag) -> Result:
    flags, errors = batch.result(node.field)
    return (flags & np.uint64(1 << node.bit)) != 0, errors


def _names_flag(batch: Evaluation, node: NamesFlag) -> Result:
    flags, errors = batch.result(node.field)
    item, missing = batch.result(node.item)
    return _normal((flags & _table(node.masks, "u8").take(item, mode="clip")) != 0, _either(errors, missing))


def _negative(batch: Evaluation, node: Negative) -> Result:
    values, errors = batch.result(node.operand)
    return -values, errors


def _arithmetic(batch: Evaluation, node: Arithmetic) -> Result:
    left, left_errors = batch.result(node.left)
    right, right_errors = batch.result(node.right)
    errors = _either(left_errors, right_errors)
    match node.operator:
        case "+":
            values = left + right
        case "-":
            values = left - right
        case "*":
            values = left * right
        case "%":
            values = np.fmod(left, right)
        case _:
            values = left / right
            if node.kind is Kind.INT:
                values = np.trunc(values)
    if node.operator in {"/", "%"}:
        errors = _also(errors, right == 0)
    if node.checked:
        errors = _also(errors, _outside(values, node.kind))
    return values, errors


def _convert(batch: Evaluation, node: Convert) -> Result:
    """Whole numbers are float64 already, so `double(x)` is `x`."""
    values, errors = batch.result(node.operand)
    if node.kind is Kind.DOUBLE:
        return values, errors
    whole = np.trunc(values)
    return whole, _also(errors, _outside(whole, Kind.INT))


_RULES: Final[dict[type, Callable[[Evaluation, Any], Result]]] = {
    Literal: _literal,
    Field: _field,
    Now: _now,
    Has: _has,
    Size: _size,
    Not: _not,
    And: _and,
    Or: _or,
    Choice: _choice,
    Compare: _compare,
    AmongNumbers: _among_numbers,
    AmongNames: _among_names,
    SameName: _same_name,
    HasFlag: _has_flag,
    NamesFlag: _names_flag,
    Negative: _negative,
    Arithmetic: _arithmetic,
    Convert: _convert,
}


def _normal(values: Bools, errors: Bools | None) -> Result:
    """A boolean with False where it is an error."""
    return (values, None) if errors is None else (values & ~errors, errors)


def _either(left: Bools | None, right: Bools | None) -> Bools | None:
    """Where one or the other is an error."""
    if left is None or right is None:
        return right if left is None else left
    return left | right


def _also(errors: Bools | None, more: Bools) -> Bools | None:
    """`errors` and some `more`, which are rarely any."""
    return _either(errors, more) if np.count_nonzero(more) else errors


def _outside(values: Values, kind: Kind) -> Bools:
    """Where a result has left the range of its kind. NaN counts as outside."""
    match kind:
        case Kind.TIMESTAMP:
            return (values < FIRST_US) | (values > LAST_US)
        case Kind.DURATION:
            return (values < -LONGEST_US) | (values > LONGEST_US)
        case _:
            return ~(np.abs(values) <= EXACT)


@functools.lru_cache(maxsize=4096)
def _table(values: tuple[int, ...], dtype: str) -> Values:
    """An expression's look-up table as an array."""
    return np.array(values, dtype)
