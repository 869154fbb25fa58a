"""What a model sees of a row is what the contract says, column by column."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from takt.clock import DAY_US
from takt.features.matrix import model_columns, model_matrix
from takt.features.record import RecordReader, pack_profiles, pack_section
from takt.features.spec import Feature, FeatureSpec, FeatureType, make_spec
from tests.unit.features.strategies import model_row, profile_rows, specs, stored

SPEC = make_spec(
    offer=[
        Feature("group", FeatureType.CATEGORY, values=("x", "y")),
        Feature("tags", FeatureType.FLAGS, values=("p", "q")),
        Feature("price", FeatureType.FLOAT),
        Feature("hidden", FeatureType.FLOAT, model=False),
        Feature("new", FeatureType.BOOL, default=False),
        Feature("ends", FeatureType.TIMESTAMP),
        Feature("hidden_tags", FeatureType.FLAGS, values=("r",), model=False),
        Feature("kind", FeatureType.CATEGORY, values=("k",)),
    ]
)
NOW_US = 1_500_000_000_000_000


def test_columns_are_numbers_ages_categories_flags() -> None:
    """Columns stand by kind, then in the order of declaration; what the model must not see is left out."""
    assert ("price", "new", "ends", "group", "kind", "tags.p", "tags.q") == model_columns(SPEC.offer)


def test_values_become_columns() -> None:
    """Numbers as they are, ages in days, indices from 0, flags as 0 and 1, and NaN for what is missing."""
    array = pack_section(
        SPEC.offer,
        [
            {"price": 2.5, "new": True, "ends": NOW_US + DAY_US, "group": "y", "kind": "k", "tags": ("q",)},
            {"ends": NOW_US - DAY_US // 2},
        ],
    )

    matrix = model_matrix(SPEC.offer, array, NOW_US)

    nan = math.nan
    expected = np.array([[2.5, 1, -1, 1, 0, 0, 1], [nan, 0, 0.5, nan, nan, 0, 0]], np.float32)
    assert np.array_equal(expected, matrix, equal_nan=True)
    assert np.float32 == matrix.dtype
    assert matrix.flags.c_contiguous


def test_nothing_to_see_is_a_matrix_without_columns() -> None:
    """A section without model features still has rows."""
    assert (3, 0) == model_matrix(SPEC.context, pack_section(SPEC.context, [{}] * 3), NOW_US).shape


@given(st.data(), specs())
def test_the_matrix_equals_its_plain_twin(data: st.DataObject, spec: FeatureSpec) -> None:
    """For any spec and rows, every column is what the values say."""
    rows = data.draw(st.lists(profile_rows(spec), max_size=3))
    array, _ = RecordReader(spec, {}).read(pack_profiles(spec, rows, 1))

    matrix = model_matrix(spec.profile, array, NOW_US)

    assert (len(rows), len(model_columns(spec.profile))) == matrix.shape
    for row, got in zip(rows, matrix, strict=True):
        expected = np.array(model_row(spec, stored(spec, row).features, NOW_US), np.float64).astype(np.float32)
        assert np.array_equal(expected, got, equal_nan=True)
