"""A workspace that is wrong anywhere is refused, and every error names file, line and key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from takt.catalog.workspace import check_workspace, load_workspace
from takt.domain.ledger import code16
from takt.errors import WorkspaceError

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"
CATALOG, OFFERS, FEATURES = "catalog.yaml", "offers.yaml", "features.yaml"
CATALOG_CASES = [
    # settings
    ("name: minimal", "name: 5", "name", "is 5; text is needed"),
    ("time_zone: Europe/Berlin", "time_zone: Europe/Berlinn", "time_zone", "an IANA time zone like Europe/Berlin"),
    ("locale: de-DE", "locale: sv", "locale", "nobody has the locale 'sv'"),
    ("unit: EUR", "unit:", "unit", "has no value"),
    ("unit: EUR", "currency: EUR", "currency", "unknown key 'currency'"),
    ("max_entries: 64", "max_entries: 2", "ledger.max_entries", "a whole number from 8 to 16384"),
    ("keep: 35d", "keep: 35d, late: 1h", "ledger.late", "is 1h; from 1d to 35d is allowed"),
    ("keep: 35d", "keep: 7d", "ledger.keep", "is 7d; from 35d to 3650d is allowed"),
    ("exponent: 1.0", "exponent: 0", "arbitration.exponent", "a number above 0 is needed"),
    ("annoyance_cost: 0.5", "annoyance_cost: -1", "arbitration.annoyance_cost", "a number of at least 0"),
    ("{rule: epsilon, epsilon: 0.05", "{rule: thompson, epsilon: 0.05", "exploration.rule", "'greedy', 'epsilon'"),
    (
        "{rule: epsilon, epsilon: 0.05",
        "{rule: softmax, epsilon: 0.05",
        "exploration.epsilon",
        "which takes temperature",
    ),
    ("epsilon: 0.1}", "epsilon: 2}", "exploration.arms.epsilon", "a number from 0.0 to 1.0"),
    ("silence_floor: 0.01", "silence_floor: x", "exploration.silence_floor", "is 'x'; a number from"),
    ("name: minimal", "minimum_gap: soon\nname: minimal", "minimum_gap", "a duration like 90s, 15m, 12h or 7d"),
    ("name: minimal", "minimum_gap: 36d\nname: minimal", "minimum_gap", "is longer than contacts are kept (35d)"),
    (
        "annoyance_cost: 0.5",
        "annoyance_cost: 0.5, pressure: {per_contact: 0.02}",
        "arbitration.pressure.half_life",
        "a duration like 3d",
    ),
    (
        "annoyance_cost: 0.5",
        "annoyance_cost: 0.5, pressure: {half_life: 3d}",
        "arbitration.pressure",
        "weighs nothing",
    ),
    (
        "annoyance_cost: 0.5",
        "pressure: {per_contact: 0.02, half_life: 3d}",
        "arbitration.pressure",
        "costs nothing without an annoyance_cost",
    ),
    (
        "annoyance_cost: 0.5",
        "annoyance_cost: 0.5, pressure: {per_contact: -1, half_life: 3d}",
        "arbitration.pressure.per_contact",
        "a number from 0",
    ),
    (
        "annoyance_cost: 0.5",
        "annoyance_cost: 0.5, pressure: {per_contact: 0.02, half_life: 3d, channels: web}",
        "arbitration.pressure.channels",
        "'all'",
    ),
    # channels
    ("minimum_gap: 12h", "minimum_gap: 36d", "channels[1].minimum_gap", "is longer than contacts are kept (35d)"),
    ("consent: web.personalisation", "consent: web.personalization", "channels[0].consent", "'web.personalisation'?"),
    ("{id: web, consent", "{id: 'the web', consent", "channels[0].id", "is no name of a channel; use letters"),
    ("minimum_gap: 12h", "minimum_gap: 12 hours", "channels[1].minimum_gap", "a duration like 90s, 15m, 12h or 7d"),
    ("contact_cost: 0.05", "contact_cost: cheap", "channels[1].contact_cost", "is 'cheap'; a number"),
    ('"21:00-08:00"', '"21-8"', "channels[1].quiet_hours", "two times like"),
    ('"21:00-08:00"', '"21:00-21:00"', "channels[1].quiet_hours", "begins where it ends"),
    # timings, tonalities
    ("tonalities: [factual, warm]\n\n", "tonalities: [factual, warm, warm]\n\n", "tonalities[2]", "declared twice"),
    ("{id: now, for: 15m}", '{id: now, from: "10:00"}', "timings[0].from", "`now`, which is this very moment"),
    ('{id: tonight, from: "18:00"', '{id: tonight, from: "6pm"', "timings[1].from", 'a time like "18:00"'),
    ('{id: tonight, from: "18:00", to', "{id: tonight, to", "timings[1].from", "is missing"),
    (
        '{id: tonight, from: "18:00"',
        '{id: tonight, for: 1h, from: "18:00"',
        "timings[1].for",
        "for the timing `now` only",
    ),
    ('to: "21:00"}', 'to: "17:00"}', "timings[1].to", "is not later than `from`"),
    ("day: 1", "day: 99", "timings[2].day", "from 0 to 30"),
    ("[sat, sun]", "[sat, sunday]", "timings[3].weekdays[1]", "did you mean 'sun'?"),
    # placements
    ("{id: home_hero, channel: web,", "{id: home_hero, channel: wep,", "placements[0].channel", "did you mean 'web'?"),
    ("{id: home_hero, channel: web,", "{id: home_hero,", "placements[0].channel", "is missing"),
    ("timings: [now], fallback", "timings: [soon], fallback", "placements[0].timings[0]", "timing 'soon' is unknown"),
    ("timings: [now], fallback", "timings: [], fallback", "placements[0].timings", "list at least one timing"),
    ("timings: [now], fallback", "timings: [now, now], fallback", "placements[0].timings[1]", "listed twice"),
    ("max_offers: 3", "max_offers: 0", "placements[1].max_offers", "from 1 to 100"),
    ("tonalities: [factual]\n", "tonalities: []\n", "placements[1].tonalities", "leave the key out for all"),
    ("tags: [row]", "tags: [raw]", "placements[1].offers.tags[0]", "did you mean 'row'?"),
    ("ids: [toy-train]", "ids: [toy-trane]", "placements[1].offers.ids[0]", "did you mean 'toy-train'?"),
    ("{groups: [kitchen]}, confirms", "{group: [kitchen]}, confirms", "placements[2].offers.group", "unknown key"),
    ("{groups: [kitchen]}, confirms", "{groups: []}, confirms", "placements[2].offers", "selects nothing"),
    ("confirms: click", "confirms: clicks", "placements[2].confirms", "did you mean 'click'?"),
    ("hold: 2d", "hold: 0d", "placements[3].hold", "a duration like"),
    # stages
    ("3.0'}", "3'}", "27: stages[0].when", "write 3.0"),
    ("  - {id: evaluate}", "  - {id: evaluate, when: 'true'}", "stages[1].when", "the last stage takes everybody"),
    (
        "  - {id: evaluate}",
        "  - {id: evaluate}\n  - {id: purchase}",
        "stages[1].when",
        "only the last stage has no rule",
    ),
    ("'profile.recency_days < 3.0'", "'offer.price < 3.0'", "stages[0].when", "no offer has been looked at"),
    ("'profile.recency_days < 3.0'", "'context.hour < 3'", "stages[0].when", "the service has not filled it"),
    ("  - {id: evaluate}", "  - {id: browse}", "stages[1].id", "is not among the values of context.stage"),
    # caps
    ("scope: profile, limit: 5", "scope: person, limit: 5", "caps[0].scope", "known are 'profile', 'channel'"),
    ("scope: profile, limit: 5", "scope: profile", "caps[0].limit", "is missing"),
    ("limit: 5, window: 7d", "limit: 5, window: 7days", "caps[0].window", "or day, week or month is needed"),
    ("limit: 5, window: 7d", "limit: 5, window: 36d", "caps[0].window", "longer than contacts are kept (35d)"),
    ("limit: 5, window: 7d", "limit: 5, window: 7d, of: [x]", "caps[0].of", "the person as a whole"),
    ("limit: 5, window: 7d", "limit: 5, window: 7d, zone: project", "caps[0].zone", "is the same everywhere"),
    ("of: [web]", "of: [www]", "caps[1].of[0]", "channel 'www' is unknown"),
    ("of: [web]", "of: []", "caps[1].of", "leave the key out for all"),
    ("zone: project", "zone: Paris", "caps[3].zone", "customer, project, or an IANA time zone"),
    ("counts: impression}\n  - {id: group", "counts: view}\n  - {id: group", "caps[2].counts", "'impression'"),
    # events
    ("{scope: offer, for: 30d}", "{scope: all, for: 30d}", "events[0].suppress.scope", "'none', 'offer', 'group'"),
    ("{id: complaint, ", "{id: complaint, releases: true, confirms: click, ", "events[1]", "cannot both confirm and"),
]
OFFER_CASES = [
    ("  - id: toy-train\n", "  - id: tea-towel\n", "offers[4].id", "declared twice, first in offers.yaml line"),
    ("    value: 9.0", "    value: -9", "offers[4].value", "a number of at least 0"),
    ("    value: 9.0", "    worth: 9.0", "offers[4].worth", "unknown key"),
    ("offer.price * 0.25", "offer.price * 1", "13: offers[2].value", "needs two numbers of one kind"),
    ("offer.price * 0.25", "offer.price > 0.25", "13: offers[2].value", "a value must be a number"),
    ("group: garden\n    tags", "group: gardens\n    tags", "offers[0].group", "did you mean 'garden'?"),
    (
        "eligible: ['profile.visits",
        "eligible: []\n    ignored: ['profile.visits",
        "offers[2].eligible",
        "list at least",
    ),
    ("when: 'context.page == \"basket\"'", "when: ", "weights[0].when", "has no value"),
    ("channels: [web]", "channels: []", "treatment_templates[1].channels", "list at least one channel"),
    ("lever: 1.5", "lever: high", "offers[3].lever", "is 'high'; a number"),
    ("until: 2027-01-01T00:00:00Z", "until: 2025-01-01T00:00:00Z", "offers[1].valid.until", "never be valid"),
    ("until: 2027-01-01T00:00:00Z", "until: 2027-01-01", "offers[1].valid.until", "a moment with its offset"),
    ("price: 35.0", "price: dear", "offers[4].attributes.price", "number"),
    ("price: 35.0", "price: -35.0", "offers[4].attributes.price", "0.0 or more"),
    ("price: 35.0", "prize: 35.0", "offers[4].attributes.prize", "did you mean 'price'?"),
    ("department: toys", "department: toy", "offers[4].attributes.department", "'toys'"),
    ("fits: [premium], launched", "fits: [rich], launched", "offers[0].attributes.fits", "'budget', 'premium'"),
    ("launched: 2026-03-01T00:00:00Z", "launched: March", "offers[0].attributes.launched", "a moment with its offset"),
    ("pieces: 5", "pieces: [5]", "offers[2].attributes.pieces", "is no value"),
    ("'profile.visits_30d > 2'", "'profile.visits > 2'", "25: offers[2].eligible[0]", "did you mean 'visits_30d'?"),
    ('context.page == "basket" ||', 'context.page == "cart" ||', "43: offers[2].eligible[1]", "never 'cart'"),
    ("id: lease-informal,", "id: lease-formal,", "offers[5].treatments[1].id", "declared twice"),
    ("address: formal", "address: polite", "offers[5].treatments[0].address", "'neutral', 'formal', 'informal'"),
    (
        "id: lease-formal, channel: email",
        "id: lease-formal, channel: post",
        "offers[5].treatments[0].channel",
        "unknown",
    ),
    (
        "locale: de-DE, content: content/lease/web",
        "locale: fr, content: x",
        "offers[5].treatments[2].locale",
        "nobody has",
    ),
    (
        "tonality: warm, address: informal",
        "tonality: factual, address: formal",
        "offers[5].treatments[1]",
        "the same channel",
    ),
    ("{offer}/{channel}/{tonality}/en", "{offr}", "treatment_templates[1].content", "did you mean 'offer'?"),
    ("locales: [en-GB]", "locales: [sv]", "treatment_templates[1].locales[0]", "nobody has the locale 'sv'"),
    ("ids: [knife-set]", "tags: [sharp]", "treatment_templates[1].offers.tags[0]", "no offer has the tag 'sharp'"),
    ("times: 1.2}", "times: -1}", "weights[0].times", "a number of at least 0"),
    (", times: 1.1}", "}", "weights[1].times", "is missing"),
    ("{id: loyal,", "{id: basket-kitchen,", "weights[1].id", "weight 'basket-kitchen' is declared twice"),
    (
        "clearance-needs-login, when: '!offer",
        "clearance-needs-login, wen: '!offer",
        "eligibility[1].wen",
        "unknown key",
    ),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the minimal workspace to break."""
    return Path(shutil.copytree(MINIMAL, tmp_path / "workspace"))


def _edit(workspace: Path, filename: str, old: str, new: str) -> int:
    """Replace the first `old` and return the line on which the replacement begins."""
    path = workspace / filename
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def _found(workspace: Path) -> list[tuple[str, str]]:
    """Violations of a workspace, by place."""
    return [(violation.field, violation.message) for violation in check_workspace(workspace).violations]


@pytest.mark.parametrize(
    ("filename", "old", "new", "key", "message"),
    [(CATALOG, *case) for case in CATALOG_CASES] + [(OFFERS, *case) for case in OFFER_CASES],
)
def test_errors_are_named(workspace: Path, filename: str, old: str, new: str, *, key: str, message: str) -> None:
    """Each error stands at its file, line and key (in a rule, also column), and says what would be right."""
    line = _edit(workspace, filename, old, new)
    column, _, path = key.rpartition(": ")
    place = f"{filename}:{line}:{column}: {path}" if column else f"{filename}:{line}: {path}"

    found = _found(workspace)

    assert [] != [said for where, said in found if where == place and message in said], (place, found)


def test_all_errors_at_once(workspace: Path) -> None:
    """Errors of all files are found in one reading, and come in the order of files and lines."""
    lines = [
        (FEATURES, _edit(workspace, FEATURES, "type: int, default: 0, min: 0", "type: integer, min: 0")),
        (CATALOG, _edit(workspace, CATALOG, "tonalities: [factual, warm]", "tonalities: []")),
        (CATALOG, _edit(workspace, CATALOG, "limit: 5", "limit: none")),
        (OFFERS, _edit(workspace, OFFERS, "value: 3.5", "value: -3.5")),
        (OFFERS, _edit(workspace, OFFERS, "times: 1.2", "times: often")),
    ]

    with pytest.raises(WorkspaceError) as caught:
        load_workspace(workspace)

    found = [violation.field.split(":")[:2] for violation in caught.value.violations]
    order = {FEATURES: 0, CATALOG: 1, OFFERS: 2}
    assert [] == [place for place in lines if [place[0], str(place[1])] not in found]
    assert found == sorted(found, key=lambda place: (order[place[0]], int(place[1])))


def test_errors_over_several_lines(workspace: Path) -> None:
    """In a rule written as a block, the error stands at its own line and column."""
    _edit(
        workspace,
        OFFERS,
        "    value: 9.0\n",
        "    eligible: |\n      profile.subscriber\n        || offer.prize > 1.0\n    value: 9.0\n",
    )

    found = [where for where, _ in _found(workspace)]

    assert ["offers.yaml:32:18: offers[4].eligible"] == found


def test_missing_files(tmp_path: Path) -> None:
    """A directory that is no workspace says which files it lacks; a file that would not be read is named."""
    (tmp_path / "offers.yml").touch()

    assert [FEATURES, CATALOG, "offers.yml"] == [where for where, _ in _found(tmp_path)]
    assert [str(tmp_path / "nowhere")] == [where for where, _ in _found(tmp_path / "nowhere") if "/" in where]


def test_unreadable_files(workspace: Path) -> None:
    """What is no YAML and what is no text is named, and the rest is still checked."""
    (workspace / "broken.yaml").write_text("offers: [\n")
    (workspace / "binary.yaml").write_bytes(b"\xff\xfe")
    _edit(workspace, CATALOG, "limit: 5", "limit: none")

    found = dict(_found(workspace))

    assert "limit" in next(where for where in found if where.startswith("catalog.yaml"))
    assert "not readable as YAML" in found["broken.yaml:2"]
    assert "cannot be read as UTF-8 text" in found["binary.yaml"]


def test_settings_are_given_once(workspace: Path) -> None:
    """Lists of several files are joined; a setting in two files is refused."""
    (workspace / "more.yaml").write_text("name: other\ngroups: [music]\n")

    assert [("more.yaml:1: name", "is given in catalog.yaml line 1 already; keep one")] == _found(workspace)


def test_ledger_codes_that_clash(workspace: Path) -> None:
    """Two names with the same ledger code are refused, and a `code` mends it for good."""
    first, second = "group-22", "group-149"
    assert code16(first) == code16(second)
    line = _edit(workspace, CATALOG, "groups: [garden, kitchen]", f"groups: [garden, kitchen, {first}, {second}]")

    found = _found(workspace)
    _edit(workspace, CATALOG, f"{first}, {second}", f"{first}, {{id: {second}, code: 7}}")

    said = (
        f"group {second!r} has the same ledger code as {first!r} ({code16(first)}); "
        "give one of them a key `code:` with another number from 1 to 65535, for good"
    )
    assert [(f"{CATALOG}:{line}: groups[3]", said)] == found
    assert [] == _found(workspace)
    assert [code16(first), 7] == load_workspace(workspace).group_codes.tolist()[2:]


@pytest.mark.parametrize("missing", ["channels", "tonalities", "timings", "placements", "offers"])
def test_what_no_workspace_can_do_without(workspace: Path, missing: str) -> None:
    """A workspace without channels, offers and the like is refused for that."""
    for filename in (CATALOG, OFFERS):
        path = workspace / filename
        kept, keep = [], True
        for line in path.read_text().splitlines():
            keep = not line.startswith(f"{missing}:") if line[:1].strip() else keep
            kept.append(line if keep else "")
        path.write_text("\n".join(kept))

    assert any(where.endswith(f": {missing}") and "at least one" in said for where, said in _found(workspace))
