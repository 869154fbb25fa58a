"""People who turn out to be one: their contacts, consents, answers and feedback meet, whatever is left undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from takt.domain.consent import Given, Origin
from takt.domain.decision import person_address
from takt.domain.feedback import FeedbackEvent, FeedbackOutcome
from takt.domain.ledger import EntryState
from takt.domain.merge import Linked
from takt.domain.person import Address
from takt.domain.profile import ProfilePut, PutOutcome
from takt.domain.reasons import Cause
from takt.domain.request import Identity
from takt.engine.link import joined
from takt.errors import InvalidRequestError, PreconditionError, RecordError
from takt.features.validation import ProfileRow
from takt.identity import anonymous_id
from takt.v1 import log_pb2

if TYPE_CHECKING:
    from tests.unit.engine.conftest import World

COOKIE = Identity("cookie", "c1")
LOGIN = Identity("login", "anna")
CONSENTS = {"web.personalisation": True, "email.marketing": True}


def named(world: World, profile_id: str, *identities: Identity) -> str:
    """Somebody with a profile and identities."""
    (result,) = world.profiles().put(
        [ProfilePut(profile_id, identities, {"segment": "premium"}, CONSENTS, time_zone="Europe/Berlin")]
    )
    assert result.outcome in (PutOutcome.CREATED, PutOutcome.UPDATED)
    return profile_id


def shown_to(world: World, request_id: str, profile_id: str) -> str:
    """Decision id of a contact that was made with somebody."""
    for n in range(20):
        decision = world.decide(world.ask(f"{request_id}{n}", profile_id=profile_id))
        if decision.placements[0].offers:
            return decision.decision_id
    raise AssertionError("silence twenty times")


def test_contacts_of_both_count_for_the_winner(world: World) -> None:
    """Nothing is lost and nothing doubled, and all names lead to the winner."""
    named(world, "a", LOGIN)
    shown_to(world, "r", "p")
    shown_to(world, "s", "a")
    before = sorted([*world.contacts("a")["decision"], *world.contacts("p")["decision"]])

    linked = world.profiles().link("p", [LOGIN])

    assert Linked("a", ("p",)) == linked
    assert before == sorted(world.contacts("a")["decision"])
    assert 0 == len(world.contacts("p"))
    known = world.profiles().get(profile_id="p")
    assert ("a", ("p",)) == (known.profile_id, known.absorbed)
    assert Linked("a", ()) == world.profiles().link("p", [LOGIN])


def test_old_name_costs_a_redirect(world: World) -> None:
    """A request under an old name is decided for the winner, with one read more; the new name costs nothing."""
    world.profiles().link("p", [COOKIE])
    named(world, "a")
    world.profiles().link("a", [COOKIE])
    world.store.trips.clear()

    old, new = world.decide(world.ask("r1", profile_id="p")), world.decide(world.ask("r2", profile_id="a"))

    assert ("a", "a") == (old.profile_id, new.profile_id)
    assert ["fetch", "fetch", "commit", "fetch", "commit"] == world.store.trips


def test_old_and_new_name_in_one_batch(world: World) -> None:
    """One request id under two names of a person is one request."""
    named(world, "a")
    world.profiles().link("a", [COOKIE])
    world.profiles().link("p", [COOKIE])
    request = world.ask("r", identities=(COOKIE,))

    answers = world.engine.decide([request, request, world.ask("q", profile_id="p"), world.ask("q", profile_id="a")])

    assert answers[0] == answers[1]
    assert {"a"} == {answer.profile_id for answer in answers[:2]}  # type: ignore[union-attr]


def test_repeat_after_a_merge_gets_its_old_answer(world: World) -> None:
    """What was told under the old name is told again, and not decided anew."""
    named(world, "a")
    request = world.ask("r", profile_id="p")
    first = world.decide(request)

    world.profiles().link("a", [COOKIE])
    world.profiles().put([ProfilePut("p", (LOGIN,))])
    world.profiles().link("a", [LOGIN])

    assert first == world.decide(request)


def test_feedback_on_an_old_decision_finds_its_contact(world: World) -> None:
    """A decision id leads to the old address, and from there to the winner's ledger."""
    named(world, "a", LOGIN)
    decision = shown_to(world, "r", "p")
    world.profiles().link("p", [LOGIN])

    event = FeedbackEvent("e", "impression", decision)
    outcomes = [world.feedback().record([event])[0].outcome for _ in range(2)]

    assert [FeedbackOutcome.APPLIED, FeedbackOutcome.DUPLICATE] == outcomes
    assert {EntryState.SHOWN} == set(world.contacts("a")["state"])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_whoever_comes_next_finishes_a_merge(world: World, steps: int) -> None:
    """Left alone after any step, a merge is finished by a decision under either name."""
    named(world, "a")
    shown_to(world, "r", "p")
    contacts = len(world.contacts("p"))
    merging = world.store.merging
    merging.expect("a", "p")
    if steps > 1:
        _, estate = merging.seal("p", "a")
    if steps > 2:
        assert estate is not None
        merging.absorb("a", "p", estate=estate, record=None, expected=None)

    decision = world.decide(world.ask("q", profile_id="a" if steps == 1 else "p", dry_run=True))

    assert ("a", ()) == (decision.profile_id, decision.degradations)
    assert (contacts, 0) == (len(world.contacts("a")), len(world.contacts("p")))
    (card,) = merging.read([person_address("a")])
    assert ((), ("p",)) == (card.pending, card.absorbed)


def test_merge_that_cannot_be_finished_fails_closed(world: World) -> None:
    """Where the loser's contacts cannot be read, nobody is contacted, and Link refuses to begin."""
    named(world, "a", LOGIN)
    world.store.ledgers[person_address("p")] = b"broken"
    with pytest.raises(RecordError):
        world.profiles().link("p", [LOGIN])
    world.store.merging.expect("a", "p")

    decision = world.decide(world.ask("r", profile_id="a"))

    assert [Cause.CONTENTION] == [degradation.cause for degradation in decision.degradations]
    with pytest.raises(PreconditionError):
        world.profiles().link("p", [LOGIN])


def test_identity_with_contacts_is_linked(world: World) -> None:
    """What Put refuses, Link does: the contacts of the anonymous become the person's."""
    anonymous = anonymous_id(COOKIE.namespace, COOKIE.value)
    shown = world.store.ledgers[person_address(shown_name(world))]
    world.store.ledgers[person_address(anonymous)] = shown
    put = ProfilePut("p", (COOKIE,))
    (refused,) = world.profiles().put([put])
    assert (PutOutcome.REJECTED, True) == (refused.outcome, "Link" in refused.violations[0].message)

    assert Linked("p", (anonymous,)) == world.profiles().link("p", [COOKIE])

    assert ["p"] == world.store.resolve([COOKIE])
    assert [PutOutcome.UPDATED] == [result.outcome for result in world.profiles().put([put])]
    assert 0 < len(world.contacts("p"))


def shown_name(world: World) -> str:
    """Somebody who was contacted."""
    world.person("seen")
    shown_to(world, "x", "seen")
    return "seen"


def test_writes_under_an_old_name_reach_the_winner(world: World) -> None:
    """Also with an identity that still leads to the old name, and several old names in one batch."""
    named(world, "a", LOGIN)
    named(world, "b", COOKIE)
    world.profiles().link("b", [LOGIN])
    puts = [ProfilePut("b", (COOKIE,), {"visits_30d": 7}), ProfilePut("a", (), {"recency_days": 3.0})]

    results = world.profiles().put(puts)

    assert [("a", PutOutcome.UPDATED)] * 2 == [(result.profile_id, result.outcome) for result in results]
    known = world.profiles().get(identity=COOKIE)
    assert ("a", 7, 3.0) == (known.profile_id, known.features["visits_30d"], known.features["recency_days"])
    assert ["a"] == world.store.resolve([COOKIE])


def test_records_become_one(world: World) -> None:
    """A consent that one of them withheld is withheld; the winner's features stand, the loser's fill the gaps."""
    named(world, "a", LOGIN)
    world.person("p", consents=frozenset({"web.personalisation"}))

    world.profiles().link("p", [LOGIN])

    known = world.profiles().get(profile_id="a")
    assert {"web.personalisation": True, "email.marketing": False} == known.consents
    assert ("premium", 10.0) == (known.features["segment"], known.features["recency_days"])


def test_rows_are_joined() -> None:
    """Whatever the winner does not say, the loser says."""
    winner = ProfileRow({"a": 1}, frozenset({"x", "y"}), "", "de-DE", Address.NEUTRAL)
    loser = ProfileRow({"a": 2, "b": 3}, frozenset({"y", "z"}), "Europe/Berlin", "de-AT", Address.FORMAL)

    expected = ProfileRow({"a": 1, "b": 3}, frozenset({"y"}), "Europe/Berlin", "de-DE", Address.FORMAL)
    assert expected == joined(winner, loser)


def test_circles_of_links_end(world: World) -> None:
    """A and B, B and C, C and A: one person in the end, and the lowest id wins over all anonymous ones."""
    for name in "cba":
        named(world, name, Identity("login", name))
    links = [("a", "b"), ("b", "c"), ("c", "a")]

    linked = [world.profiles().link(one, [Identity("login", other)]) for one, other in links]

    assert [Linked("a", ("b",)), Linked("a", ("c",)), Linked("a", ())] == linked
    world.profiles().link("", [COOKIE, Identity("login", "c")])
    assert ["a", "a", "a"] == world.store.resolve([COOKIE, Identity("login", "a"), Identity("login", "c")])


@pytest.mark.parametrize(
    ("profile_id", "identities", "field"),
    [
        ("p", [], "identities"),
        ("", [COOKIE], "identities"),
        ("", [COOKIE, COOKIE], "identities"),
        ("p", [Identity("n", str(n)) for n in range(9)], "identities"),
        (anonymous_id("cookie", "c1"), [COOKIE], "profile_id"),
        ("p" * 300, [COOKIE], "profile_id"),
    ],
)
def test_wrong_links_are_refused(world: World, profile_id: str, identities: list[Identity], field: str) -> None:
    """A link needs two names, and anonymous people are named by their identity."""
    with pytest.raises(InvalidRequestError) as refused:
        world.profiles().link(profile_id, identities)

    assert [field] == [violation.field for violation in refused.value.violations]


def test_withdrawal_wins_with_its_own_date(world: World) -> None:
    """The person who was merged had withdrawn a consent: it is withdrawn since then, and logged as of the merge."""
    profiles = world.profiles()
    consents = {"web.personalisation": True, "email.marketing": True}
    first, second = (dict.fromkeys(consents, Given(us, source)) for us, source in ((3, "shop"), (9, "phone")))
    profiles.put([ProfilePut("a", (LOGIN,), consents=consents, given=first)])
    profiles.put([ProfilePut("b", (COOKIE,), consents=consents | {"email.marketing": False}, given=second)])
    before = len(world.store.log)

    profiles.link("", [LOGIN, COOKIE])

    known = profiles.get(profile_id="b")
    assert "a" == known.profile_id
    assert {"web.personalisation": True, "email.marketing": False} == known.consents
    assert {
        "web.personalisation": Origin(granted=True, given_us=3, source="shop"),
        "email.marketing": Origin(granted=False, given_us=9, source="phone"),
    } == known.origins
    ((kind, kept),) = world.store.log[before:]
    record = log_pb2.ConsentChangeRecord.FromString(kept)
    assert ("consent", "a", "email.marketing", "b") == (kind, record.profile_id, record.purpose, record.merged_from)
    assert (False, 9, "phone") == (record.granted, record.given_at_us, record.source)
    assert [None] == world.store.consents(["b"])


def test_merge_with_somebody_who_said_nothing_is_logged(world: World) -> None:
    """A consent that only one has given holds no more: since when, nobody knows."""
    profiles = world.profiles()
    profiles.put([ProfilePut("a", (LOGIN,), consents={"email.marketing": True})])
    profiles.put([ProfilePut("b", (COOKIE,), {"segment": "premium"})])

    profiles.link("", [LOGIN, COOKIE])

    known = profiles.get(profile_id="a")
    assert not known.consents["email.marketing"]
    assert {} == known.origins
    record = log_pb2.ConsentChangeRecord.FromString(world.store.log[-1][1])
    assert ("email.marketing", False, 0, "b") == (
        *(record.purpose, record.granted, record.given_at_us, record.merged_from),
    )
