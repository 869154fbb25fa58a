"""The workspace that a table implies: small, commented, and checked like any other; people write the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from takt.domain.request import Scalar
from takt.features.record import decode
from takt.features.section import FeatureType, Section
from takt_training.joint.parts import moment
from takt_training.table.mapping import TableMapping

NEUTRAL = "content/neutral"


def features_yaml(
    mapping: TableMapping, vocabularies: Mapping[tuple[str, str], Sequence[str]], channels: Sequence[str]
) -> str:
    """`features.yaml` of the mapping; values of categories are those that the table has."""
    lines = [
        f"# Written from the mapping {mapping.name}: the features as the model was trained on them.",
        "# A change to what the model sees needs a new training; a rule-only feature (model: false) does not.",
        "person:",
        f"  time_zones: [{_text(mapping.zone)}]",
        f"  locales: [{_text(mapping.locale)}]",
    ]
    for section in ("profile", "context", "offer"):
        features = [one for where, one in mapping.attributes() if where == section]
        rows = []
        for one in features:
            parts = [f"name: {one.name}", f"type: {one.type.value}"]
            if one.type is FeatureType.CATEGORY:
                values = ", ".join(_text(value) for value in vocabularies.get((section, one.name), ()))
                parts.append(f"values: [{values}]")
            if one.description:
                parts.append(f"description: {_text(one.description)}")
            rows.append("  - {" + ", ".join(parts) + "}")
        if section == "context" and mapping.channel is not None:
            values = ", ".join(_text(value) for value in channels)
            rows.append("  - {name: channel, type: category, values: [" + values + "], source: service}")
        if rows:
            lines += ["", f"{section}:", *rows]
    return "\n".join(lines) + "\n"


def catalog_yaml(
    mapping: TableMapping, *, channels: Sequence[str], timings: Sequence[str], tonalities: Sequence[str]
) -> str:
    """`catalog.yaml`: one placement per channel, cautious caps, a little exploration."""
    lines = [
        f"# Written from the mapping {mapping.name}, to begin with. What to look at first: the hours of the timings,",
        "# the costs and consents of the channels, the caps.",
        f"name: {mapping.name}",
        f"time_zone: {_text(mapping.zone)}",
        f"locale: {_text(mapping.locale)}",
        *([f"unit: {_text(mapping.unit)}"] if mapping.unit else []),
        "channels:",
        *(f"  - {{id: {_text(channel)}}}" for channel in channels),
        f"tonalities: [{', '.join(_text(tonality) for tonality in tonalities)}]",
        "timings:",
        *(
            f"  - {{id: {_text(timing)}, for: 15m}}"
            if timing == "now"
            else f'  - {{id: {_text(timing)}, from: "09:00", to: "20:00"}}    # its hours are not in the table'
            for timing in timings
        ),
        "placements:",
        *(
            f"  - {{id: {_text(channel + '_main')}, channel: {_text(channel)}, "
            f"timings: [{', '.join(_text(timing) for timing in timings)}], fallback: {NEUTRAL}}}"
            for channel in channels
        ),
        "treatment_templates:",
        f"  - channels: [{', '.join(_text(channel) for channel in channels)}]",
        f"    tonalities: [{', '.join(_text(tonality) for tonality in tonalities)}]",
        "    addresses: [neutral]",
        f"    locales: [{_text(mapping.locale)}]",
        '    id: "{offer}-{channel}-{tonality}-{address}-{locale}"',
        '    content: "content/{offer}/{channel}/{tonality}"',
        "stages:",
        "  - {id: always}",
        "caps:",
        "  - {id: person-week, scope: profile, limit: 3, window: 7d}",
        "  - {id: offer-month, scope: offer, limit: 1, window: 30d}",
        "exploration: {rule: epsilon, epsilon: 0.1, silence_floor: 0.02, arms: {rule: epsilon, epsilon: 0.2}}",
    ]
    return "\n".join(lines) + "\n"


def offers_yaml(section: Section, table: npt.NDArray[np.void], ids: Sequence[str], worth: Mapping[str, float]) -> str:
    """`offers.yaml`: each offer once, with the last of its attributes."""
    last = {name: i for i, name in enumerate(ids)}
    lines = ["# Titles are ids; values are what acceptances were worth on average.", "offers:"]
    for name, i in sorted(last.items()):
        given = {key: decode(place, table[i][place.field][place.column]) for key, place in section.places.items()}
        attributes = ", ".join(
            f"{key}: {_value(section[key].type, value)}" for key, value in given.items() if value is not None
        )
        told = f", attributes: {{{attributes}}}" if attributes else ""
        lines.append(f"  - {{id: {_text(name)}, title: {_text(name)}, value: {worth[name]}{told}}}")
    return "\n".join(lines) + "\n"


def write_skeleton(directory: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a new workspace; one that exists is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")


def _value(kind: FeatureType, value: Scalar) -> str:
    """A stored value as it stands in YAML."""
    return moment(value) if kind is FeatureType.TIMESTAMP and isinstance(value, int) else _text(value)


def _text(value: Any) -> str:
    """A scalar as it stands in YAML; JSON's strings are YAML's."""
    return json.dumps(value, ensure_ascii=False)
