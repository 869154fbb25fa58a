"""A model's features are compared with the workspace's by what they mean, and every difference is a sentence."""

import pytest
from msgspec.structs import replace

from takt.features.section import Feature, FeatureType
from takt.features.spec import make_spec
from takt.model.features import Difference, FeatureContract, differences, feature_contract

BASE = feature_contract(
    make_spec(
        profile=[
            Feature("visits", FeatureType.INT, default=0),
            Feature("segment", FeatureType.CATEGORY, values=("a", "b")),
            Feature("note", FeatureType.FLOAT, model=False),
        ],
        context=[Feature("hour", FeatureType.INT)],
    )
)


def test_only_what_a_model_sees_is_declared() -> None:
    """Features for rules only are not part of the contract."""
    assert ("profile.visits", "profile.segment", "context.hour") == tuple(BASE.features)
    assert {"profile.segment": ("a", "b")} == dict(BASE.vocabularies)
    assert (("visits", "segment"), ("hour",), ()) == tuple(map(BASE.columns, ("profile", "context", "offer")))


def test_equal_features_do_not_differ() -> None:
    """Nothing to say."""
    assert () == differences(model=BASE, declared=BASE)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            replace(BASE, vocabularies={}),
            (),  # a vocabulary that features.yaml does not have belongs to a feature that is named already
        ),
        (
            replace(BASE, vocabularies={**BASE.vocabularies, "context.hour": ("x",)}),
            (Difference("vocabularies", "context.hour has no vocabulary in the bundle"),),
        ),
        (
            replace(BASE, vocabularies={"profile.segment": tuple("abcdefghijklm")}),
            (
                Difference(
                    "vocabularies",
                    "profile.segment has other values: 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j' and 3 more unknown to "
                    "the model",
                ),
            ),
        ),
        (
            replace(BASE, vocabularies={"profile.segment": ("b", "c")}),
            (
                Difference(
                    "vocabularies",
                    "profile.segment has other values: 'c' unknown to the model; 'a' not in features.yaml",
                ),
            ),
        ),
        (
            replace(BASE, profile_columns=("visits", "other")),
            (Difference("columns", "profile columns differ: the model lacks 'other'; features.yaml lacks 'segment'"),),
        ),
        (
            replace(BASE, profile_columns=("segment", "visits")),
            (
                Difference(
                    "columns",
                    "profile columns stand in another order: column 0 is 'visits' for the model and 'segment' in "
                    "features.yaml",
                ),
            ),
        ),
    ],
)
def test_every_difference_is_a_sentence(declared: FeatureContract, expected: tuple[Difference, ...]) -> None:
    """Each sentence names the feature and what either side has."""
    assert expected == differences(model=BASE, declared=declared)
