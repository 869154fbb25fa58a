"""Answers and records are written by kernels as protobuf would write them.

`CheckedCodec` holds every batch of every test of the engine to its twin; here are the shapes that others do not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from takt.cli.store import log_record_bytes
from takt.decisionlog import writing
from takt.domain.request import Explain
from takt.engine.force import force
from takt.v1 import log_pb2
from tests.unit.decisionlog.slow_writing import CheckedCodec
from tests.unit.engine.conftest import TellingScorer, offers_of

if TYPE_CHECKING:
    from tests.unit.engine.conftest import World


@pytest.mark.parametrize("explain", list(Explain))
@pytest.mark.parametrize("placements", [("home_hero",), ("home_hero", "home_tiles", "inbox")])
def test_every_level_of_explanation(world: World, explain: Explain, placements: tuple[str, ...]) -> None:
    """Counts, offers by name, and every live candidate with its best arm."""
    known = [p.id for p in world.catalog.placements]
    decided = world.decide(world.ask("r", *[p for p in placements if p in known], explain=explain))

    for placement in decided.placements:
        assert (explain == Explain.FULL) == bool(placement.candidates)
        assert (explain >= Explain.OFFERS) == any(exclusion.offers for exclusion in placement.exclusions)
        totals = [candidate.score.total for candidate in placement.candidates]
        assert sorted(totals, reverse=True) == totals


def test_people_of_a_batch_have_their_own_records(world: World) -> None:
    """Several people, one of them twice, one unknown: each record holds its own ledger, chain and answer."""
    world.person("q")
    asks = [world.ask("a"), world.ask("b", profile_id="q"), world.ask("c"), world.ask("d", profile_id="nobody")]

    answers = world.engine.decide(asks)

    records = {r.request_id: r for r in map(log_pb2.DecisionRecord.FromString, (kept for _, kept in world.store.log))}
    assert [0, 0, 1, 0] == [records[name].chain.index for name in "abcd"]
    assert [2, 1, 2, 1] == [records[name].chain.length for name in "abcd"]
    assert [a.decision_id for a in answers] == [records[name].decision_id for name in "abcd"]  # type: ignore[union-attr]
    assert len(records["c"].ledger) == len(records["a"].ledger) + 32 * len(offers_of(answers[0])[0])  # type: ignore[arg-type]


def test_room_is_made_where_it_does_not_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose records need more than is usual is written all the same."""
    monkeypatch.setattr(writing, "USUAL_BYTES", 16)

    assert offers_of(world.decide(world.ask("r", explain=Explain.FULL)))


def test_a_catalog_that_came_later_has_names_of_its_own(world: World) -> None:
    """Texts are made anew for another catalog."""
    codec = CheckedCodec()
    first = codec._texts_of(world.engine.force)
    again = codec._texts_of(force(world.catalog, TellingScorer(world.catalog)))
    other = codec._texts_of(force(type(world.catalog)(**_fields(world.catalog)), TellingScorer(world.catalog)))

    assert first is again
    assert first is not other


@pytest.mark.parametrize("placement", ["home_hero", "basket_note"])
def test_records_are_as_long_as_estimated(world: World, placement: str) -> None:
    """What `takt store estimate` takes for the record of a decision that shows one offer, within a fifth."""
    decided = world.decide(world.ask("0" * 32, placement))

    assert [1] == [len(shown) for shown in offers_of(decided)]
    (size,) = [len(kept) for _, kept in world.store.log]
    assert size == pytest.approx(log_record_bytes(world.catalog, 0), rel=0.2)


def _fields(catalog: object) -> dict[str, object]:
    return {name: getattr(catalog, name) for name in type(catalog).__struct_fields__}
