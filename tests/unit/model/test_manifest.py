"""What a bundle says of itself survives the way to text and back, and is read strictly."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from takt.errors import ModelError
from takt.features.section import Feature, FeatureType
from takt.features.spec import make_spec
from takt.model.features import feature_contract
from takt.model.manifest import (
    FileFacts,
    Manifest,
    Metadata,
    manifest_json,
    metadata_props,
    parse_manifest,
    parse_props,
)

SPEC = make_spec(
    profile=[
        Feature("visits", FeatureType.INT, default=0),
        Feature("segment", FeatureType.CATEGORY, values=("budget", "premium"), default="budget"),
        Feature("interests", FeatureType.FLAGS, values=("garden", "kitchen"), default=("kitchen",)),
    ],
    offer=[Feature("price", FeatureType.FLOAT, default=1.5)],
)
METADATA = Metadata(
    features=feature_contract(SPEC),
    timings=("now", "tonight"),
    tonalities=("factual",),
    offers=("milk", "bread"),
    goal="purchase",
    window_s=3600,
    unit="EUR",
    estimand="response",
    trained_from="2017-01-01T00:00:00Z",
    trained_until="2017-10-01T00:00:00Z",
    calibration={"method": "platt", "slope": 1.25},
    metrics={"auc": 0.82, "by_month": [0.8, 0.81]},
)
MANIFEST = Manifest(
    name="tiny",
    version="1.2.3-rc.1",
    metadata=METADATA,
    golden_onnxruntime="1.32.0",
    code="0.1.0",
    data_as_of="2017-10-01T00:00:00Z",
    license="für Forschung",
    files={
        "golden.npz": FileFacts(sha256="a" * 64, size=10),
        "model.onnx": FileFacts(sha256="b" * 64, size=20),
    },
)

names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    timings=names,
    tonalities=names,
    offers=names,
    unit=st.text(),
    window_s=st.integers(1, 10**9),
    metrics=st.dictionaries(st.text(), json_values, max_size=4),
)
def test_text_and_props_come_back_as_they_were(**changes: Any) -> None:
    """Whatever the names and figures, both forms are read back to the same values."""
    metadata = replace(METADATA, **changes)
    manifest = replace(MANIFEST, metadata=metadata)

    assert metadata == parse_props(metadata_props(metadata))
    assert manifest == parse_manifest(manifest_json(manifest))


def test_defaults_of_every_type_come_back() -> None:
    """Defaults are numbers, texts and sets, and none at all."""
    features = parse_manifest(manifest_json(MANIFEST)).metadata.features

    assert {
        "profile.visits": 0,
        "profile.segment": "budget",
        "profile.interests": ("kitchen",),
        "offer.price": 1.5,
    } == {key: facts.default for key, facts in features.features.items()}
    assert {"profile.segment": ("budget", "premium"), "profile.interests": ("garden", "kitchen")} == dict(
        features.vocabularies
    )
    assert ("visits", "segment", "interests.garden", "interests.kitchen") == features.profile_columns


def test_equal_manifests_give_equal_text() -> None:
    """The order in which figures were gathered does not show."""
    turned = replace(METADATA, metrics=dict(reversed(METADATA.metrics.items())))

    assert manifest_json(MANIFEST) == manifest_json(replace(MANIFEST, metadata=turned))
    assert metadata_props(METADATA) == metadata_props(turned)


def test_props_of_others_are_left_alone() -> None:
    """Exporters write keys of their own."""
    assert METADATA == parse_props({**metadata_props(METADATA), "author": "x", "onnx.infer": "y"})


def test_plain_texts_are_not_quoted() -> None:
    """A person who looks at the graph reads the goal as it is."""
    props = metadata_props(METADATA)

    assert "purchase" == props["takt.goal"]
    assert "3600" == props["takt.window_s"]
    assert '["now","tonight"]' == props["takt.timings"]
    assert "1" == props["takt.contract"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("takt.contract", "2", "'takt.contract' is '2', expected '1'"),
        ("takt.timings", "now", "'takt.timings': not valid JSON"),
        ("takt.timings", "[]", "'timings' is [], expected at least 1 name"),
        ("takt.timings", '["a","a"]', "expected every name once; 'a' stands twice"),
        ("takt.window_s", "soon", "'takt.window_s': not valid JSON"),
        ("takt.window_s", "0", "'window_s' is 0, expected a whole number of at least 1"),
        ("takt.window_s", "true", "'window_s' is true, expected a whole number"),
        ("takt.goal", " ", "expected a string that is not empty"),
        ("takt.estimand", "uplift", "'estimand' is \"uplift\", expected 'response' or 'incremental'"),
        ("takt.trained_from", "2017-13-01T00:00:00Z", "expected a time in UTC such as 2017-01-01T00:00:00Z"),
        ("takt.trained_from", "2018-01-01T00:00:00Z", "'trained_from' must be before 'trained_until'"),
        ("takt.metrics", '{"auc": NaN}', "expected finite numbers"),
        ("takt.metrics", '{"a": 1, "a": 2}', "key 'a' stands twice"),
        ("takt.metrics", "[" * 100_000, "not valid JSON"),
        ("takt.timing", "[]", "unknown key 'timing'; did you mean 'timings'?"),
        ("takt.features", '{"profile.x": {"type": "float"}}', "'profile.x': a feature: 'default' is missing"),
    ],
)
def test_faulty_props_are_named(key: str, value: str, expected: str) -> None:
    """Each fault names the key, shows what stands there and what would be right."""
    with pytest.raises(ModelError) as caught:
        parse_props({**metadata_props(METADATA), key: value})

    assert expected in str(caught.value)


def test_the_contract_page_names_every_key() -> None:
    """What trainers read and what the service reads are the same keys."""
    page = (Path(__file__).parents[3] / "docs" / "model-contract.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `takt.")]

    assert sorted(metadata_props(METADATA)) == sorted(key for row in rows for key in re.findall(r"`(takt\.\w+)`", row))


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    """Remove a key."""

    def change(document: dict[str, Any]) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


def having(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    """Set a key."""

    def change(document: dict[str, Any]) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without("name"), "manifest.json: 'name' is missing"),
        (having("A b", "name"), "manifest.json: 'name' is \"A b\", expected lower-case letters, digits and hyphens"),
        (having("1.0", "version"), "'version' is \"1.0\", expected a semantic version such as 1.0.0"),
        (having("../x", "version"), "expected a semantic version"),
        (having(2, "contract"), "'contract' is 2, expected 1"),
        (having("pickle", "format"), "'format' is \"pickle\", expected 'onnx'"),
        (without("files", "model.onnx"), "manifest.json files 'model.onnx': missing"),
        (having({}, "files", "../evil"), "manifest.json files: '../evil' is not a file of a bundle"),
        (having("x", "files", "golden.npz", "sha256"), "'sha256' is \"x\", expected 64 hex digits in lower case"),
        (having(-1, "files", "golden.npz", "size"), "'size' is -1, expected a whole number of at least 1"),
        (without("golden", "onnxruntime"), "manifest.json golden: 'onnxruntime' is missing"),
        (having(3, "created"), "manifest.json created: expected an object"),
        (without("metadata", "timings"), "manifest.json metadata: 'timings' is missing"),
        (having("x", "metadata", "goals"), "manifest.json metadata: unknown key 'goals'; did you mean 'goal'?"),
        (having([], "metadata"), "manifest.json metadata: expected an object"),
    ],
)
def test_faulty_manifest_is_named(change: Callable[[dict[str, Any]], None], expected: str) -> None:
    """Each fault names the key, shows what stands there and what would be right."""
    document = json.loads(manifest_json(MANIFEST))
    change(document)

    with pytest.raises(ModelError) as caught:
        parse_manifest(json.dumps(document))

    assert expected in str(caught.value)


def test_every_fault_is_named_at_once() -> None:
    """Nobody repairs a manifest one message at a time."""
    document = json.loads(manifest_json(MANIFEST))
    del document["license"]
    document["version"] = "one"
    document["metadata"]["window_s"] = "long"

    with pytest.raises(ModelError) as caught:
        parse_manifest(json.dumps(document))

    assert 3 == len(str(caught.value).splitlines())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}"])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    """Any text gives an error of ours, never another."""
    with pytest.raises(ModelError, match=r"manifest\.json"):
        parse_manifest(text)
