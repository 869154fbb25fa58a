"""What a compiled kernel depends on is in the digest under which it is kept."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import takt
from takt.kernel import sources

PACKAGE = Path(takt.__file__).parent
WITH_KERNELS = [file for file in sorted(PACKAGE.rglob("*.py")) if "\n@kernel\n" in file.read_text("utf-8")]


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
