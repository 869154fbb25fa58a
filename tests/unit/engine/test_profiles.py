"""Writes of profiles that others write at the same moment."""

from __future__ import annotations

import pytest

from takt.domain.consent import Given, Origin, pack_origins
from takt.domain.profile import ProfilePut, PutOutcome
from takt.errors import RecordError
from takt.v1 import log_pb2
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


def consent_log(world: World) -> list[tuple[str, bool, int, str]]:
    """What was logged of consents: purpose, whether it is given, when and where."""
    records = [kept for kind, kept in world.store.log if kind == "consent"]
    read = map(log_pb2.ConsentChangeRecord.FromString, records)
    return [(one.purpose, one.granted, one.given_at_us, one.source) for one in read]


def test_consent_is_kept_with_its_date_and_source(world: World) -> None:
    """Each is given back as it was said; one without a date is of now. Every change is logged, and nothing else."""
    given = {"email.marketing": Given(5_000_000, "newsletter form")}
    put = ProfilePut("new", consents={"email.marketing": True, "web.personalisation": False}, given=given)
    world.profiles().put([put])
    world.profiles().put([ProfilePut("new", features={"segment": "premium"})])
    now_us = world.clock.now_us()

    known = world.profiles().get(profile_id="new")

    assert Origin(granted=True, given_us=5_000_000, source="newsletter form") == known.origins["email.marketing"]
    assert Origin(granted=False, given_us=now_us) == known.origins["web.personalisation"]
    assert [
        ("email.marketing", True, 5_000_000, "newsletter form"),
        ("web.personalisation", False, now_us, ""),
    ] == consent_log(world)


def test_consent_that_is_said_again_keeps_its_date(world: World) -> None:
    """Only a withdrawal, another date or another source is a change."""
    given = {"email.marketing": Given(5_000_000, "form")}
    world.profiles().put([ProfilePut("new", consents={"email.marketing": True}, given=given)])
    world.clock.advance(1_000_000)
    world.profiles().put([ProfilePut("new", consents={"email.marketing": True}) for _ in range(2)])
    assert 1 == len(consent_log(world))

    withdrawn = {"email.marketing": Given(None, "phone")}
    world.profiles().put([ProfilePut("new", consents={"email.marketing": False}, given=withdrawn)])

    now_us = world.clock.now_us()
    assert ("email.marketing", False, now_us, "phone") == consent_log(world)[-1]
    assert (
        Origin(granted=False, given_us=now_us, source="phone")
        == world.profiles().get(profile_id="new").origins["email.marketing"]
    )


def test_origin_of_another_consent_than_holds_is_not_shown(world: World) -> None:
    """A service that keeps no origins has changed the consent since: nobody knows when."""
    world.profiles().put([ProfilePut("new", consents={"email.marketing": True})])
    world.store.consents_kept["new"] = pack_origins({"email.marketing": Origin(granted=False, given_us=7)})

    known = world.profiles().get(profile_id="new")

    assert known.consents["email.marketing"]
    assert {} == known.origins


@pytest.mark.parametrize("data", [b"", b"{}", b"[1, 2]", b'[2, {"a": [1, 2, ""]}]', b'[1, {"a": [1]}]'])
def test_damaged_origins_are_named_and_written_anew(world: World, data: bytes) -> None:
    """A reader hears of it; the next consent that is written heals it."""
    world.profiles().put([ProfilePut("new", consents={"email.marketing": True})])
    world.store.consents_kept["new"] = data
    with pytest.raises(RecordError, match="origin of consents"):
        world.profiles().get(profile_id="new")

    world.profiles().put([ProfilePut("new", consents={"email.marketing": True})])

    assert ["email.marketing"] == list(world.profiles().get(profile_id="new").origins)
