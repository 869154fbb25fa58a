"""What a catalog's rules say of a batch: stages, exclusions, values and context weights.

Rows are the batch's (request, channel) pairs. Every function makes a number of array operations that depends on the
catalog alone, and none per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from takt.domain.reasons import Reason
from takt.eligibility.evaluation import Evaluation, Ints
from takt.eligibility.shelf import Applied, results, shelf

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.features.columns import Columns

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Which offers are left out before consent and policy are asked, and why."""

    reason: npt.NDArray[np.uint8]
    """uint8 [R, O]: the first that holds of NOT_VALID_YET, EXPIRED, NOT_ELIGIBLE and RULE_ERROR, or NONE."""
    rule: npt.NDArray[np.int16]
    """int16 [R, O]: with NOT_ELIGIBLE the first rule that does not hold, with RULE_ERROR the first that is an error,
    as positions in `catalog.rules`; else -1."""


def stages(catalog: Catalog, profile: Columns, context: Columns, now_us: int | Ints) -> Ints:
    """int64 [R]: the first stage whose rule holds. One that is an error does not hold; the last stage has no rule."""
    batch = Evaluation(profile=profile, context=context, now_us=now_us)
    stage = np.full((len(profile), 1), len(catalog.stages) - 1, np.int64)
    with np.errstate(all="ignore"):
        for j in reversed(range(len(catalog.stages))):
            rule = catalog.stages[j].rule
            if rule is not None:
                holds, _ = batch.result(rule.program.root)  # False where it is an error
                np.copyto(stage, j, where=holds)
    return stage[:, 0]


def filter_offers(catalog: Catalog, profile: Columns, context: Columns, now_us: int | Ints) -> Eligibility:
    """Validity and eligibility rules for rows [R] and all offers [O]. `now_us` is one moment or int64 [R].

    All rules of an offer must hold. As with CEL's `&&`, a rule that does not hold outweighs one that is an error.
    """
    prepared = shelf(catalog)
    shape = (len(profile), len(catalog.offers))
    reason = np.zeros(shape, np.uint8)
    failed, broken = np.full(shape, -1, np.int16), np.full(shape, -1, np.int16)
    batch = prepared.evaluation(profile, context, now_us)
    with np.errstate(all="ignore"):
        # backwards, so that the first rule is the one that stays
        for one, (holds, errors) in results(batch, reversed(prepared.rules)):
            _put(failed, one, ~holds if errors is None else ~(holds | errors))
            if errors is not None:
                _put(broken, one, errors)
    reason[broken >= 0] = Reason.RULE_ERROR
    reason[failed >= 0] = Reason.NOT_ELIGIBLE
    rule = np.where(failed >= 0, failed, broken)
    outside = (batch.now_us < catalog.valid_from_us, batch.now_us >= catalog.valid_until_us)
    for left_out, why in zip(reversed(outside), (Reason.EXPIRED, Reason.NOT_VALID_YET), strict=True):
        if np.count_nonzero(left_out):
            np.copyto(reason, np.uint8(why), where=left_out)
            np.copyto(rule, -1, where=left_out)
    return Eligibility(reason, rule)


def values(catalog: Catalog, profile: Columns, context: Columns, now_us: int | Ints) -> Floats:
    """float64 [R, O]: what each offer is worth, NaN where its expression is an error or not finite."""
    prepared = shelf(catalog)
    worth = np.repeat(catalog.value[None, :], len(profile), axis=0)
    batch = prepared.evaluation(profile, context, now_us)
    with np.errstate(all="ignore"):
        for one, (value, errors) in results(batch, prepared.values):
            usable = np.isfinite(value) if errors is None else np.isfinite(value) & ~errors
            worth[:, _all_if_none(one)] = np.where(usable, value, np.nan)
    return worth


def context_weights(catalog: Catalog, profile: Columns, context: Columns, now_us: int | Ints) -> Floats:
    """float64 [R, O]: product of all context weights that apply. One whose rule is an error does not apply."""
    prepared = shelf(catalog)
    weight = np.ones((len(profile), len(catalog.offers)))
    for declared in catalog.weights:
        if declared.rule is None:
            weight[:, declared.offers] *= declared.times
    batch = prepared.evaluation(profile, context, now_us)
    with np.errstate(all="ignore"):
        for one, (holds, _) in results(batch, prepared.weights):
            weight[:, _all_if_none(one)] *= np.where(holds, catalog.weights[one.index].times, 1.0)
    return weight


def _put(into: npt.NDArray[np.int16], one: Applied, where: npt.NDArray[np.bool_]) -> None:
    """Write a rule's index to the cells of its offers where `where`, broadcastable, is true."""
    if not np.count_nonzero(where):
        return
    if one.offers is None:
        np.copyto(into, one.index, where=where)
        return
    cells = into[:, one.offers]
    np.copyto(cells, one.index, where=where)
    into[:, one.offers] = cells


def _all_if_none(one: Applied) -> Ints | slice:
    """The offers of a program, as an index."""
    return slice(None) if one.offers is None else one.offers
