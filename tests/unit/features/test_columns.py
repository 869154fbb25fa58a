"""Rules read the columns of a section by name, with what is missing beside them."""

import numpy as np
import pytest

from takt.features.columns import Columns
from takt.features.record import pack_section
from takt.features.section import MISSING_TIME
from takt.features.spec import Feature, FeatureType, make_spec

SECTION = make_spec(
    context=[
        Feature("spend", FeatureType.FLOAT),
        Feature("visits", FeatureType.INT),
        Feature("member", FeatureType.BOOL),
        Feature("page", FeatureType.CATEGORY, values=("home", "basket")),
        Feature("tags", FeatureType.FLAGS, values=("p", "q")),
        Feature("seen", FeatureType.TIMESTAMP),
    ]
).context
COLUMNS = Columns(
    SECTION,
    pack_section(
        SECTION,
        [{}, {"spend": 0.1, "visits": 2**24, "member": True, "page": "basket", "tags": ("q", "p"), "seen": 7}],
    ),
)


@pytest.mark.parametrize(
    ("name", "dtype", "value"),
    [
        ("spend", np.float64, float(np.float32(0.1))),
        ("visits", np.float64, float(2**24)),
        ("member", np.float64, 1.0),
        ("page", np.uint16, 2),
        ("seen", np.int64, 7),
    ],
)
def test_a_column_has_its_values_and_what_is_missing(name: str, dtype: type, value: float) -> None:
    """The first row's value is missing, the second's is as stored."""
    values, missing = COLUMNS.column(name)

    assert dtype == values.dtype
    assert value == values[1]
    assert missing is not None
    assert [True, False] == missing.tolist()


def test_flags_are_never_missing() -> None:
    """Flags that were not given are an empty set."""
    values, missing = COLUMNS.column("tags")

    assert [0, 3] == values.tolist()
    assert missing is None


def test_a_missing_time_is_marked_in_its_values() -> None:
    """Whoever computes with times must see that this one is none."""
    assert MISSING_TIME == COLUMNS.column("seen")[0][0]


def test_a_column_is_made_once() -> None:
    """Rules that read the same feature share its column."""
    assert COLUMNS.column("spend") is COLUMNS.column("spend")
    assert 2 == len(COLUMNS)


def test_an_undeclared_name_is_an_error() -> None:
    """The catalog checks names when it is loaded; here a wrong one is a defect."""
    with pytest.raises(KeyError, match="nothing"):
        COLUMNS.column("nothing")
