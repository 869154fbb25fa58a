"""What a compiled kernel depends on is in the digest under which it is kept."""

from __future__ import annotations

import ast
import inspect
import os
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm
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


def test_an_entry_that_was_kept_runs_without_its_bodies(tmp_path: Path) -> None:
    """Another process loads it instead of compiling it, and it does the same; numba has its names to link with."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(takt.__file__).parents[2])!r})
import numpy as np
from tests.unit.test_kernel import Nest, Pair, weigh
out = Pair(np.zeros(2, np.int64), np.zeros(2))
nest = Nest(5, Pair(np.array([1, 2]), np.array([0.5, 1.5])), np.array([7]))
number = weigh(nest, 3, out)
hits, misses = weigh.compiled.stats.cache_hits, weigh.compiled.stats.cache_misses
print(number, *out.first, *out.second, "hits", sum(hits.values()), "misses", sum(misses.values()))
"""
    environment = os.environ | {"TAKT_KERNEL_CACHE": str(tmp_path)}
    told = [
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
        for _ in range(2)
    ]

    assert ["12 3 6 1.5 4.5 hits 0 misses 1", "12 3 6 1.5 4.5 hits 1 misses 0"] == [t.stdout.strip() for t in told]
    (kept,) = tmp_path.rglob("*weigh*.nbc")
    (_, _, (_, bitcode)), *_ = pickle.loads(kept.read_bytes())  # noqa: S301 - written just now
    module = llvm.parse_bitcode(bitcode)
    defined = [function for function in module.functions if not function.is_declaration]
    assert ["unreachable"] * 3 == [
        i.opcode for function in defined for block in function.blocks for i in block.instructions
    ]


def test_an_entry_takes_tuples_apart_and_together() -> None:
    """Tuples within tuples arrive as they were handed over, compiled or not."""
    found = []
    for called in (weigh, weigh.py_func):  # type: ignore[attr-defined]
        out = Pair(np.zeros(2, np.int64), np.zeros(2))
        nest = Nest(5, Pair(np.array([1, 2]), np.array([0.5, 1.5])), np.array([7]))
        found.append((called(nest, 3, out), out.first.tolist(), out.second.tolist()))

    assert [(12, [3, 6], [1.5, 4.5])] * 2 == found
