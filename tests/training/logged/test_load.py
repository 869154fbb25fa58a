"""From decisions and events of a real engine to what is learned from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Exploration
from takt.catalog.workspace import load_workspace
from takt.clock import DAY_US, MINUTE_US
from takt.domain.decision import Decision
from takt.domain.feedback import FeedbackEvent
from takt.domain.request import Explain
from takt.errors import NotFoundError, PreconditionError
from takt.features.layout import layout_json
from takt.features.matrix import model_columns
from takt_training.archive.directory import files, opened
from takt_training.archive.drain import Drain
from takt_training.logged.dataset import Logged, SlotState
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from tests.unit.engine.conftest import MINIMAL, World

PURCHASE = Goal(("purchase",), 2 * DAY_US)
ALWAYS = Exploration("greedy", silence_floor=0.0, arm_rule="greedy")


class Shop(World):
    """The small shop, where something is always said, and what comes of it is reported."""

    def __init__(self, exploration: Exploration = ALWAYS) -> None:
        super().__init__(replace(load_workspace(MINIMAL), exploration=exploration))
        self.store.register_layout(self.catalog.spec.layout_fingerprint, layout_json(self.catalog.spec))
        self._events = 0
        self._closed = 0

    def say(self, profile_id: str, *placements: str, **changes: Any) -> Decision:
        """A decision for somebody who may be contacted."""
        self.person(profile_id)
        self.clock.advance(1_000_000)
        return self.decide(self.ask(f"r-{profile_id}", *placements, profile_id=profile_id, **changes))

    def report(self, kind: str, decision: Decision | None, after_us: int = 0, **changes: Any) -> None:
        """An event, so long after a decision or now."""
        self._events += 1
        at_us = (decision.decided_at_us if decision else self.clock.now_us()) + after_us
        fields: dict[str, Any] = {
            "event_id": f"e{self._events}",
            "type": kind,
            "decision_id": decision.decision_id if decision else "",
            "occurred_at_us": at_us,
        }
        (outcome,) = self.feedback().record([FeedbackEvent(**(fields | changes))])
        assert not outcome.violations, outcome

    def learned(self, directory: Path, goal: Goal = PURCHASE, days: int = 3, **options: Any) -> Logged:
        """Let some days pass, export, and load. Somebody's visit closes the log."""
        self.clock.advance(days * DAY_US)
        self._closed += 1
        self.decide(self.ask(f"closing-{self._closed}", profile_id="nobody"))
        with opened(directory) as archive:
            Drain(self.store, archive).run()
        return load(directory, self.catalog.spec, goal, **options)


@pytest.fixture
def shop() -> Shop:
    """A shop in which nothing happened yet."""
    return Shop()


def of(logged: Logged, person: str) -> dict[str, Any]:
    """The one slot of a person."""
    (row,) = np.flatnonzero(logged.person.texts() == person)
    slots = logged.slots
    return {
        "offer": slots.offer.texts()[row],
        "state": SlotState(slots.state[row]).name,
        "happened": bool(slots.happened[row]),
        "reward": float(slots.reward[row]),
        "opens_us": int(slots.opens_us[row]),
    }


def test_a_shown_offer_has_the_outcome_that_was_reported(shop: Shop, tmp_path: Path) -> None:
    """An impression makes it an example, a purchase within the window its outcome."""
    bought, seen = shop.say("bought"), shop.say("seen")
    for decision in (bought, seen):
        shop.report("impression", decision, 5_000_000)
    shop.clock.advance(DAY_US)
    shop.report("purchase", bought, DAY_US, value=12.5)

    logged = shop.learned(tmp_path)

    assert {"happened": True, "reward": 12.5, "state": "SHOWN"}.items() <= of(logged, "bought").items()
    assert {"happened": False, "reward": 0.0, "state": "SHOWN"}.items() <= of(logged, "seen").items()
    assert bought.decided_at_us + 5_000_000 == of(logged, "bought")["opens_us"]
    assert [True, True] == logged.example.tolist()
    assert (2, 1) == (logged.counts["decisions"], logged.counts["decisions_whose_window_is_open"])


def test_what_was_logged_is_what_was_answered(tmp_path: Path) -> None:
    """Probabilities, actions, candidates and scores are the answer's, whatever was drawn."""
    shop = Shop(Exploration("softmax", temperature=5.0, silence_floor=0.2, arm_rule="epsilon", arm_epsilon=0.5))
    decisions = {
        f"p{n}": shop.say(f"p{n}", "home_row", "newsletter", explain=Explain.FULL, context={}) for n in range(30)
    }

    logged = shop.learned(tmp_path, days=9)

    slots, people = logged.slots, logged.person.texts()
    assert 30 == len(logged.decisions)
    for person, decision in decisions.items():
        for placement in decision.placements:
            rows = np.flatnonzero((people == person) & (slots.placement.texts() == placement.placement))
            shown = [row for row in rows if not slots.silent[row]]
            assert [o.offer for o in placement.offers] == slots.offer.texts()[shown].tolist()
            assert [o.timing.slot for o in placement.offers] == slots.timing.texts()[shown].tolist()
            assert [o.offer_propensity * o.arm_propensity for o in placement.offers] == slots.propensity[shown].tolist()
            assert [o.score.total for o in placement.offers] == slots.score["total"][shown].tolist()
            live = [{c.offer for c in placement.candidates}] if rows.size else []
            for row, offer in zip(rows, [*(o.offer for o in placement.offers), None], strict=False):
                assert live[0] == {slots.offer.names[code] for code in slots.candidates.of(row)}
                live = [live[0] - {offer}]
    assert 0 < slots.silent.sum() < len(slots)


def test_features_are_those_that_were_served(shop: Shop, tmp_path: Path) -> None:
    """What a model is trained on is what it would have been given, by the same code."""
    decision = shop.say("p")
    shop.person("p", features={"recency_days": 77.0})
    spec = shop.catalog.spec

    logged = shop.learned(tmp_path)

    profile = dict(zip(model_columns(spec.profile), logged.profile()[0].tolist(), strict=True))
    assert (10.0, 5.0, 1.0, 1.0, 0.0) == tuple(
        profile[name] for name in ("recency_days", "visits_30d", "segment", "interests.garden", "interests.kitchen")
    )
    context = dict(zip(model_columns(spec.context), logged.context()[0].tolist(), strict=True))
    assert (12.0, 0.0, 1.0, 1.0) == tuple(context[name] for name in ("hour", "weekday", "page", "logged_in"))
    assert decision.decided_at_us == logged.time_us[0]
    offers = logged.offers[logged.decisions.catalog.texts()[0]]
    price = offers.attributes["num"][offers.ids.index("toy-train"), offers.section.places["price"].column]
    assert 35.0 == price


def test_a_hold_that_expired_unseen_is_no_example(shop: Shop, tmp_path: Path) -> None:
    """Nobody saw it, so nobody declined it; one that was reported as not shown neither."""
    shop.say("unseen")
    shop.report("not_shown", shop.say("withdrawn"))

    logged = shop.learned(tmp_path)

    assert ["NO_SHOW", "NO_SHOW"] == [of(logged, person)["state"] for person in ("unseen", "withdrawn")]
    assert not logged.example.any()
    assert 2 == logged.counts["no_shows"]


def test_a_contact_that_counts_at_once_is_seen(shop: Shop, tmp_path: Path) -> None:
    """A newsletter is counted when it is decided: nobody reports its impression."""
    shop.say("reader", "newsletter")

    logged = shop.learned(tmp_path, days=9)

    assert {"SHOWN"} == {SlotState(state).name for state in logged.slots.state}


def test_a_late_impression_is_one(shop: Shop, tmp_path: Path) -> None:
    """It was seen after its hold had lapsed, and it was seen."""
    late = shop.say("late")
    shop.clock.advance(2 * 60 * MINUTE_US)
    shop.report("impression", late, 90 * MINUTE_US)

    assert "SHOWN" == of(shop.learned(tmp_path), "late")["state"]


@pytest.mark.parametrize(("aggregate", "expected"), [("max", 9.0), ("sum", 15.0), ("first", 5.0)])
def test_several_events_are_aggregated_as_declared(shop: Shop, tmp_path: Path, aggregate: str, expected: float) -> None:
    """The order in which they were reported says nothing of when they occurred; one without a value counts 1."""
    decision = shop.say("p")
    shop.report("purchase", decision, 3_000, value=9.0)
    shop.report("purchase", decision, 2_000, value=5.0)
    shop.report("purchase", decision, 4_000)

    logged = shop.learned(tmp_path, replace(PURCHASE, aggregate=aggregate))

    assert expected == of(logged, "p")["reward"]
    assert 1 == logged.counts["slots_with_several_goals"]


def test_events_outside_the_window_do_not_count(shop: Shop, tmp_path: Path) -> None:
    """Neither too late, nor long before the decision; shortly before the impression does, and is counted."""
    late, early, before = shop.say("late"), shop.say("early"), shop.say("before")
    shop.clock.advance(3 * DAY_US)
    shop.report("purchase", late, 2 * DAY_US)
    shop.report("purchase", early, -10 * MINUTE_US)
    shop.report("impression", before, 60_000_000)
    shop.report("purchase", before, 59_000_000)

    logged = shop.learned(tmp_path)

    assert [False, False, True] == [of(logged, person)["happened"] for person in ("late", "early", "before")]
    assert (1, 1, 1) == tuple(
        logged.counts[f"goals_{when}"] for when in ("after_the_window", "before_the_decision", "before_the_impression")
    )


def test_duplicates_and_orphans_are_counted(shop: Shop, tmp_path: Path) -> None:
    """An event that is reported again after its id was forgotten counts once; one of no decision not at all."""
    decision = shop.say("p")
    shop.report("purchase", decision, 1_000, event_id="same", value=2.0)
    shop.clock.advance(60 * MINUTE_US)
    shop.report("purchase", decision, 1_000, event_id="same", value=2.0)
    shop.report("purchase", replace(decision, decision_id="ab" * 24), 1_000)

    logged = shop.learned(tmp_path, replace(PURCHASE, aggregate="sum"))

    assert 2.0 == of(logged, "p")["reward"]
    assert (1, 1) == (logged.counts["duplicate_events"], logged.counts["orphan_events"])


def test_only_closed_windows_are_learned_from(shop: Shop, tmp_path: Path) -> None:
    """What may still come is not known not to come."""
    shop.say("old")
    shop.clock.advance(DAY_US)
    shop.say("young")

    assert 0 == len(shop.learned(tmp_path, days=0).decisions)
    logged = shop.learned(tmp_path, days=1)

    assert ["old"] == logged.person.texts().tolist()
    assert 3 == logged.counts["decisions_whose_window_is_open"]


def test_a_log_can_be_closed_earlier(shop: Shop, tmp_path: Path) -> None:
    """As it was known some days ago: without what was reported since."""
    decision = shop.say("p")
    shop.clock.advance(5 * DAY_US)
    shop.report("purchase", decision, DAY_US)

    logged = shop.learned(tmp_path, until_us=decision.decided_at_us + 3 * DAY_US)

    assert not of(logged, "p")["happened"]


def test_a_log_can_be_begun_later(shop: Shop, tmp_path: Path) -> None:
    """What was decided before is passed over; a log without anything so late says so."""
    shop.say("early")
    late = shop.say("late")
    shop.report("purchase", late, 1_000_000, value=3.0)

    logged = shop.learned(tmp_path, since_us=late.decided_at_us)

    assert ["late"] == logged.person.texts().tolist()
    assert 3.0 == of(logged, "late")["reward"]
    assert len(logged.slots.candidates.of(0)) > 0
    with pytest.raises(NotFoundError, match="holds no decision so late"):
        load(tmp_path, shop.catalog.spec, PURCHASE, since_us=late.decided_at_us + 100 * DAY_US)


def test_candidates_take_as_few_bytes_as_their_names_allow(shop: Shop, tmp_path: Path) -> None:
    """They are most of what a log takes: two bytes each, where codes fit; none where they are left out."""
    shop.say("p")

    logged = shop.learned(tmp_path)

    assert np.int16 == logged.slots.candidates.offer.dtype == logged.take(np.array([0])).slots.candidates.offer.dtype
    assert 0 == len(load(tmp_path, shop.catalog.spec, PURCHASE, candidates=False).slots.candidates.offer)


def test_events_of_a_person_count_where_declared(tmp_path: Path) -> None:
    """Somebody buys without naming a decision: then silence has outcomes too, and other offers do not."""
    shop = Shop(Exploration("greedy", silence_floor=1.0))
    silent = shop.say("silent")
    assert not silent.placements[0].offers
    said = Shop()
    shown = said.say("shown")
    other = said.say("other")
    for one in (shop, said):
        one.clock.advance(MINUTE_US)
    shop.report("purchase", None, profile_id="silent", offer="toy-train", value=3.0)
    said.report("purchase", None, profile_id="shown", offer=shown.placements[0].offers[0].offer, value=4.0)
    said.report("purchase", None, profile_id="shown", value=1.0)
    said.report("purchase", None, profile_id="other", offer="tea-towel")
    said.report("impression", shown)
    assert "tea-towel" != other.placements[0].offers[0].offer
    by_person = replace(PURCHASE, attribution="person", aggregate="sum")

    quiet, loud = shop.learned(tmp_path / "quiet", by_person), said.learned(tmp_path / "loud", by_person)

    assert (3.0, "SILENCE") == (of(quiet, "silent")["reward"], of(quiet, "silent")["state"])
    assert (5.0, False) == (of(loud, "shown")["reward"], of(loud, "other")["happened"])
    by_decision = said.learned(tmp_path / "loud")
    assert (False, 3) == (of(by_decision, "shown")["happened"], by_decision.counts["goals_without_decision"])


def rewritten(path: Path, change: Any) -> None:
    """Put another table in place of a file's."""
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)


def a_day(shop: Shop, directory: Path) -> Path:
    """An archive of forty decisions over some hours; its first file."""
    for number in range(40):
        shop.say(f"p{number}")
        shop.clock.advance(10 * MINUTE_US)
    shop.learned(directory)
    return files(directory, "decisions")[0]


def test_a_file_that_was_copied_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A planted duplicate of the log would count every outcome twice."""
    path = a_day(shop, tmp_path)
    shutil.copy(path, path.with_name("00000099-0.parquet"))

    with pytest.raises(PreconditionError, match=r"decisions stand twice, the first is .* in .*00000099-0\.parquet"):
        load(tmp_path, shop.catalog.spec, PURCHASE)


def test_a_shuffled_time_column_is_refused(shop: Shop, tmp_path: Path) -> None:
    """Times that run backwards within a partition were not written by a log."""
    path = a_day(shop, tmp_path)

    def shuffled(table: pa.Table) -> pa.Table:
        order = np.random.default_rng(1).permutation(table.num_rows)
        at = table.schema.get_field_index("decided_at")
        return table.set_column(at, "decided_at", table["decided_at"].take(pa.array(order)))

    rewritten(path, shuffled)

    with pytest.raises(PreconditionError, match=r"times run backwards for .* decided_at was changed or shuffled"):
        load(tmp_path, shop.catalog.spec, PURCHASE)


def test_a_profile_of_later_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A feature that was written after the decision was not known then."""
    path = a_day(shop, tmp_path)

    def later(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("person.written")
        hour = pa.scalar(3_600_000_000, pa.duration("us"))
        return table.set_column(at, "person.written", pc.add(table["decided_at"], hour))

    rewritten(path, later)

    with pytest.raises(PreconditionError, match="were made on a profile that was written later"):
        load(tmp_path, shop.catalog.spec, PURCHASE)


def test_an_id_that_was_used_again_is_not_learned_from(shop: Shop, tmp_path: Path) -> None:
    """Once a request id is forgotten it may be used anew: whose outcome is whose cannot be told then."""
    first = shop.say("p")
    shop.clock.advance(60 * MINUTE_US)
    second = shop.say("p")
    assert first.decision_id == second.decision_id

    logged = shop.learned(tmp_path)

    assert (0, 2) == (len(logged.decisions), logged.counts["decisions_whose_id_was_used_again"])


def test_an_entry_with_two_decisions_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A copy under other ids stands in the same places of the log."""
    path = a_day(shop, tmp_path)
    shutil.copy(path, other := path.with_name("00000099-0.parquet"))

    def renamed(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("decision_id")
        return table.set_column(at, "decision_id", pc.utf8_reverse(table["decision_id"]))

    rewritten(other, renamed)

    with pytest.raises(PreconditionError, match="is held by two decisions"):
        load(tmp_path, shop.catalog.spec, PURCHASE)


def test_a_layout_that_is_not_registered_is_counted(shop: Shop, tmp_path: Path) -> None:
    """Decisions whose features cannot be read are left out, and told."""
    for number in range(3):
        shop.say(f"p{number}")
    shop.store._layouts.clear()

    logged = shop.learned(tmp_path)

    # the one who closes the log has no record, but under the same layout
    assert (0, 4) == (len(logged.decisions), logged.counts["decisions_whose_features_cannot_be_read"])


def test_older_layouts_are_read_by_name(shop: Shop, tmp_path: Path) -> None:
    """A feature that came later has its default, one that went is gone, the others are what they were."""
    shop.say("p")
    shop.learned(tmp_path)
    workspace = tmp_path / "workspace"
    shutil.copytree(MINIMAL, workspace)
    text = (workspace / "features.yaml").read_text()
    features = text.replace("values: [budget, premium]", "values: [premium, budget, new]", 1)
    features = features.replace("profile:\n", "profile:\n  - {name: came_later, type: int, default: 7}\n", 1)
    (workspace / "features.yaml").write_text(features)
    spec = load_workspace(workspace).spec

    logged = load(tmp_path, spec, PURCHASE)

    profile = dict(zip(model_columns(spec.profile), logged.profile()[0].tolist(), strict=True))
    assert (7.0, 10.0, 0.0) == (profile["came_later"], profile["recency_days"], profile["segment"])


def test_what_is_no_archive_is_refused(shop: Shop, tmp_path: Path) -> None:
    """An empty folder, and an archive without decisions, are told apart from one that says nothing happened."""
    with pytest.raises(NotFoundError, match="is no archive of a log"):
        load(tmp_path, shop.catalog.spec, PURCHASE)
    with opened(tmp_path) as archive:
        Drain(shop.store, archive).run()
    with pytest.raises(NotFoundError):
        load(tmp_path, shop.catalog.spec, PURCHASE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"events": ()}, "at least one type"),
        ({"window_us": 0}, "longer than nothing"),
        ({"aggregate": "mean"}, "'mean' is no way to aggregate; it is one of max, sum, first"),
        ({"attribution": "cookie"}, "'cookie' is no way to attribute; it is one of decision, person"),
    ],
)
def test_goals_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    """With what would be right."""
    with pytest.raises(PreconditionError, match=message):
        replace(PURCHASE, **changes)


def test_negative_reactions_and_what_came_anyway_are_told(shop: Shop, tmp_path: Path) -> None:
    """An unsubscription within the window is a reaction, one after it is none; a purchase is told with its offer."""
    soon, late, bought = shop.say("soon"), shop.say("late"), shop.say("bought")
    for decision in (soon, late, bought):
        shop.report("impression", decision, 1_000_000)
    shop.clock.advance(3 * DAY_US)
    shop.report("unsubscribe", soon, DAY_US)
    shop.report("unsubscribe", late, 2 * DAY_US + 2_000_000)
    offer = bought.placements[0].offers[0].offer
    shop.report("purchase", bought, DAY_US, offer=offer)

    logged = shop.learned(tmp_path, replace(PURCHASE, reactions=("unsubscribe",)))

    told = dict(zip(logged.person.texts(), logged.slots.reacted.tolist(), strict=True))
    assert {"soon": True, "late": False, "bought": False} == told
    (row,) = np.flatnonzero(logged.person.texts() == "bought")
    assert [offer] == [logged.slots.offer.names[code] for code in logged.slots.reached.of(row)]
    assert 1 == len(logged.slots.reached.offer)
