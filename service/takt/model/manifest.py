"""What a bundle says of itself: `manifest.json` and the graph's `metadata_props`, both ways, read strictly.

Training writes with these functions what the service reads with them; other trainers follow `docs/model-contract.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from takt.errors import ModelError
from takt.model import fields
from takt.model.features import FeatureContract, FeatureFacts

CONTRACT: Final = 1
FORMAT: Final = "onnx"
PREFIX: Final = "takt."

MODEL_FILE: Final = "model.onnx"
GOLDEN_FILE: Final = "golden.npz"
MANIFEST_FILE: Final = "manifest.json"

ESTIMANDS: Final = ("response", "incremental")


class Metadata(Struct, frozen=True):
    """What the graph carries in its `metadata_props`."""

    features: FeatureContract
    timings: tuple[str, ...]
    """Names in the order of the outputs' timing axis."""
    tonalities: tuple[str, ...]
    offers: tuple[str, ...]
    """Offer ids; the code of an offer is 1 + its index, 0 is an offer never seen."""
    goal: str
    """The goal event whose probability acceptance is."""
    window_s: int
    """Within how many seconds after the contact the goal counts."""
    unit: str
    """Unit of value."""
    estimand: str
    """`response` or `incremental`."""
    trained_from: str
    """RFC 3339 in UTC; the training window is half-open."""
    trained_until: str
    calibration: Mapping[str, Any]
    """`method`, and what was measured."""
    metrics: Mapping[str, Any]
    """Held-out figures."""


class FileFacts(Struct, frozen=True):
    """A file of the bundle as it was written."""

    sha256: str
    size: int


class Manifest(Struct, frozen=True):
    """`manifest.json`. `files` is empty until the bundle is written."""

    name: str
    version: str
    metadata: Metadata
    golden_onnxruntime: str
    """Version of ONNX Runtime that computed the golden outputs."""
    code: str
    """Version of the code that trained."""
    data_as_of: str
    """RFC 3339 in UTC: the moment that the data was known until."""
    license: str
    files: Mapping[str, FileFacts] = field(default_factory=dict)

    @property
    def bundle(self) -> str:
        """`name/version`."""
        return f"{self.name}/{self.version}"


def _facts(value: Any) -> FeatureFacts:
    found, faults = fields.read_object(value, where="a feature", reads={"type": fields.filled, "default": fields.free})
    if faults:
        raise ValueError("; ".join(faults))
    default = found["default"]
    return FeatureFacts(type=found["type"], default=tuple(default) if isinstance(default, list) else default)


# How each key of the metadata is read. Of the keys of `FeatureContract` the first six.
_FEATURE_READS: Final[dict[str, fields.Read]] = {
    "feature_fingerprint": fields.filled,
    "profile_columns": fields.names(least=0),
    "context_columns": fields.names(least=0),
    "offer_columns": fields.names(least=0),
    "features": fields.table(_facts),
    "vocabularies": fields.table(fields.names(least=0)),
}
_READS: Final[dict[str, fields.Read]] = {
    **_FEATURE_READS,
    "timings": fields.names(least=1),
    "tonalities": fields.names(least=1),
    "offers": fields.names(least=0),
    "goal": fields.filled,
    "window_s": fields.whole(1),
    "unit": fields.text,
    "estimand": fields.choice(*ESTIMANDS),
    "trained_from": fields.time,
    "trained_until": fields.time,
    "calibration": fields.table(fields.free),
    "metrics": fields.table(fields.free),
}
# Plain strings in `metadata_props`; all others are JSON there.
_STRINGS: Final = frozenset({"feature_fingerprint", "goal", "unit", "estimand", "trained_from", "trained_until"})
_TOP_READS: Final[dict[str, fields.Read]] = {
    "contract": fields.choice(CONTRACT),
    "name": fields.name,
    "version": fields.semver,
    "format": fields.choice(FORMAT),
    "files": fields.free,
    "golden": fields.free,
    "created": fields.free,
    "license": fields.filled,
    "metadata": fields.free,
}


def metadata_props(metadata: Metadata) -> dict[str, str]:
    """The `takt.*` keys for the graph, as strings."""
    props = {f"{PREFIX}contract": str(CONTRACT)}
    for key, value in metadata_json(metadata).items():
        props[PREFIX + key] = value if key in _STRINGS else _dump(value)
    return props


def parse_props(props: Mapping[str, str]) -> Metadata:
    """Read the graph's `takt.*` keys; others are left alone.

    Raises `ModelError` with every key that is missing, unknown or of another form.
    """
    faults = []
    if (contract := props.get(PREFIX + "contract")) != str(CONTRACT):
        faults.append(f"'takt.contract' is {contract!r}, expected '{CONTRACT}'")
    values: dict[str, Any] = {}
    for key, text in props.items():
        bare = key.removeprefix(PREFIX)
        if bare in {key, "contract"}:
            continue
        try:
            values[bare] = text if bare in _STRINGS or bare not in _READS else fields.parse(text)
        except ValueError as error:
            faults.append(f"{MODEL_FILE} metadata_props: {key!r}: {error}")
            values[bare] = None
    return _metadata(values, where=f"{MODEL_FILE} metadata_props (prefix {PREFIX!r})", faults=faults)


def metadata_json(metadata: Metadata) -> dict[str, Any]:
    """The metadata as JSON values, keys as in the contract without prefix."""
    features = metadata.features
    return {
        "feature_fingerprint": features.fingerprint,
        "profile_columns": list(features.profile_columns),
        "context_columns": list(features.context_columns),
        "offer_columns": list(features.offer_columns),
        "features": {
            key: {"type": facts.type, "default": _listed(facts.default)} for key, facts in features.features.items()
        },
        "vocabularies": {key: list(values) for key, values in features.vocabularies.items()},
        "timings": list(metadata.timings),
        "tonalities": list(metadata.tonalities),
        "offers": list(metadata.offers),
        "goal": metadata.goal,
        "window_s": metadata.window_s,
        "unit": metadata.unit,
        "estimand": metadata.estimand,
        "trained_from": metadata.trained_from,
        "trained_until": metadata.trained_until,
        "calibration": dict(metadata.calibration),
        "metrics": dict(metadata.metrics),
    }


def manifest_json(manifest: Manifest) -> str:
    """The text of `manifest.json`; equal manifests give equal text."""
    return (
        json.dumps(
            {
                "contract": CONTRACT,
                "name": manifest.name,
                "version": manifest.version,
                "format": FORMAT,
                "files": {name: {"sha256": facts.sha256, "size": facts.size} for name, facts in manifest.files.items()},
                "golden": {"onnxruntime": manifest.golden_onnxruntime},
                "created": {"code": manifest.code, "data_as_of": manifest.data_as_of},
                "license": manifest.license,
                "metadata": metadata_json(manifest.metadata),
            },
            indent=2,
            sort_keys=True,
            ensure_ascii=False,
            allow_nan=False,
        )
        + "\n"
    )


def parse_manifest(text: str) -> Manifest:
    """Read `manifest.json`.

    Raises `ModelError` with every fault: what is missing, unknown or of another form, and what would be right.
    """
    try:
        raw = fields.parse(text)
    except ValueError as error:
        raise ModelError(f"{MANIFEST_FILE}: {error}") from None
    top, faults = fields.read_object(raw, where=MANIFEST_FILE, reads=_TOP_READS)
    files = {name: _file(top.get("files"), name, faults) for name in (GOLDEN_FILE, MODEL_FILE)}
    if isinstance(top.get("files"), dict):
        faults += [
            f"{MANIFEST_FILE} files: {name!r} is not a file of a bundle; expected {GOLDEN_FILE} and {MODEL_FILE}"
            for name in top["files"]
            if name not in files
        ]
    golden = _part(top, "golden", {"onnxruntime": fields.filled}, faults)
    created = _part(top, "created", {"code": fields.filled, "data_as_of": fields.time}, faults)
    metadata = _metadata(top.get("metadata", {}), where=f"{MANIFEST_FILE} metadata", faults=faults)
    return Manifest(
        name=top["name"],
        version=top["version"],
        metadata=metadata,
        golden_onnxruntime=golden["onnxruntime"],
        code=created["code"],
        data_as_of=created["data_as_of"],
        license=top["license"],
        files=files,
    )


def _metadata(values: Any, *, where: str, faults: list[str]) -> Metadata:
    """Metadata of JSON values. Raises `ModelError` with the faults found before and here."""
    found, more = fields.read_object(values, where=where, reads=_READS)
    faults = [*faults, *more]
    if "trained_from" in found and "trained_until" in found and found["trained_from"] >= found["trained_until"]:
        faults.append(f"{where}: 'trained_from' must be before 'trained_until'")
    if faults:
        raise ModelError("\n".join(faults))
    return Metadata(
        features=FeatureContract(
            fingerprint=found["feature_fingerprint"],
            **{key: found[key] for key in _FEATURE_READS if key != "feature_fingerprint"},
        ),
        **{key: found[key] for key in _READS if key not in _FEATURE_READS},
    )


def _file(files: Any, name: str, faults: list[str]) -> FileFacts:
    where = f"{MANIFEST_FILE} files {name!r}"
    value = files.get(name) if isinstance(files, dict) else None
    if value is None:
        faults.append(f"{where}: missing")
        return FileFacts(sha256="", size=0)
    found, more = fields.read_object(value, where=where, reads={"sha256": fields.sha256, "size": fields.whole(1)})
    faults += more
    return FileFacts(sha256=found.get("sha256", ""), size=found.get("size", 0))


def _part(top: Mapping[str, Any], key: str, reads: Mapping[str, fields.Read], faults: list[str]) -> dict[str, Any]:
    if key not in top:  # said already
        return {}
    found, more = fields.read_object(top[key], where=f"{MANIFEST_FILE} {key}", reads=reads)
    faults += more
    return found


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
