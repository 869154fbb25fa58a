"""The proof's own count must be able to find fault."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Catalog, Counts, Scope, Zone
from takt.catalog.workspace import load_workspace
from takt.clock import DAY_US, HOUR_US
from takt.v1 import decision_pb2
from tests.proofs.counting import Count, fullest
from tests.proofs.figures import Figures

NOON_US = round(datetime(2026, 3, 4, 17, tzinfo=UTC).timestamp()) * 1_000_000
"""Noon in New York, on a Wednesday."""
CAP = Cap("cap", Scope.PROFILE, 2, DAY_US, Calendar.ROLLING, Zone.CUSTOMER, "", Counts.DECISION, np.ones(1, np.bool_))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """A workspace of which only the caps are changed."""
    return load_workspace(Path(__file__).parents[1] / "workspaces" / "minimal")


def capped(catalog: Catalog, scope: Scope, limit: int) -> Catalog:
    """The catalog with one cap, on everything of this scope."""
    things = {
        Scope.PROFILE: 1,
        Scope.CHANNEL: len(catalog.channels),
        Scope.PLACEMENT: len(catalog.placements),
        Scope.GROUP: len(catalog.groups),
        Scope.OFFER: len(catalog.offers),
    }[scope]
    return replace(catalog, caps=(replace(CAP, scope=scope, limit=limit, keys=np.ones(things, np.bool_)),))


def answer(
    catalog: Catalog, decision: str, shown: Iterable[tuple[int, int]], *, at_us: int = NOON_US, dry_run: bool = False
) -> decision_pb2.DecideResponse:
    """A decision that shows these (placement, offer) pairs."""
    made = decision_pb2.DecideResponse(decision_id=decision, profile_id="p", dry_run=dry_run)
    for placement, offer in shown:
        where = catalog.placements[placement]
        filled = made.placements.add(placement=where.id)
        one = filled.offers.add(offer=catalog.offers[offer].id, channel=catalog.channels[where.channel].id)
        one.timing.not_before.FromMicroseconds(at_us)
    return made


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope.PROFILE, 1),  # two decisions on one channel: two occasions
        (Scope.CHANNEL, 1),
        (Scope.PLACEMENT, 1),  # the first placement is filled twice
        (Scope.OFFER, 1),  # the first offer is shown twice
    ],
)
def test_one_contact_too_many_is_found(catalog: Catalog, scope: Scope, expected: int) -> None:
    """With a limit of one, the second contact is an excess, whatever the cap counts by."""
    web = [i for i, placement in enumerate(catalog.placements) if placement.channel == catalog.placements[0].channel]
    count = Count()
    count.add([answer(catalog, "d1", [(web[0], 0), (web[1], 1)]), answer(catalog, "d2", [(web[0], 0)])])
    assert expected == count.over_delivered(capped(catalog, scope, 1))
    assert 0 == count.over_delivered(capped(catalog, scope, 2))
    assert ["cap"] == count.reached(capped(catalog, scope, 2))


def test_an_answer_given_twice_is_one_contact(catalog: Catalog) -> None:
    """A repeat shows the same contact, and a dry run none."""
    count = Count()
    count.add([answer(catalog, "d1", [(0, 0)])] * 2)
    count.add([answer(catalog, "d2", [(0, 0)], dry_run=True)])
    assert 1 == count.fullest_of(capped(catalog, Scope.OFFER, 1), capped(catalog, Scope.OFFER, 1).caps[0], "p")


def test_rolling_windows_end() -> None:
    """A window of a day holds what is less than a day apart."""
    assert 1 == fullest([NOON_US, NOON_US + DAY_US], CAP, "UTC")
    assert 2 == fullest([NOON_US, NOON_US + DAY_US - 1], CAP, "UTC")


@pytest.mark.parametrize(
    ("calendar", "hours", "expected"),
    [
        (Calendar.DAY, 11, 2),
        (Calendar.DAY, 12, 1),
        (Calendar.WEEK, 4 * 24 + 10, 2),  # summer time begins that Sunday
        (Calendar.WEEK, 4 * 24 + 11, 1),
        (Calendar.MONTH, 27 * 24, 2),
        (Calendar.MONTH, 28 * 24, 1),
    ],
)
def test_calendar_windows_end_at_midnight(calendar: Calendar, hours: int, expected: int) -> None:
    """Days, weeks and months are those of the customer's zone."""
    assert expected == fullest([NOON_US, NOON_US + hours * HOUR_US], replace(CAP, calendar=calendar), "UTC")


def test_a_missed_bar_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure beyond its bar is told, and fails the proof."""
    figures = Figures()
    figures.check("fine", 0, "== 0")
    figures.check("wrong", 3, "<= 2")
    figures.check("told", 7.5, "shown")
    assert 1 == figures.end()
    assert "MISS wrong = 3" in capsys.readouterr().out
    assert [True, False, True] == [figure["ok"] for figure in figures.kept.values()]
