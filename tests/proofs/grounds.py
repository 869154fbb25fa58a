"""What a proof stands on: the demo's workspace and households, a data directory, services, the store behind them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.cli.client import Client
from takt.v1 import decision_pb2
from takt_training.complete_journey.profiles import Household
from takt_training.demo import people, places
from takt_training.demo.serving import Service
from tests.proofs.callers import Caller, ask
from tests.proofs.counting import Count
from tests.proofs.figures import Figures

HERO = "home_hero"
TILES = "home_tiles"
STORE_TIMEOUT_MS = 200
"""More than the default of 50: two cores run the callers, two services and the store, and a slow disk is no fault."""
BUDGET_MS = 2000


@dataclass(slots=True)
class Grounds:
    """All that the checks share. `households` are handed out, so that no check meets another's contacts."""

    directory: Path
    workspace: Path
    model: Path
    catalog: Catalog
    figures: Figures
    quick: bool
    count: Count = field(default_factory=Count)
    households: Iterator[str] = field(default_factory=lambda: iter(()))
    started: int = 0

    @property
    def data_dir(self) -> Path:
        """Of the embedded store."""
        return self.directory / "store"

    @property
    def redis_url(self) -> str:
        """The embedded store's, for a second service on it."""
        return f"unix://{self.data_dir / 'store.sock'}"

    @property
    def placements(self) -> tuple[str, ...]:
        """All of the catalog."""
        return tuple(placement.id for placement in self.catalog.placements)

    def service(self, *, redis_url: str = "") -> Service:
        """`takt serve` as a process of its own: on the embedded store, or on one that is there."""
        self.started += 1
        public, admin = free_ports(2)
        store = {"redis_url": redis_url} if redis_url else {"data_dir": str(self.data_dir)}
        given = {
            "workspace": str(self.workspace),
            "model": str(self.model),
            "listen": f"127.0.0.1:{public}",
            "admin_listen": f"127.0.0.1:{admin}",
            "metrics_listen": "",
            "store_timeout_ms": str(STORE_TIMEOUT_MS),
            "decide_budget_ms": str(BUDGET_MS),
            **store,
        }
        return Service(given, self.directory / f"serve-{self.started}.log")

    def store_pid(self) -> int:
        """Process id of the embedded store."""
        return int((self.data_dir / "store.lock").read_text(encoding="ascii"))

    def real(self, caller: Caller, request: decision_pb2.DecideRequest) -> decision_pb2.DecideResponse:
        """Ask, and count what was shown."""
        answer = caller.decide(request)
        self.count.add([answer])
        return answer

    def offered(self, caller: Caller, number: int, *placements: str) -> list[str]:
        """Households that nobody asked about yet, and that would be offered something at each of these placements."""
        found: list[str] = []
        while len(found) < number:
            profile_id = next(self.households)
            answer = caller.decide(ask(profile_id, *placements, dry_run=True))
            if all(placement.offers for placement in answer.placements):
                found.append(profile_id)
        return found


@contextmanager
def grounds(directory: Path, figures: Figures, *, quick: bool) -> Iterator[tuple[Grounds, Service]]:
    """The first service, serving, with the households loaded. It is stopped at the end if it still runs."""
    workspace = places.workspace(None)
    made = Grounds(directory, workspace, places.model(None), load_workspace(workspace), figures, quick)
    figures.step(f"start takt serve on {made.workspace.name} and {made.model.name}, with a new embedded store")
    begun = time.monotonic()
    with made.service() as service:
        households = people.known(made.catalog.spec)  # meanwhile
        service.await_ready()
        figures.note(f"serving after {time.monotonic() - begun:.1f} s")
        load(service, made, households)
        yield made, service


def load(service: Service, made: Grounds, households: Sequence[Household]) -> None:
    """Write the households: all, or with `quick` as many as the checks need."""
    chosen = list(households)[:: 2 if made.quick else 1]
    with Client(service.admin) as admin:
        tally = people.put(admin, chosen, made.catalog.spec, Console(quiet=True))
    made.figures.check("households_loaded", tally.outcomes.total() - len(tally.wrong), f"== {len(chosen)}")
    made.households = iter([household.profile_id for household in chosen])


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"


def seconds_until(holds: Callable[[], bool], *, at_most_s: float) -> float:
    """How long it took until something held; `at_most_s` if it did not."""
    begun = time.monotonic()
    while time.monotonic() - begun < at_most_s:
        if holds():
            return round(time.monotonic() - begun, 2)
        time.sleep(0.02)
    return at_most_s
