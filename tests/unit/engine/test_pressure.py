"""Negative pressure through the engine: what presses, what does not, and what the answer says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Pressure
from takt.clock import DAY_US
from takt.domain.decision import Decision, decision_id
from takt.domain.feedback import FeedbackEvent
from takt.domain.ledger import EntryState
from tests.unit.engine.conftest import TellingScorer, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from takt.catalog.snapshot import Catalog
    from takt.ports import Scores

PER_CONTACT, PER_DISMISSAL = 0.02, 0.1


class AnnoyingScorer(TellingScorer):
    """A scorer that has its own opinion of reactions."""

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],
        offers: npt.NDArray[np.float32],
        offer_code: npt.NDArray[np.int64],
    ) -> Scores:
        """One reaction for everybody."""
        return replace(super().score(profile, context, offers, offer_code), reaction=np.full((1, 1, 1, 1), 0.25, "f4"))


@pytest.fixture
def pressed(minimal: Catalog) -> Catalog:
    """The small workspace with pressure, without caps, always choosing the best."""
    greedy = replace(minimal.exploration, rule="greedy", silence_floor=0.0, arm_rule="greedy")
    pressure = Pressure(PER_CONTACT, PER_DISMISSAL, 3 * DAY_US)
    arbitration = replace(minimal.arbitration, annoyance_cost=0.5, pressure=pressure)
    return replace(minimal, caps=(), exploration=greedy, arbitration=arbitration)


def world_of(catalog: Catalog, **changes: object) -> World:
    """A world with somebody called `p`."""
    made = World(catalog, **changes)  # type: ignore[arg-type]
    made.person()
    return made


def reactions(decisions: Sequence[object]) -> list[float]:
    """Reaction of the first offer of each decision."""
    return [d.placements[0].offers[0].score.reaction for d in decisions if isinstance(d, Decision)]


def test_every_request_of_a_batch_presses_on_the_next(pressed: Catalog) -> None:
    """A chain in one batch feels what the same requests would feel one after the other."""
    together, apart = world_of(pressed), world_of(pressed)
    asks = [together.ask(f"r{i}") for i in range(4)]
    expected = [1.0 - np.exp(-PER_CONTACT * i) for i in range(4)]
    assert pytest.approx(expected) == reactions(together.engine.decide(asks))
    assert pytest.approx(expected) == reactions([apart.decide(ask) for ask in asks])


def test_the_sum_can_be_checked(pressed: Catalog) -> None:
    """The answer shows the reaction that went into the total."""
    world = world_of(pressed)
    world.decide(world.ask("r1"))
    score = world.decide(world.ask("r2")).placements[0].offers[0].score
    gain = (score.acceptance - score.baseline) * score.value * score.context_weight * score.lever
    assert pytest.approx(gain - score.annoyance_cost * score.reaction - score.contact_cost) == score.total
    assert score.reaction > 0.0


def test_a_dry_run_presses_on_nobody(pressed: Catalog) -> None:
    """What was not said annoys nobody."""
    world = world_of(pressed)
    world.decide(world.ask("dry", dry_run=True))
    assert [0.0] == reactions([world.decide(world.ask("r1"))])


def test_a_model_that_knows_reactions_is_believed(pressed: Catalog) -> None:
    """The declared formula stands in only where the model says nothing."""
    world = world_of(pressed, scorer=AnnoyingScorer(pressed))
    assert [0.25, 0.25] == reactions([world.decide(world.ask("r1")), world.decide(world.ask("r2"))])


def test_a_dismissal_is_remembered_once_an_offer(pressed: Catalog) -> None:
    """It presses more than a contact; repeated, the last one counts."""
    world = world_of(pressed)
    offer = world.decide(world.ask("r1")).placements[0].offers[0].offer
    for name in ("e1", "e2"):
        world.clock.advance(1)
        event = FeedbackEvent(name, "dismiss", decision_id=decision_id("p", "r1"), offer=offer, channel="web")
        assert "APPLIED" == world.feedback().record([event])[0].outcome.name
    assert [EntryState.HELD, EntryState.DISMISSED] == world.contacts()["state"].tolist()
    assert pytest.approx([1.0 - np.exp(-PER_CONTACT - PER_DISMISSAL)]) == reactions([world.decide(world.ask("r2"))])


def test_without_pressure_nothing_is_remembered(minimal: Catalog) -> None:
    """A dismissal costs no room in a ledger where nothing is made of it."""
    world = world_of(minimal)
    world.feedback().record([FeedbackEvent("e1", "dismiss", profile_id="p", offer="toy-train")])
    assert [] == world.contacts()["state"].tolist()
