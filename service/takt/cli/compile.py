"""`takt compile`: compile the kernels for this machine, ahead of the first start."""

from __future__ import annotations

import time
from pathlib import Path

import click

from takt.catalog.workspace import load_workspace
from takt.clock import HOUR_US, SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.request import DecideRequest, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.force import force
from takt.kernel import CACHED, cache_directory
from takt.memory.store import MemoryStore
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter
from takt.rpc.desk import Ask, EngineDesk
from takt.wire.request import request_message

SMALLEST = Path(__file__).parent / "smallest"


@click.command("compile")
def compile_kernels() -> None:
    """Compile the kernels for this machine and keep them, so that the first start need not.

    \b
    Examples:
      takt compile
      TAKT_KERNEL_CACHE=/opt/takt/kernels takt compile

    Takes a minute or two the first time, and a second where they are compiled already. Meant for the end of an
    installation, or for the building of an image: set TAKT_KERNEL_CACHE there and where the service runs.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    begun = time.monotonic()
    decide_once()
    where = f"kept in {cache_directory()}" if CACHED else f"not kept: {cache_directory()} cannot be written to"
    click.echo(f"compiled in {time.monotonic() - begun:.0f} s, {where}")


def decide_once() -> None:
    """One decision on the smallest workspace, in memory: every kernel is compiled with the types it always gets."""
    clock = SystemClock()
    scorer = ConstantScorer()
    engine = Engine(
        force(load_workspace(SMALLEST), scorer),
        MemoryStore(clock),
        ProtobufCodec(1),
        prior=scorer,
        clock=clock,
        meter=NullMeter(),
        service_version="0",
    )
    request = DecideRequest("compile", (PlacementAsk("page"),), profile_id="compile")
    ask = Ask(request_message(request).SerializeToString(), clock.monotonic_us())
    EngineDesk(engine, budget_us=HOUR_US).decide([ask])
