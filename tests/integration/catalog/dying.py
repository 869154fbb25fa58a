"""A process that applies a catalog on a store and kills itself with SIGKILL at one step of it.

python -m tests.integration.catalog.dying STORE_URL WORKSPACE STEP
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import read_workspace
from takt.clock import SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.edition import Edition, Following, SourceFile
from takt.engine.catalogs import Catalogs, Wish
from takt.engine.engine import Engine
from takt.engine.force import Force, force
from takt.errors import TaktError
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter
from takt.redis import keys
from takt.redis.calls import Unit
from takt.redis.editions import RedisEditions
from takt.redis.store import RedisStore
from takt.redis.wire import Address

STEPS = ("before announcing", "announced", "in force", "half advanced", "advanced")
"""Where it can die: each is after the one before it."""


def die() -> None:
    """End as nobody wants to."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingEditions(RedisEditions):
    """Does its work on the real store, and ends the process at one step."""

    step = ""
    announced = False

    def announce(self, edition: Edition, files: Sequence[SourceFile]) -> bool:
        """Die before or after."""
        if self.step == "before announcing":
            die()
        done = super().announce(edition, files)
        self.announced = True
        if self.step == "announced":
            die()
        return done

    def follow(self, replica: bytes, prepared: int, decides: int) -> Following:
        """Die once the announced edition is in force, before any partition knows."""
        seen = super().follow(replica, prepared, decides)
        if self.announced and seen.in_force == seen.announced and self.step == "in force":
            die()
        return seen

    def advance(self, number: int) -> None:
        """Die after some of the partitions, or after all."""
        if self.announced and self.step == "half advanced":
            partitions = range(self._calls.marker.partitions // 2)
            frame = number.to_bytes(4, "little")
            units = [Unit(p, (keys.marker(p),), frame) for p in partitions]
            self._calls.codes("catalog", "takt_advance_v1", units)
            die()
        super().advance(number)
        if self.announced and self.step == "advanced":
            die()


class DyingStore(RedisStore):
    """A store whose editions are those."""

    @property
    def editions(self) -> RedisEditions:
        """The dying ones."""
        dying = getattr(self, "_dying", None)
        if dying is None:
            dying = self._dying = DyingEditions(self._calls)
        return dying


class Nobody:
    """Is told, and tells nobody."""

    def turned(self, force: Force) -> None:
        """Nothing."""

    def seen(self, following: Following) -> None:
        """Nothing."""

    def unusable(self, number: int, error: TaktError) -> None:
        """Nothing."""

    def asked(self, outcome: str) -> None:
        """Nothing."""


def fit(catalog: Catalog, edition: int, *, strict: bool) -> Force:
    """A catalog with a prior."""
    del strict
    return force(catalog, ConstantScorer(), edition=edition)


def main(url: str, workspace: str, step: str) -> None:
    """Apply, and die."""
    store = DyingStore.open(Address(url, timeout_s=10.0))
    assert isinstance(store.editions, DyingEditions)
    store.editions.step = step
    pause = threading.Event()
    catalogs = Catalogs(store, replica=uuid.uuid4().bytes, fit=fit, witness=Nobody(), pause=pause.wait)
    report, files = read_workspace(Path(workspace))
    in_force = catalogs.open(report, files)
    clock = SystemClock()
    codec = ProtobufCodec(store.marker.partitions)
    prior = ConstantScorer()
    engine = Engine(in_force, store, codec, prior=prior, clock=clock, meter=NullMeter(), service_version="0")
    catalogs.serve(engine)
    catalogs.apply(Wish(files, "dying", step))
    raise SystemExit("it is alive")


if __name__ == "__main__":
    main(*sys.argv[1:])
