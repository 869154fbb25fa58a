"""The best arm of every offer is the same whichever way it is found: for several offers at once, or one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from takt.domain.request import Explain
from takt.engine.force import force
from tests.unit.engine.conftest import TellingScorer, World

if TYPE_CHECKING:
    import numpy.typing as npt

    from takt.catalog.snapshot import Catalog
    from takt.domain.decision import PlacementDecision
    from takt.ports import Scores


class RulingScorer(TellingScorer):
    """A scorer with baselines, values and reactions that differ from arm to arm."""

    def __init__(self, catalog: Catalog, seed: int, told: str, offers: str) -> None:
        """Of these three those that are `told`: `one` number for all offers, the `same` for each, or its `own`."""
        super().__init__(catalog)
        self._seed, self._told, self._offers = seed, told.split(), offers

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],
        offers: npt.NDArray[np.float32],
        offer_code: npt.NDArray[np.int64],
    ) -> Scores:
        """Drawn by the seed."""
        rng = np.random.default_rng(self._seed)
        scores = super().score(profile, context, offers, offer_code)
        _, timings, tonalities, n_offers = scores.acceptance.shape
        acceptance = rng.uniform(0.0, 0.2, (timings, tonalities, 50)).astype("f4")[..., offer_code]
        found: dict[str, npt.NDArray[np.float32]] = {}
        for name, most in (("baseline", 0.05), ("value", 40.0), ("reaction", 0.9)):
            one = rng.uniform(0.0, most, (1, timings, tonalities, 1)).astype("f4")
            own = rng.uniform(0.0, most, (1, timings, tonalities, 50)).astype("f4")[..., offer_code]
            if name in self._told:
                found[name] = {"one": one, "same": np.repeat(one, n_offers, axis=3), "own": own}[self._offers]
        return replace(scores, acceptance=np.broadcast_to(acceptance, scores.acceptance.shape).copy(), **found)


def placement_of(catalog: Catalog, scorer: TellingScorer) -> PlacementDecision:
    """What becomes of one placement."""
    world = World(catalog, scorer=scorer)
    world.person()
    return world.decide(world.ask("r", explain=Explain.FULL)).placements[0]


@pytest.mark.parametrize("exponent", [1.0, 0.5])
@pytest.mark.parametrize("told", ["", "baseline", "value", "reaction", "baseline value reaction"])
def test_offers_weighed_at_once_are_weighed_as_one_by_one(minimal: Catalog, told: str, exponent: float) -> None:
    """A model that says the same for every offer, with one number or with one for each, makes the same decisions."""
    arbitration = replace(minimal.arbitration, annoyance_cost=0.5, exponent=exponent)
    catalog = replace(minimal, arbitration=arbitration)
    for seed in range(8):
        once, each = (placement_of(catalog, RulingScorer(catalog, seed, told, offers)) for offers in ("one", "same"))
        assert once.candidates
        assert once == each


@pytest.mark.parametrize("offers_have", ["one", "own"])
def test_every_candidate_is_shown_with_its_best_arm(minimal: Catalog, offers_have: str) -> None:
    """No other timing and tonality in which it can be shown makes a higher total; the sum can be checked."""
    shelf = force(minimal, TellingScorer(minimal)).shelf
    home = [placement.id for placement in minimal.placements].index("home_hero")
    timings, offers = [timing.id for timing in minimal.timings], [offer.id for offer in minimal.offers]
    channel = shelf.placements[home]["channel"]
    for seed in range(8):
        scorer = RulingScorer(minimal, seed, "baseline reaction", offers_have)
        scores = scorer.score(*(np.zeros((1, 1), "f4"),) * 3, np.arange(1, len(offers) + 1))
        assert scores.baseline is not None
        assert scores.reaction is not None
        for candidate in placement_of(minimal, scorer).candidates:
            s, o = candidate.score, offers.index(candidate.offer)
            column = o if offers_have == "own" else 0
            chances = scores.acceptance[0, ..., o] - scores.baseline[0, ..., column]
            gains = chances * s.value * s.context_weight * s.lever
            totals = gains - s.annoyance_cost * scores.reaction[0, ..., column] - s.contact_cost
            shown = (shelf.treatment_of[channel, ..., o] >= 0).any(axis=(0, 1)) & shelf.placement_tonalities[home]
            allowed = shelf.placement_timings[home][:, None] & shown
            assert pytest.approx(s.total) == totals[allowed].max()
            assert (
                pytest.approx(s.total)
                == totals[timings.index(candidate.timing), minimal.tonalities.index(candidate.tonality)]
            )
