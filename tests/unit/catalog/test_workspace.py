"""The minimal workspace, compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from takt.catalog.snapshot import Address, Calendar, Catalog, Channel, Counts, Event, Pressure, Scope, Timing, Zone
from takt.catalog.workspace import check_workspace, load_workspace
from takt.domain.ledger import code16, code32

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"
MINUTE_US = 60_000_000
HOUR_US, DAY_US = 60 * MINUTE_US, 24 * 60 * MINUTE_US


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The workspace as it is committed."""
    return load_workspace(MINIMAL)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(MINIMAL, tmp_path / "workspace"))


def test_nothing_to_complain_about() -> None:
    """The workspace that other tests build on is right and gives no warnings."""
    report = check_workspace(MINIMAL)

    assert ((), ()) == (report.violations, report.warnings)
    assert report.ok


def test_settings(catalog: Catalog) -> None:
    """What is given once."""
    assert ("minimal", "Europe/Berlin", "de-DE") == (catalog.name, catalog.project_zone, catalog.default_locale)
    assert (64, 35 * DAY_US, 2 * DAY_US) == (catalog.max_entries, catalog.keep_us, catalog.late_us)
    assert (1.0, 0.5, "EUR") == (
        catalog.arbitration.exponent,
        catalog.arbitration.annoyance_cost,
        catalog.arbitration.unit,
    )
    assert ("epsilon", 0.05, 0.01) == (
        catalog.exploration.rule,
        catalog.exploration.epsilon,
        catalog.exploration.silence_floor,
    )
    assert ("epsilon", 0.1) == (catalog.exploration.arm_rule, catalog.exploration.arm_epsilon)


def test_channels(catalog: Catalog) -> None:
    """Consent, cost, gap and quiet hours by channel."""
    assert (
        Channel("web", code16("web"), "web.personalisation"),
        Channel("email", code16("email"), "email.marketing", 0.05, 12 * HOUR_US, 21 * 60, 8 * 60),
    ) == catalog.channels


def test_timings(catalog: Catalog) -> None:
    """`now` is this very moment; the others are minutes of a local day."""
    assert (
        Timing("now", 0, -1, -1, (), 15 * MINUTE_US),
        Timing("tonight", 0, 18 * 60, 21 * 60),
        Timing("tomorrow_morning", 1, 8 * 60, 11 * 60),
        Timing("weekend", 0, 10 * 60, 18 * 60, (5, 6)),
    ) == catalog.timings


def test_placements(catalog: Catalog) -> None:
    """Placements with their defaults, and masks of what each may show."""
    hero, row, note, letter = catalog.placements

    assert (0, 1, "content/hero/neutral", 30 * MINUTE_US) == (
        hero.channel,
        hero.max_offers,
        hero.fallback,
        hero.hold_us,
    )
    assert (3, "", 1, 2 * DAY_US) == (row.max_offers, row.fallback, letter.channel, letter.hold_us)
    assert [Counts.IMPRESSION, Counts.IMPRESSION, Counts.CLICK, Counts.DECISION] == [
        placement.counted_event for placement in (hero, row, note, letter)
    ]
    assert [[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 0], [0, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]] == (
        catalog.placement_offers.astype(int).tolist()
    )
    assert [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 1]] == catalog.placement_timings.astype(int).tolist()
    assert [[1, 1], [1, 0], [1, 1], [1, 1]] == catalog.placement_tonalities.astype(int).tolist()


def test_offers(catalog: Catalog) -> None:
    """Offers as values and as arrays."""
    assert ["lawn-mower", "watering-can", "knife-set", "tea-towel", "toy-train", "lease-renewal"] == [
        offer.id for offer in catalog.offers
    ]
    assert [code32(offer.id) for offer in catalog.offers] == catalog.offer_codes.tolist()
    assert [code16("garden"), code16("kitchen")] == catalog.group_codes.tolist()
    assert [0, 0, 1, 1, -1, -1] == catalog.offer_group.tolist()
    assert [1.0, 1.0, 1.0, 1.5, 1.0, 1.0] == catalog.lever.tolist()
    np.testing.assert_array_equal([40.0, 3.5, np.nan, 1.0, 9.0, 120.0], catalog.value)
    assert [2] == [o for o, rule in enumerate(catalog.value_rule) if rule is not None]
    assert [0, 1_767_225_600_000_000] == catalog.valid_from_us[:2].tolist()
    assert [np.iinfo(np.int64).max, 1_798_761_600_000_000] == catalog.valid_until_us[:2].tolist()


def test_offer_attributes(catalog: Catalog) -> None:
    """Attributes are packed in the layout of the feature spec, defaults included."""
    place = catalog.spec.offer.places
    table = catalog.offer_table

    assert [299.0, 12.5, 80.0, 4.0, 35.0] == table["num"][:5, place["price"].column].tolist()
    assert [1.0, 5.0] == table["num"][1:3, place["pieces"].column].tolist()
    assert [1, 1, 2, 2, 3, 0] == table["cat"][:, place["department"].column].tolist()
    assert [0b10, 0b11, 0b10, 0b01, 0b11, 0] == table["flags"][:, place["fits"].column].tolist()
    assert 1_772_323_200_000_000 == table["ts"][0, place["launched"].column]


def test_rules(catalog: Catalog) -> None:
    """Rules for many offers come first, then those of single offers, named by their text."""
    assert {
        "dear-for-premium": [0, 1, 2, 3],
        "clearance-needs-login": [0, 1, 2, 3, 4, 5],
        '"garden" in profile.interests': [0],
        "offer.launched <= now": [0],
        "profile.visits_30d > 2": [2],
        'context.page == "basket" || context.channel == "email"': [2],
        'has(profile.lease_end) && profile.lease_end - now < duration("2160h")': [5],
    } == {rule.id: np.flatnonzero(catalog.rule_offers[k]).tolist() for k, rule in enumerate(catalog.rules)}
    assert "offers.yaml:7" == catalog.rules[2].where


def test_stages_and_weights(catalog: Catalog) -> None:
    """The last stage has no rule; a weight knows its offers."""
    assert [("purchase", True), ("evaluate", False)] == [(stage.id, stage.rule is not None) for stage in catalog.stages]
    assert [("basket-kitchen", 1.2, [2, 3]), ("loyal", 1.1, [0, 1, 2, 3, 4, 5])] == [
        (weight.id, weight.times, np.flatnonzero(weight.offers).tolist()) for weight in catalog.weights
    ]


def test_caps(catalog: Catalog) -> None:
    """All five scopes, rolling and calendar windows, and what each cap covers."""
    assert [
        ("person-week", Scope.PROFILE, 5, 7 * DAY_US, Calendar.ROLLING, Zone.CUSTOMER, Counts.DECISION, [True]),
        ("web-day", Scope.CHANNEL, 4, 0, Calendar.DAY, Zone.CUSTOMER, Counts.DECISION, [True, False]),
        (
            *("hero-day", Scope.PLACEMENT, 2, DAY_US, Calendar.ROLLING, Zone.CUSTOMER, Counts.IMPRESSION),
            [True, False, False, False],
        ),
        ("group-month", Scope.GROUP, 6, 0, Calendar.MONTH, Zone.PROJECT, Counts.DECISION, [True, True]),
        ("offer-week", Scope.OFFER, 1, 7 * DAY_US, Calendar.ROLLING, Zone.CUSTOMER, Counts.DECISION, [True] * 6),
    ] == [
        (cap.id, cap.scope, cap.limit, cap.window_us, cap.calendar, cap.zone, cap.counts, cap.keys.tolist())
        for cap in catalog.caps
    ]


def test_pressure_and_the_gap_over_all_channels(tmp_path: Path) -> None:
    """Neither is there unless it is declared."""
    shutil.copytree(MINIMAL, tmp_path / "workspace")
    declared = tmp_path / "workspace" / "catalog.yaml"
    text = declared.read_text()
    said = "annoyance_cost: 0.5, pressure: {per_contact: 0.02, per_dismissal: 0.1, half_life: 3d, channels: own}"
    declared.write_text("minimum_gap: 2h\n" + text.replace("annoyance_cost: 0.5", said))

    before, after = load_workspace(MINIMAL), load_workspace(tmp_path / "workspace")

    assert (None, 0) == (before.arbitration.pressure, before.gap_us)
    assert (Pressure(0.02, 0.1, 3 * DAY_US, own_channel=True), 2 * HOUR_US) == (
        after.arbitration.pressure,
        after.gap_us,
    )


def test_events(catalog: Catalog) -> None:
    """Declared events on top of those that are there by default."""
    assert {
        "impression": Event("impression", Counts.IMPRESSION),
        "click": Event("click", Counts.CLICK),
        "accept": Event("accept", Counts.CLICK),
        "purchase": Event("purchase", Counts.CLICK),
        "dismiss": Event("dismiss", None, presses=True),
        "reject": Event("reject", None, suppress="offer", suppress_us=30 * DAY_US, presses=True),
        "unsubscribe": Event("unsubscribe", None),
        "ticket_opened": Event("ticket_opened", None),
        "not_shown": Event("not_shown", None, releases=True),
        "complaint": Event("complaint", None, suppress="group"),
    } == catalog.events


def test_treatments(catalog: Catalog) -> None:
    """An offer's own treatments come first, then those of the templates, in their order."""
    names = [treatment.id for treatment in catalog.treatments]

    assert ["lease-formal", "lease-informal", "lease-web", "lawn-mower-web-factual-neutral-de-DE"] == names[:4]
    assert "knife-set-web-factual-neutral-en-GB" == names[-1]
    assert 3 + 5 * 2 * 2 + 1 == len(names)
    assert "content/knife-set/web/factual/en" == catalog.treatments[-1].content


def test_which_treatment(catalog: Catalog) -> None:
    """Channel, wish, locale, tonality and offer name a treatment, or none."""

    def chosen(channel: str, wish: Address, locale: str, tonality: str, offer: str) -> str:
        index = catalog.treatment_of[
            [c.id for c in catalog.channels].index(channel),
            wish,
            0 if not locale else 1 + catalog.locales.index(locale),
            catalog.tonalities.index(tonality),
            [o.id for o in catalog.offers].index(offer),
        ]
        return catalog.treatments[index].id if index >= 0 else ""

    assert "knife-set-web-factual-neutral-en-GB" == chosen("web", Address.FORMAL, "en-GB", "factual", "knife-set")
    assert "knife-set-web-warm-neutral-de-DE" == chosen("web", Address.FORMAL, "en-GB", "warm", "knife-set")
    assert "lease-formal" == chosen("email", Address.NEUTRAL, "", "factual", "lease-renewal")
    assert "lease-formal" == chosen("email", Address.INFORMAL, "", "factual", "lease-renewal")
    assert "lease-informal" == chosen("email", Address.INFORMAL, "de-DE", "warm", "lease-renewal")
    assert "" == chosen("email", Address.FORMAL, "de-DE", "warm", "lease-renewal")
    lease = [[False, False, False], [True, True, False]]
    assert lease == catalog.address_blocked[[1, 0], :, 5].tolist()
    assert not catalog.address_blocked[:, :, :5].any()


def test_the_version_is_of_the_content(workspace: Path, catalog: Catalog) -> None:
    """Comments and the order of keys do not change the version; anything that is said does."""
    path = workspace / "catalog.yaml"
    text = path.read_text()

    path.write_text(
        "# a comment\n" + text.replace("unit: EUR\n", "").replace("name: minimal", "unit: EUR\nname: minimal")
    )
    same = load_workspace(workspace).version
    path.write_text(text.replace("limit: 5", "limit: 6"))
    other = load_workspace(workspace).version
    features = workspace / "features.yaml"
    path.write_text(text)
    features.write_text(features.read_text().replace("min: 0, max: 10000", "min: 0, max: 9000"))
    bounds = load_workspace(workspace).version

    assert catalog.version == same
    assert 3 == len({catalog.version, other, bounds})
    assert 16 == len(catalog.version)


@pytest.mark.parametrize(
    ("filename", "old", "new", "warning"),
    [
        ("offers.yaml", "tags: [row]\n    value: 40", "tags: [rows]\n    value: 40", ""),
        (
            "catalog.yaml",
            "timings: [tonight, tomorrow_morning, weekend]",
            "timings: [tonight, weekend]",
            "has no placement",
        ),
        (
            "catalog.yaml",
            "tonalities: [factual, warm]",
            "tonalities: [factual, warm, playful]",
            "'playful' has no treatment",
        ),
        (
            "catalog.yaml",
            "groups: [garden, kitchen]\n",
            "groups: [garden, kitchen, toys]\n",
            "group 'toys' has no offer",
        ),
        (
            "catalog.yaml",
            "groups: [kitchen]}, confirms",
            "groups: [toys]}, confirms",
            "placement 'basket_note' has no offers",
        ),
        (
            "catalog.yaml",
            "limit: 1, window: 7d",
            "limit: 1, window: 7d, counts: impression",
            "cap 'offer-week' counts impressions",
        ),
        ("offers.yaml", ", toy-train]}\n    id", "]}\n    id", "offer 'toy-train' has no treatment"),
        ("offers.yaml", "'context.page == \"basket\"'", "'true'", ""),
        ("offers.yaml", "'profile.visits_30d > 2'", "'1 < 2'", "reads nothing"),
        ("features.yaml", "consents: [web", "consents: [phone, web", "no channel asks for the consent 'phone'"),
        ("features.yaml", "offer:\n", "offer:\n  - {name: idle, type: int, model: false}\n", "read by no rule: 'idle'"),
    ],
)
def test_warnings(workspace: Path, filename: str, old: str, new: str, *, warning: str) -> None:
    """What looks like a slip is said, and the workspace is still accepted."""
    path = workspace / filename
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if "toys]}" in new:
        catalog = workspace / "catalog.yaml"
        catalog.write_text(
            catalog.read_text().replace("groups: [garden, kitchen]\n", "groups: [garden, kitchen, toys]\n")
        )

    report = check_workspace(workspace)

    assert report.ok, report.violations
    said = [found.message for found in report.warnings]
    assert (warning != "") == any(warning in message for message in said), said
