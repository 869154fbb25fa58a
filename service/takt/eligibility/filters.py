"""What a catalog's rules say of a batch: stages, exclusions, values and context weights.

Rows are the batch's (request, channel) pairs. All rules of all rows are one call of a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.domain.reasons import Reason
from takt.eligibility.running import Bools, Floats, Ints, Program, Registers, Table, run
from takt.eligibility.shelf import RULE, VALUE, shelf
from takt.features.blocks import Blocks, blocks_of
from takt.kernel import entry, kernel

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.eligibility.shelf import Shelf
    from takt.features.columns import Columns

# Kernels take plain numbers as constants.
NOT_VALID_YET: Final = int(Reason.NOT_VALID_YET)
EXPIRED: Final = int(Reason.EXPIRED)
NOT_ELIGIBLE: Final = int(Reason.NOT_ELIGIBLE)
RULE_ERROR: Final = int(Reason.RULE_ERROR)
NO_CONSENT: Final = int(Reason.NO_CONSENT)


class Filtered(NamedTuple):
    """What validity, rules, consent and values say of each row R and offer O."""

    excluded: npt.NDArray[np.uint8]
    """uint8 [R, O]: the first that holds of NOT_VALID_YET, EXPIRED, NOT_ELIGIBLE, RULE_ERROR and NO_CONSENT, or NONE.

    An offer whose value is an error or not finite is out with RULE_ERROR after all that.
    """
    rule: npt.NDArray[np.int16]
    """int16 [R, O]: with NOT_ELIGIBLE the first rule that does not hold, with RULE_ERROR the first that is an error,
    as positions in `catalog.rules`; else -1."""
    value: Floats
    """float64 [R, O]: what each offer is worth, NaN where its expression is an error or not finite."""
    weight: Floats
    """float64 [R, O]: product of all context weights that apply. One whose rule is an error does not apply."""


class Rows(NamedTuple):
    """Rows R to be filtered."""

    profile: Blocks
    of_profile: Ints
    """int64 [R]: which of the profiles a row is about."""
    context: Blocks
    """Of R rows."""
    now_us: Ints
    """int64 [R]."""
    unconsented: Bools
    """bool [R]: the person has not consented to the row's channel."""


@kernel
def judge_rules(
    applied: Table,
    offers: Ints,
    registers: Registers,
    excluded: npt.NDArray[np.uint8],
    rule: npt.NDArray[np.int16],
    value: Floats,
    weight: Floats,
) -> None:
    """Read off the registers what they say of one row; all but the first three are [O], and start with nothing out.

    All rules of an offer must hold. As with CEL's `&&`, a rule that does not hold outweighs one that is an error.
    """
    for k in range(applied.shape[0]):
        one = applied[k]
        for i in range(one["count"]):
            o = offers[one["first"] + i]
            at = one["at"] + i * one["step"]
            wrong = registers.wrong[at]
            if one["what"] == RULE:
                if wrong:
                    if excluded[o] == 0:
                        excluded[o] = RULE_ERROR
                        rule[o] = one["index"]
                elif registers.wholes[at] == 0 and excluded[o] != NOT_ELIGIBLE:
                    excluded[o] = NOT_ELIGIBLE
                    rule[o] = one["index"]
            elif one["what"] == VALUE:
                worth = registers.numbers[at]
                value[o] = np.nan if wrong or not np.isfinite(worth) else worth
            elif registers.wholes[at] != 0:  # 0 where it is an error
                weight[o] *= one["times"]


@entry
def filter_each(
    program: Program,
    applied: Table,
    offers: Ints,
    always_value: Floats,
    always_weight: Floats,
    valid_from_us: Ints,
    valid_until_us: Ints,
    registers: Registers,
    rows: Rows,
    filtered: Filtered,
) -> None:
    """Fill `filtered` for every row; the arrays between `offers` and `registers` are [O], of the catalog."""
    for q in range(rows.now_us.shape[0]):
        now_us = rows.now_us[q]
        run(program, rows.profile, rows.of_profile[q], rows.context, q, now_us, registers)
        excluded, rule = filtered.excluded[q], filtered.rule[q]
        value, weight = filtered.value[q], filtered.weight[q]
        for o in range(excluded.shape[0]):
            excluded[o] = 0
            rule[o] = -1
            value[o] = always_value[o]
            weight[o] = always_weight[o]
        judge_rules(applied, offers, registers, excluded, rule, value, weight)
        for o in range(excluded.shape[0]):
            if now_us < valid_from_us[o]:
                excluded[o], rule[o] = NOT_VALID_YET, -1
            elif now_us >= valid_until_us[o]:
                excluded[o], rule[o] = EXPIRED, -1
            elif excluded[o] == 0:
                if rows.unconsented[q]:
                    excluded[o] = NO_CONSENT
                elif np.isnan(value[o]):
                    excluded[o] = RULE_ERROR


@entry
def find_stages(program: Program, stages: Table, registers: Registers, rows: Rows, last: int, stage: Ints) -> None:
    """Write the first stage whose rule holds to `stage` int64 [R], and `last` where none does."""
    for q in range(rows.now_us.shape[0]):
        stage[q] = last
        run(program, rows.profile, rows.of_profile[q], rows.context, q, rows.now_us[q], registers)
        for j in range(stages.shape[0]):
            if registers.wholes[stages[j]["at"]] != 0:  # 0 where it is an error
                stage[q] = stages[j]["index"]
                break


def rows_of(profile: Columns, context: Columns, now_us: int | Ints) -> Rows:
    """A row for each pair of a profile and a context; `now_us` is one moment or int64 [R]. Nobody lacks consent."""
    count = len(profile)
    moments = np.full(count, now_us, np.int64) if np.ndim(now_us) == 0 else np.ascontiguousarray(now_us, np.int64)
    return Rows(
        blocks_of(profile.array), np.arange(count), blocks_of(context.array), moments, np.zeros(count, np.bool_)
    )


def stages(catalog: Catalog, prepared: Shelf, rows: Rows) -> Ints:
    """int64 [R]: the first stage whose rule holds. One that is an error does not hold; the last stage has no rule."""
    stage = np.empty(len(rows.now_us), np.int64)
    find_stages(prepared.stage_program, prepared.stages, prepared.stage_registers, rows, len(catalog.stages) - 1, stage)
    return stage


def filter_rows(prepared: Shelf, rows: Rows) -> Filtered:
    """Validity, rules, consent and worth of all offers for these rows, which are of the shelf's sections."""
    shape = (len(rows.now_us), len(prepared.value))
    made = Filtered(np.empty(shape, np.uint8), np.empty(shape, np.int16), np.empty(shape), np.empty(shape))
    filter_each(
        prepared.program,
        prepared.applied,
        prepared.offers,
        prepared.value,
        prepared.weight,
        prepared.valid_from_us,
        prepared.valid_until_us,
        prepared.registers,
        rows,
        made,
    )
    return made


def filter_offers(catalog: Catalog, profile: Columns, context: Columns, now_us: int | Ints) -> Filtered:
    """`filter_rows` for profiles and contexts [R], of whatever sections; consent is not asked."""
    return filter_rows(shelf(catalog, profile.section, context.section), rows_of(profile, context, now_us))
