"""May this directory be served as a model of this workspace? If not, the report names what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from takt.errors import ModelError
from takt.features.spec import FeatureSpec
from takt.model.axes import unknown
from takt.model.bundle import MAX_MODEL_BYTES, read_file, read_manifest
from takt.model.features import SECTIONS, FeatureContract, differences, feature_contract
from takt.model.golden import INPUTS, MAX_BYTES, OUTPUTS, Golden, parse_golden
from takt.model.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Manifest,
    Metadata,
    metadata_json,
    parse_props,
)
from takt.model.report import CheckReport, Point
from takt.model.session import LEAST_RUNTIME, RUNTIME, End, Session, runtime_is_recent
from takt.model.trial import Axes, Trial, measure, present, try_golden, try_shapes
from takt.spelling import did_you_mean

_FLOATS: Final = "tensor(float)"
_INTS: Final = "tensor(int64)"
_WORDS: Final = {_FLOATS: "float32", _INTS: "int64", "tensor(double)": "float64", "tensor(int32)": "int32"}


class Demands(Struct, frozen=True):
    """What a workspace asks of a model."""

    features: FeatureContract
    timings: tuple[str, ...]
    tonalities: tuple[str, ...]
    offers: tuple[str, ...]


class Inspected(Struct, frozen=True):
    """A report with what was loaded for it; the parts are complete where the report is ok."""

    report: CheckReport
    manifest: Manifest | None = None
    trial: Trial | None = None
    axes: dict[str, Axes] | None = None


def check_bundle(
    path: Path, *, spec: FeatureSpec, timings: Sequence[str], tonalities: Sequence[str], offers: Sequence[str]
) -> CheckReport:
    """Verify every point of the contract and measure the cost per decision.

    `timings`, `tonalities` and `offers` are the catalog's ids. Never raises for a bad bundle: the report says what is
    wrong. A file that is damaged is not loaded.
    """
    demands = Demands(feature_contract(spec), tuple(timings), tuple(tonalities), tuple(offers))
    inspected = inspect_bundle(path, demands)
    if not inspected.report.ok or inspected.trial is None:
        return inspected.report
    return replace(inspected.report, cost=measure(inspected.trial))


def inspect_bundle(path: Path, demands: Demands, *, threads: int = 1, runtime: str = RUNTIME) -> Inspected:
    """Verify every point of the contract on a session that may then be served."""
    points = [_runtime(runtime)]
    try:
        manifest = read_manifest(path)
    except ModelError as error:
        points += [Point(MANIFEST_FILE, "readable", "", fault) for fault in str(error).splitlines()]
        return Inspected(CheckReport(path, "", tuple(points)))
    metadata = manifest.metadata
    points.append(
        Point(MANIFEST_FILE, "readable", f"{manifest.bundle}, goal {metadata.goal!r} in {metadata.window_s} s")
    )
    model, golden, files = _files(path, manifest)
    points += [*files, *_features(metadata, demands)]
    if model is None or golden is None:
        return Inspected(CheckReport(path, manifest.bundle, tuple(points)), manifest)
    try:
        session = Session(model, threads=threads)
    except ModelError as error:
        points.append(Point("graph", f"loads in ONNX Runtime {RUNTIME}", "", f"{MODEL_FILE}: {error}"))
        return Inspected(CheckReport(path, manifest.bundle, tuple(points)), manifest)
    points.append(Point("graph", f"loads in ONNX Runtime {RUNTIME}", "loads"))
    points += _props(session, metadata)
    ends = [*_inputs(session, metadata), *_outputs(session, metadata)]
    points += ends
    trial = Trial(
        session=session,
        features=metadata.features,
        outputs=present([output.name for output in session.outputs]),
        timings=len(metadata.timings),
        tonalities=len(metadata.tonalities),
        codes=len(metadata.offers),
    )
    axes: dict[str, Axes] = {}
    if all(point.ok for point in ends):
        shapes, axes = try_shapes(trial)
        points += [*shapes, try_golden(trial, golden, made_with=manifest.golden_onnxruntime)]
        points += _names(metadata, demands, axes)
    return Inspected(CheckReport(path, manifest.bundle, tuple(points)), manifest, trial, axes)


def _runtime(version: str) -> Point:
    expected = f"at least {LEAST_RUNTIME}"
    if runtime_is_recent(version):
        return Point("ONNX Runtime", expected, version)
    return Point(
        "ONNX Runtime",
        expected,
        version,
        f"ONNX Runtime is {version}, expected {expected}: earlier versions stall other threads while a session loads",
    )


def _files(path: Path, manifest: Manifest) -> tuple[bytes | None, Golden | None, list[Point]]:
    """Content of both files, None where one is damaged."""
    points = []
    contents: dict[str, bytes] = {}
    for name, most in ((MODEL_FILE, MAX_MODEL_BYTES), (GOLDEN_FILE, MAX_BYTES)):
        facts = manifest.files[name]
        expected = f"{facts.size} bytes, SHA-256 {facts.sha256[:12]}..."
        try:
            contents[name] = read_file(path, name, facts, at_most=most)
            points.append(Point(name, expected, expected))
        except ModelError as error:
            points.append(Point(name, expected, "", str(error)))
    golden = None
    if GOLDEN_FILE in contents:
        try:
            golden = parse_golden(contents[GOLDEN_FILE])
        except ModelError as error:
            points.append(Point("golden rows", "readable", "", str(error)))
    return contents.get(MODEL_FILE), golden, points


def _features(metadata: Metadata, demands: Demands) -> list[Point]:
    """The model's features are those of `features.yaml`."""
    model, declared = metadata.features, demands.features
    found = differences(model=model, declared=declared)
    refusal = ""
    if model.fingerprint != declared.fingerprint:
        reason = "; ".join(difference.sentence for difference in found) or (
            "nothing else that the bundle declares differs, so its fingerprint is not that of the features it lists"
        )
        refusal = (
            f"feature fingerprint is {model.fingerprint!r}, that of features.yaml is {declared.fingerprint!r}: {reason}"
        )
    points = [Point("feature fingerprint", declared.fingerprint, model.fingerprint, refusal)]
    counts = {
        "features": f"{len(declared.features)} features",
        "vocabularies": f"{len(declared.vocabularies)} vocabularies",
        "columns": ", ".join(f"{section} {len(declared.columns(section))}" for section in SECTIONS),
    }
    for about, count in counts.items():
        sentences = [difference.sentence for difference in found if difference.about == about]
        if sentences:
            points += [Point(about, count, "", f"{about}: {sentence}") for sentence in sentences]
        else:
            points.append(Point(about, count, count))
    return points


def _props(session: Session, metadata: Metadata) -> list[Point]:
    """The graph says of itself what the manifest says of it."""
    expected = f"as in {MANIFEST_FILE}"
    try:
        props = metadata_json(parse_props(session.props))
    except ModelError as error:
        return [Point("metadata_props", expected, "", fault) for fault in str(error).splitlines()]
    manifest = metadata_json(metadata)
    points = [
        Point(
            "metadata_props",
            expected,
            "",
            f"'takt.{key}' is {_brief(props[key])} in {MODEL_FILE} and {_brief(manifest[key])} in {MANIFEST_FILE}; "
            "both must say the same",
        )
        for key in manifest
        if props[key] != manifest[key]
    ]
    if metadata.estimand == "incremental" and "baseline" not in {output.name for output in session.outputs}:
        points.append(
            Point(
                "estimand",
                "incremental with a baseline",
                "",
                "estimand is 'incremental' and output 'baseline' is missing; add it, or state 'response'",
            )
        )
    return points or [Point("metadata_props", expected, f"{len(manifest) + 1} keys {expected}")]


def _inputs(session: Session, metadata: Metadata) -> list[Point]:
    """The four inputs, and no other."""
    wanted = {
        "profile": (_FLOATS, ("batch", len(metadata.features.profile_columns))),
        "context": (_FLOATS, ("batch", len(metadata.features.context_columns))),
        "offers": (_FLOATS, ("offers", len(metadata.features.offer_columns))),
        "offer_code": (_INTS, ("offers",)),
    }
    found = {node.name: node for node in session.inputs}
    points = [_input(name, form, shape, found) for name, (form, shape) in wanted.items()]
    return points + [
        Point(
            f"input {name}",
            f"only {', '.join(INPUTS)}",
            "",
            f"input {name!r} is unknown, nothing would be given to it; {did_you_mean(name, INPUTS)}",
        )
        for name in found
        if name not in wanted
    ]


def _input(name: str, form: str, shape: tuple[str | int, ...], found: dict[str, End]) -> Point:
    expected = f"{_word(form)} {_shape(shape)}"
    node = found.get(name)
    if node is None:
        others = ", ".join(repr(other) for other in found) or "none"
        return Point(
            f"input {name}",
            expected,
            "",
            f"input {name!r} is missing, expected {expected}; the graph's inputs are {others}",
        )
    told = f"{_word(node.type)} {_shape(node.shape)}"
    if node.type != form:
        return Point(f"input {name}", expected, told, f"input {name!r} is {told}, expected {expected}")
    if len(node.shape) != len(shape):
        return Point(
            f"input {name}", expected, told, f"input {name!r} is {told}, {len(node.shape)} axes, expected {expected}"
        )
    if isinstance(node.shape[0], int):
        return Point(
            f"input {name}",
            expected,
            told,
            f"input {name!r} is {told}: its first axis is fixed at {node.shape[0]}, expected the dynamic {shape[0]!r}",
        )
    if len(shape) > 1 and isinstance(node.shape[1], int) and node.shape[1] != shape[1]:
        return Point(
            f"input {name}",
            expected,
            told,
            f"input {name!r} is {told}: {node.shape[1]} columns, but the bundle declares {shape[1]} {name} columns",
        )
    return Point(f"input {name}", expected, told)


def _outputs(session: Session, metadata: Metadata) -> list[Point]:
    """`acceptance`, and no output that the contract does not know. Shapes are tried by running."""
    form = f"float32 [batch, {len(metadata.timings)} or 1, {len(metadata.tonalities)} or 1, offers or 1]"
    found = {node.name: node for node in session.outputs}
    points = []
    if "acceptance" not in found:
        others = ", ".join(repr(other) for other in found) or "none"
        points.append(
            Point(
                "output acceptance",
                form,
                "",
                f"output 'acceptance' is missing, expected {form}; the graph's outputs are {others}",
            )
        )
    for name, node in found.items():
        if name not in OUTPUTS:
            refusal = f"output {name!r} is unknown and would be ignored; {did_you_mean(name, OUTPUTS)}"
            points.append(Point(f"output {name}", f"only {', '.join(OUTPUTS)}", "", refusal))
        elif node.type != _FLOATS:
            told = f"{_word(node.type)} {_shape(node.shape)}"
            points.append(Point(f"output {name}", form, told, f"output {name!r} is {told}, expected {form}"))
    return points


def _names(metadata: Metadata, demands: Demands, axes: dict[str, Axes]) -> list[Point]:
    """The catalog's timings, tonalities and offers are known to the model, where it tells them apart."""
    told = [
        ("timings", demands.timings, metadata.timings, any(axis.timings for axis in axes.values())),
        ("tonalities", demands.tonalities, metadata.tonalities, any(axis.tonalities for axis in axes.values())),
    ]
    points = []
    for what, catalog, model, full in told:
        expected = ", ".join(catalog)
        if not full:
            points.append(Point(what, expected, f"not told apart: one estimate stands for all {what}"))
        elif missing := unknown(catalog, model):
            points.append(
                Point(
                    what,
                    expected,
                    ", ".join(model),
                    f"model knows {what} {', '.join(model)}; catalog also declares {', '.join(missing)}",
                )
            )
        else:
            points.append(Point(what, expected, ", ".join(model)))
    strangers = len(unknown(demands.offers, metadata.offers))
    count = len(demands.offers)
    points.append(
        Point("offers", "any", f"{count - strangers} of the catalog's {count} known; others are judged by attributes")
    )
    return points


def _word(form: str) -> str:
    return _WORDS.get(form, form)


def _shape(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
