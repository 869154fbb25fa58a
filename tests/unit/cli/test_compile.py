"""Kernels are compiled ahead with the very types that decisions use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from takt.catalog.workspace import load_workspace
from takt.cli.compile import decide_once
from takt.cli.main import main
from takt.clock import MINUTE_US, SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.record import write_records
from takt.domain.request import DecideRequest, PlacementAsk
from takt.eligibility.filters import filter_each, find_stages
from takt.engine.batch import number_rows
from takt.engine.counting import count_spots
from takt.engine.engine import Engine
from takt.engine.force import force
from takt.engine.ledgers import pack, unpack
from takt.engine.selection import select
from takt.engine.union import number_columns
from takt.features.matrix import fill_matrix
from takt.features.reader import find_corrupt
from takt.memory.store import MemoryStore
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter
from takt.rpc.desk import Ask, EngineDesk
from takt.wire.decoding.plain import read_plain
from takt.wire.request import request_message

KERNELS: Final[tuple[Any, ...]] = (
    read_plain,
    number_rows,
    find_corrupt,
    unpack,
    select,
    pack,
    write_records,
    count_spots,
)
"""Those that are called from Python."""
SHARED: Final[tuple[Any, ...]] = (find_stages, filter_each, number_columns, fill_matrix)
"""Likewise; but training calls some of them too, with arrays that may not be written to."""
WORKSPACE = Path(__file__).parents[2] / "workspaces" / "minimal"


def signatures(kernels: tuple[Any, ...]) -> list[list[Any]]:
    """The types that each was compiled for."""
    return [list(getattr(kernel, "compiled", kernel).signatures) for kernel in kernels]


def test_what_is_compiled_ahead_is_what_a_decision_uses() -> None:
    """After `takt compile`, a decision on a real workspace compiles nothing more."""
    decide_once()
    compiled = signatures(KERNELS + SHARED)
    catalog, clock, scorer = load_workspace(WORKSPACE), SystemClock(), ConstantScorer()
    store, codec = MemoryStore(clock), ProtobufCodec(64)
    engine = Engine(
        force(catalog, scorer), store, codec, prior=scorer, clock=clock, meter=NullMeter(), service_version="0"
    )
    asks = tuple(PlacementAsk(placement.id) for placement in catalog.placements)
    requests = [DecideRequest(f"r{i}", asks, profile_id="p") for i in range(3)]
    messages = [request_message(request).SerializeToString() for request in requests]
    answers = EngineDesk(engine, budget_us=MINUTE_US).decide(
        [Ask(message, clock.monotonic_us()) for message in messages]
    )
    assert all(isinstance(answer, bytes) for answer in answers)
    assert compiled == signatures(KERNELS + SHARED)
    assert [1] * len(KERNELS) == [len(found) for found in signatures(KERNELS)]


def test_a_kernel_that_is_kept_needs_no_compiler() -> None:
    """A service whose kernels are compiled imports nothing more of numba when it decides, and no linear algebra."""
    script = """
import sys
import takt.app
from takt.cli.compile import decide_once
loaded = set(sys.modules)
decide_once()
print(sorted(name for name in sys.modules.keys() - loaded if name.startswith(("numba.", "scipy."))))
"""
    for _ in range(2):  # the first may have to compile
        ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert "[]" == ended.stdout.strip()


def test_the_command_says_where_they_are_kept() -> None:
    """It ends with 0 and names the directory."""
    result = CliRunner().invoke(main, ["compile"])
    assert 0 == result.exit_code, result.output
    assert "kept" in result.output
