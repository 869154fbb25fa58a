"""Random specs, rows and their plain Python twins, for the property tests of features."""

import math
from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st

from takt.domain.person import Address
from takt.domain.request import Scalar
from takt.features.record import ProfileRow
from takt.features.section import INT_BOUND, Feature, FeatureType, Person
from takt.features.spec import FeatureSpec, make_spec

NAMES = [f"f{i}" for i in range(8)]
VALUES = ["red", "green", "blue", "a b", "ä.1"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York"]
LOCALES = ["de", "de-DE", "en-GB"]
CONSENTS = ["web", "email", "sms"]


def subsets(names: list[str], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    """Some of the names, once each, in any order."""
    return st.lists(st.sampled_from(names), unique=True, min_size=least).map(tuple)


def values_of(feature: Feature) -> st.SearchStrategy[Scalar]:
    """Values that a feature accepts and that survive storage unchanged."""
    match feature.type:
        case FeatureType.FLOAT:
            return st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: float(str(np.float32(x))))
        case FeatureType.INT:
            return st.integers(-INT_BOUND, INT_BOUND)
        case FeatureType.BOOL:
            return st.booleans()
        case FeatureType.CATEGORY:
            return st.sampled_from(feature.values)
        case FeatureType.FLAGS:
            return subsets(list(feature.values)).map(lambda names: tuple(v for v in feature.values if v in names))
        case FeatureType.TIMESTAMP:
            return st.integers(-(2**62), 2**62)


@st.composite
def features(draw: st.DrawFn, name: str) -> Feature:
    """One feature of any type, with a default or without."""
    kind = draw(st.sampled_from(FeatureType))
    with_values = kind in {FeatureType.CATEGORY, FeatureType.FLAGS}
    values = draw(subsets(VALUES, least=1)) if with_values else ()
    feature = Feature(name, kind, values=values, model=draw(st.booleans()))
    default = draw(st.none() | values_of(feature))
    return Feature(name, kind, default=default, values=values, model=feature.model)


@st.composite
def specs(draw: st.DrawFn) -> FeatureSpec:
    """A spec with up to eight profile features and any vocabulary of persons."""
    person = Person(draw(subsets(ZONES)), draw(subsets(LOCALES)), draw(subsets(CONSENTS)))
    return make_spec(person=person, profile=[draw(features(name)) for name in draw(subsets(NAMES))])


@st.composite
def profile_rows(draw: st.DrawFn, spec: FeatureSpec) -> ProfileRow:
    """A row that fits the spec."""
    names = draw(subsets([f.name for f in spec.profile.features])) if spec.profile.features else ()
    return ProfileRow(
        features={name: draw(values_of(spec.profile[name])) for name in names},
        consents=frozenset(draw(subsets(list(spec.person.consents))) if spec.person.consents else ()),
        time_zone=draw(st.sampled_from(["", *spec.person.time_zones])),
        locale=draw(st.sampled_from(["", *spec.person.locales])),
        address=draw(st.sampled_from(Address)),
    )


def stored(spec: FeatureSpec, row: ProfileRow) -> ProfileRow:
    """What a record of `row` says: defaults where nothing was given, flags never missing."""
    known: dict[str, Scalar] = {}
    for feature in spec.profile.features:
        value = row.features.get(feature.name, feature.default)
        if value is None and feature.type is FeatureType.FLAGS:
            value = ()
        if value is not None:
            known[feature.name] = value
    return ProfileRow(known, row.consents, row.time_zone, row.locale, row.address)


def carried_over(old: FeatureSpec, new: FeatureSpec, row: ProfileRow) -> ProfileRow:
    """What a record of `row`, packed under `old`, says under `new`: everything is matched by name."""
    before = stored(old, row).features
    known: dict[str, Scalar] = {}
    for feature in new.profile.features:
        if feature.name not in old.profile:
            value = feature.default
        elif old.profile[feature.name].type is not feature.type:
            value = None
        else:
            value = _still_declared(before.get(feature.name), feature)
        if value is None and feature.type is FeatureType.FLAGS:
            value = ()
        if value is not None:
            known[feature.name] = value
    return ProfileRow(
        known,
        row.consents & set(new.person.consents),
        row.time_zone if row.time_zone in new.person.time_zones else "",
        row.locale if row.locale in new.person.locales else "",
        row.address,
    )


def _still_declared(value: Scalar | None, feature: Feature) -> Scalar | None:
    """A value without what is no longer in the vocabulary."""
    if isinstance(value, tuple):
        return tuple(name for name in feature.values if name in value)
    if isinstance(value, str) and value not in feature.values:
        return None
    return value


def model_row(spec: FeatureSpec, known: Mapping[str, Scalar], now_us: int) -> list[float]:
    """The row of the model matrix for the values of a profile, column by column."""
    order = [
        {FeatureType.FLOAT, FeatureType.INT, FeatureType.BOOL},
        {FeatureType.TIMESTAMP},
        {FeatureType.CATEGORY},
        {FeatureType.FLAGS},
    ]
    row: list[float] = []
    for kinds in order:
        for feature in spec.profile.features:
            if feature.model and feature.type in kinds:
                row.extend(_model_values(feature, known.get(feature.name), now_us))
    return row


def _model_values(feature: Feature, value: Scalar | None, now_us: int) -> list[float]:
    """The columns of one feature."""
    if isinstance(value, tuple):
        return [float(name in value) for name in feature.values]
    if value is None:
        return [math.nan]
    if isinstance(value, str):
        return [float(feature.values.index(value))]
    if feature.type is FeatureType.TIMESTAMP:
        return [(now_us - float(value)) / 86_400_000_000]
    return [float(value)]
