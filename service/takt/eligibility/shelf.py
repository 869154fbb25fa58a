"""What rules need of a catalog's offers, prepared once per catalog: it is the same for every batch."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from takt.catalog.rules import Source
from takt.catalog.rules.expressions import Expression, Field, Now, parts
from takt.eligibility.evaluation import Evaluation, Ints, Result, Values
from takt.features.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from takt.catalog.rules import Program
    from takt.catalog.snapshot import Catalog

FEW: Final = 4
"""A program that reads offers, for fewer than one in so many of them, is evaluated for these alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """A program and the offers that it is for."""

    index: int
    """Which of the catalog's rules or weights it is; for a value, the first offer that it gives."""
    program: Program
    offers: Ints | None
    """int64 [o], positions in the catalog; None = all."""
    columns: Columns | None
    """Features of these offers, where evaluating it for all would be a waste."""


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """A catalog's offers and the programs over them."""

    columns: Columns
    """Features of all offers."""
    known: dict[int, Result]
    """Results of expressions that depend on nothing but the offer, by `id`."""
    rules: tuple[Applied, ...]
    """Eligibility, in the catalog's order."""
    values: tuple[Applied, ...]
    weights: tuple[Applied, ...]

    def evaluation(self, profile: Columns | None, context: Columns | None, now_us: int | Ints) -> Evaluation:
        """An evaluation over rows and all offers."""
        return Evaluation(profile=profile, context=context, offers=self.columns, now_us=now_us, known=self.known)


_shelves: weakref.WeakKeyDictionary[Catalog, Shelf] = weakref.WeakKeyDictionary()


def shelf(catalog: Catalog) -> Shelf:
    """The shelf of a catalog; made on first use, dropped with the catalog."""
    made = _shelves.get(catalog)
    if made is None:
        made = _shelves[catalog] = _prepare(catalog)
    return made


def results(batch: Evaluation, applied: Iterable[Applied]) -> Iterator[tuple[Applied, Result]]:
    """Each program's result, broadcastable to rows `[R]` and the offers `[o]` that it is for."""
    for one in applied:
        if one.columns is not None:
            yield one, batch.over(one.columns).result(one.program.root)
        else:
            values, errors = batch.result(one.program.root)
            yield one, (_picked(values, one.offers), None if errors is None else _picked(errors, one.offers))


def _picked(array: Values, offers: Ints | None) -> Values:
    """The columns of `offers`, where the array has columns."""
    return array[:, offers] if offers is not None and array.ndim == 2 and array.shape[1] > 1 else array


def _prepare(catalog: Catalog) -> Shelf:
    """Sort programs by what they depend on, and evaluate what depends on nothing but the offer."""
    columns = Columns(catalog.spec.offer, catalog.offer_table)
    given: dict[int, tuple[Program, list[int]]] = {}
    for offer, rule in enumerate(catalog.value_rule):
        if rule is not None:
            given.setdefault(id(rule.program), (rule.program, []))[1].append(offer)
    values = [_applied(catalog, offers[0], program, np.array(offers)) for program, offers in given.values()]
    rules = [
        _applied(catalog, k, rule.program, np.flatnonzero(catalog.rule_offers[k]))
        for k, rule in enumerate(catalog.rules)
    ]
    weights = [
        _applied(catalog, k, weight.rule.program, np.flatnonzero(weight.offers))
        for k, weight in enumerate(catalog.weights)
        if weight.rule is not None
    ]
    alone = Evaluation(offers=columns)
    with np.errstate(all="ignore"):
        for one in (*rules, *values, *weights):
            for expression in _constants(one.program.root):
                alone.result(expression)
    return Shelf(columns, alone.made(), tuple(rules), tuple(values), tuple(weights))


def _applied(catalog: Catalog, index: int, program: Program, offers: Ints) -> Applied:
    """Whether a program is for all offers, some, or so few that it gets columns of its own."""
    count = len(catalog.offers)
    if len(offers) == count:
        return Applied(index, program, None, None)
    few = Source.OFFER in program.reads and len(offers) * FEW < count
    return Applied(index, program, offers, Columns(catalog.spec.offer, catalog.offer_table[offers]) if few else None)


def _constants(expression: Expression) -> Iterator[Expression]:
    """The largest parts that depend on nothing but the offer."""
    if _is_constant(expression):
        yield expression
    else:
        for part in parts(expression):
            yield from _constants(part)


def _is_constant(expression: Expression) -> bool:
    match expression:
        case Field():
            return expression.source is Source.OFFER
        case Now():
            return False
        case _:
            return all(_is_constant(part) for part in parts(expression))
