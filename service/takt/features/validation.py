"""Whether values fit the feature spec, and if not, what would. The words here are read by whoever called."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from takt.domain.person import Address
from takt.errors import Violation
from takt.features.section import FLOAT_BOUND, TIME_BOUND, Feature, FeatureType, Place, Section, Source
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from takt.domain.request import Scalar
    from takt.features.spec import FeatureSpec


class ProfileRow(Struct, frozen=True):
    """What a record says about one person."""

    features: Mapping[str, Scalar] = field(default_factory=dict)
    """By name; what is missing is left out."""
    consents: frozenset[str] = frozenset()
    """The consents that are given."""
    time_zone: str = ""
    """IANA name; empty if unknown."""
    locale: str = ""
    """Empty if unknown."""
    address: Address = Address.NEUTRAL
    """NEUTRAL: no wish is known."""


def validate(
    section: Section, values: Mapping[str, Scalar], prefix: str = "", *, source: Source = Source.CALLER
) -> tuple[Violation, ...]:
    """Everything wrong with a caller's values: unknown names, wrong types, values out of bounds or vocabulary.

    Fields are `prefix` + name. Features that the service fills are refused unless `source` is SERVICE.
    """
    found: list[Violation] = []
    for name, value in values.items():
        place = section.places.get(name)
        if place is None:
            message = f"{section.name} has no such feature; {did_you_mean(name, _callers(section))}"
        elif place.feature.source is Source.SERVICE and source is Source.CALLER:
            message = "is filled by the service; leave it out"
        elif place.encode(value) is None:
            message = _refusal(place, value)
        else:
            continue
        found.append(Violation(prefix + (name if place is not None else shown(name)[1:-1]), message))
    return tuple(found)


def validate_profile(spec: FeatureSpec, row: ProfileRow, prefix: str = "") -> tuple[Violation, ...]:
    """Everything wrong with a profile: its features, and consents, zone or locale that are not declared."""
    found = list(validate(spec.profile, row.features, f"{prefix}features."))
    person = spec.person
    for consent in sorted(row.consents.difference(person.consents)):
        message = f"consent {shown(consent)} is not declared; {did_you_mean(consent, person.consents)}"
        found.append(Violation(f"{prefix}consents", message))
    if row.time_zone and row.time_zone not in person.time_zones:
        message = f"time zone {shown(row.time_zone)} is not declared; {did_you_mean(row.time_zone, person.time_zones)}"
        found.append(Violation(f"{prefix}time_zone", message))
    if row.locale and row.locale not in person.locales:
        message = f"locale {shown(row.locale)} is not declared; {did_you_mean(row.locale, person.locales)}"
        found.append(Violation(f"{prefix}locale", message))
    return tuple(found)


def _callers(section: Section) -> list[str]:
    """Names that a caller may give."""
    return [feature.name for feature in section.features if feature.source is Source.CALLER]


_WANTED: Final[Mapping[FeatureType, str]] = {
    FeatureType.FLOAT: "a number",
    FeatureType.INT: "a whole number",
    FeatureType.BOOL: "true or false",
    FeatureType.CATEGORY: "a text",
    FeatureType.FLAGS: "a list of texts",
    FeatureType.TIMESTAMP: "a timestamp",
}


_STORABLE: Final[Mapping[FeatureType, float]] = {
    FeatureType.FLOAT: FLOAT_BOUND,
    FeatureType.TIMESTAMP: TIME_BOUND,
}


def _refusal(place: Place, value: Scalar) -> str:
    """Why `value` is not accepted and what would be. Never repeats more of it than a name: values may be personal."""
    feature = place.feature
    if type(value) not in place.accepts:
        return f"must be {_WANTED[feature.type]} (type {feature.type}), not {_kind(value)}"
    if isinstance(value, str):
        return f"{shown(value)} is not one of its values; {did_you_mean(value, feature.values)}"
    if isinstance(value, tuple):
        unknown = next((name for name in value if name not in place.codes), "")
        return f"{shown(unknown)} is not one of its values; {did_you_mean(str(unknown), feature.values)}"
    if abs(value) > _STORABLE.get(feature.type, math.inf):
        return "is too large to be stored"
    if feature.low is not None and feature.high is None and feature.type is not FeatureType.INT:
        return f"must be {_bound(feature, feature.low)} or more"
    if feature.low is None and feature.high is not None and feature.type is not FeatureType.INT:
        return f"must be {_bound(feature, feature.high)} or less"
    return f"must be from {_bound(feature, place.low)} to {_bound(feature, place.high)}"


def _bound(feature: Feature, number: float) -> str:
    """A bound for a message."""
    if feature.type is FeatureType.TIMESTAMP:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number)).isoformat()
    return str(number)


def _kind(value: object) -> str:
    """The type of a value in the words of the spec."""
    match value:
        case bool():
            return "a bool"
        case int():
            return "a whole number"
        case float():
            return "a float"
        case str():
            return "a text"
        case tuple():
            return "a list"
        case _:
            return "nothing known"
