"""The edge over real gRPC, on work that does what a test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from takt.catalog.workspace import CheckReport, check_files
from takt.clock import SystemClock
from takt.domain.contact import (
    BackfillOutcome,
    BackfillResult,
    ContactView,
    OutsideContact,
    Person,
    Reset,
    ResetResult,
)
from takt.domain.decision import Decision, Degradation, PlacementDecision, Versions
from takt.domain.edition import SourceFile
from takt.domain.feedback import EventOutcome, FeedbackEvent, FeedbackOutcome
from takt.domain.merge import Linked
from takt.domain.profile import KnownProfile
from takt.domain.reasons import Cause, Status
from takt.domain.request import DecideRequest, Identity
from takt.engine.catalogs import Applied, KnownEdition, Wish
from takt.errors import (
    CatalogChangedError,
    CatalogNotFoundError,
    NotFoundError,
    PreconditionError,
    RecordError,
    TaktError,
)
from takt.observation.metrics import Metrics
from takt.rpc.calls import Calls
from takt.rpc.catalog import CatalogService
from takt.rpc.contact import ContactService
from takt.rpc.decision import DecisionService
from takt.rpc.desk import Ask, SharedDesk
from takt.rpc.feedback import Events, FeedbackService, Outcomes, together
from takt.rpc.gather import Gather, at_once
from takt.rpc.native import NativeFront
from takt.rpc.profile import ProfileService, Thunk, called
from takt.rpc.server import AdminServices, Listening, Servers, Tls
from takt.settings import Address
from takt.v1 import decision_pb2, decision_pb2_grpc, types_pb2
from tests.integration.rpc.asking import ask
from tests.integration.rpc.process import TRANSPORT
from tests.unit.rpc.message_desk import MessageDesk

LOCAL = Address("127.0.0.1", 0)
VERSIONS = Versions("c", "m/1", "f", "0")


def decided(request: DecideRequest, *degradations: Degradation) -> Decision:
    """Neutral content for every placement."""
    return Decision(
        decision_id="d",
        request_id=request.request_id,
        profile_id=request.profile_id,
        anonymous=False,
        stage="",
        placements=tuple(
            PlacementDecision(a.placement, "web", Status.FALLBACK, fallback="neutral") for a in request.placements
        ),
        versions=VERSIONS,
        decided_at_us=1,
        attempts=1,
        dry_run=False,
        degradations=degradations,
    )


@dataclass
class Work:
    """What stands where the engine would: it waits at a gate, and remembers what it was asked."""

    batches: list[list[str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    busy: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    waiting: Callable[[], int] = lambda: 0
    depths: list[int] = field(default_factory=list)
    """What waited when a batch was answered, the batch included."""

    def decide(self, requests: Sequence[DecideRequest]) -> list[Decision | TaktError]:
        """Answer once the gate is open."""
        self.batches.append([request.request_id for request in requests])
        self.busy.set()
        self.gate.wait()
        self.depths.append(self.waiting() + len(requests))
        if self.error is not None:
            raise self.error
        return [decided(request) for request in requests]

    def fallback(self, request: DecideRequest, cause: Cause, message: str) -> Decision:
        """Answer at once."""
        return decided(request, Degradation(cause, message))

    def record(self, events: Sequence[FeedbackEvent]) -> list[EventOutcome]:
        """Apply all, or fail as a whole."""
        if self.error is not None:
            raise self.error
        return [EventOutcome(event.event_id, FeedbackOutcome.APPLIED) for event in events]

    def put(self, _: Any) -> list[Any]:
        """Write nothing."""
        return []

    def get(self, *, profile_id: str = "", identity: Identity | None = None) -> KnownProfile:
        """Find something that cannot be read."""
        raise RecordError(f"the record of {'an identity' if identity else 'a profile'} is damaged: {len(profile_id)}")

    def view(self, person: Person, *, since_us: int | None = None, until_us: int | None = None) -> ContactView:
        """Find somebody whom nobody knows."""
        raise NotFoundError(f"there is no such profile: {person}, {since_us}, {until_us}")

    def reset(self, reset: Reset) -> ResetResult:
        """Find others at work."""
        raise PreconditionError(f"others keep changing the contacts of {reset.person}")

    def backfill(self, contacts: Sequence[OutsideContact], *, actor: str, reason: str) -> list[BackfillResult]:
        """Add nothing."""
        assert actor
        assert reason
        return [BackfillResult(contact.contact_id, BackfillOutcome.UNAVAILABLE) for contact in contacts]

    def link(self, profile_id: str, identities: Sequence[Identity]) -> Linked:
        """Merge nobody."""
        return Linked(profile_id, tuple(identity.value for identity in identities))

    def begin(self, person: Person | None = None, **_: Any) -> Any:
        """Find nothing to compare with."""
        raise RecordError(f"nobody can read the log of {person}")

    async def taken_up(self) -> None:
        """Wait until a batch is at work."""
        await asyncio.to_thread(self.busy.wait)
        self.busy.clear()


@dataclass
class Front:
    """A running edge with channels to it."""

    work: Work
    servers: Servers
    gather: Gather[Ask, bytes]
    native: NativeFront | None
    listening: Listening
    metrics: Metrics
    public: grpc.aio.Channel
    admin: grpc.aio.Channel

    @property
    def decide(self) -> Callable[..., Any]:
        """Ask for one decision."""
        return decision_pb2_grpc.DecisionServiceStub(self.public).Decide  # type: ignore[no-any-return]  # generated

    @property
    def waiting(self) -> int:
        """Calls and requests of streams that wait for their batch."""
        return self.gather.waiting + (self.native.waiting if self.native else 0)

    def count(self, name: str, **labels: str) -> float:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


class NoCatalogs:
    """A store without a catalog."""

    def validate(self, files: Sequence[SourceFile]) -> CheckReport:
        """Check them."""
        return check_files(files)

    def apply(self, wish: Wish) -> Applied:
        """Refuse it, as somebody else's always comes first here."""
        raise CatalogChangedError(f"another version is in force than {wish.expected}")

    def cover(self, since_us: int, *, actor: str, reason: str) -> None:
        """There is no catalog that it could be noted for."""
        raise CatalogChangedError(f"{since_us} by {actor}: {reason}")

    def get(self, version: str = "") -> KnownEdition:
        """There is none."""
        raise CatalogNotFoundError(f"there is no {version}")


@asynccontextmanager
async def front(
    work: Work,
    *,
    listen: Address = LOCAL,
    max_waiting: int = 100,
    budget_us: int = 30_000_000,
    tls: Tls | None = None,
    token: str | None = None,
) -> AsyncIterator[Front]:
    """An edge that listens and is ready, until the end."""
    metrics = Metrics()
    desk = SharedDesk(MessageDesk(work, budget_us=budget_us, times=frozenset, refused=metrics.refused))
    gather: Gather[Ask, bytes] = Gather(desk.deciding, name="decide", max_batch=8, max_waiting=max_waiting)
    events: Gather[Events, Outcomes] = Gather(at_once(together(work.record)), name="events", max_batch=8, max_waiting=8)
    admin: Gather[Thunk, Any] = Gather(at_once(called), name="admin", max_batch=1, max_waiting=8)
    for each in (gather, events, admin):
        each.start()
    calls = Calls(metrics)
    feedback = FeedbackService(events, calls=calls)
    native = None
    if TRANSPORT.get() == "native" and tls is None:
        native = NativeFront(
            desk,
            feedback.record,
            calls=calls,
            clock=SystemClock(),
            budget_us=budget_us,
            max_batch=8,
            max_waiting=max_waiting,
        )
    servers = Servers(
        decision=DecisionService(gather, desk.fallbacks, calls=calls, clock=SystemClock(), budget_us=budget_us),
        feedback=feedback,
        admin=AdminServices(
            profile=ProfileService(work, admin, calls=calls, times=frozenset),
            contact=ContactService(work, admin, calls=calls, coverage=NoCatalogs(), audits=work),
            catalog=CatalogService(NoCatalogs(), admin, calls=calls),
        ),
        native=native,
        tls=tls,
        token=token,
    )
    listening = await servers.start(listen, LOCAL)
    await servers.ready()
    async with (
        grpc.aio.insecure_channel(str(listening.public)) as public_channel,
        grpc.aio.insecure_channel(str(listening.admin)) as admin_channel,
    ):
        try:
            yield Front(work, servers, gather, native, listening, metrics, public_channel, admin_channel)
        finally:
            # also when a test fails: what it leaves behind would hang the next
            work.gate.set()
            await servers.drain(1)
            ended = [await each.drain(5) for each in (gather, events, admin)]
    assert [True, True, True] == ended


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on an event loop of its own."""
    asyncio.run(test())


async def one(edge: Front, **given: Any) -> decision_pb2.DecideResponse:
    """Ask for one decision."""
    answer: decision_pb2.DecideResponse = await edge.decide(ask("hero", **given))
    return answer


async def queued(edge: Front, count: int, **given: Any) -> list[asyncio.Task[decision_pb2.DecideResponse]]:
    """Ask so often, and return once all of it waits."""
    expected = edge.waiting + count
    tasks = [asyncio.create_task(one(edge, **given)) for _ in range(count)]
    await until(lambda: edge.waiting == expected)
    return tasks


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads and processes do; the test's own time-out is the end of it."""
    while not holds():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


def causes(answer: decision_pb2.DecideResponse) -> list[str]:
    """Why an answer is degraded."""
    return [types_pb2.DegradationCause.Name(d.cause).removeprefix("DEGRADATION_CAUSE_") for d in answer.degradations]
