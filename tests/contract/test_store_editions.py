"""What every store promises about the catalog in force: what was decided under one that is not is never written."""

from __future__ import annotations

from takt.ports import Commit, MarkKind, MarkOutcome, ProfileOutcome
from tests.contract.building import contact, entry, group, ledger_of, mark, write
from tests.contract.harness import Harness


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
