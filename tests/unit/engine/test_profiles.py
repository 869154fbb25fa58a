"""Writes of profiles that others write at the same moment."""

from __future__ import annotations

from takt.domain.profile import ProfilePut, PutOutcome
from tests.unit.engine.conftest import World


def test_new_profile_is_created_once_and_no_consent_is_lost(world: World) -> None:
    """Of two who write a person that nobody knew, one creates the profile and the other adds to it."""
    outcomes: list[PutOutcome] = []

    def other() -> None:
        world.store.before_put = lambda: None
        put = ProfilePut("new", consents={"web.personalisation": False}, time_zone="Europe/Berlin")
        outcomes.extend(result.outcome for result in world.profiles().put([put]))

    world.store.before_put = other
    put = ProfilePut("new", consents={"email.marketing": True})
    outcomes.extend(result.outcome for result in world.profiles().put([put]))

    assert [PutOutcome.CREATED, PutOutcome.UPDATED] == outcomes
    known = world.profiles().get(profile_id="new")
    assert {"web.personalisation": False, "email.marketing": True} == known.consents
    assert "Europe/Berlin" == known.time_zone


def test_two_writes_of_a_new_profile_create_it_once(world: World) -> None:
    """In one batch, the first creates and the second updates."""
    results = world.profiles().put([ProfilePut("new"), ProfilePut("new", time_zone="Europe/Berlin")])

    assert [PutOutcome.CREATED, PutOutcome.UPDATED] == [result.outcome for result in results]
