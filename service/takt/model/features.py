"""What a model knows of the features: written by training, compared with the workspace's at load.

The fingerprint alone decides; the rest is there so that a refusal can say what differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from takt.domain.request import Scalar
from takt.features.matrix import model_columns
from takt.features.spec import FeatureSpec

SECTIONS = ("profile", "context", "offer")


class FeatureFacts(Struct, frozen=True):
    """Type and default of one feature."""

    type: str
    default: Scalar | None
    """None = missing."""


class FeatureContract(Struct, frozen=True):
    """The features that a model sees. Keys are `section.name`, columns those of `takt.features.matrix`."""

    fingerprint: str
    profile_columns: tuple[str, ...]
    context_columns: tuple[str, ...]
    offer_columns: tuple[str, ...]
    features: Mapping[str, FeatureFacts]
    vocabularies: Mapping[str, tuple[str, ...]]
    """Values of every category and flags feature, in the order of their codes."""

    def columns(self, section: str) -> tuple[str, ...]:
        """Columns of `profile`, `context` or `offer`."""
        return {"profile": self.profile_columns, "context": self.context_columns, "offer": self.offer_columns}[section]


def feature_contract(spec: FeatureSpec) -> FeatureContract:
    """What a model trained on `spec` must declare."""
    seen = {
        f"{section.name}.{feature.name}": feature
        for section in (spec.profile, spec.context, spec.offer)
        for feature in section.features
        if feature.model
    }
    return FeatureContract(
        fingerprint=spec.model_fingerprint,
        profile_columns=model_columns(spec.profile),
        context_columns=model_columns(spec.context),
        offer_columns=model_columns(spec.offer),
        features={key: FeatureFacts(type=feature.type.value, default=feature.default) for key, feature in seen.items()},
        vocabularies={key: feature.values for key, feature in seen.items() if feature.values},
    )


class Difference(Struct, frozen=True):
    """One way in which a model's features are not those of `features.yaml`."""

    about: Literal["features", "vocabularies", "columns"]
    sentence: str
    """Names section, feature, and what either side has."""


def differences(*, model: FeatureContract, declared: FeatureContract) -> tuple[Difference, ...]:
    """Every difference between a model's features and those of `features.yaml`; empty if none.

    Columns follow from features and vocabularies, so theirs are given only where these agree.
    """
    sentences: list[tuple[Literal["features", "vocabularies", "columns"], str]] = [
        *(("features", sentence) for sentence in _membership(model.features, declared.features)),
        *(("features", sentence) for sentence in _facts(model.features, declared.features)),
        *(("vocabularies", sentence) for sentence in _vocabularies(model.vocabularies, declared.vocabularies)),
    ]
    if not sentences:
        sentences.extend(
            ("columns", _columns(section, model.columns(section), declared.columns(section))) for section in SECTIONS
        )
    return tuple(Difference(about, sentence) for about, sentence in sentences if sentence)


def _membership(model: Mapping[str, object], declared: Mapping[str, object]) -> list[str]:
    return [
        *(f"{key} is in features.yaml and unknown to the model" for key in declared if key not in model),
        *(f"{key} is known to the model and not in features.yaml" for key in model if key not in declared),
    ]


def _facts(model: Mapping[str, FeatureFacts], declared: Mapping[str, FeatureFacts]) -> list[str]:
    found = []
    for key in sorted(model.keys() & declared.keys()):
        old, new = model[key], declared[key]
        if old.type != new.type:
            found.append(f"{key} is {old.type} for the model and {new.type} in features.yaml")
        elif old.default != new.default:
            found.append(f"{key} has the default {old.default!r} for the model and {new.default!r} in features.yaml")
    return found


def _vocabularies(model: Mapping[str, tuple[str, ...]], declared: Mapping[str, tuple[str, ...]]) -> list[str]:
    found = [f"{key} has no vocabulary in the bundle" for key in declared if key not in model]
    for key in sorted(model.keys() & declared.keys()):
        old, new = model[key], declared[key]
        if old == new:
            continue
        known, wanted = set(old), set(new)
        if known == wanted:
            found.append(
                f"{key} has its values in another order: {_list(old)} for the model, {_list(new)} in features.yaml"
            )
            continue
        parts = []
        if unknown := [value for value in new if value not in known]:
            parts.append(f"{_list(unknown)} unknown to the model")
        if gone := [value for value in old if value not in wanted]:
            parts.append(f"{_list(gone)} not in features.yaml")
        found.append(f"{key} has other values: {'; '.join(parts)}")
    return found


def _columns(section: str, model: tuple[str, ...], declared: tuple[str, ...]) -> str:
    if model == declared:
        return ""
    if sorted(model) == sorted(declared):
        at = next(i for i, (old, new) in enumerate(zip(model, declared, strict=True)) if old != new)
        return (
            f"{section} columns stand in another order: column {at} is {model[at]!r} for the model "
            f"and {declared[at]!r} in features.yaml"
        )
    parts = []
    if unknown := [name for name in declared if name not in model]:
        parts.append(f"the model lacks {_list(unknown)}")
    if gone := [name for name in model if name not in declared]:
        parts.append(f"features.yaml lacks {_list(gone)}")
    return f"{section} columns differ: {'; '.join(parts)}"


def _list(values: Sequence[str]) -> str:
    """Up to eight values, for people."""
    shown = ", ".join(repr(value) for value in values[:8])
    return shown if len(values) <= 8 else f"{shown} and {len(values) - 8} more"
