"""Whatever stands in a workspace, checking it gives a report."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from takt.catalog.workspace import check_workspace
from takt.yamlmarks import load

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"
FILES: dict[str, Any] = {path.name: load(path.read_text(), path.name).value for path in sorted(MINIMAL.iterdir())}
ODD: list[Any] = [None, True, 0, -1, 2**70, 1.5, "", "x", "now", [], [None], ["x", "x"], {}, {"id": "x"}, [{}], [[]]]

Path_ = tuple[str | int, ...]


def _places(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Every place in nested data."""
    yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        yield from _places(child, (*at, key))


PLACES = [(name, place) for name, content in FILES.items() for place in _places(content)]


def _mangled(name: str, place: Path_, odd: Any) -> str:
    """A file with one value replaced, as JSON, which is YAML."""
    content = copy.deepcopy(FILES[name])
    if not place:
        return json.dumps(odd)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return json.dumps(content)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(ODD)), min_size=1, max_size=2))
def test_anything_gives_a_report(tmp_path: Path, edits: list[tuple[tuple[str, Path_], Any]]) -> None:
    """Odd values in any place are accepted or refused with a place; nothing else ever comes of them."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content))
    for (name, place), odd in edits:
        (tmp_path / name).write_text(_mangled(name, place, odd))

    report = check_workspace(tmp_path)

    assert report.ok == (not report.violations)
    assert [] == [v.field for v in report.violations if not v.field.startswith(tuple(FILES))]


def test_json_is_yaml(tmp_path: Path) -> None:
    """The files that are mangled above are right before that."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content))

    assert () == check_workspace(tmp_path).violations


@pytest.mark.parametrize("name", sorted(FILES))
def test_empty_files(tmp_path: Path, name: str) -> None:
    """An empty file says nothing, which is never an accident."""
    for other, content in FILES.items():
        (tmp_path / other).write_text("" if other == name else json.dumps(content))

    assert not check_workspace(tmp_path).ok
