"""The feature spec: `features.yaml`, checked, with the two fingerprints that everything downstream is held against."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from takt.features.layout import Layout, layout_fingerprint, layout_json
from takt.features.matrix import model_features
from takt.features.section import (
    FLOAT_BOUND,
    INT_BOUND,
    MOST_FLAGS,
    MOST_VALUES,
    Block,
    Feature,
    FeatureType,
    Person,
    Place,
    Section,
    Sensitivity,
    Source,
)
from takt.spelling import did_you_mean, shown
from takt.yamlmarks import Node, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from takt.domain.request import Scalar

__all__ = [
    "Block",
    "Feature",
    "FeatureSpec",
    "FeatureType",
    "Person",
    "Place",
    "Section",
    "Sensitivity",
    "Source",
    "load_spec",
    "model_fingerprint",
]

FILLED: Final[Mapping[str, FeatureType]] = {
    "channel": FeatureType.CATEGORY,
    "stage": FeatureType.CATEGORY,
    "hour": FeatureType.INT,
    "weekday": FeatureType.INT,
}
"""Context features that the service fills, where they are declared with `source: service`."""

SECTIONS: Final = ("profile", "context", "offer")
_KEYS: Final = (
    *("name", "type", "default", "min", "max", "values"),
    *("sensitivity", "model", "source", "description"),
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_CONSENT: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
# Words of CEL that cannot be written as a member: `profile.in`.
_RESERVED: Final = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"),
        *("namespace", "null", "package", "return", "true", "var", "void", "while"),
    )
)
_WITH_VALUES: Final = (FeatureType.CATEGORY, FeatureType.FLAGS)
_WITH_BOUNDS: Final = (FeatureType.FLOAT, FeatureType.INT, FeatureType.TIMESTAMP)


class FeatureSpec(Struct, frozen=True, eq=False):
    """All features that rules, models and training read. Compare specs by their fingerprints."""

    person: Person
    profile: Section
    """With the record header."""
    context: Section
    offer: Section
    layout_fingerprint: int
    """64 bits: how a profile record is packed."""
    model_fingerprint: str
    """32 hex digits: what a model sees, of all three sections."""


def make_spec(
    *,
    person: Person = Person(),  # noqa: B008 - immutable
    profile: Iterable[Feature] = (),
    context: Iterable[Feature] = (),
    offer: Iterable[Feature] = (),
) -> FeatureSpec:
    """Build a spec from features that are known to be right; `load_spec` checks, this does not."""
    sections = (Section("profile", tuple(profile), header=True), Section("context", tuple(context)))
    layout = Layout(person, sections[0])
    ordered = (*sections, Section("offer", tuple(offer)))
    return FeatureSpec(
        person,
        *ordered,
        layout_fingerprint=layout_fingerprint(layout_json(layout)),
        model_fingerprint=model_fingerprint(ordered),
    )


def model_fingerprint(sections: Iterable[Section]) -> str:
    """BLAKE2b, 32 hex digits, of name, type, vocabulary and default of all model features, in the columns' order."""
    seen = {
        section.name: [[f.name, f.type.value, f.values, f.default] for f in model_features(section)]
        for section in sections
    }
    text = json.dumps(seen, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def load_spec(text: str, filename: str = "features.yaml") -> FeatureSpec:
    """Read and check a feature spec. Raises `WorkspaceError` with every violation, each with line and key path."""
    root = load(text, filename)
    root.only("person", *SECTIONS)
    person = _person(root.get("person"))
    features = {name: _features(root, name) for name in SECTIONS}
    root.problems.raise_any()
    return make_spec(person=person, **features)


def _person(node: Node | None) -> Person:
    """Vocabularies of the record header."""
    if node is None or not node.only("time_zones", "locales", "consents"):
        return Person()
    return Person(
        time_zones=_vocabulary(node.get("time_zones"), MOST_VALUES, _check_zone),
        locales=_vocabulary(node.get("locales"), MOST_VALUES, _check_locale),
        consents=_vocabulary(node.get("consents"), MOST_FLAGS, _check_consent),
    )


def _check_zone(name: str) -> str:
    """What is wrong with the name of a time zone; empty if nothing is."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # unknown names, paths, folders
        return "is no IANA time zone; write one like 'Europe/Berlin'"
    return ""


def _check_locale(name: str) -> str:
    """What is wrong with a locale; empty if nothing is."""
    return "" if _LOCALE.fullmatch(name) else "is no locale; write one like 'de' or 'de-DE'"


def _check_consent(name: str) -> str:
    """What is wrong with the name of a consent; empty if nothing is."""
    return (
        "" if _CONSENT.fullmatch(name) else "is no name of a consent; use small letters, digits and . _ -, at most 64"
    )


def _vocabulary(node: Node | None, most: int, check: Callable[[str], str] = lambda _: "") -> tuple[str, ...]:
    """Unique texts, at most `most`, in the order given; what is wrong is reported and left out."""
    if node is None:
        return ()
    names: dict[str, Node] = {}
    elements = node.elements()
    for element in elements:
        name = element.as_text()
        if name is None:
            continue
        wrong = check(name)
        if wrong:
            element.fail(f"{shown(name)} {wrong}")
        elif name in names:
            element.fail(f"{shown(name)} is given twice; keep one")
        else:
            names[name] = element
    if len(elements) > most:
        node.fail(f"has {len(elements)} entries; at most {most} fit")
    return tuple(names)[:most]


def _features(root: Node, section: str) -> list[Feature]:
    """The features of one section; those that are wrong are reported and left out."""
    read = [(node, _feature(node, section)) for node in root.list_at(section)]
    first: dict[str, Node] = {}
    for node, feature in read:
        if feature is not None and first.setdefault(feature.name, node) is not node:
            earlier = first[feature.name].line
            node.fail_at("name", f"{feature.name!r} is declared twice, first on line {earlier}; rename or remove one")
    return [feature for _, feature in read if feature is not None]


def _feature(node: Node, section: str) -> Feature | None:
    """One declared feature, None where its name or type is not known."""
    if not node.only(*_KEYS):
        return None
    name = node.required_text("name")
    if name is not None and (not _NAME.fullmatch(name) or name in _RESERVED):
        node.fail_at(
            "name",
            f"{shown(name)} cannot be written in a rule; use letters, digits and _, not a digit first, at most 64 "
            "characters, and no word of CEL's own",
        )
        name = None
    wanted = node.required("type", "one of " + ", ".join(FeatureType))
    read = None if wanted is None else wanted.as_choice(tuple(FeatureType), "type")
    if read is None:
        return None
    kind = FeatureType(read)
    low, high = _bounds(node, kind)
    values = _values(node, kind)
    source = Source(node.choice("source", Source.CALLER.value, known=tuple(Source), what="source"))
    if source is Source.SERVICE:
        _check_filled(node, section, name, kind)
    feature = Feature(
        name=name or "_",
        type=kind,
        default=_default(node, kind, low, high, values),
        low=low,
        high=high,
        values=values,
        sensitivity=Sensitivity(
            node.choice("sensitivity", Sensitivity.NONE.value, known=tuple(Sensitivity), what="sensitivity")
        ),
        model=node.boolean("model", default=True),
        source=source,
        description=node.text("description", ""),
    )
    return None if name is None else feature


def _check_filled(node: Node, section: str, name: str | None, kind: FeatureType) -> None:
    """Only what the service knows how to fill can be left to it."""
    if section != "context":
        node.fail_at("source", "only context features can be filled by the service; remove the key")
    elif name is not None and name not in FILLED:
        node.fail_at("source", f"the service does not fill {name!r}; it fills {', '.join(FILLED)}")
    elif name is not None and kind is not FILLED[name]:
        node.fail_at("type", f"the service fills {name!r} with a {FILLED[name]}; write type: {FILLED[name]}")


def _bounds(node: Node, kind: FeatureType) -> tuple[float | None, float | None]:
    """Declared least and greatest value."""
    if kind not in _WITH_BOUNDS:
        for key in ("min", "max"):
            if node.get(key) is not None:
                node.fail_at(key, f"a {kind} has no bounds; remove the key")
        return None, None
    low, high = (_number(child, kind) if (child := node.get(key)) else None for key in ("min", "max"))
    if low is not None and high is not None and low > high:
        node.fail_at("max", "is less than min; swap them")
        return None, None
    return low, high


def _number(node: Node, kind: FeatureType) -> float | int | None:
    """A value of a number or timestamp as it is declared."""
    match kind:
        case FeatureType.TIMESTAMP:
            return node.as_moment()
        case FeatureType.INT:
            return node.as_int(-INT_BOUND, INT_BOUND)
        case _:
            return node.as_float(-FLOAT_BOUND, FLOAT_BOUND)


def _values(node: Node, kind: FeatureType) -> tuple[str, ...]:
    """Vocabulary of a category or of flags."""
    if kind not in _WITH_VALUES:
        if node.get("values") is not None:
            node.fail_at("values", f"a {kind} has no values; remove the key, or write type: category")
        return ()
    child = node.required("values", "a list of texts")
    if child is not None and child.value == []:
        child.fail("is empty; list at least one value")
    return _vocabulary(child, MOST_FLAGS if kind is FeatureType.FLAGS else MOST_VALUES)


def _default(
    node: Node, kind: FeatureType, low: float | None, high: float | None, values: tuple[str, ...]
) -> Scalar | None:
    """What stands in for a missing value, checked like a value."""
    child = node.get("default")
    if child is None:
        return None
    match kind:
        case FeatureType.BOOL:
            return child.as_bool()
        case FeatureType.CATEGORY:
            return child.as_choice(values, "value")
        case FeatureType.FLAGS:
            given = _vocabulary(child, MOST_FLAGS, lambda name: _check_known(name, values))
            return tuple(value for value in values if value in given)
        case _:
            pass
    default = _number(child, kind)
    if default is not None and ((low is not None and default < low) or (high is not None and default > high)):
        child.fail("lies outside min and max; move it or widen them")
    return default


def _check_known(name: str, values: tuple[str, ...]) -> str:
    """What is wrong with a value of flags; empty if nothing is."""
    return "" if name in values else f"is not one of the values; {did_you_mean(name, values)}"
