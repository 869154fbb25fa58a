"""What every store promises about the catalog in force: what was decided under one that is not is never written."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from takt.domain.edition import HEARD_WITHIN_US, KEPT_EDITIONS, PATIENCE_US, Edition, Following, SourceFile
from takt.errors import StoreMarkerError
from takt.ports import Commit, MarkKind, MarkOutcome, ProfileOutcome
from tests.contract.building import contact, entry, group, ledger_of, mark, write
from tests.contract.harness import NOW_US, Harness


def committed(harness: Harness, request_id: str, edition: int, profile_id: str = "p") -> Commit:
    """What becomes of one contact that was decided under an edition."""
    made = group(profile_id, entry(request_id, contact()), edition=edition, compare=False)
    (outcome,) = harness.store.commit([made])
    return outcome.commit


def test_an_older_edition_writes_nothing(harness: Harness) -> None:
    """What was decided under a catalog that is out of force is told so, and leaves neither contact nor id."""
    assert Commit.DONE is committed(harness, "r1", 3)
    assert [Commit.CATALOG, Commit.CATALOG] == [committed(harness, "r2", edition) for edition in (2, 0)]

    assert 1 == len(ledger_of(harness.store, "p").entries)
    assert Commit.DONE is committed(harness, "r2", 3)


def test_a_commit_brings_its_partition_along(harness: Harness) -> None:
    """Whoever is ahead of a partition finishes what an apply that was cut short has left."""
    assert [Commit.DONE, Commit.DONE, Commit.CATALOG] == [
        committed(harness, "r1", 1),
        committed(harness, "r2", 2),
        committed(harness, "r3", 1),
    ]


def test_a_repeat_gets_its_answer_whatever_is_in_force(harness: Harness) -> None:
    """An id that is remembered is found before the edition is looked at."""
    committed(harness, "r1", 1)
    committed(harness, "r2", 2)

    assert Commit.KNOWN is committed(harness, "r1", 1)


def test_a_refused_commit_brings_nothing_along(harness: Harness) -> None:
    """Of a commit that is refused nothing is written, not even the edition."""
    harness.clock.advance(3_000_000)

    assert Commit.STALE is committed(harness, "r1", 2)
    harness.clock.advance(-3_000_000)
    assert Commit.DONE is committed(harness, "r1", 1)


def test_silence_is_compared_as_well(harness: Harness) -> None:
    """A refusal under a catalog that is out of force is none."""
    committed(harness, "r1", 2)

    (outcome,) = harness.store.commit([group("p", entry("r2"), edition=1, compare=False)])

    assert Commit.CATALOG is outcome.commit


def test_feedback_and_profiles_know_no_edition(harness: Harness) -> None:
    """What is not decided by a catalog does not ask which one is in force."""
    committed(harness, "r1", 5)

    assert [MarkOutcome.APPLIED] == harness.store.mark([mark("p", "e1", MarkKind.SHOWN)])
    assert [ProfileOutcome.WRITTEN] == harness.store.put([write("p")])
    harness.store.check_marker()


def test_a_lost_marker_is_not_an_edition(harness: Harness) -> None:
    """A partition without a marker is one that lost its data, whatever the edition."""
    committed(harness, "r1", 1)
    harness.lose_marker("p")

    assert Commit.MARKER is committed(harness, "r2", 2)


REPLICA, OTHER = b"a" * 16, b"b" * 16
FILES = (SourceFile("catalog.yaml", b"name: \xc3\xbcber\n"), SourceFile("features.yaml", b""))


def edition(number: int, **changes: Any) -> Edition:
    """An edition as it is announced."""
    fields: dict[str, Any] = {"version": f"v{number}", "previous": "", "actor": "anna", "reason": "", "keep_us": 5}
    return Edition(number=number, **(fields | changes))


def in_force(harness: Harness, number: int) -> None:
    """Announce an edition and put it in force."""
    assert harness.store.editions.announce(edition(number), FILES)
    assert number == harness.store.editions.follow(REPLICA, number, 0).in_force


def test_a_new_store_has_no_edition(harness: Harness) -> None:
    """There is neither history nor anything in force, and nothing was ever logged."""
    editions = harness.store.editions

    assert ([], None, False) == (editions.history(), editions.files(1), editions.has_contacts())
    assert Following(NOW_US, 0, 0, 1, 1, 1) == editions.follow(REPLICA, 0, 0)


def test_an_edition_is_kept_as_it_was_given(harness: Harness) -> None:
    """What was announced can be read, files to the byte, with the store's time."""
    given = edition(
        1, previous="v0", reason="why: ÄÖ", kept_before_us=1, covered_before_us=2**60, began_us=3, keep_us=4
    )
    assert harness.store.editions.announce(given, FILES)

    assert [replace(given, announced_us=NOW_US)] == harness.store.editions.history()
    assert FILES == harness.store.editions.files(1)


def test_an_edition_comes_into_force_once_all_have_loaded_it(harness: Harness) -> None:
    """As long as one replica that serves has not loaded it, the one before stays in force."""
    editions = harness.store.editions
    in_force(harness, 1)
    editions.follow(OTHER, 1, 1)
    editions.announce(edition(2), FILES)
    harness.clock.advance(1_000_000)

    assert Following(NOW_US + 1_000_000, 2, 1, 2, 1, 2) == editions.follow(REPLICA, 2, 1)
    assert Following(NOW_US + 1_000_000, 2, 2, 2, 2, 0) == editions.follow(OTHER, 2, 1)
    assert 1 == editions.follow(OTHER, 2, 2).turned
    assert [NOW_US + 1_000_000, NOW_US] == [found.in_force_us for found in editions.history()]


@pytest.mark.parametrize("after_us", [HEARD_WITHIN_US, PATIENCE_US])
def test_nobody_waits_for_ever(harness: Harness, after_us: int) -> None:
    """A replica that is gone holds nothing up, and one that cannot load it holds it up for a while."""
    editions = harness.store.editions
    in_force(harness, 1)
    editions.announce(edition(2), FILES)
    editions.follow(OTHER, 1, 0)
    harness.clock.advance(after_us)
    if after_us == PATIENCE_US:
        editions.follow(OTHER, 1, 0)
    else:
        assert 1 == editions.follow(REPLICA, 2, 0).in_force
        harness.clock.advance(1)

    assert 2 == editions.follow(REPLICA, 2, 0).in_force


def test_a_replica_that_leaves_is_not_waited_for(harness: Harness) -> None:
    """Who ends in order says so."""
    editions = harness.store.editions
    in_force(harness, 1)
    editions.follow(OTHER, 1, 0)
    editions.announce(edition(2), FILES)
    editions.leave(OTHER)

    assert 2 == editions.follow(REPLICA, 2, 0).in_force


def test_only_the_next_edition_can_be_announced(harness: Harness) -> None:
    """Of two who announce at once one loses, and nobody announces before the last is in force."""
    editions = harness.store.editions

    assert [False, True, False, False] == [editions.announce(edition(n), FILES) for n in (2, 1, 1, 2)]
    editions.follow(REPLICA, 1, 0)
    assert [False, True] == [editions.announce(edition(n), FILES) for n in (1, 2)]


def test_advancing_ends_what_was_before(harness: Harness) -> None:
    """Once every partition is at an edition nothing is committed under an earlier one, for whomever."""
    in_force(harness, 1)
    in_force(harness, 2)
    assert Commit.DONE is committed(harness, "r0", 1)

    harness.store.editions.advance(2)
    harness.store.editions.advance(1)

    assert {Commit.CATALOG} == {committed(harness, "r1", 1, f"p{n}") for n in range(20)}
    assert {Commit.DONE} == {committed(harness, "r2", 2, f"p{n}") for n in range(20)}
    harness.store.check_marker()


def test_old_editions_are_dropped(harness: Harness) -> None:
    """The newest hundred stay readable."""
    for number in range(1, KEPT_EDITIONS + 3):
        in_force(harness, number)

    history = harness.store.editions.history()
    assert (KEPT_EDITIONS, KEPT_EDITIONS + 2, 3) == (len(history), history[0].number, history[-1].number)
    assert [None, FILES] == [harness.store.editions.files(number) for number in (2, 3)]


def test_the_earliest_statement_stands(harness: Harness) -> None:
    """Since when all contacts are known is stated for the edition in force; a later moment adds nothing."""
    in_force(harness, 1)
    editions = harness.store.editions

    assert [True, True, False] == [
        editions.cover(number, since, "anna", "letters") for number, since in ((1, 70), (1, 90), (2, 1))
    ]
    assert [70] == [found.stated_us for found in editions.history()]


def test_what_was_logged_may_be_a_contact(harness: Harness) -> None:
    """After the first commit a store is no longer known to be without contacts."""
    committed(harness, "r1", 0)

    assert harness.store.editions.has_contacts()


def test_editions_need_the_marker(harness: Harness) -> None:
    """A store that lost its data follows nothing."""
    harness.lose_partition_0()
    editions = harness.store.editions

    for call in (
        lambda: editions.announce(edition(1), FILES),
        lambda: editions.follow(REPLICA, 0, 0),
        lambda: editions.advance(1),
        lambda: editions.cover(1, 0, "", ""),
    ):
        with pytest.raises(StoreMarkerError):
            call()
