"""Which households the demo looks at."""

from __future__ import annotations

import pytest

from takt.errors import NotFoundError
from takt.v1 import decision_pb2
from takt_training.demo import places
from takt_training.demo.survey import Seen, Survey


def seen(profile_id: str, stage: str, *offers: str, silence: bool = False) -> Seen:
    """A household that would be shown these at the hero."""
    answer = decision_pb2.DecideResponse(profile_id=profile_id, stage=stage)
    hero = answer.placements.add(placement="hero", status=decision_pb2.PLACEMENT_STATUS_FALLBACK)
    for offer in offers:
        hero.status = decision_pb2.PLACEMENT_STATUS_OFFERED
        hero.offers.add(offer=offer)
    if silence:
        hero.status = decision_pb2.PLACEMENT_STATUS_SILENCE
    return Seen(profile_id, answer, took_s=0.002)


SURVEY = Survey(
    [
        seen("nobody", "new"),
        seen("a", "new", "milk", "tea"),
        seen("a2", "new", "milk"),
        seen("a3", "new", "oil"),
        seen("quiet", "lapsed", silence=True),
        seen("b", "active", "milk"),
        seen("c", "active", "tea"),
    ]
)


def test_varied_households_differ_in_stage_and_offer() -> None:
    """New stages with new offers come first, then new offers, then anybody; nobody without an offer."""
    assert ["a", "c"] == [one.profile_id for one in SURVEY.varied(2)]
    assert ["a", "c", "a3", "a2", "b"] == [one.profile_id for one in SURVEY.varied(9)]


def test_survey_counts() -> None:
    """Statuses, offers and stages are counted, and the quiet are found."""
    assert {"OFFERED": 5, "FALLBACK": 1, "SILENCE": 1} == SURVEY.statuses("hero")
    assert {"milk": 3, "tea": 2, "oil": 1} == SURVEY.offers("hero")
    assert {"new": 4, "active": 2, "lapsed": 1} == SURVEY.stages
    assert ["quiet"] == [one.profile_id for one in SURVEY.silences()]
    assert 2.0 == SURVEY.median_ms


def test_places_that_are_not_there_are_named(tmp_path: places.Path) -> None:
    """A workspace that does not exist is named, with the flag to name another."""
    with pytest.raises(NotFoundError, match="--workspace"):
        places.workspace(tmp_path / "nowhere")
