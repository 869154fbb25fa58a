"""`mapping.yaml`: which column of a table is what. Every error names file, line and key."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from takt.catalog.times import duration_at
from takt.clock import DAY_US
from takt.features.section import FeatureType
from takt.spelling import shown
from takt.yamlmarks import Node, Problems, load

_TYPES: Final = (
    FeatureType.FLOAT.value,
    FeatureType.INT.value,
    FeatureType.BOOL.value,
    FeatureType.CATEGORY.value,
    FeatureType.TIMESTAMP.value,
)
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_FEATURE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Source(Struct, frozen=True, eq=False):
    """One column of the table and where the mapping names it."""

    column: str
    node: Node

    def fail(self, message: str) -> None:
        """Report what is wrong with the column, at the line that names it."""
        self.node.fail(f"column {shown(self.column)}: {message}")


class Attribute(Struct, frozen=True, eq=False):
    """A feature that a column becomes."""

    name: str
    type: FeatureType
    source: Source
    known_at: Source | None
    """Column with the moment from which on the value was known; later than the contact, it is refused."""
    description: str = ""


class TableMapping(Struct, frozen=True, eq=False):
    """What a table says. Columns that are not named are not read."""

    name: str
    separator: str
    zone: str
    """Of times without an offset, and of the workspace."""
    locale: str
    person: Source
    time: Source
    offer: Source
    """Empty where nobody was told anything: such rows teach the baseline."""
    offer_attributes: tuple[Attribute, ...]
    profile: tuple[Attribute, ...]
    context: tuple[Attribute, ...]
    outcome: Source
    happened_at: Source | None
    """Moment of the outcome: it counts within the window only, and never before the contact."""
    goal: str
    window_us: int
    timing: Source | None
    channel: Source | None
    tonality: Source | None
    propensity: Source | None
    value: Source | None
    unit: str
    reaction: Source | None
    problems: Problems

    def attributes(self) -> tuple[tuple[str, Attribute], ...]:
        """All features with their section."""
        sections = (("profile", self.profile), ("context", self.context), ("offer", self.offer_attributes))
        return tuple((section, one) for section, attributes in sections for one in attributes)


def read_mapping(text: str, filename: str = "mapping.yaml") -> TableMapping:
    """Read and check a mapping. Raises WorkspaceError with every violation."""
    root = load(text, filename)
    root.only(
        *("name", "separator", "time_zone", "locale", "person", "time", "offer", "profile", "context", "outcome"),
        *("timing", "channel", "tonality", "propensity", "value", "reaction"),
    )
    name = root.required_text("name") or "x"
    if not _NAME.fullmatch(name):
        root.fail_at("name", f"is {shown(name)}; lower-case letters, digits and hyphens are needed")
    separator = root.text("separator", ",")
    if len(separator) != 1:
        root.fail_at("separator", f"is {shown(separator)}; one character is needed")
    zone = root.text("time_zone", "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        root.fail_at("time_zone", f"is {shown(zone)}; a name like Europe/Berlin is needed")
    offer = root.required("offer", "a column, with attributes,")
    outcome = root.required("outcome", "a column, with its goal and window,")
    value = root.get("value")
    placeholder = Source("", root)
    mapping = TableMapping(
        name=name,
        separator=separator,
        zone=zone,
        locale=root.text("locale", "en"),
        person=_source(root, "person") or placeholder,
        time=_source(root, "time") or placeholder,
        offer=_nested(offer, ("column", "attributes")) or placeholder,
        offer_attributes=_attributes(offer, "attributes") if offer is not None else (),
        profile=_attributes(root, "profile"),
        context=_attributes(root, "context"),
        outcome=_nested(outcome, ("column", "goal", "window", "at")) or placeholder,
        happened_at=_optional(outcome, "at"),
        goal=outcome.text("goal", "accept") if outcome is not None else "accept",
        window_us=duration_at(outcome, "window", 14 * DAY_US) if outcome is not None else 14 * DAY_US,
        timing=_optional(root, "timing"),
        channel=_optional(root, "channel"),
        tonality=_optional(root, "tonality"),
        propensity=_optional(root, "propensity"),
        value=None if value is None else _nested(value, ("column", "unit")),
        unit="" if value is None else value.text("unit", ""),
        reaction=_optional(root, "reaction"),
        problems=root.problems,
    )
    _check_names(mapping)
    root.problems.raise_any()
    return mapping


def _source(node: Node, key: str) -> Source | None:
    found = node.required(key, "the name of a column")
    text = None if found is None else found.as_text()
    return None if found is None or text is None else Source(text, found)


def _optional(node: Node | None, key: str) -> Source | None:
    found = None if node is None else node.get(key)
    text = None if found is None else found.as_text()
    return None if found is None or text is None else Source(text, found)


def _nested(node: Node | None, keys: tuple[str, ...]) -> Source | None:
    """The `column` of a mapping with further keys."""
    return _source(node, "column") if node is not None and node.only(*keys) else None


def _attributes(node: Node, key: str) -> tuple[Attribute, ...]:
    result = []
    for element in node.list_at(key):
        if not element.only("name", "column", "type", "known_at", "description"):
            continue
        source = _source(element, "column")
        kind = element.required("type", "a type")
        type_ = None if kind is None else kind.as_choice(_TYPES, "type")
        if source is None or type_ is None:
            continue
        name = element.text("name", source.column)
        if not _FEATURE.fullmatch(name):
            element.fail_at("name", f"is {shown(name)}; letters, digits and underscores are needed, give a `name`")
            continue
        known_at = _optional(element, "known_at")
        result.append(Attribute(name, FeatureType(type_), source, known_at, element.text("description", "")))
    return tuple(result)


def _check_names(mapping: TableMapping) -> None:
    """No feature twice, and no column that is the outcome as a feature."""
    taken = {one.column for one in (mapping.outcome, mapping.happened_at, mapping.value, mapping.reaction) if one}
    seen: set[tuple[str, str]] = set()
    for section, one in mapping.attributes():
        if (section, one.name) in seen:
            one.source.node.fail(f"feature {shown(one.name)} is given twice in {section}; give one another name")
        seen.add((section, one.name))
        if one.source.column in taken:
            one.source.fail("is the outcome, its value or its moment; what came afterwards cannot be a feature")
        if section == "context" and one.name == "channel":
            one.source.node.fail("channel is filled by the service; name its column under `channel`")
