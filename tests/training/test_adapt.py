"""Row-wise models of other libraries as bundles: the same probabilities, in the contract's shape, and served."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import xgboost
from click.testing import CliRunner
from onnxruntime import InferenceSession
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.cli.main import main
from takt.errors import ModelError, NotFoundError, WorkspaceError
from takt.features.spec import FeatureSpec
from takt.model.bundle import read_bundle
from takt.v1 import decision_pb2, decision_pb2_grpc
from takt_training import adapt_run
from takt_training.adapt import adapted, all_columns, convert, layout
from takt_training.complete_journey.examples import campaign_examples
from takt_training.complete_journey.tables import Tables
from takt_training.examples import Examples
from takt_training.joint.bundle import run
from tests.integration.rpc.process import Service

WORKSPACE = Path(__file__).parents[2] / "examples" / "complete_journey"
COLUMNS = ("profile.baskets_28d", "profile.redemption_rate", "offer.popularity", "offer.price", "profile.spend_84d")
WORDS = """
name: shop-gbm
model: model.txt
window: 25d
goal: accept
unit: USD
trained_from: 2017-01-29T00:00:00Z
trained_until: 2017-10-01T00:00:00Z
"""


@pytest.fixture(scope="module")
def examples(shop: Tables, spec: FeatureSpec) -> Examples:
    """Contacts of the invented shop, on the example's features."""
    return campaign_examples(shop, spec)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The example's workspace."""
    return load_workspace(WORKSPACE)


def _rows(examples: Examples, spec: FeatureSpec, columns: tuple[str, ...] = COLUMNS) -> npt.NDArray[np.float32]:
    """The pairs as rows of these columns."""
    known = all_columns(spec)
    context = np.zeros((len(examples.row), sum(name.startswith("context.") for name in known)), np.float32)
    whole = np.concatenate([examples.profile[examples.row], context, examples.offers[examples.offer]], axis=1)
    return whole[:, [known.index(name) for name in columns]]


def _gbm(examples: Examples, spec: FeatureSpec) -> lightgbm.LGBMClassifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = lightgbm.LGBMClassifier(n_estimators=30, n_jobs=1, verbose=-1, deterministic=True)
        return model.fit(_rows(examples, spec), examples.accepted.astype(int))


def _probability(model: Any, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that the columns of an array do not have
        return np.asarray(model.predict_proba(rows))[:, 1]


def _inputs(examples: Examples) -> dict[str, npt.NDArray[np.generic]]:
    return {
        "profile": examples.profile[:40],
        "context": np.zeros((40, 2), np.float32),
        "offers": examples.offers[:9],
        "offer_code": np.arange(9),
    }


@pytest.mark.parametrize("family", ["lightgbm", "xgboost", "sklearn"])
def test_it_gives_what_the_model_gives(family: str, examples: Examples, spec: FeatureSpec) -> None:
    """Every person with every offer, missing values included, within 1e-5."""
    rows, accepted = _rows(examples, spec), examples.accepted.astype(int)
    model: Any = {
        "lightgbm": lambda: _gbm(examples, spec),
        "xgboost": lambda: xgboost.XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1).fit(rows, accepted),
        "sklearn": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows, accepted),
    }[family]()
    plan = layout(COLUMNS, spec, timings=5, tonalities=4)
    inputs = _inputs(examples)

    graph = adapted(convert(model, len(COLUMNS)), plan, spec)
    found = run(graph.SerializeToString(), inputs)["acceptance"]

    pairs = Examples(
        **{
            **{name: getattr(examples, name) for name in Examples.__struct_fields__},
            "row": np.repeat(np.arange(40), 9),
            "offer": np.tile(np.arange(9), 40),
        }
    )
    expected = _probability(model, _rows(pairs, spec))
    assert (40, 1, 1, 9) == found.shape
    assert np.abs(found.reshape(-1) - expected).max() <= 1e-5


@pytest.mark.parametrize("family", ["lightgbm", "sklearn"])
def test_a_threshold_between_neighbours_stays_between_them(family: str) -> None:
    """Values that are as close as float32 allows are told apart as the model tells them, which compares in float64."""
    rows = (np.float32(64.425).view(np.int32) + np.arange(400, dtype=np.int32)).view(np.float32)[:, None]
    accepted = (np.arange(400) // 7) % 2
    model: Any = {
        "lightgbm": lambda: lightgbm.LGBMClassifier(
            n_estimators=5,
            num_leaves=60,
            min_child_samples=2,
            max_bin=500,
            min_data_in_bin=1,
            n_jobs=1,
            verbose=-1,
        ),
        "sklearn": lambda: DecisionTreeClassifier(max_leaf_nodes=60, random_state=0),
    }[family]().fit(rows, accepted)
    expected = _probability(model, rows)

    session = InferenceSession(convert(model, 1).SerializeToString())
    found = np.asarray(session.run(None, {session.get_inputs()[0].name: rows})[-1])[:, -1]

    assert np.ptp(expected) > 0.3
    assert np.abs(found - expected).max() <= 1e-5


@pytest.mark.parametrize(
    ("columns", "shape"),
    [
        (("profile.spend_84d",), (40, 1, 1, 1)),
        (("offer.price", "offer"), (40, 1, 1, 9)),
        (("timing", "profile.spend_84d"), (40, 5, 1, 1)),
        (("tonality", "timing", "offer.price"), (40, 5, 4, 9)),
    ],
)
def test_an_axis_that_is_not_used_stays_one(
    columns: tuple[str, ...], shape: tuple[int, ...], examples: Examples, spec: FeatureSpec
) -> None:
    """Each cell holds the row of its own person, arm and offer: the first column is given back."""
    plan = layout(columns, spec, timings=5, tonalities=4)
    node = onnx.helper.make_node("Gather", ["rows", "first"], ["first_column"], axis=1)
    first = onnx.numpy_helper.from_array(np.array([0]), "first")
    small = onnx.helper.make_node("Mul", ["first_column", "scale"], ["p"])
    scale = onnx.numpy_helper.from_array(np.array(1e-4, np.float32), "scale")
    row = onnx.helper.make_model(
        onnx.helper.make_graph(
            [node, small],
            "echo",
            [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, [None, len(columns)])],
            [onnx.helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, [None, 1])],
            [first, scale],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 15)],
    )
    inputs = _inputs(examples)

    found = run(adapted(row, plan, spec).SerializeToString(), inputs)["acceptance"] * 1e4

    assert shape == found.shape
    if columns[0] == "timing":
        assert [0, 1, 2, 3, 4] == np.round(found[3, :, 0, 0]).tolist()
    if columns[0] == "tonality":
        assert [0, 1, 2, 3] == np.round(found[3, 2, :, 1]).tolist()


def test_lightgbm_is_served(examples: Examples, spec: FeatureSpec, tmp_path: Path) -> None:
    """`takt adapt` writes a bundle that `takt model check` accepts and `takt serve` decides with."""
    model = _gbm(examples, spec)
    model.booster_.save_model(tmp_path / "model.txt")
    columns = ", ".join(COLUMNS)
    (tmp_path / "adapt.yaml").write_text(f"{WORDS}columns: [{columns}]\n", encoding="utf-8")
    out = tmp_path / "bundle"

    made = CliRunner().invoke(
        main, ["adapt", str(tmp_path / "adapt.yaml"), "--workspace", str(WORKSPACE), "--out", str(out)]
    )
    checked = CliRunner().invoke(main, ["model", "check", str(out), "--workspace", str(WORKSPACE)])
    assert 0 == made.exit_code, made.output
    assert 0 == checked.exit_code, checked.output
    golden = read_bundle(out).golden
    assert (1, 1) == golden.outputs["acceptance"].shape[1:3]

    with Service(["--model", str(out), "--data-dir", str(tmp_path / "data")], WORKSPACE).wait_ready() as service:
        door = decision_pb2_grpc.DecisionServiceStub(service.public)
        request = decision_pb2.DecideRequest(request_id="r-1", profile_id="hh-0001")
        request.placements.add(placement="home_tiles")
        answer = door.Decide(request, timeout=60)
        assert "shop-gbm/1.0.0" == answer.versions.model
        assert not answer.degradations


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (WORDS.replace("model: model.txt", "model: model.exe"), "adapt.yaml:3: model", "ends with one of"),
        (WORDS.replace("window: 25d", "window: 25w"), "adapt.yaml:4: window", "a duration like"),
        (WORDS.replace("goal", "gaol"), "adapt.yaml:5: gaol", "did you mean 'goal'?"),
        (WORDS.replace("trained_from", "trained_form"), "trained_form", "did you mean 'trained_from'?"),
    ],
)
def test_what_is_wrong_in_adapt_yaml_is_named(tmp_path: Path, text: str, where: str, message: str) -> None:
    """File, line and key."""
    path = tmp_path / "adapt.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(WorkspaceError) as caught:
        adapt_run.read_adaptation(path)

    assert any(where in v.field and message in v.message for v in caught.value.violations), str(caught.value)


def test_unknown_columns_and_models_are_refused(spec: FeatureSpec, tmp_path: Path) -> None:
    """By name, with what was probably meant."""
    with pytest.raises(ModelError, match=r"did you mean 'offer\.price'"):
        layout(("offer.prise",), spec, timings=1, tonalities=1)
    with pytest.raises(ModelError, match="stands twice"):
        layout(("offer.price", "offer.price"), spec, timings=1, tonalities=1)
    with pytest.raises(ModelError, match="no library that is known"):
        convert(object(), 3)
    with pytest.raises(NotFoundError, match="is not there"):
        adapt_run.open_model(tmp_path / "none.txt", 3)


def test_a_model_that_cannot_bear_missing_values_is_refused(
    examples: Examples, spec: FeatureSpec, catalog: Catalog, tmp_path: Path
) -> None:
    """The refusal says which output, and what to do."""
    rows = np.nan_to_num(_rows(examples, spec))
    model = LogisticRegression(max_iter=2000).fit(rows / (1 + rows.max(0)), examples.accepted)
    path = tmp_path / "adapt.yaml"
    path.write_text(f"{WORDS}columns: [{', '.join(COLUMNS)}]\n", encoding="utf-8")

    with pytest.raises(ModelError, match="put an imputer and a clip in front"):
        adapt_run.adapt(adapt_run.read_adaptation(path), convert(model, len(COLUMNS)), catalog, tmp_path / "out")
