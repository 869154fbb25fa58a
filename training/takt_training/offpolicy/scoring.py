"""What a bundle would score in every logged draw, by the service's own formula on the catalog's values.

Two things are not in the log and not reckoned with: which timings the caller and the quiet hours left open (all of the
placement's are taken), and pressure from recent contacts where the model has no reaction head (taken as none).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from takt.catalog.snapshot import Catalog
from takt.eligibility.filters import filter_offers
from takt.features.columns import Columns
from takt.features.matrix import model_matrix
from takt.model.onnx import OnnxScorer
from takt.ports import Scores
from takt_training.logged.dataset import NONE, Logged
from takt_training.offpolicy.draws import Floats, Floats32

_BLOCK = 256
Share = Callable[[float], None]


class Scored(Struct, frozen=True, eq=False):
    """A model's view of n draws."""

    total: Floats
    """float64 `[n, A]`: best arm's total of every action, 0 for silence, -inf for an offer that the catalog lacks."""
    acceptance: Floats
    """float64 `[n]`: of what was drawn, with its timing and tonality; NaN for silence and for unknown names."""
    drawn: Floats
    """float64 `[n]`: total of what was drawn, with its arm; NaN likewise."""


class Judge(Struct, frozen=True, eq=False):
    """One bundle under one catalog."""

    scorer: OnnxScorer
    catalog: Catalog
    value_factor: Floats | None = None
    """float64 `[O]`: what values are multiplied with, to see whether the choice follows; None leaves them."""
    offer_matrix: Floats32 | None = None
    """float32 `[O, G]` in place of the catalog's attributes."""

    def score(self, logged: Logged, *, share: Share = lambda _: None) -> Scored:
        """All draws of a log. Raises ModelError for an unusable answer."""
        n, names = len(logged.slots), logged.slots.offer.names
        profile, context = logged.profile(), logged.context()
        total = np.full((n, len(names) + 1), -np.inf)
        total[:, 0] = 0.0
        acceptance, drawn = np.full(n, np.nan), np.full(n, np.nan)
        for first in range(0, n, _BLOCK):
            rows = np.arange(first, min(first + _BLOCK, n))
            part = self._block(logged.take(rows), profile[rows], context[rows])
            total[rows, 1:] = part.total
            acceptance[rows], drawn[rows] = part.acceptance, part.drawn
            share((first + len(rows)) / n)
        return Scored(total, acceptance, drawn)

    def accept(self, logged: Logged, profile: Floats32, context: Floats32) -> Floats:
        """Acceptance of what was drawn `[n]`, on columns that may differ from the log's: for permutation."""
        found = np.full(len(logged.slots), np.nan)
        for first in range(0, len(found), _BLOCK):
            rows = np.arange(first, min(first + _BLOCK, len(found)))
            found[rows] = self._block(logged.take(rows), profile[rows], context[rows]).acceptance
        return found

    def _block(self, logged: Logged, profile: Floats32, context: Floats32) -> Scored:
        catalog, slots = self.catalog, logged.slots
        ids = {offer.id: place for place, offer in enumerate(catalog.offers)}
        made = (
            model_matrix(catalog.spec.offer, catalog.offer_table, 0) if self.offer_matrix is None else self.offer_matrix
        )
        scores = self.scorer.score(profile, context, made, self.scorer.offer_codes(list(ids)))
        placement = _codes(slots.placement.texts(), [one.id for one in catalog.placements])
        channel = np.array([one.channel for one in catalog.placements])[placement]
        totals = self._totals(logged, scores, channel)
        totals = np.where(self._arms(placement, channel), totals, -np.inf)
        best = totals.max((1, 2))
        column = np.array([ids.get(name, NONE) for name in slots.offer.names], np.int64)
        spread = np.where(column == NONE, -np.inf, best[:, np.maximum(column, 0)])
        at = (
            np.arange(len(slots)),
            _codes(slots.timing.texts(), [one.id for one in catalog.timings]),
            _codes(slots.tonality.texts(), list(catalog.tonalities)),
            np.where(slots.offer.codes == NONE, NONE, column[np.maximum(slots.offer.codes, 0)]),
        )
        fits = (at[1] != NONE) & (at[2] != NONE) & (at[3] != NONE)
        full = np.broadcast_to(scores.acceptance, totals.shape)
        return Scored(
            total=spread,
            acceptance=np.where(fits, full[at], np.nan).astype(np.float64),
            drawn=np.where(fits & np.isfinite(totals[at]), totals[at], np.nan),
        )

    def _totals(self, logged: Logged, scores: Scores, channel: npt.NDArray[np.int64]) -> Floats:
        """float64 `[b, T, N, O]` by the formula of `takt.arbitration.score`."""
        catalog = self.catalog
        profiles = Columns(logged.spec.profile, logged.decisions.profile[logged.slots.decision])
        contexts = Columns(logged.spec.context, logged.decisions.context[logged.slots.decision])
        found = filter_offers(catalog, profiles, contexts, logged.time_us)
        worth, weight = found.value, found.weight
        told = np.nan_to_num(worth)[:, None, None, :] if scores.value is None else scores.value.astype(np.float64)
        if self.value_factor is not None:
            told = told * self.value_factor
        dials = catalog.arbitration
        chance = scores.acceptance.astype(np.float64) ** dials.exponent
        baseline = 0.0 if scores.baseline is None else scores.baseline.astype(np.float64)
        annoyance = 0.0 if scores.reaction is None else dials.annoyance_cost * scores.reaction.astype(np.float64)
        cost = np.array([one.contact_cost for one in catalog.channels])[channel][:, None, None, None]
        total = (chance - baseline) * told * (weight * catalog.lever)[:, None, None, :] - annoyance - cost
        shape = (len(logged.slots), len(catalog.timings), len(catalog.tonalities), len(catalog.offers))
        return np.broadcast_to(total, shape)

    def _arms(self, placement: npt.NDArray[np.int64], channel: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Timings and tonalities of the placement that have a treatment for anybody: bool `[b, T, N, O]`."""
        catalog = self.catalog
        treated = np.asarray((catalog.treatment_of >= 0).any((1, 2)))[channel]
        timing = catalog.placement_timings[placement][:, :, None, None]
        tonality = catalog.placement_tonalities[placement][:, None, :, None]
        return np.asarray(timing & tonality & treated[:, None, :, :])

    def with_values(self, factor: Floats) -> Judge:
        """The same model where offers are worth `factor` `[O]` times as much."""
        return replace(self, value_factor=factor)

    def with_attributes(self, made: Floats32) -> Judge:
        """The same model where offers have other attributes `[O, G]`."""
        return replace(self, offer_matrix=made)


def _codes(texts: npt.NDArray[np.object_], names: list[str]) -> npt.NDArray[np.int64]:
    place = {name: code for code, name in enumerate(names)}
    return np.array([place.get(text, NONE) for text in texts.tolist()], np.int64)
