"""Total caps as a workspace declares them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from takt.catalog.snapshot import Calendar, Scope, Zone
from takt.catalog.workspace import load_workspace
from takt.errors import WorkspaceError

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"
FIRST = "  - {id: person-week, scope: profile, limit: 5, window: 7d}\n"


def with_cap(path: Path, cap: str) -> Path:
    """The small workspace with one cap more."""
    workspace = path / "workspace"
    shutil.copytree(MINIMAL, workspace)
    catalog = workspace / "catalog.yaml"
    text = catalog.read_text(encoding="utf-8")
    assert FIRST in text
    catalog.write_text(text.replace(FIRST, f"  - {cap}\n{FIRST}"), encoding="utf-8")
    return workspace


def test_a_total_covers_offers_and_groups_on_channels(tmp_path: Path) -> None:
    """Offers and members of groups add up, in one count, on the channels listed; the zone is the project's."""
    of = "{offers: [lawn-mower], groups: [kitchen], channels: [web]}"
    cap = f"{{id: milk, scope: total, limit: 10000, window: month, of: {of}}}"
    catalog = load_workspace(with_cap(tmp_path, cap))
    total = catalog.caps[0]
    assert (Scope.TOTAL, 10_000, Calendar.MONTH, Zone.PROJECT) == (total.scope, total.limit, total.calendar, total.zone)
    kitchen = catalog.groups.index("kitchen")
    assert [o.id == "lawn-mower" or o.group == kitchen for o in catalog.offers] == total.keys.tolist()
    assert total.channels is not None
    assert [c.id == "web" for c in catalog.channels] == total.channels.tolist()


def test_a_total_without_more_covers_everything_for_good(tmp_path: Path) -> None:
    """`ever` has no end, and millions are possible."""
    total = load_workspace(with_cap(tmp_path, "{id: all, scope: total, limit: 5000000, window: ever}")).caps[0]
    assert (Calendar.EVER, True, 5_000_000) == (total.calendar, bool(total.keys.all()), total.limit)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("window: 7d", "is '7d'; a total is for a day, week or month, or ever: a rolling window would have to know"),
        ("window: day, zone: customer", "a total is one window for all customers: project, or an IANA time zone"),
        ("window: day, zone: Europe/Berlinn", "an IANA time zone like Europe/Berlin"),
        ("window: ever, zone: Europe/Berlin", "ever is the same everywhere"),
        ("window: day, of: {offers: []}", "covers nothing"),
        ("window: day, of: {offers: [milkk]}", "offer 'milkk' is unknown"),
        ("window: day, of: {placements: [home_hero]}", "unknown key 'placements'"),
    ],
)
def test_a_total_that_cannot_be_is_refused(tmp_path: Path, keys: str, message: str) -> None:
    """With what would be right."""
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(with_cap(tmp_path, f"{{id: all, scope: total, limit: 5, {keys}}}"))
    assert message in str(caught.value)
