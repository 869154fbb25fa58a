"""The composition root: settings in, a running service out. Every part is made here, by hand, in the order of need."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import structlog
import uvloop
from msgspec import Struct
from msgspec.structs import replace

from takt import __version__
from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import CheckReport, read_workspace
from takt.clock import SECOND_US, Clock, SystemClock
from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.deeds import ProtobufDeeds
from takt.domain.reasons import Cause
from takt.engine.audit.audit import Auditor
from takt.engine.catalogs import Catalogs, rehearsal
from takt.engine.contacts import Contacts
from takt.engine.engine import Engine, Limits
from takt.engine.feedback import Feedback
from takt.engine.force import Force, force
from takt.engine.profiles import Profiles
from takt.engine.totals import keep_up
from takt.errors import ModelError, StoreError, StoreMarkerError
from takt.features.section import FeatureType, Section
from takt.loading import for_good
from takt.model.onnx import load_scorer
from takt.model.prior import ConstantScorer
from takt.observation import logs
from takt.observation.catalogs import CatalogWitness
from takt.observation.exposition import Exposition
from takt.observation.metrics import Metrics
from takt.redis.breaker import BreakerState
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt.redis.store import RedisStore
from takt.redis.trips import RoundTrips
from takt.redis.wire import Address as StoreAddress
from takt.rpc.calls import Calls
from takt.rpc.catalog import CatalogService
from takt.rpc.contact import ContactService
from takt.rpc.decision import DecisionService
from takt.rpc.desk import Ask, EngineDesk, SharedDesk
from takt.rpc.feedback import Events, FeedbackService, Outcomes, together
from takt.rpc.gather import Gather, at_once
from takt.rpc.native import NativeFront
from takt.rpc.profile import ProfileService, Thunk, called
from takt.rpc.server import AdminServices, Listening, Servers, Tls, read_tls
from takt.settings import Address, Settings, label, read_secret
from takt.wire.request import MOST_BUDGET_US, request_message

SWITCH_S: Final = 0.001
"""How long a thread may keep the interpreter from others that want it: the thread that decides lets go of it for every
kernel, and would get it back up to five times later from one that answers many calls."""
OPEN_ATTEMPTS: Final = 5
"""How often a store is tried at the start: the budget of one call is short for a first connection."""
FEEDBACK_BATCH: Final = 16
"""Calls of `Record` that go to the store together; each has up to 1,000 events."""
ADMIN_WAITING: Final = 64
CATALOGS_WAITING: Final = 4
"""Each may take a minute."""
WATCH_S: Final = 0.5
"""How often the embedded store is looked after."""
LOG_WATCH_S: Final = 15.0
"""How often it is looked how much of the decision log waits in the store."""
UPKEEP_S: Final = 1.0
"""How often totals are seen to."""
FOLLOW_S: Final = 0.5
"""How often the store is asked which catalog is in force, and told that this replica serves."""
FOLLOW_SOON_S: Final = 0.1
"""The same while one is on its way."""

_log = structlog.stdlib.get_logger("takt.app")


def main(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `TaktError` if the service cannot begin."""
    logs.configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_S)
    uvloop.run(serve(settings))


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[Listening], None] | None = None,
    stop: asyncio.Event | None = None,
    shared: bool = False,
    clock: Clock | None = None,
) -> None:
    """Open, listen, warm up, serve until a signal comes or `stop` is set, drain, close.

    `on_ready` is told where it listens. With `shared`, others listen there too, and this process joins them when it is
    warm. `clock` stands in for the store's time in simulations: policy, log and events go by it, deadlines and the
    store's own expiry do not. Raises `TaktError` if the service cannot begin.
    """
    begun = time.monotonic()
    _log.info("starting", version=__version__, workspace=str(settings.workspace))
    stop = stop or asyncio.Event()
    token = read_secret(settings.admin_token_file, "admin_token_file") if settings.admin_token_file else None
    with ExitStack() as heeding, ExitStack() as closing:  # signals are heeded until all is closed
        tls = read_tls(settings)
        metrics = Metrics()
        with for_good():
            parts = closing.enter_context(open_parts(settings, metrics, clock))
            exposed = expose(settings.metrics_listen, metrics, closing)
            edge = make_edge(settings, parts, metrics, tls=tls, token=token, shared=shared)
            if shared:
                await make_ready(edge, parts)
            listening = replace(await edge.servers.start(settings.listen, settings.admin_listen), metrics=exposed)
            if not shared:
                await make_ready(edge, parts)
            gc.collect()  # what was made on the way, and is not needed any more
        give_back()
        heeding.enter_context(told_by_signals(stop))  # from here on somebody may be served, who is not to be cut off
        await edge.servers.ready()
        say_ready(settings, listening, parts, seconds=time.monotonic() - begun)
        if on_ready:
            on_ready(listening)

        async with (
            looked_after(parts),
            kept_up(parts, metrics),
            log_watched(parts, metrics),
            followed(parts),
            ended_by_a_fall(edge.servers, settings.grace_s),
        ):
            await stop.wait()
            await drain(edge, settings.grace_s)
    _log.info("stopped")


class Parts(Struct, frozen=True):
    """What a service consists of, but for its edge."""

    engine: Engine
    catalogs: Catalogs
    feedback: Feedback
    profiles: Profiles
    contacts: Contacts
    auditor: Auditor
    store: RedisStore
    embedded: EmbeddedServer | None
    """The store's server, where it is our own."""


@contextmanager
def open_parts(settings: Settings, metrics: Metrics, simulated: Clock | None = None) -> Iterator[Parts]:
    """Everything behind the edge, closed again at the end. Raises `TaktError` naming what cannot be opened.

    A model that is refused does not keep the service from beginning: a constant prior stands in, and says so in every
    answer.
    """
    with ExitStack() as closing:
        embedded = None if settings.redis_url else closing.enter_context(EmbeddedServer(settings.data_dir))
        store = open_store(settings, embedded, metrics, simulated)
        closing.callback(store.close)
        metrics.watch_store(lambda: is_up(store))

        catalogs = Catalogs(
            store,
            replica=uuid4().bytes,
            fit=partial(put_in_force, settings),
            witness=CatalogWitness(metrics),
            pause=time.sleep,
        )
        report, files = read_workspace(settings.workspace)
        in_force = catalogs.open(report, files)
        closing.callback(leave, catalogs)
        metrics.workspace_differs(differs=say_difference(settings.workspace, report, in_force.catalog))
        clock = simulated or SystemClock()
        codec = ProtobufCodec(store.marker.partitions)
        engine = Engine(
            in_force,
            store,
            codec,
            prior=ConstantScorer(),
            clock=clock,
            meter=metrics,
            service_version=__version__,
            limits=Limits(max_age_us=settings.max_age_us),
        )
        catalogs.serve(engine)
        contacts = Contacts(engine, store, codec)
        yield Parts(
            engine=engine,
            catalogs=catalogs,
            feedback=Feedback(engine, store, codec, clock=clock),
            profiles=Profiles(engine, store, clock=clock, make_id=lambda: uuid4().hex),
            contacts=contacts,
            auditor=Auditor(engine, store, contacts, ProtobufDeeds()),
            store=store,
            embedded=embedded,
        )


def open_store(
    settings: Settings, embedded: EmbeddedServer | None, metrics: Metrics, clock: Clock | None = None
) -> RedisStore:
    """Connect to the store that the settings name, or to the embedded one. Raises `StoreError`."""
    timeout_s = settings.store_timeout_ms / 1_000
    if embedded is not None:
        address = StoreAddress(embedded.url, timeout_s)
        store_id = embedded_store_id(embedded, retention_us=settings.request_id_retention_us)
    else:
        address = StoreAddress(str(settings.redis_url), timeout_s, settings.redis_password_file, settings.redis_ca)
        store_id = None
    store = connect(address, store_id, RoundTrips(metrics.round_trip), clock)
    if store.marker.retention_us != settings.request_id_retention_us:
        # chosen when the store was made: all replicas have to agree on it
        _log.warning("retention_is_the_stores", seconds=store.marker.retention_us / SECOND_US)
    return store


def connect(address: StoreAddress, store_id: str | None, trips: RoundTrips, clock: Clock | None = None) -> RedisStore:
    """Open a store, several times if it is slow. Raises `StoreError`."""
    for _ in range(OPEN_ATTEMPTS - 1):
        try:
            return RedisStore.open(address, store_id=store_id, clock=clock, trips=trips)
        except StoreMarkerError:
            raise
        except StoreError as error:
            _log.warning("store_slow", exc_info=error)
    return RedisStore.open(address, store_id=store_id, clock=clock, trips=trips)


def put_in_force(settings: Settings, catalog: Catalog, edition: int, *, strict: bool) -> Force:
    """See `takt.engine.catalogs.Fit`: the catalog with its model, or with a prior that is flagged."""
    if settings.model is None:
        lack = ((Cause.MODEL, "no model was given; a constant prior scores"),)
        return force(catalog, ConstantScorer(), lack, edition=edition)
    try:
        return force(catalog, load_scorer(settings.model, catalog), edition=edition)
    except ModelError as error:
        if strict:
            raise
        _log.error("model_refused", model=str(settings.model), exc_info=error)
        lack = ((Cause.MODEL, "the model was refused; a constant prior scores"),)
        return force(catalog, ConstantScorer(), lack, edition=edition)


def say_difference(workspace: Path, report: CheckReport, in_force: Catalog) -> bool:
    """Warn, and tell, if the workspace is not what is in force: a restart never goes back."""
    if report.catalog is not None and report.catalog.version == in_force.version:
        return False
    version = report.catalog.version if report.catalog else "none: it has errors, see takt check"
    _log.warning("workspace_differs", workspace=str(workspace), version=version, catalog=in_force.version)
    return True


def leave(catalogs: Catalogs) -> None:
    """Let nobody wait for this replica; they would do so for some seconds only."""
    with suppress(StoreError):
        catalogs.leave()


def expose(address: Address | None, metrics: Metrics, closing: ExitStack) -> Address | None:
    """Serve metrics until `closing`, if anywhere; where really. Raises `ExpositionError`."""
    if address is None:
        return None
    return Address(address.host, closing.enter_context(Exposition(metrics.registry, address.host, address.port)).port)


class Edge(Struct, frozen=True):
    """The listeners, and what gathers calls behind them."""

    servers: Servers
    decisions: Gather[Ask, bytes]
    events: Gather[Events, Outcomes]
    admin: Gather[Thunk, Any]
    catalogs: Gather[Thunk, Any]


def make_edge(
    settings: Settings, parts: Parts, metrics: Metrics, *, tls: Tls | None, token: str | None, shared: bool
) -> Edge:
    """Everything between the network and the parts, at work but not listening. Call it on the event loop."""
    budget_us = settings.decide_budget_ms * 1_000
    desk = SharedDesk(EngineDesk(parts.engine, budget_us=budget_us))
    decisions: Gather[Ask, bytes] = Gather(
        desk.deciding, name="decide", max_batch=settings.max_batch, max_waiting=settings.max_waiting
    )
    events: Gather[Events, Outcomes] = Gather(
        at_once(together(parts.feedback.record)),
        name="feedback",
        max_batch=FEEDBACK_BATCH,
        max_waiting=settings.max_waiting,
    )
    admin: Gather[Thunk, Any] = Gather(at_once(called), name="admin", max_batch=1, max_waiting=ADMIN_WAITING)
    catalogs: Gather[Thunk, Any] = Gather(at_once(called), name="catalog", max_batch=1, max_waiting=CATALOGS_WAITING)
    for gather in (decisions, events, admin, catalogs):
        gather.start()
    metrics.watch_queue("feedback", lambda: events.waiting)
    metrics.watch_queue("admin", lambda: admin.waiting)
    calls = Calls(metrics)
    feedback = FeedbackService(events, calls=calls)
    native = None
    if settings.native:
        native = NativeFront(
            desk,
            feedback.record,
            calls=calls,
            clock=SystemClock(),
            budget_us=budget_us,
            max_batch=settings.max_batch,
            max_waiting=settings.max_waiting,
        )
    metrics.watch_queue("decide", lambda: decisions.waiting + (native.waiting if native else 0))
    servers = Servers(
        decision=DecisionService(
            decisions,
            desk.fallbacks,
            calls=calls,
            clock=SystemClock(),
            budget_us=budget_us,
        ),
        feedback=feedback,
        admin=AdminServices(
            profile=ProfileService(
                parts.profiles, admin, calls=calls, times=lambda: timestamps(parts.engine.force.catalog.spec.profile)
            ),
            contact=ContactService(parts.contacts, admin, calls=calls, coverage=parts.catalogs, audits=parts.auditor),
            catalog=CatalogService(parts.catalogs, catalogs, calls=calls),
        ),
        native=native,
        share=shared,
        tls=tls,
        token=token,
    )
    return Edge(servers, decisions, events, admin, catalogs)


def give_back() -> None:
    """Return to the system what reading and warming up have left behind, where its allocator can be told to."""
    with suppress(OSError, AttributeError):  # it is glibc that knows how
        ctypes.CDLL(None).malloc_trim(0)


@lru_cache(maxsize=8)
def timestamps(section: Section) -> frozenset[str]:
    """Names of the features that are declared as timestamps."""
    return frozenset(feature.name for feature in section.features if feature.type is FeatureType.TIMESTAMP)


def warm_up(in_force: Force) -> Ask:
    """What every kernel is compiled or loaded with."""
    message = request_message(rehearsal(in_force))
    message.budget.FromMicroseconds(MOST_BUDGET_US)
    return Ask(message.SerializeToString(), SystemClock().monotonic_us())


def say_ready(settings: Settings, listening: Listening, parts: Parts, *, seconds: float) -> None:
    """One line with all that somebody needs who looks for the service, and a warning for what others can listen to."""
    in_force = parts.engine.force
    _log.info(
        "ready",
        listen=str(listening.public),
        admin=str(listening.admin),
        metrics=str(listening.metrics or ""),
        transport="native" if settings.native else "grpcio",
        tls=settings.tls_cert is not None,
        token=settings.admin_token_file is not None,
        store="embedded" if parts.embedded else parts.store.wire.shown,
        catalog=in_force.catalog.version,
        model=in_force.scorer.version,
        features=f"{in_force.catalog.spec.layout_fingerprint:016x}",
        offers=len(in_force.catalog.offers),
        placements=len(in_force.catalog.placements),
        partitions=parts.store.marker.partitions,
        version=__version__,
        seconds=round(seconds, 3),
    )
    if settings.tls_cert is None:
        for address in (listening.public, listening.admin):
            if not address.loopback:
                _log.warning("not_encrypted", listen=str(address))


@contextmanager
def told_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT sets `stop`; later ones change nothing, until the process has ended.

    Unexpected errors of the event loop go to the log, without what they quote.
    """
    loop = asyncio.get_running_loop()
    heard = False

    def told(number: signal.Signals) -> None:
        nonlocal heard
        if not heard:
            _log.info("draining", signal=number.name)
        heard = True
        stop.set()

    loop.set_exception_handler(lambda _, found: _log.error("defect", exc_info=found.get("exception")))
    taken = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not on this thread: whoever runs us stops us
            loop.add_signal_handler(number, told, number)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
            if heard:
                signal.signal(number, signal.SIG_IGN)  # else the next one ends the process with another code


@asynccontextmanager
async def ended_by_a_fall(servers: Servers, grace_s: float) -> AsyncIterator[None]:
    """End the process with 1 when a listener falls: one that lives on without it would look healthy to nobody's use.

    What is under way elsewhere is answered first. It ends at once then: a server that has fallen cannot be stopped.
    """

    async def watch() -> None:
        setting, error = await servers.fallen()
        _log.error("listener_fell", listener=label(setting), exc_info=error)
        with suppress(TimeoutError):
            await asyncio.wait_for(servers.quiet(grace_s), grace_s)
        sys.stderr.flush()
        os._exit(1)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


@asynccontextmanager
async def looked_after(parts: Parts) -> AsyncIterator[None]:
    """Tell of a store that goes and comes, try it again without waiting for callers, restart it if it is our own."""

    async def watch() -> None:
        up = True
        while True:
            await asyncio.sleep(WATCH_S)
            if parts.embedded and parts.embedded.pid is None:
                await revive(parts.embedded)
            if not is_up(parts.store):
                with suppress(StoreError):
                    await asyncio.to_thread(parts.store.check_marker)
            if up != is_up(parts.store):
                up = not up
                _log.log(logging.INFO if up else logging.ERROR, "store_up" if up else "store_down")

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


@asynccontextmanager
async def kept_up(parts: Parts, metrics: Metrics) -> AsyncIterator[None]:
    """See to totals, if any are in force: unfinished transfers, expired holds, and how much is spent."""

    def once() -> None:
        in_force = parts.engine.force
        limits = {in_force.catalog.caps[c].id: in_force.catalog.caps[c].limit for c in in_force.total_caps}
        if limits and is_up(parts.store) and not parts.store.totals.closed:
            kept = keep_up(in_force, parts.store.totals, SystemClock().now_us())
            metrics.totals(kept.spent, limits, recovered=kept.recovered, returned=kept.returned)

    async def upkeep() -> None:
        while True:
            await asyncio.sleep(UPKEEP_S)
            try:
                await asyncio.to_thread(once)
            except (StoreError, StoreMarkerError) as error:
                _log.warning("totals_not_kept", exc_info=error)

    keeping = asyncio.create_task(upkeep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def make_ready(edge: Edge, parts: Parts) -> None:
    """Warm up, and turn to the catalog that is in force."""
    await edge.decisions.ask(warm_up(parts.engine.force))
    await catch_up(parts)


@asynccontextmanager
async def log_watched(parts: Parts, metrics: Metrics) -> AsyncIterator[None]:
    """Tell how much of the decision log waits in the store, and how old it is: whether somebody exports it."""

    def once() -> None:
        if is_up(parts.store):
            extents = [extent for extent in parts.store.decision_log.extents() if extent.entries]
            oldest_ms = min((extent.first.ms for extent in extents), default=0)
            age_s = max(0.0, SystemClock().now_us() / SECOND_US - oldest_ms / 1_000) if oldest_ms else 0.0
            metrics.log(sum(extent.entries for extent in extents), age_s)

    async def watch() -> None:
        while True:
            try:
                await asyncio.to_thread(once)
            except StoreError as error:
                _log.warning("log_not_watched", exc_info=error)
            await asyncio.sleep(LOG_WATCH_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def catch_up(parts: Parts) -> bool:
    """Load the catalog that was announced, and turn to the one that is in force; whether another is under way."""
    try:
        seen = await asyncio.to_thread(parts.catalogs.follow)
        return seen.announced != seen.in_force
    except StoreError as error:
        _log.warning("catalog_not_followed", exc_info=error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next catalog has to be followed
        _log.error("defect", work="catalog", exc_info=error)
    return False


@asynccontextmanager
async def followed(parts: Parts) -> AsyncIterator[None]:
    """Keep this replica on the catalog that is in force in the store."""

    async def follow() -> None:
        soon = False
        while True:
            await asyncio.sleep(FOLLOW_SOON_S if soon else FOLLOW_S)
            soon = is_up(parts.store) and await catch_up(parts)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def is_up(store: RedisStore) -> bool:
    """Whether the store answered lately; after some failures in a row it is left alone for a moment."""
    return store.wire.breaker.state is not BreakerState.OPEN


async def revive(embedded: EmbeddedServer) -> None:
    """Start the embedded store anew; until then, callers get their fallbacks."""
    _log.error("store_ended", store="embedded")
    try:
        await asyncio.to_thread(embedded.start)
    except StoreError as error:
        _log.error("store_not_started", exc_info=error)
    else:
        _log.info("store_started", store="embedded")


async def drain(edge: Edge, grace_s: float) -> None:
    """Health off, no new calls, those in flight within the grace, then the work that they left behind."""
    begun = time.monotonic()
    await edge.servers.drain(grace_s)
    left_s = max(0.1, grace_s - (time.monotonic() - begun))
    drained = await asyncio.gather(*(g.drain(left_s) for g in (edge.decisions, edge.events, edge.admin, edge.catalogs)))
    _log.info("drained", clean=all(drained), seconds=round(time.monotonic() - begun, 3))
