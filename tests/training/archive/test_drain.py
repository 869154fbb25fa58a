"""The log of a store in memory, drained to files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import asdict, replace

from takt.catalog.workspace import load_workspace
from takt.clock import MINUTE_US
from takt.domain.consent import Given
from takt.domain.feedback import FeedbackEvent
from takt.domain.log import LogKind
from takt.domain.profile import ProfilePut
from takt.errors import PreconditionError
from takt.features.layout import layout_json
from takt.memory.store import MemoryStore
from takt_training.archive.directory import files, opened
from takt_training.archive.drain import Drain, Drained
from takt_training.archive.positions import read_positions
from tests.unit.engine.conftest import MINIMAL, World

HOUR_US = 60 * MINUTE_US


@pytest.fixture
def world() -> World:
    """A small shop with somebody called `p`, whose layout is registered."""
    made = World(load_workspace(MINIMAL))
    made.store.register_layout(made.catalog.spec.layout_fingerprint, layout_json(made.catalog.spec))
    made.person()
    return made


def drained(store: MemoryStore, directory: Path, **options: Any) -> Drained:
    """What one drain did."""
    with opened(directory) as archive:
        return Drain(store, archive, **options).run()


def rows(directory: Path, kind: str) -> list[dict[str, Any]]:
    """All rows of a kind, in the order of the log."""
    tables = [pq.read_table(path, partitioning=None) for path in files(directory, kind)]
    if not tables:
        return []
    found = pa.concat_tables(tables, promote_options="default").to_pylist()
    return sorted(found, key=lambda row: (row["partition"], row["entry_ms"], row["entry_sequence"]))


def test_a_decision_is_kept_with_all_that_it_was_made_on(world: World, tmp_path: Path) -> None:
    """Features as they were read, candidates by name, both probabilities and every factor of the score."""
    decision = world.decide(world.ask("r1", "home_row", "home_hero"))
    world.person(features={"recency_days": 99.0})  # what happens later changes nothing

    assert {"decisions": 1} == drained(world.store, tmp_path).entries

    (row,) = rows(tmp_path, "decisions")
    assert (decision.decision_id, "p", "r1") == (row["decision_id"], row["profile_id"], row["request_id"])
    assert (10.0, 5.0, "premium", ["garden", "toys"]) == tuple(
        row[f"profile.{name}"] for name in ("recency_days", "visits_30d", "segment", "interests")
    )
    assert ("basket", "web", None) == (row["context.page"], row["context.channel"], row["profile.lease_end"])
    assert (["web.personalisation", "email.marketing"], "Europe/Berlin", "de-DE", "NEUTRAL") == tuple(
        row[f"person.{name}"] for name in ("consents", "time_zone", "locale", "address")
    )
    assert "epsilon(epsilon=0.05) floor=0.01 arms=epsilon(epsilon=0.1)" == row["exploration"]
    for placement, answered in zip(row["placements"], decision.placements, strict=True):
        assert (answered.placement, answered.channel, str(answered.status)) == (
            *(placement["placement"], placement["channel"], placement["status"]),
        )
        assert placement["candidates"]
        drawn = [slot for slot in placement["slots"] if slot["offer"]]
        for slot, offer in zip(drawn, answered.offers, strict=True):
            assert (offer.offer, offer.timing.slot, offer.tonality, offer.treatment) == (
                *(slot["offer"], slot["timing"], slot["tonality"], slot["treatment"]),
            )
            assert (offer.offer_propensity, offer.arm_propensity) == (slot["offer_propensity"], slot["arm_propensity"])
            assert asdict(offer.score) == slot["score"]
            assert slot["offer"] in placement["candidates"]
    (record,) = [record for kind, record in world.store.log if kind == "decision"]
    assert record == row["record"]


def test_events_are_kept_with_what_became_of_them(world: World, tmp_path: Path) -> None:
    """Feedback stands beside decisions, and its attributes are JSON."""
    decision = world.decide(world.ask("r1"))
    event = FeedbackEvent(
        "e1", "purchase", decision_id=decision.decision_id, profile_id="p", value=3.5, attributes={"till": 7}
    )
    world.feedback().record([event, replace(event, event_id="e2", decision_id="")])

    drained(world.store, tmp_path)

    first, second = rows(tmp_path, "feedback")
    assert ("e1", "purchase", 3.5, {"till": 7}) == (
        *(first["event_id"], first["type"], first["value"], json.loads(first["attributes"])),
    )
    assert decision.decision_id == first["decision_id"]
    assert ["APPLIED", "ORPHAN"] == [first["outcome"], second["outcome"]]


def test_consents_are_kept_with_when_and_where(world: World, tmp_path: Path) -> None:
    """One row per change, by the day that it was written; a date that nobody knows is none."""
    consents, given = {"email.marketing": True}, {"email.marketing": Given(5_000_000, "form")}
    world.profiles().put([ProfilePut("q", consents=consents, given=given)])
    world.profiles().put([ProfilePut("q", consents={"email.marketing": False})])
    world.store.decision_log.append(3, LogKind.CONSENT, b"\xff", "")

    drained(world.store, tmp_path)

    kept, withdrawn = rows(tmp_path, "consents")
    now = datetime.fromtimestamp(world.clock.now_us() / 1e6, UTC)
    assert ("q", "email.marketing", True, datetime.fromtimestamp(5, UTC), "form", "", now) == tuple(
        kept[name] for name in ("profile_id", "purpose", "granted", "given_at", "source", "merged_from", "changed_at")
    )
    assert (False, now, "") == (withdrawn["granted"], withdrawn["given_at"], withdrawn["source"])
    (path,) = files(tmp_path, "consents")
    assert f"day={now:%Y-%m-%d}" == path.parent.name
    (damaged,) = rows(tmp_path, "damaged")
    assert b"\xff" == damaged["record"]


def test_a_second_drain_takes_only_what_is_new(world: World, tmp_path: Path) -> None:
    """It goes on where the archive ends, and says how far that is."""
    world.decide(world.ask("r1"))
    drained(world.store, tmp_path)
    assert {} == drained(world.store, tmp_path).entries
    world.clock.advance(MINUTE_US)
    world.decide(world.ask("r2"))

    assert {"decisions": 1} == drained(world.store, tmp_path).entries

    assert ["r1", "r2"] == [row["request_id"] for row in rows(tmp_path, "decisions")]
    positions = read_positions(tmp_path)
    assert positions is not None
    assert (2, world.clock.now_us(), world.clock.now_us()) == (
        *(sum(positions.entries), positions.newest_us, positions.through_us),
    )


def test_segments_are_bounded(world: World, tmp_path: Path) -> None:
    """However much there is, only so much is held before it is written."""
    for number in range(10):
        world.clock.advance(1_000)
        world.decide(world.ask(f"r{number}", profile_id=f"p{number}"))
    told: list[tuple[int, int]] = []

    with opened(tmp_path) as archive:
        done = Drain(world.store, archive, segment_entries=3).run(lambda entries, total: told.append((entries, total)))

    assert done.segments >= 3
    assert [10] * done.segments == [total for _, total in told]
    assert sorted(entries for entries, _ in told) == [entries for entries, _ in told]
    assert 10 == told[-1][0]
    assert {f"r{n}" for n in range(10)} == {row["request_id"] for row in rows(tmp_path, "decisions")}


def test_trimmed_only_when_ids_are_forgotten(world: World, tmp_path: Path) -> None:
    """What is in the archive is dropped from the store half an hour later, by the next drain."""
    world.decide(world.ask("r1"))
    done = drained(world.store, tmp_path)
    assert (0, 1) == (done.trimmed, done.left)
    world.clock.advance(HOUR_US)

    done = drained(world.store, tmp_path)

    assert (1, 0) == (done.trimmed, done.left)
    assert 1 == len(rows(tmp_path, "decisions"))


def test_nothing_is_trimmed_on_request(world: World, tmp_path: Path) -> None:
    """For a first look at a live store."""
    world.decide(world.ask("r1"))
    drained(world.store, tmp_path, trim=False)
    world.clock.advance(HOUR_US)

    done = drained(world.store, tmp_path, trim=False)

    assert (0, 1) == (done.trimmed, done.left)


def test_what_others_trimmed_is_told(world: World, tmp_path: Path) -> None:
    """Two exports that trim one store lose for each other, and the second says so."""
    world.decide(world.ask("r1"))
    drained(world.store, tmp_path / "one")
    world.decide(world.ask("r2", profile_id="q"))
    world.clock.advance(HOUR_US)
    assert 2 == drained(world.store, tmp_path / "two").trimmed

    (warning,) = drained(world.store, tmp_path / "one").warnings

    assert "1 entries of partition" in warning
    assert "were trimmed and never came here" in warning


def test_another_store_is_refused(world: World, tmp_path: Path) -> None:
    """Positions mean nothing in another store."""
    drained(world.store, tmp_path)
    world.decide(world.ask("r1"))
    drained(world.store, tmp_path)
    world.store.decision_log.store_id = "another"

    with pytest.raises(PreconditionError, match="is the archive of store memory, not of another"):
        drained(world.store, tmp_path)


def test_a_record_that_cannot_be_read_is_kept_aside(world: World, tmp_path: Path) -> None:
    """It stops nothing, and nothing of it is lost."""
    world.decide(world.ask("r1"))
    world.store.decision_log.append(3, LogKind.DECISION, b"\xff\xff", "")
    world.store.decision_log.append(3, LogKind.FEEDBACK, b"\xff", "ORPHAN")

    done = drained(world.store, tmp_path)

    assert {"decisions": 1, "damaged": 2} == done.entries
    assert [b"\xff\xff", b"\xff"] == [row["record"] for row in rows(tmp_path, "damaged")]
    assert ["1 records cannot be read" in warning for warning in done.warnings] == [True, True]


def test_a_layout_that_is_not_registered_is_told(tmp_path: Path) -> None:
    """Without it the features cannot be read; the record is kept, and what can be read is."""
    world = World(load_workspace(MINIMAL))
    world.person()
    world.decide(world.ask("r1"))

    done = drained(world.store, tmp_path)

    fingerprint = f"{world.catalog.spec.layout_fingerprint:016x}"
    assert [f"layout {fingerprint} is not registered in the store"] == done.warnings
    (row,) = rows(tmp_path, "decisions")
    assert "basket" == row["context.page"]
    assert not any(name.startswith("profile.") for name in row)


def test_an_archive_in_use_is_refused(world: World, tmp_path: Path) -> None:
    """Two exports to one directory would write the same segment."""
    with opened(tmp_path), pytest.raises(PreconditionError, match="another export is writing to it"):
        drained(world.store, tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', '{"format": 1, "partitions": [{}]}'])
def test_positions_that_say_nothing_are_refused(world: World, tmp_path: Path, text: str) -> None:
    """An archive that forgot how far it came would take everything twice."""
    (tmp_path / "positions.json").write_text(text, encoding="utf-8")

    with pytest.raises(PreconditionError, match=r"positions\.json: says not how far"):
        drained(world.store, tmp_path)


def test_a_person_without_a_record_has_no_features(world: World, tmp_path: Path) -> None:
    """Missing is missing, and not the default of something."""
    world.decide(world.ask("r1", profile_id="stranger"))

    drained(world.store, tmp_path)

    (row,) = rows(tmp_path, "decisions")
    assert row["anonymous"]
    assert {None} == {row[name] for name in row if name.startswith(("profile.", "person.")) and name != "profile_id"}


def test_decisions_of_two_days_lie_in_two_folders(world: World, tmp_path: Path) -> None:
    """A day is a day in UTC, by when it was decided."""
    world.decide(world.ask("r1"))
    world.clock.advance(24 * HOUR_US)
    world.decide(world.ask("r2"))

    drained(world.store, tmp_path)

    assert ["day=2026-11-23", "day=2026-11-24"] == [path.parent.name for path in files(tmp_path, "decisions")]
