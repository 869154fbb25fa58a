"""Decide a batch on what was read: no store, no clock, no waiting. The same input gives the same output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from takt.domain.reasons import Cause
from takt.eligibility.filters import Filtered, Rows, filter_rows, stages
from takt.engine.arrays import Asked, Picked, Tables, Valued, blank
from takt.engine.batch import Layout, asked, lay_out, zones
from takt.engine.ledgers import Ledgers, join
from takt.engine.selection import select
from takt.engine.totals import Tally, tally
from takt.engine.union import number_columns
from takt.errors import ModelError
from takt.features.blocks import blocks_of
from takt.features.matrix import matrix_of
from takt.features.reader import RowStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.engine.asking import Asking
    from takt.engine.batch import Item, Zones
    from takt.engine.force import Force
    from takt.features.reader import RecordReader
    from takt.ports import Meter, Scorer, Scores


ZERO: Final = np.zeros((1, 1, 1, 1), np.float32)
NOTHING: Final = np.full((1, 1, 1, 1), np.nan, np.float32)
"""What stands for an answer that the model does not give: read only, though not marked so, for the kernel's sake."""
CORRUPT: Final = int(RowStatus.CORRUPT)  # enums are slow to compare with


class Computed(Struct, frozen=True):
    """A batch, decided but not committed."""

    asking: Asking
    layout: Layout
    asked: Asked
    tables: Tables
    record_status: npt.NDArray[np.uint8]
    """uint8 [items]: 0 read, 1 unknown, 2 corrupt."""
    corrupt: npt.NDArray[np.bool_]
    """bool [items]: the profile record could not be read."""
    contexts: npt.NDArray[np.void]
    """Structured [Q]."""
    stage: npt.NDArray[np.int64]
    """int64 [items]."""
    filtered: Filtered
    valued: Valued
    ledgers: Ledgers
    ledger_end_before: npt.NDArray[np.int64]
    picked: Picked
    tally: Tally
    """What each request was given of scarce totals, before any draw."""
    model: str
    """Version of the model that scored."""
    degradations: tuple[tuple[Cause, str], ...] = field(default=())
    """What holds for the whole batch."""

    @property
    def degraded(self) -> list[bool]:
        """By item: its answer is not final."""
        return [True] * len(self.layout.items) if self.degradations else self.corrupt.tolist()

    @property
    def compare(self) -> list[bool]:
        """By group: something could be drawn, so the ledger must still allow it."""
        live: list[bool] = np.logical_or.reduceat(self.picked.live, self.layout.group_first[:-1]).tolist()
        return live

    @property
    def slack(self) -> list[int]:
        """By group: how many contacts others may have appended since."""
        slack: list[int] = self.picked.slack.tolist()
        return slack

    def causes(self, places: Sequence[int]) -> list[Cause]:
        """What the answers at some places of the layout lack, one after the other."""
        whole = [cause for cause, _ in self.degradations] * len(places)
        if not np.count_nonzero(self.corrupt):
            return whole
        return whole + [Cause.PROFILE] * int(np.count_nonzero(self.corrupt[np.asarray(places, np.int64)]))


def fill_context(
    force: Force, layout: Layout, contexts: npt.NDArray[np.void], stage: npt.NDArray[np.int64], where: Zones
) -> None:
    """Write what the service knows itself into context rows [Q], if declared: channel, stage, local hour, weekday."""
    columns, row = force.columns, layout.row_item
    if columns.channel is not None:
        contexts["cat"][:, columns.channel] = force.channel_category[layout.row_channel]
    if columns.stage is not None:
        contexts["cat"][:, columns.stage] = force.stage_category[stage[row]]
    if columns.hour is not None:
        contexts["num"][:, columns.hour] = where.hour[row]
    if columns.weekday is not None:
        contexts["num"][:, columns.weekday] = where.weekday[row]


def unconsented(force: Force, layout: Layout, profiles: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Bool [Q]: rows whose person, of structured profiles [items], has not consented to the row's channel."""
    needed = force.consent_bit[layout.row_channel]
    return (profiles["consents"][layout.row_item] & needed) != needed  # type: ignore[no-any-return]


def score_rows(
    force: Force,
    layout: Layout,
    rows: Rows,
    filtered: Filtered,
    prior: Scorer,
) -> tuple[Valued, str, tuple[tuple[Cause, str], ...]]:
    """One run of the model over the rows and the offers that some row may get; the prior where the model fails."""
    column, wanted = np.empty(len(force.catalog.offers), np.int64), np.empty(len(force.catalog.offers), np.int64)
    wanted = wanted[: number_columns(layout.spots, force.shelf.placement_offers, filtered.excluded, column, wanted)]
    model, degradations = force.scorer.version, force.degradations
    scores: Scores | None = None
    if len(wanted):
        spec, each = force.catalog.spec, np.arange(len(rows.now_us))
        inputs = (
            matrix_of(spec.profile, rows.profile, rows.of_profile, rows.now_us),
            matrix_of(spec.context, rows.context, each, rows.now_us),
            force.offer_matrix.take(wanted, axis=0),
            force.offer_code.take(wanted),
        )
        try:
            scores = force.scorer.score(*inputs)
        except ModelError as error:
            scores, model = prior.score(*inputs), prior.version
            degradations = (*degradations, (Cause.MODEL, str(error)))
    valued = Valued(
        excluded=filtered.excluded,
        value=filtered.value,
        weight=filtered.weight,
        column=column,
        acceptance=_plain(scores.acceptance if scores else None, 0.0),
        baseline=_plain(scores.baseline if scores else None, 0.0),
        model_value=_plain(scores.value if scores else None, np.nan),
        reaction=_plain(scores.reaction if scores else None, np.nan),
        pressure=np.zeros((len(layout.row_item), len(force.catalog.timings))),
    )
    return valued, model, degradations


def _plain(array: npt.NDArray[np.float32] | None, instead: float) -> npt.NDArray[np.float32]:
    """An answer as the kernel knows it: contiguous and writeable, else it would be compiled anew in mid-request."""
    if array is None:
        return ZERO if instead == 0.0 else NOTHING
    flags = array.flags
    plain = flags.c_contiguous and flags.writeable and array.dtype == np.float32
    return array if plain else np.require(array, np.float32, ("C", "W"))


def compute(asking: Asking, reader: RecordReader, prior: Scorer, items: Sequence[Item], meter: Meter) -> Computed:
    """Decide `items` of an asking, at least one, on their records and ledgers as read. Ledgers must be whole."""
    force = asking.force
    started = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal started
        ended = time.perf_counter()
        meter.stage(stage, ended - started)
        started = ended

    layout = lay_out(asking, items)
    catalog = force.catalog
    profiles, status = reader.read([item.record for item in layout.items])
    where = zones(force, profiles["zone"], layout.now_us)
    asked_contexts = asking.contexts.take(layout.index)
    blocks = blocks_of(profiles)
    each, no_one_lacks = np.arange(len(layout.items)), np.zeros(len(layout.items), np.bool_)
    stage = stages(catalog, force.rules, Rows(blocks, each, blocks_of(asked_contexts), layout.now_us, no_one_lacks))
    contexts = asked_contexts.take(layout.row_item)
    fill_context(force, layout, contexts, stage, where)
    rows = Rows(
        blocks,
        layout.row_item,
        blocks_of(contexts),
        layout.now_us[layout.row_item],
        unconsented(force, layout, profiles),
    )
    lap("read")
    filtered = filter_rows(force.rules, rows)
    lap("filter")
    valued, model, degradations = score_rows(force, layout, rows, filtered, prior)
    lap("score")
    heads = [layout.items[i] for i in layout.group_first[:-1].tolist()]
    ledgers = join(force, [item.ledger for item in heads], layout.room)
    before = ledgers.end.copy()
    n_offers, n_groups = len(catalog.offers), len(heads)
    picked = blank(len(layout.items), n_groups, len(layout.placement), layout.most_slots, n_offers)
    scratch = force.scratch.of(ledgers.longest)
    timings = asking.timings.take(layout.index, axis=0)
    tallied = tally(asking, layout, where, timings, filtered.excluded)
    laid = asked(asking, layout, profiles, where, timings, tallied.totals, ledgers.known_us)
    select(
        laid,
        where.tables,
        force.shelf,
        force.dials,
        valued,
        force.terms,
        ledgers.contacts,
        ledgers.first,
        ledgers.end,
        scratch,
        picked,
    )
    lap("select")
    return Computed(
        asking=asking,
        layout=layout,
        asked=laid,
        tables=where.tables,
        record_status=status,
        corrupt=status == CORRUPT,
        contexts=contexts,
        stage=stage,
        filtered=filtered,
        valued=valued,
        ledgers=ledgers,
        ledger_end_before=before,
        picked=picked,
        tally=tallied,
        model=model,
        degradations=degradations,
    )
