"""What a bundle would choose, by the service's own formula, for the noiseless runs that judge it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from takt.catalog.snapshot import Catalog
from takt.features.matrix import model_columns, model_matrix
from takt.features.record import put_column
from takt.model.onnx import OnnxScorer
from takt_training.preparation import Floats32
from takt_training.simulation.customers import Floats, Ints, Situations
from takt_training.simulation.optimum import ACTIONS, best_of
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES, VALUES
from takt_training.simulation.workspace import BOOLS, FLOATS, INTS


class ModelPolicy(Struct, frozen=True, eq=False):
    """A bundle under the catalog that it was served with; without exploration."""

    scorer: OnnxScorer
    catalog: Catalog

    def __call__(self, known: Situations) -> Ints:
        """The best action by its scores, flat [n]; silence where none is above 0."""
        return best_of(self.totals(known), 0.0)

    def totals(self, known: Situations) -> Floats:
        """Scores of all actions, float64 [n, T, K, O], by the formula of `takt.arbitration.score`."""
        spec, dials = self.catalog.spec, self.catalog.arbitration
        scores = self.scorer.score(
            profiles(self.catalog, known),
            np.zeros((len(known), len(model_columns(spec.context))), np.float32),  # the one channel
            model_matrix(spec.offer, self.catalog.offer_table, 0),
            self.scorer.offer_codes(list(OFFERS)),
        )
        gain = scores.acceptance.astype(np.float64)
        if scores.baseline is not None:
            gain = gain - scores.baseline
        total = gain * VALUES - self.catalog.channels[0].contact_cost
        if scores.reaction is not None:
            total = total - dials.annoyance_cost * scores.reaction
        return np.broadcast_to(total, (len(known), len(TIMINGS), len(TONALITIES), len(OFFERS)))


def profiles(catalog: Catalog, known: Situations) -> Floats32:
    """What a model sees of some people, float32 [n, P]: as the service makes it of their records."""
    section = catalog.spec.profile
    rows = np.repeat(section.default, len(known))
    columns = {feature: getattr(known, feature) for feature in (*BOOLS, *FLOATS)}
    columns |= {feature: getattr(known, name) for feature, name in INTS.items()}
    for feature, column in columns.items():
        put_column(section, rows, feature, np.where(np.isfinite(column), column, np.nan))
    put_column(section, rows, "segment", known.segment + 1)
    return model_matrix(section, rows, 0)


def chance(seed: int) -> Callable[[Situations], Ints]:
    """Offer or silence, then the arm, by chance: what `UNIFORM` draws."""
    rng = np.random.default_rng((seed, 17))
    arms = ACTIONS // len(OFFERS)

    def drawn(known: Situations) -> Ints:
        offer = rng.integers(-1, len(OFFERS), len(known))
        arm = rng.integers(0, arms, len(known))
        return np.where(offer < 0, -1, arm * len(OFFERS) + offer)

    return drawn
