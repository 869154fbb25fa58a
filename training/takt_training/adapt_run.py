"""`takt adapt`: a file with a fitted model and a few words about it become a bundle that can be served."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from msgspec import Struct
from onnx import ModelProto, helper

from takt.catalog.snapshot import Catalog
from takt.catalog.times import duration_at
from takt.clock import DAY_US
from takt.errors import ModelError, NotFoundError
from takt.features.spec import FeatureSpec
from takt.model.bundle import write_bundle
from takt.model.check import check_bundle
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import Manifest, Metadata, metadata_props
from takt.yamlmarks import load
from takt_training.adapt import adapted, all_columns, convert, layout
from takt_training.joint.bundle import Inputs, run
from takt_training.joint.encoding import columns_of
from takt_training.preparation import Floats32

SUFFIXES: Final = (".txt", ".json", ".ubj", ".onnx", ".joblib", ".pkl")


class Adaptation(Struct, frozen=True):
    """`adapt.yaml`: what a bundle must say of itself that a fitted model does not."""

    name: str
    version: str
    model: Path
    columns: tuple[str, ...]
    """Of the model, in its order; empty for all columns of the workspace."""
    offers: tuple[str, ...]
    """Ids by code, from 1, where the column `offer` is used."""
    goal: str
    window_us: int
    unit: str
    license: str
    trained_from_us: int
    trained_until_us: int


def read_adaptation(path: Path) -> Adaptation:
    """Read and check it. Raises WorkspaceError with every violation, NotFoundError without the file."""
    try:
        root = load(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there") from None
    root.only(
        *("name", "version", "model", "columns", "offers", "goal", "window", "unit", "license"),
        *("trained_from", "trained_until"),
    )
    name, file = root.required_text("name") or "x", root.required_text("model") or ""
    begin, end = (_moment(root.required(key, "a moment")) for key in ("trained_from", "trained_until"))
    if file and Path(file).suffix not in SUFFIXES:
        root.fail_at("model", f"is {file!r}; a file that ends with one of {', '.join(SUFFIXES)} is needed")
    found = Adaptation(
        name=name,
        version=root.text("version", "1.0.0"),
        model=path.parent / file,
        columns=root.names("columns"),
        offers=root.names("offers"),
        goal=root.text("goal", "accept"),
        window_us=duration_at(root, "window", 14 * DAY_US),
        unit=root.text("unit", ""),
        license=root.text("license", "Weights belong to whoever owns the data."),
        trained_from_us=begin,
        trained_until_us=end,
    )
    root.problems.raise_any()
    return found


def _moment(node: Any) -> int:
    found = None if node is None else node.as_moment()
    return 0 if found is None else int(found)


def open_model(path: Path, width: int) -> ModelProto:
    """The row-wise graph of a file: LightGBM's text, XGBoost's JSON or UBJ, ONNX, or a pickled scikit-learn model.

    Unpickling runs what the file says: open only your own. Raises ModelError, NotFoundError.
    """
    if not path.exists():
        raise NotFoundError(f"{path} is not there")
    try:
        match path.suffix:
            case ".onnx":
                return onnx.load_model(path)
            case ".txt":
                model = import_module("lightgbm").Booster(model_file=str(path))
            case ".json" | ".ubj":
                model = import_module("xgboost").XGBClassifier()
                model.load_model(path)
            case _:
                model = import_module("joblib").load(path)
    except ImportError as error:
        raise ModelError(f"{path}: {error}; install it to open the file") from error
    except Exception as error:  # whatever the library raises for a damaged file
        raise ModelError(f"{path}: cannot be opened: {error}") from error
    return convert(model, width)


def adapt(adaptation: Adaptation, row: ModelProto, catalog: Catalog, out: Path, *, overwrite: bool = False) -> Manifest:
    """Write the bundle and hold it against the workspace. Raises ModelError if it may not be served."""
    spec = catalog.spec
    timings, tonalities = tuple(timing.id for timing in catalog.timings), catalog.tonalities
    plan = layout(adaptation.columns or all_columns(spec), spec, timings=len(timings), tonalities=len(tonalities))
    graph = adapted(row, plan, spec)
    metadata = Metadata(
        features=feature_contract(spec),
        timings=timings,
        tonalities=tonalities,
        offers=adaptation.offers,
        goal=adaptation.goal,
        window_s=adaptation.window_us // 1_000_000,
        unit=adaptation.unit,
        estimand="response",
        trained_from=_text(adaptation.trained_from_us),
        trained_until=_text(adaptation.trained_until_us),
        calibration={"method": "as it was trained"},
        metrics={},
    )
    helper.set_model_props(graph, dict(sorted(metadata_props(metadata).items())))
    model = graph.SerializeToString(deterministic=True)
    inputs = golden_inputs(spec, len(adaptation.offers))
    try:
        outputs = run(model, inputs)
    except Exception as error:  # ONNX Runtime's own classes
        raise ModelError(f"the adapted model does not run on {len(plan.columns)} columns: {error}") from error
    manifest = write_bundle(
        out,
        manifest=Manifest(
            name=adaptation.name,
            version=adaptation.version,
            metadata=metadata,
            golden_onnxruntime=onnxruntime.__version__,
            code=version("takt-nbo"),
            data_as_of=_text(adaptation.trained_until_us),
            license=adaptation.license,
            files={},
        ),
        model=model,
        golden=Golden(inputs=inputs, outputs=dict(outputs)),
        overwrite=overwrite,
    )
    report = check_bundle(
        out, spec=spec, timings=timings, tonalities=tonalities, offers=[offer.id for offer in catalog.offers]
    )
    if not report.ok:
        raise ModelError(
            "the adapted model may not be served:\n"
            + "\n".join(report.refusals)
            + "\n(values that are missing or absurd must be borne: put an imputer and a clip in front of the model)"
        )
    return manifest


def golden_inputs(spec: FeatureSpec, offers: int) -> Inputs:
    """Some plausible rows and offers, the last of each with nothing known; drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    return {
        "profile": _drawn(columns_of(spec.profile, "profile"), 12, rng),
        "context": _drawn(columns_of(spec.context, "context"), 12, rng),
        "offers": _drawn(columns_of(spec.offer, "offer"), 8, rng),
        "offer_code": np.arange(8, dtype=np.int64) % (offers + 1),
    }


def _drawn(columns: Sequence[Any], count: int, rng: np.random.Generator) -> Floats32:
    made: list[npt.NDArray[np.float64]] = []
    for column in columns:
        values = rng.lognormal(1.0, 1.5, count)
        if column.values:
            values = rng.integers(0, column.values, count).astype(np.float64)
        elif column.type == "bool":
            values = rng.integers(0, 2, count).astype(np.float64)
        made.append(values)
    result = np.column_stack(made).astype(np.float32) if made else np.zeros((count, 0), np.float32)
    result[-1] = np.nan
    return result


def _text(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
