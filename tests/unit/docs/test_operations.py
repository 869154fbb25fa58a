"""The page about operations says what the code does: the same settings, metrics, causes and log events."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from takt.domain.reasons import Cause
from takt.observation.fleet import FleetMetrics
from takt.observation.metrics import Metrics
from takt.settings import OPTIONS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table whose first heading is this, without code marks."""
    lines = iter(PAGE.splitlines())
    assert any(line.startswith(f"| {heading} |") for line in lines), heading
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        found.append([cell.strip().strip("`").replace("\\|", "|") for cell in cells])
    return found


def test_every_setting_is_explained() -> None:
    """Flag, variable, default and meaning of each, in the order of the command's help."""
    assert [[f"{o.flag} {o.metavar}", o.variable, o.default, o.help] for o in OPTIONS] == rows("flag")


def test_every_metric_is_explained() -> None:
    """Each metric that is registered stands on the page, and none beside."""
    registry = CollectorRegistry()
    Metrics(registry)
    families = [*registry.collect(), *FleetMetrics(dict).registry.collect()]
    registered = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}

    assert registered == {row[0] for row in rows("metric")}


def test_every_cause_is_explained() -> None:
    """Whoever sees a cause of degradation finds what to do."""
    assert {cause.value for cause in Cause} == {row[0] for row in rows("cause")}


@pytest.mark.parametrize(
    "file", ["app.py", "workers/fleet.py", "rpc/calls.py", "rpc/gather.py", "redis/store.py", "observation/logs.py"]
)
def test_every_log_event_is_explained(file: str) -> None:
    """Each event that these files log stands on the page."""
    source = (ROOT / "service" / "takt" / file).read_text(encoding="utf-8")
    logged = set(re.findall(r"log\.(?:info|warning|error|exception)\(\s*\"(\w+)\"", source))
    logged |= set(re.findall(r"\"(store_up|store_down|library)\"", source))
    explained = {name for row in rows("event") for name in re.findall(r"\w+", row[0])}

    assert logged
    assert set() == logged - explained
