"""Names of timings and tonalities are matched, not their positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takt.model.axes import order, unknown


@given(st.permutations(("now", "tonight", "weekend", "later")), st.integers(1, 4))
def test_order_finds_every_name(catalog: list[str], count: int) -> None:
    """Taking the model's names in the order found gives the catalog's names."""
    model = ("now", "tonight", "weekend", "later")

    found = order(catalog[:count], model)

    taken = list(model) if found is None else [model[index] for index in found]
    assert catalog[:count] == taken


def test_equal_axes_need_no_order() -> None:
    """Nothing is moved where nothing differs."""
    assert order(("a", "b"), ("a", "b")) is None


def test_order_is_an_index() -> None:
    """What comes out can be given to `take`."""
    found = order(("b",), ("a", "b"))

    assert found is not None
    np.testing.assert_array_equal(np.array([1]), found)


@pytest.mark.parametrize(
    ("catalog", "model", "expected"),
    [((), ("a",), ()), (("a", "x"), ("a",), ("x",)), (("y", "x"), (), ("y", "x"))],
)
def test_unknown_names_are_listed(catalog: tuple[str, ...], model: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """In the catalog's order."""
    assert expected == unknown(catalog, model)
