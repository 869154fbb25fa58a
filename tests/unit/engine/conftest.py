"""An engine over the small workspace, with a store in memory and a clock that moves when told to."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from takt.catalog.workspace import load_workspace
from takt.clock import ManualClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.decision import Decision
from takt.domain.request import DecideRequest, Identity, PlacementAsk
from takt.engine.engine import Engine
from takt.engine.feedback import Feedback
from takt.engine.force import force
from takt.engine.ledgers import read
from takt.engine.profiles import Profiles
from takt.errors import ModelError
from takt.features.record import ProfileRow, pack_profiles
from takt.memory.store import MemoryStore
from takt.model.prior import ConstantScorer
from takt.ports import NullMeter, ProfileWrite, Scores
from tests.unit.decisionlog.slow_writing import CheckedCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from takt.catalog.snapshot import Catalog
    from takt.domain.request import Scalar
    from takt.errors import TaktError
    from takt.ports import Fetched, Group, Outcome, ProfileOutcome, Scorer

MONDAY_NOON_US = 1_795_431_600_000_000
"""2026-11-23 12:00 in Berlin, in microseconds."""
MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"


@pytest.fixture(scope="session")
def minimal() -> Catalog:
    """The small workspace."""
    return load_workspace(MINIMAL)


class TellingScorer:
    """A scorer whose acceptance depends on offer, timing and tonality alone, so that a test can reckon."""

    version = "telling/1.0.0"

    def __init__(self, catalog: Catalog, failing: bool = False) -> None:
        self._shape = (len(catalog.timings), len(catalog.tonalities))
        self.failing = failing
        self.runs = 0

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],  # noqa: ARG002 - the protocol's
        offers: npt.NDArray[np.float32],  # noqa: ARG002 - the protocol's
        offer_code: npt.NDArray[np.int64],
    ) -> Scores:
        """Acceptance `[R, T, N, O]`: later timings and tonalities are a little better."""
        self.runs += 1
        if self.failing:
            raise ModelError("acceptance holds NaN")
        timings, tonalities = self._shape
        base = 0.1 + 0.02 * offer_code.astype(np.float32)
        arms = 1.0 + 0.1 * np.arange(timings)[:, None, None] + 0.01 * np.arange(tonalities)[:, None]
        one = (arms * base).astype(np.float32)
        return Scores(acceptance=np.broadcast_to(one, (len(profile), *one.shape)).copy())

    def offer_codes(self, offers: Sequence[str]) -> npt.NDArray[np.int64]:
        """1, 2, 3, ..."""
        return np.arange(1, len(offers) + 1, dtype=np.int64)


class WatchedStore(MemoryStore):
    """A store in memory that counts round trips, and in which a test can make things happen between them."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.trips: list[str] = []
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None
        self.on_fetch: Callable[[], None] = lambda: None
        self.before_put: Callable[[], None] = lambda: None

    def resolve(self, identities: Sequence[Identity]) -> list[str | None]:
        """Count it."""
        self.trips.append("resolve")
        return super().resolve(identities)

    def fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Fetched:
        """Count it."""
        self.trips.append("fetch")
        self.on_fetch()
        return super().fetch(profile_ids, totals=totals)

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """Count it, and let something happen before and after."""
        self.trips.append("commit")
        self.before_commit()
        outcomes = super().commit(groups)
        self.after_commit()
        return outcomes

    def put(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """Let something happen before."""
        self.before_put()
        return super().put(writes)


@dataclass
class World:
    """Everything a test of the engine needs."""

    catalog: Catalog
    clock: ManualClock = field(default_factory=lambda: ManualClock(MONDAY_NOON_US))
    scorer: Scorer | None = None
    store: WatchedStore = field(init=False)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.store = WatchedStore(self.clock)
        self.engine = self.replica()
        self._ids = itertools.count(1)

    def replica(self) -> Engine:
        """Another engine on the same store."""
        return Engine(
            force(self.catalog, self.scorer or TellingScorer(self.catalog)),
            self.store,
            CheckedCodec(),
            prior=ConstantScorer(),
            clock=self.clock,
            meter=NullMeter(),
            service_version="0",
        )

    def feedback(self) -> Feedback:
        """The feedback of this engine."""
        return Feedback(self.engine, self.store, ProtobufCodec(64), clock=self.clock)

    def profiles(self) -> Profiles:
        """The profiles of this engine."""
        return Profiles(self.engine, self.store, clock=self.clock, make_id=lambda: f"made-{next(self._ids)}")

    def person(self, profile_id: str = "p", **changes: Any) -> str:
        """Write somebody who may be contacted and is eligible for most offers."""
        fields: dict[str, Any] = {
            "features": {"recency_days": 10.0, "visits_30d": 5, "segment": "premium", "interests": ("garden", "toys")},
            "consents": frozenset({"web.personalisation", "email.marketing"}),
            "time_zone": "Europe/Berlin",
            "locale": "de-DE",
        }
        (record,) = pack_profiles(self.catalog.spec, [ProfileRow(**(fields | changes))], self.clock.now_us())
        self.store.put([ProfileWrite(profile_id, record, (), tightens=False)])
        return profile_id

    def ask(self, request_id: str, *placements: str, **changes: Any) -> DecideRequest:
        """A request for `p` in a basket, unless told otherwise."""
        context: dict[str, Scalar] = {"page": "basket", "logged_in": True}
        fields: dict[str, Any] = {"profile_id": "p", "context": context} | changes
        if "identities" in changes:
            fields["profile_id"] = ""
        asks = tuple(PlacementAsk(p) for p in placements or ("home_hero",))
        return DecideRequest(request_id=request_id, placements=asks, **fields)

    def decide(self, request: DecideRequest) -> Decision:
        """The decision on one request, which must not be refused."""
        (answer,) = self.engine.decide([request])
        assert isinstance(answer, Decision), answer
        return answer

    def refusal(self, request: DecideRequest) -> TaktError:
        """The error of one request, which must be refused."""
        (answer,) = self.engine.decide([request])
        assert not isinstance(answer, Decision), answer
        return answer

    def before_one_commit(self, happens: Callable[[], object]) -> None:
        """Let something happen between this engine's next read and its commit."""

        def once() -> None:
            self.store.before_commit = lambda: None
            happens()

        self.store.before_commit = once

    def contacts(self, profile_id: str = "p") -> npt.NDArray[np.void]:
        """The person's ledger entries."""
        return read(self.store.fetch([profile_id]).ledgers[0])


@pytest.fixture
def world(minimal: Catalog) -> World:
    """A world with somebody called `p`."""
    made = World(minimal)
    made.person()
    made.store.trips.clear()
    return made


def offers_of(decision: Decision) -> list[list[str]]:
    """The offers of each placement."""
    return [[offer.offer for offer in placement.offers] for placement in decision.placements]
