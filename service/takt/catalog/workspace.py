"""A workspace directory to a catalog: everything that is wrong is found at once, and then nothing is loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from takt.catalog.choice import choose
from takt.catalog.conditions import Conditions, Eligibility
from takt.catalog.delivery import Delivery
from takt.catalog.lint import lint
from takt.catalog.offers import Offers
from takt.catalog.policy import (
    check_zone,
    lookbacks,
    read_arbitration,
    read_caps,
    read_events,
    read_exploration,
    read_gap,
    read_ledger,
)
from takt.catalog.selector import Selectors
from takt.catalog.snapshot import Catalog, Scope, Stage, Weight
from takt.catalog.sources import FEATURES, MAIN, Sources, read_directory, read_files
from takt.catalog.treatments import Treatments, language
from takt.domain.edition import SourceFile
from takt.errors import Violation, WorkspaceError
from takt.features.record import pack_section
from takt.spelling import did_you_mean, shown
from takt.yamlmarks import Problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_WHERE: Final = re.compile(r"([^:]*):(?:(\d+)(?::(\d+))?)?")


class CheckReport(Struct, frozen=True, eq=False):
    """What is to be said of a workspace."""

    violations: tuple[Violation, ...]
    """What is wrong, in the order of files and lines. With any, there is no catalog."""
    warnings: tuple[Violation, ...]
    """What is allowed and looks like a slip. Found only where nothing is wrong."""
    catalog: Catalog | None
    lookbacks: tuple[tuple[str, int], ...] = ()
    """Where something looks back on contacts, and for how many microseconds; of a workspace that is right."""

    @property
    def ok(self) -> bool:
        """Whether the workspace can be put in force."""
        return self.catalog is not None


def load_workspace(directory: Path) -> Catalog:
    """The catalog of a workspace. Raises `WorkspaceError` with every violation, each with file, line and key."""
    report = check_workspace(directory)
    if report.catalog is None:
        raise WorkspaceError(report.violations)
    return report.catalog


def check_workspace(directory: Path) -> CheckReport:
    """Check a workspace as a whole, and compile it if nothing is wrong."""
    return read_workspace(directory)[0]


def read_workspace(directory: Path) -> tuple[CheckReport, tuple[SourceFile, ...]]:
    """Check a workspace, and give its files as they were checked; those that cannot be read are not among them."""
    problems = Problems()
    texts = read_directory(directory, problems)
    return _checked(Sources(texts, problems)), tuple(SourceFile(name, text.encode()) for name, text in texts.items())


def check_files(files: Sequence[SourceFile]) -> CheckReport:
    """Check a workspace that comes as files rather than as a directory."""
    problems = Problems()
    return _checked(Sources(read_files(files, problems), problems))


def _checked(sources: Sources) -> CheckReport:
    draft = _Draft(sources)
    catalog = None if sources.problems else draft.compile()
    if catalog is None or sources.problems:
        return CheckReport(_sorted(sources.problems.found), (), None)
    warnings = _sorted(lint(catalog, draft.delivery, draft.offers))
    return CheckReport((), warnings, catalog, tuple(draft.lookbacks))


def _sorted(found: Iterable[Violation]) -> tuple[Violation, ...]:
    """By file, line and column; the features come first, then the catalog, then the others by name."""

    def key(violation: Violation) -> tuple[int, str, int, int]:
        match = _WHERE.match(violation.field)
        filename, line, column = match.groups() if match else (violation.field, None, None)
        first = {FEATURES: 0, MAIN: 1}.get(filename, 2)
        return first, filename, int(line or 0), int(column or 0)

    return tuple(sorted(found, key=key))


class _Draft:
    """A workspace as read. Reading notes problems; `compile` is for one that has none."""

    def __init__(self, sources: Sources) -> None:
        """Read everything, in the order in which things name each other."""
        self.sources = sources
        spec, entries, setting = sources.spec, sources.entries, sources.setting
        self.name = self._text("name")
        self.zone = self._text("time_zone")
        self.default_locale = self._locale()
        unit = setting("unit")
        self.arbitration = read_arbitration(setting("arbitration"), (unit.as_text() if unit else "") or "")
        self.exploration = read_exploration(setting("exploration"))
        self.max_entries, self.keep_us, self.late_us = read_ledger(setting("ledger"))

        self.delivery = Delivery()
        self.delivery.read_channels(entries("channels"), spec)
        gaps = [(node, channel.gap_us) for channel, node in self.delivery.gaps()]
        self.gap_us = read_gap(setting("minimum_gap"), gaps, self.keep_us)
        self.delivery.read_tonalities(entries("tonalities"))
        self.delivery.read_timings(entries("timings"))
        self.offers = Offers()
        self.offers.read_groups(entries("groups"))
        self.offers.read_names(entries("offers"))
        selectors = Selectors(self.offers.names, self.offers.groups)
        self.offers.select(selectors)
        self.delivery.read_placements(entries("placements"), selectors)

        conditions = Conditions(spec)
        self.eligibility = Eligibility(conditions, len(self.offers.names))
        self.eligibility.declare(entries("eligibility"), selectors)
        self.offers.read_details(spec, conditions)
        self.offers.read_rules(self.eligibility)
        self.stages: tuple[Stage, ...] = conditions.stages(entries("stages"))
        self.weights: tuple[Weight, ...] = conditions.weights(entries("weights"), selectors)

        self.treatments = Treatments(self.delivery, self.offers.names, spec, self.default_locale)
        self.offers.read_treatments(self.treatments)
        for node in entries("treatment_templates"):
            self.treatments.add_template(node, selectors)
        things = {
            Scope.CHANNEL: self.delivery.channel_names,
            Scope.PLACEMENT: self.delivery.placement_names,
            Scope.GROUP: self.offers.groups,
            Scope.OFFER: self.offers.names,
        }
        self.caps = read_caps(entries("caps"), things, selectors, self.keep_us)
        gap = setting("minimum_gap")
        of_channels = [node for _, node in self.delivery.gaps()]
        self.lookbacks = lookbacks(entries("caps"), [gap, *of_channels] if gap else of_channels)
        self.events = read_events(entries("events"))
        self._check_presence()
        self._check_filled()

    def _text(self, key: str) -> str:
        """A text that every workspace has."""
        node = self.sources.setting(key)
        if node is None:
            if self.sources.roots:
                self.sources.roots[0].required(key, "text")
            return ""
        text = node.as_text() or ""
        if key == "time_zone" and text:
            check_zone(node, text)
        return text

    def _locale(self) -> str:
        """The default locale: the one given, else the first that a person can have."""
        spec = self.sources.spec
        known = () if spec is None else spec.person.locales
        node = self.sources.setting("locale")
        if node is None:
            return known[0] if known else "en"
        locale = node.as_text() or ""
        if locale and known and language(locale) not in {language(name) for name in known}:
            node.fail(
                f"nobody has the locale {shown(locale)} (features.yaml person.locales); {did_you_mean(locale, known)}"
            )
        return locale

    def _check_presence(self) -> None:
        """Without these there is nothing to decide."""
        for key, things in (
            ("channels", self.delivery.channel_names),
            ("tonalities", self.delivery.tonality_names),
            ("timings", self.delivery.timing_names),
            ("placements", self.delivery.placement_names),
            ("offers", self.offers.names),
        ):
            if not len(things) and self.sources.roots and not self.sources.entries(key):
                self.sources.roots[0].fail_at(key, f"is missing or empty; at least one {things.kind} is needed")

    def _check_filled(self) -> None:
        """What the service fills into the context must be in its vocabulary, or rules and models would not see it."""
        spec = self.sources.spec
        if spec is None:
            return
        declared = {
            "channel": [
                (channel.id, self.delivery.channel_names.node(channel.id)) for channel in self.delivery.channels
            ],
            "stage": [(node.value["id"], node) for node in self.sources.entries("stages") if node.text("id", "")],
        }
        for name, things in declared.items():
            if name not in spec.context:
                continue
            for value, node in things:
                if value not in spec.context[name].values:
                    node.fail_at(
                        "id", f"{name} {value!r} is not among the values of context.{name} in features.yaml; add it"
                    )

    def compile(self) -> Catalog | None:
        """The catalog of a workspace that has no problems."""
        spec = self.sources.spec
        if spec is None:
            return None
        delivery, offers = self.delivery, self.offers
        treatments = self.treatments.all()
        treatment_of, address_blocked = choose(
            treatments,
            shape=(len(delivery.channels), len(delivery.tonality_names), len(offers.offers)),
            locales=spec.person.locales,
            default_locale=self.default_locale,
        )
        return Catalog(
            version=self.sources.digest(),
            name=self.name,
            spec=spec,
            project_zone=self.zone,
            default_locale=self.default_locale,
            channels=tuple(delivery.channels),
            placements=tuple(delivery.placements),
            timings=tuple(delivery.timings),
            tonalities=delivery.tonality_names.names(),
            locales=spec.person.locales,
            groups=offers.groups.names(),
            group_codes=np.array([offers.groups.codes[name] for name in offers.groups.names()], np.int64),
            offers=tuple(offers.offers),
            treatments=treatments,
            stages=self.stages,
            rules=self.eligibility.rules(),
            weights=self.weights,
            caps=self.caps,
            events=self.events,
            exploration=self.exploration,
            arbitration=self.arbitration,
            max_entries=self.max_entries,
            keep_us=self.keep_us,
            late_us=self.late_us,
            gap_us=self.gap_us,
            offer_table=pack_section(spec.offer, offers.rows),
            offer_codes=np.array([offer.code for offer in offers.offers], np.int64),
            offer_group=np.array([offer.group for offer in offers.offers], np.int64),
            valid_from_us=np.array(offers.valid_from_us, np.int64),
            valid_until_us=np.array(offers.valid_until_us, np.int64),
            value=np.array(offers.values, np.float64),
            value_rule=tuple(offers.rules),
            lever=np.array(offers.levers, np.float64),
            rule_offers=self.eligibility.offers(),
            placement_offers=np.array(delivery.offers, np.bool_),
            placement_timings=np.array(delivery.placement_timings, np.bool_),
            placement_tonalities=np.array(delivery.placement_tonalities, np.bool_),
            treatment_of=treatment_of,
            address_blocked=address_blocked,
        )
