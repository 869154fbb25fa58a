"""Whatever breaks the contract is refused with a message that names it; what keeps it is accepted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto

from takt.features.section import Feature, FeatureType
from takt.features.spec import FeatureSpec, make_spec
from takt.model.bundle import write_bundle
from takt.model.check import check_bundle, inspect_bundle
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import metadata_props
from takt.model.report import CheckReport
from tests.integration.model.graphs import (
    OFFERS,
    SPEC,
    TIMINGS,
    TONALITIES,
    Recipe,
    changed,
    demands_of,
    golden_of,
    graph,
    manifest_of,
    metadata_of,
    node,
    sigmoid,
    stand_in,
    write,
)


def check(path: Path, spec: FeatureSpec = SPEC) -> CheckReport:
    """Check against the workspace that the good recipe fits."""
    return inspect_bundle(path, replace(demands_of(Recipe()), features=feature_contract(spec))).report


def spec_with(section: str, *, dropped: tuple[str, ...] = (), added: tuple[Feature, ...] = ()) -> FeatureSpec:
    """The good spec with features of one section changed; one that is added under a known name takes its place."""
    new = {feature.name: feature for feature in added}
    sections = {"profile": SPEC.profile.features, "context": SPEC.context.features, "offer": SPEC.offer.features}
    kept = [new.pop(f.name, f) for f in sections[section] if f.name not in dropped]
    return make_spec(**{**sections, section: [*kept, *new.values()]})


def test_good_bundle_is_accepted(tmp_path: Path) -> None:
    """A graph that keeps the contract passes every point, and its cost is told."""
    path = write(tmp_path / "good", Recipe())

    report = check_bundle(path, spec=SPEC, timings=TIMINGS, tonalities=TONALITIES, offers=OFFERS)

    assert () == report.refusals
    assert report.ok
    assert "tiny/1.0.0" == report.bundle
    assert report.cost is not None
    assert report.cost.per_decision_us > 0
    assert {"feature fingerprint", "input profile", "output acceptance", "independence", "golden rows"} <= {
        point.name for point in report.points
    }


def test_report_reads_for_people_and_scripts(tmp_path: Path) -> None:
    """Every point is a line of text and an entry of the JSON."""
    report = check(write(tmp_path / "good", Recipe()))

    assert len(report.points) == len(report.lines())
    assert all(line.startswith("  ok ") for line in report.lines())
    assert json.loads(json.dumps(report.to_json()))["ok"]


def broadcasting(*outputs: str) -> Recipe:
    """One logit per row and offer, with optional outputs of several shapes."""
    nodes = {
        "acceptance": sigmoid,
        "baseline": lambda: [
            node("Sigmoid", ["z"], "per_offer"),
            node("ReduceMean", ["person"], "per_row", axes=[1], keepdims=1),
            node("Reshape", ["per_row", "row_shape"], "row_logit"),
            node("Sigmoid", ["row_logit"], "baseline"),
        ],
        "value": lambda: [node("Identity", ["z"], "value")],
        "reaction": lambda: [node("Sigmoid", ["z"], "reaction")],
        "uncertainty": lambda: [node("Abs", ["z"], "uncertainty")],
    }
    return changed(
        axes=(1, 1),
        outputs={name: nodes[name] for name in ("acceptance", *outputs)},
        constants={"row_shape": np.array([-1, 1, 1, 1], dtype=np.int64)},
    )


@pytest.mark.parametrize(
    "recipe",
    [
        broadcasting(),
        broadcasting("baseline", "value", "reaction", "uncertainty"),
        changed(axes=(3, 1)),
        changed(axes=(1, 2)),
        changed(timings=("now",), tonalities=("plain",), axes=(1, 1)),
        changed(offers=(), codes=1),
        changed(estimand="incremental", outputs=broadcasting("baseline").outputs, constants=broadcasting().constants),
    ],
    ids=["one logit", "all outputs", "timings only", "tonalities only", "single names", "no offers", "incremental"],
)
def test_every_kind_of_axis_is_accepted(tmp_path: Path, recipe: Recipe) -> None:
    """Axes may be full or 1, optional outputs present or not, and each output may choose for itself."""
    report = inspect_bundle(write(tmp_path / "bundle", recipe), demands_of(recipe)).report

    assert () == report.refusals


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            spec_with(
                "profile", added=(Feature("segment", FeatureType.CATEGORY, values=("budget", "premium", "gold")),)
            ),
            "vocabularies: profile.segment has other values: 'gold' unknown to the model",
        ),
        (
            spec_with("offer", added=(Feature("department", FeatureType.CATEGORY, values=("food",)),)),
            "vocabularies: offer.department has other values: 'home' not in features.yaml",
        ),
        (
            spec_with("profile", added=(Feature("segment", FeatureType.CATEGORY, values=("premium", "budget")),)),
            (
                "vocabularies: profile.segment has its values in another order: 'budget', 'premium' for the model, "
                "'premium', 'budget' in features.yaml"
            ),
        ),
        (
            spec_with("profile", dropped=("visits",)),
            "features: profile.visits is known to the model and not in features.yaml",
        ),
        (
            spec_with("context", added=(Feature("weekday", FeatureType.INT),)),
            "features: context.weekday is in features.yaml and unknown to the model",
        ),
        (
            spec_with("offer", added=(Feature("price", FeatureType.INT),)),
            "features: offer.price is float for the model and int in features.yaml",
        ),
        (
            spec_with("profile", added=(Feature("visits", FeatureType.INT, default=3),)),
            "features: profile.visits has the default 0 for the model and 3 in features.yaml",
        ),
        (
            spec_with("profile", dropped=("visits",), added=(Feature("visits", FeatureType.INT, default=0),)),
            (
                "columns: profile columns stand in another order: column 1 is 'visits' for the model and 'member' in "
                "features.yaml"
            ),
        ),
    ],
    ids=["value added", "value gone", "values reordered", "feature gone", "feature added", "type", "default", "order"],
)
def test_other_features_are_refused_by_name(tmp_path: Path, spec: FeatureSpec, expected: str) -> None:
    """A model of another feature spec has another fingerprint, and the message says which feature differs and how."""
    if expected.startswith("columns"):
        spec = reordered()

    refusals = check(write(tmp_path / "bundle", Recipe()), spec).refusals

    assert expected in refusals
    assert any(refusal.startswith("feature fingerprint is ") for refusal in refusals)


def reordered() -> FeatureSpec:
    """The good spec with two features of the profile exchanged."""
    first, visits, member, *rest = SPEC.profile.features
    return make_spec(profile=[first, member, visits, *rest], context=SPEC.context.features, offer=SPEC.offer.features)


def test_forged_fingerprint_is_refused(tmp_path: Path) -> None:
    """A fingerprint that is wrong although the features agree is refused for itself."""
    recipe = Recipe()
    path = write(tmp_path / "bundle", recipe)
    demands = demands_of(recipe)

    report = inspect_bundle(path, replace(demands, features=replace(demands.features, fingerprint="ab12"))).report

    assert (
        (
            f"feature fingerprint is {SPEC.model_fingerprint!r}, that of features.yaml is 'ab12': nothing else that "
            "the bundle declares differs, so its fingerprint is not that of the features it lists"
        ),
    ) == report.refusals


def test_rule_only_feature_needs_no_training(tmp_path: Path) -> None:
    """A feature that no model sees may be added without a word."""
    spec = spec_with("profile", added=(Feature("note", FeatureType.INT, model=False),))

    assert () == check(write(tmp_path / "bundle", Recipe()), spec).refusals


def transposed() -> list[object]:
    """Offers second: the order that the contract does not have."""
    return [node("Sigmoid", ["z"], "s"), node("Transpose", ["s"], "acceptance", perm=[0, 3, 1, 2])]


BROKEN: dict[str, tuple[Callable[[], Recipe], str]] = {
    "missing output": (
        lambda: changed(outputs={"value": lambda: [node("Identity", ["z"], "value")]}),
        (
            "output 'acceptance' is missing, expected float32 [batch, 3 or 1, 2 or 1, offers or 1]; "
            "the graph's outputs are 'value'"
        ),
    ),
    "misnamed output": (
        lambda: changed(outputs={"acceptance": sigmoid, "reactions": lambda: [node("Sigmoid", ["z"], "reactions")]}),
        "output 'reactions' is unknown and would be ignored; did you mean 'reaction'?",
    ),
    "output of another type": (
        lambda: changed(
            output_type=TensorProto.DOUBLE,
            outputs={
                "acceptance": lambda: [
                    node("Sigmoid", ["z"], "s"),
                    node("Cast", ["s"], "acceptance", to=TensorProto.DOUBLE),
                ]
            },
        ),
        "output 'acceptance' is float64 ",
    ),
    "misnamed input": (
        lambda: changed(names={"context": "contexts"}),
        (
            "input 'context' is missing, expected float32 [batch, 1]; the graph's inputs are 'profile', 'contexts', "
            "'offers', 'offer_code'"
        ),
    ),
    "unknown input": (
        lambda: changed(inputs={"session": (TensorProto.FLOAT, ["batch", 2])}),
        "input 'session' is unknown, nothing would be given to it",
    ),
    "input of another type": (
        lambda: changed(inputs={"profile": (TensorProto.DOUBLE, ["batch", 7])}),
        "input 'profile' is float64 [batch, 7], expected float32 [batch, 7]",
    ),
    "too few columns": (
        lambda: changed(inputs={"profile": (TensorProto.FLOAT, ["batch", 6])}),
        "input 'profile' is float32 [batch, 6]: 6 columns, but the bundle declares 7 profile columns",
    ),
    "fixed batch": (
        lambda: changed(inputs={"profile": (TensorProto.FLOAT, [1, 7])}),
        "input 'profile' is float32 [1, 7]: its first axis is fixed at 1, expected the dynamic 'batch'",
    ),
    "too many axes": (
        lambda: changed(inputs={"offer_code": (TensorProto.INT64, ["offers", 1])}),
        "input 'offer_code' is int64 [offers, 1], 2 axes, expected int64 [offers]",
    ),
    "offers second": (
        lambda: changed(outputs={"acceptance": transposed}),
        "output 'acceptance' is float32 [8, 7, 3, 2] in a run of 8 rows and 7 offers with 3 timings and 2 tonalities",
    ),
    "axis of another length": (
        lambda: changed(axes=(4, 2)),
        "output 'acceptance' is float32 [8, 4, 2, 7] in a run of 8 rows and 7 offers with 3 timings and 2 tonalities",
    ),
    "batch baked in": (
        lambda: changed(
            outputs={
                "acceptance": lambda: [
                    node("Sigmoid", ["z"], "s"),
                    node("Reshape", ["s", "baked"], "acceptance"),
                ]
            },
            constants={"baked": np.array([8, 3, 2, -1], dtype=np.int64)},
        ),
        "a run of 1 rows and 1 offers fails: ONNX Runtime cannot run the graph: ",
    ),
    "offers baked in": (
        lambda: changed(
            axes=(1, 1),
            outputs={
                "acceptance": lambda: [
                    node("ReduceMean", ["z"], "row", axes=[1, 2, 3], keepdims=1),
                    node("Sigmoid", ["row"], "s"),
                    node("Expand", ["s", "baked"], "acceptance"),
                ]
            },
            constants={"baked": np.array([1, 3, 2, 7], dtype=np.int64)},
        ),
        "output 'acceptance' has shape [1, 3, 2, 7] in a run of 1 rows and 1 offers; expected [1, 3, 2, 1]",
    ),
    "missing values unhandled": (
        lambda: changed(impute=False),
        "output 'acceptance' is NaN in ",
    ),
    "absurd values unhandled": (
        lambda: changed(
            clip=False,
            outputs={"acceptance": lambda: [node("Mul", ["z", "z"], "q"), node("Div", ["q", "q"], "acceptance")]},
        ),
        "output 'acceptance' is NaN in ",
    ),
    "infinite output": (
        lambda: changed(
            outputs={
                "acceptance": sigmoid,
                "value": lambda: [node("Sub", ["z", "z"], "nil"), node("Reciprocal", ["nil"], "value")],
            }
        ),
        "output 'value' is infinite in ",
    ),
    "no probability": (
        lambda: changed(outputs={"acceptance": lambda: [node("Identity", ["z"], "acceptance")]}),
        "output 'acceptance' lies outside of 0 to 1 in ",
    ),
    "negative error": (
        lambda: changed(
            outputs={"acceptance": sigmoid, "uncertainty": lambda: [node("Identity", ["z"], "uncertainty")]}
        ),
        "output 'uncertainty' lies outside of 0 to inf in ",
    ),
    "rows depend on each other": (
        lambda: changed(
            outputs={
                "acceptance": lambda: [
                    node("ReduceMean", ["z"], "mean", axes=[0], keepdims=1),
                    node("Sub", ["z", "mean"], "d"),
                    node("Sigmoid", ["d"], "acceptance"),
                ]
            }
        ),
        "rows and offers must not influence each other",
    ),
    "offers depend on each other": (
        lambda: changed(outputs={"acceptance": lambda: [node("Softmax", ["z"], "acceptance", axis=-1)]}),
        "rows and offers must not influence each other",
    ),
    "order matters": (
        lambda: changed(
            outputs={
                "acceptance": lambda: [
                    node("CumSum", ["z", "last"], "c"),
                    node("Sigmoid", ["c"], "acceptance"),
                ]
            },
            constants={"last": np.array(3, dtype=np.int64)},
        ),
        "moves by ",
    ),
    "table of offers too small": (
        lambda: changed(codes=2),
        "ONNX Runtime cannot run the graph: ",
    ),
    "unknown operator": (
        lambda: changed(
            domains=("acme",), outputs={"acceptance": lambda: [node("Magic", ["z"], "acceptance", domain="acme")]}
        ),
        "model.onnx: ONNX Runtime 1.",
    ),
    "incremental without baseline": (
        lambda: changed(estimand="incremental"),
        "estimand is 'incremental' and output 'baseline' is missing; add it, or state 'response'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_graph_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """One defect in a graph, one refusal that names it."""
    make, expected = BROKEN[name]
    recipe = make()
    path = write(tmp_path / "bundle", recipe, model=graph(recipe), golden=stand_in(recipe))

    report = inspect_bundle(path, demands_of(Recipe())).report

    assert not report.ok
    assert any(expected in refusal for refusal in report.refusals), report.refusals


def test_unknown_operator_is_named(tmp_path: Path) -> None:
    """An operator from nowhere is named in ONNX Runtime's own words."""
    recipe = BROKEN["unknown operator"][0]()
    path = write(tmp_path / "bundle", recipe, golden=stand_in(recipe))

    assert any("acme:Magic" in refusal for refusal in check(path).refusals)


def test_nan_in_golden_region_is_refused(tmp_path: Path) -> None:
    """A graph that gives NaN to everybody is refused with the share of its values."""
    recipe = changed(
        outputs={"acceptance": lambda: [node("Mul", ["z", "nan"], "acceptance")]},
        constants={"nan": np.array(np.nan, dtype=np.float32)},
    )

    refusals = check(write(tmp_path / "bundle", recipe, golden=stand_in(recipe))).refusals

    assert any("output 'acceptance' is NaN in 336 of 336 values, 8 of 8 rows" in refusal for refusal in refusals)


def test_several_defects_are_all_named(tmp_path: Path) -> None:
    """A report does not stop at the first refusal."""
    recipe = changed(
        names={"context": "contexts"},
        outputs={"value": lambda: [node("Identity", ["z"], "value")]},
        timings=("now", "tonight", "weekend"),
    )
    spec = spec_with("profile", dropped=("member",))

    refusals = check(write(tmp_path / "bundle", recipe, golden=stand_in(recipe)), spec).refusals

    for expected in ("feature fingerprint", "profile.member", "input 'context'", "output 'acceptance' is missing"):
        assert any(expected in refusal for refusal in refusals), expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"timings": ("now", "tonight", "weekend", "tomorrow")},
            "model knows timings now, tonight, weekend; catalog also declares tomorrow",
        ),
        (
            {"tonalities": ("factual", "playful")},
            "model knows tonalities factual, warm; catalog also declares playful",
        ),
    ],
)
def test_catalog_with_unknown_names_is_refused(
    tmp_path: Path, change: dict[str, tuple[str, ...]], expected: str
) -> None:
    """A timing or tonality that the model was never trained with has no estimate."""
    demands = replace(demands_of(Recipe()), **change)

    assert (expected,) == inspect_bundle(write(tmp_path / "bundle", Recipe()), demands).report.refusals


def test_catalog_may_have_fewer_names_and_other_offers(tmp_path: Path) -> None:
    """A model knows more than a catalog uses, and judges unknown offers by their attributes."""
    demands = replace(
        demands_of(Recipe()), timings=("weekend",), tonalities=("warm", "factual"), offers=("tea", "soap")
    )

    report = inspect_bundle(write(tmp_path / "bundle", Recipe()), demands).report

    assert () == report.refusals
    assert (
        "1 of the catalog's 2 known; others are judged by attributes"
        == {point.name: point.found for point in report.points}["offers"]
    )


def test_model_without_axes_speaks_for_any_catalog(tmp_path: Path) -> None:
    """Where no output tells timings or tonalities apart, the catalog may declare whatever it likes."""
    recipe = changed(axes=(1, 1))
    demands = replace(demands_of(recipe), timings=("someday",), tonalities=("stern", "shy"))

    assert () == inspect_bundle(write(tmp_path / "bundle", recipe), demands).report.refusals


def test_props_that_contradict_the_manifest_are_refused(tmp_path: Path) -> None:
    """Graph and manifest must say the same."""
    recipe = Recipe()
    props = metadata_props(replace(metadata_of(recipe), tonalities=("factual", "cold"), window_s=7))
    model = graph(recipe, props)

    assert (
        (
            "'takt.tonalities' is ['factual', 'cold'] in model.onnx and ['factual', 'warm'] in manifest.json; "
            "both must say the same"
        ),
        "'takt.window_s' is 7 in model.onnx and 2160000 in manifest.json; both must say the same",
    ) == check(write(tmp_path / "bundle", recipe, model=model)).refusals


def test_missing_props_are_named(tmp_path: Path) -> None:
    """A graph without metadata is refused with every key that it lacks."""
    recipe = Recipe()

    refusals = check(write(tmp_path / "bundle", recipe, model=graph(recipe, {"author": "x"}))).refusals

    assert "'takt.contract' is None, expected '1'" in refusals
    assert any("'feature_fingerprint' is missing" in refusal for refusal in refusals)


def test_golden_rows_of_another_model_are_refused(tmp_path: Path) -> None:
    """Golden rows that the graph does not reproduce tell by how much it misses."""
    recipe = Recipe()
    model = graph(recipe)
    golden = golden_of(recipe, model)
    shifted = golden.outputs["acceptance"].copy()
    shifted[1, 0, 0, 2] += np.float32(0.01)

    refusals = check(
        write(tmp_path / "bundle", recipe, model=model, golden=replace(golden, outputs={"acceptance": shifted}))
    ).refusals

    assert 1 == len(refusals)
    assert refusals[0].startswith("golden rows: output 'acceptance' differs by up to 0.01 from golden.npz")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda golden: replace(golden, outputs={**golden.outputs, "value": golden.outputs["acceptance"]}),
            "golden.npz has outputs acceptance, value and the graph acceptance; both must have the same",
        ),
        (
            lambda golden: replace(golden, outputs={"acceptance": golden.outputs["acceptance"][:, :1]}),
            "golden rows: output 'acceptance' has shape [4, 3, 2, 5], golden.npz [4, 1, 2, 5]",
        ),
        (
            lambda golden: replace(golden, inputs={**golden.inputs, "offers": golden.inputs["offers"][:, :1]}),
            "golden.npz: array 'offers' has 1 columns, expected 2",
        ),
        (
            lambda golden: replace(golden, inputs={**golden.inputs, "offer_code": golden.inputs["offer_code"] + 7}),
            "golden.npz: array 'offer_code' holds 7 to 10, expected 0 to 3",
        ),
    ],
    ids=["another output", "another shape", "another width", "unknown codes"],
)
def test_golden_rows_that_do_not_fit_are_refused(
    tmp_path: Path, change: Callable[[Golden], Golden], expected: str
) -> None:
    """Golden rows for another graph are told from a graph that gives other answers."""
    recipe = Recipe()
    model = graph(recipe)

    refusals = check(write(tmp_path / "bundle", recipe, model=model, golden=change(golden_of(recipe, model)))).refusals

    assert (expected,) == refusals


def test_old_runtime_is_refused(tmp_path: Path) -> None:
    """A runtime that stalls other threads while loading is refused with the version that would be right."""
    report = inspect_bundle(write(tmp_path / "bundle", Recipe()), demands_of(Recipe()), runtime="1.30.9").report

    assert (
        "ONNX Runtime is 1.30.9, expected at least 1.31.1: earlier versions stall other threads while a session loads",
    ) == report.refusals


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["model.onnx", "golden.npz"])
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (flip, "damaged: SHA-256 is "),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "damaged: "),
        (lambda path: path.unlink(), "missing in "),
    ],
    ids=["a bit", "its end", "all of it"],
)
def test_damaged_file_is_refused_by_name(
    tmp_path: Path, file: str, damage: Callable[[Path], None], expected: str
) -> None:
    """A file that is not what the manifest says is named, and the graph is not loaded."""
    path = write(tmp_path / "bundle", Recipe())
    damage(path / file)

    report = check(path)

    assert 1 == len(report.refusals)
    assert report.refusals[0].startswith(f"{file}: {expected}")
    assert "graph" not in {point.name for point in report.points}


def test_damage_behind_a_right_hash_gives_a_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the bytes of a graph, the answer is a report; nothing is raised, and nothing printed."""
    recipe = Recipe()
    model = graph(recipe)
    golden = golden_of(recipe, model)
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        content = np.frombuffer(model, dtype=np.uint8).copy()
        content[rng.integers(0, len(content), 8)] = rng.integers(0, 256, 8)
        path = tmp_path / "bundle"
        write_bundle(path, manifest=manifest_of(recipe), model=content.tobytes(), golden=golden, overwrite=True)
        refused += not check(path).ok

    assert refused > 30
    assert ("", "") == capfd.readouterr()


def test_weights_in_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that reads its weights from elsewhere could read anything; it does not load."""
    recipe = Recipe()
    model = onnx.load_from_string(graph(recipe))
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "offer_w")
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    onnx.external_data_helper.set_external_data(weights, "weights.bin")
    weights.ClearField("raw_data")
    monkeypatch.chdir(tmp_path)

    refusals = check(
        write(tmp_path / "bundle", recipe, model=model.SerializeToString(), golden=stand_in(recipe))
    ).refusals

    assert 1 == len(refusals)
    assert refusals[0].startswith("model.onnx: ONNX Runtime ")
