"""The layout of a stored profile record, as text that is kept under its fingerprint.

A record names its layout by fingerprint only. The store keeps every layout that was ever written, so that records
packed under an older spec stay readable. The text says what is where and nothing else: bounds, defaults and
descriptions may change without touching a single record.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from takt.errors import RecordError
from takt.features.section import BLOCK_OF, Block, Feature, FeatureType, Person, Section

if TYPE_CHECKING:
    from takt.features.spec import FeatureSpec

FORMAT: Final = 1
_NO_VOCABULARY: Final = (FeatureType.FLOAT, FeatureType.INT, FeatureType.BOOL, FeatureType.TIMESTAMP)


class Layout(Struct, frozen=True, eq=False):
    """How a record was packed. The features carry name, type and vocabulary only."""

    person: Person
    profile: Section


def layout_json(spec: FeatureSpec | Layout) -> str:
    """Canonical JSON of how a profile record of `spec` is packed; equal exactly when records are packed alike."""
    return json.dumps(
        {
            "format": FORMAT,
            "person": {
                "time_zones": spec.person.time_zones,
                "locales": spec.person.locales,
                "consents": spec.person.consents,
            },
            "profile": stored_features(spec.profile),
        },
        ensure_ascii=True,
        separators=(",", ":"),
        sort_keys=True,
    )


def stored_features(section: Section) -> list[list[Any]]:
    """What says how rows of a section are packed, for JSON: name, type and vocabulary, in the order of storage."""
    return [
        [feature.name, feature.type.value, *([list(feature.values)] if feature.type not in _NO_VOCABULARY else [])]
        for block in Block
        for feature in section.blocks[block]
    ]


def read_features(read: Any) -> tuple[Feature, ...]:
    """The inverse of `stored_features`; any exception means that it is damaged."""
    features = [
        Feature(str(name), FeatureType(kind), values=_names(values[0]) if values else ())
        for name, kind, *values in read
    ]
    order = [list(Block).index(BLOCK_OF[feature.type]) for feature in features]
    if order != sorted(order) or len({feature.name for feature in features}) != len(features):
        raise ValueError("features repeat or stand out of order")
    return tuple(features)


def layout_fingerprint(layout: str) -> int:
    """64 bits of BLAKE2b of the layout's JSON, never 0."""
    return int.from_bytes(hashlib.blake2b(layout.encode(), digest_size=8).digest(), "little") or 1


def parse_layout(text: str) -> Layout:
    """Read what `layout_json` wrote. Raises `RecordError` when it is something else."""
    try:
        layout = _parse(json.loads(text))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"a registered layout is damaged: {error}") from error
    if layout_json(layout) != text:
        raise RecordError(f"a registered layout is not of format {FORMAT}, the one this version reads")
    return layout


def _parse(read: Any) -> Layout:
    """Build a layout from decoded JSON; any exception means that it is damaged."""
    person = Person(**{key: _names(read["person"][key]) for key in ("time_zones", "locales", "consents")})
    return Layout(person, Section("profile", read_features(read["profile"]), header=True))


def _names(values: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values!r} is not a list of texts")
    return tuple(values)
