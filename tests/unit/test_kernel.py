"""What a compiled kernel depends on is in the digest under which it is kept."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import takt
from takt.kernel import entry, sources

PACKAGE = Path(takt.__file__).parent
WITH_KERNELS = [
    file for file in sorted(PACKAGE.rglob("*.py")) if {"@kernel", "@entry"} & set(file.read_text("utf-8").splitlines())
]


class Pair(NamedTuple):
    """Two arrays."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.float64]


class Nest(NamedTuple):
    """A pair, between others."""

    number: int
    pair: Pair
    last: npt.NDArray[np.int64]


@entry
def weigh(nest: Nest, times: int, out: Pair) -> int:
    """Write the nest's pair, so many times, to `out`; the nest's number and its last."""
    for i in range(out.first.shape[0]):
        out.first[i] = times * nest.pair.first[i]
        out.second[i] = times * nest.pair.second[i]
    return int(nest.number + nest.last[0])


def constants_of(file: Path) -> set[Path]:
    """The files of `takt` that a file takes constants or layouts from when it is loaded."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("takt."):
            taken = [name.name for name in node.names if name.name.isupper()]
            if taken:
                place = PACKAGE.joinpath(*str(node.module).split(".")[1:])
                found.add(place / "__init__.py" if place.is_dir() else place.with_suffix(".py"))
    return found


@pytest.mark.parametrize("file", WITH_KERNELS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_constant_that_changes_leaves_no_stale_kernel(file: Path) -> None:
    """The text of a kernel's file is digested, and that of each file whose constants it has compiled in."""
    digested = set(sources())
    assert file.read_bytes() in digested
    assert [] == [str(other.relative_to(PACKAGE)) for other in constants_of(file) if other.read_bytes() not in digested]


@pytest.mark.parametrize("file", WITH_KERNELS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_tuple_that_changes_leaves_no_stale_entry(file: Path) -> None:
    """The fields of a tuple are compiled into the kernel that takes it apart; the text of its file is digested."""
    digested = set(sources())
    module: Any = import_module(".".join(("takt", *file.relative_to(PACKAGE).with_suffix("").parts)))
    taken = [kind for found in vars(module).values() for kind in getattr(found, "tuples", ())]
    assert [] == [kind for kind in taken if Path(inspect.getfile(kind)).read_bytes() not in digested]


def test_an_entry_takes_tuples_apart_and_together() -> None:
    """Tuples within tuples arrive as they were handed over, compiled or not."""
    found = []
    for called in (weigh, weigh.py_func):  # type: ignore[attr-defined]
        out = Pair(np.zeros(2, np.int64), np.zeros(2))
        nest = Nest(5, Pair(np.array([1, 2]), np.array([0.5, 1.5])), np.array([7]))
        found.append((called(nest, 3, out), out.first.tolist(), out.second.tolist()))

    assert [(12, [3, 6], [1.5, 4.5])] * 2 == found
