"""What can be said of ONNX Runtime without a graph."""

import numpy as np
import pytest

from takt.errors import ModelError
from takt.model.session import RUNTIME, Session, pad_to_two, runtime_is_recent


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.31.0", False), ("1.31.1", True), ("1.9.9", False), ("1.32", True), ("2.0.0", True), ("1.32.0.dev5+cpu", True)],
)
def test_versions_are_compared_as_numbers(version: str, *, expected: bool) -> None:
    """1.9 is older than 1.31."""
    assert expected == runtime_is_recent(version)


def test_the_runtime_in_use_is_recent() -> None:
    """The lock keeps what the contract demands."""
    assert runtime_is_recent(RUNTIME)


@pytest.mark.parametrize("content", [b"", b"garbage" * 10])
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    """Any bytes give an error of ours that names the runtime."""
    with pytest.raises(ModelError, match=f"ONNX Runtime {RUNTIME} cannot load the graph: "):
        Session(content)


@pytest.mark.parametrize(("rows", "expected"), [(1, 2), (2, 2), (5, 5)])
def test_only_a_single_row_is_doubled(rows: int, expected: int) -> None:
    """Batches of two and more are taken as they are."""
    array = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)

    padded = pad_to_two(array)

    assert (expected, 3) == padded.shape
    np.testing.assert_array_equal(array, padded[:rows])
    assert padded.flags.c_contiguous
