"""The native front end: HTTP/2 in Rust (`pygrpc-native`), outside the GIL, that hands over calls many at a time.

The thread that decides takes what waits right from the library's queue, so that a call reaches its batch without an
event loop. A second thread stands in while a step of its work takes longer than a moment: it keeps the library's queue
empty, since that has no bound, and answers those whose time is spent. What `Decide` and `Record` are not (streams,
health, reflection) goes to a grpcio server on a Unix socket.

Read in version 0.5.0, and relied on: a call that ends before its answer is followed by a cancel, in order, also while
both are still queued (`call_details=True`); any thread may answer; `close` is abrupt. Decision and risk: ADR 0010.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from pygrpc_native import EVENT_CANCEL, NativeGrpcFront

from takt.clock import SECOND_US, Clock
from takt.domain.reasons import Cause
from takt.errors import TaktError
from takt.rpc.calls import LARGEST_MESSAGE, Calls, outcome, refused_for
from takt.rpc.decision import DECIDE, latest
from takt.rpc.desk import Ask, Desk
from takt.rpc.errors import DETAILS_KEY, DrainingError, MessageTooLargeError, Refusal, refusal
from takt.rpc.feedback import RECORD
from takt.rpc.gather import isolated
from takt.rpc.overlap import Overlap
from takt.rpc.waiting import Waiting, WaitingRoom
from takt.v1 import decision_pb2

METHODS: Final = (DECIDE, RECORD)
"""What is served here, by the number under which the library hands it over."""
OF_DECIDE: Final = METHODS.index(DECIDE)
PACKAGE: Final = decision_pb2.DESCRIPTOR.package
MOST_EVENTS: Final = 4_096
"""That are taken from the library's queue at once."""
TICK_S: Final = 0.004
"""How often the second thread looks."""
LONG_US: Final = 50_000
"""It leaves a step alone that is shorter, as most are: two threads would only take turns."""
BUSY: Final = "too many requests are waiting"
LATE: Final = "the budget was spent before there was a decision"
IDLE_TICKS: Final = 250
"""After so many without work it sleeps until there is some."""
KEEPALIVE_MS: Final = 60_000
KEEPALIVE_TIMEOUT_MS: Final = 20_000

Record = Callable[[bytes], Awaitable[bytes]]

_log = structlog.stdlib.get_logger("takt.rpc")


class NativeFront:
    """A listener for `Decide` and `Record`, with a bound on what waits, and an end in good order."""

    def __init__(
        self,
        desk: Desk,
        record: Record,
        *,
        calls: Calls,
        clock: Clock,
        budget_us: int,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        """`desk` may be shared with others if it lets one in at a time; `record` is awaited on the loop of `start`."""
        self._desk = desk
        self._decide = isolated(desk.deciding, DECIDE)
        self._record = record
        self._calls = calls
        self._clock = clock
        self._max_batch = max_batch
        self._lock = threading.Lock()
        """Guards the room, and `_since_us`."""
        self._room = WaitingRoom(most=max_waiting, budget_us=budget_us)
        self._since_us = 0
        """When the step that is being taken was begun; 0 between steps, while the deciding thread reads the queue."""
        self._records: dict[int, asyncio.Task[None]] = {}
        self._stirred = threading.Event()
        self._closing = False
        self._library: NativeGrpcFront | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: tuple[threading.Thread, ...] = ()

    @property
    def waiting(self) -> int:
        """Calls that wait for their batch."""
        return self._room.waiting

    def bind(self, target: str, *, share: bool = False) -> int:
        """Take an address; the port that it got. Raises `OSError`.

        `share`: other processes may take the same port, and each gets a part of the connections.
        """
        self._library = NativeGrpcFront(
            target,
            [(f"/{PACKAGE}.{method.replace('.', '/')}", False) for method in METHODS],
            call_details=True,
            io_threads=1,  # keeps up with some ten deciding threads (ADR 0021)
            keepalive_time_ms=KEEPALIVE_MS,
            keepalive_timeout_ms=KEEPALIVE_TIMEOUT_MS,
            reuse_port=share,
        )
        return self._library.bound_port

    def fall_back_to(self, grpcio: Path) -> None:
        """Pass what is not served here to the grpcio server on this Unix socket. After `bind`, before `start`."""
        self._bound().set_fallback(str(grpcio))

    def start(self) -> None:
        """Take calls. Call it on the event loop that is to record feedback, after `bind`."""
        library = self._bound()
        self._loop = asyncio.get_running_loop()
        # daemons: work that never returns must not keep the process from ending
        self._threads = tuple(
            threading.Thread(target=run, name=f"takt-native-{name}", args=(library,), daemon=True)
            for name, run in (("decide", self._run), ("watch", self._watch))
        )
        library.start()
        for thread in self._threads:
            thread.start()

    async def idle(self, timeout_s: float) -> bool:
        """Wait until every call has its answer; whether that came within `timeout_s`."""
        until_us = self._clock.monotonic_us() + round(timeout_s * SECOND_US)
        while len(self._room) or self._records:
            if self._clock.monotonic_us() >= until_us:
                return False
            await asyncio.sleep(TICK_S)  # answers are given on other threads, which need not tell
        return True

    async def close(self) -> None:
        """Hang up. Calls without an answer end as `UNAVAILABLE`; what was answered before has left already."""
        self._closing = True
        self._stirred.set()
        if self._library is not None:
            await asyncio.to_thread(self._library.close)
        for task in self._records.values():
            task.cancel()

    def _bound(self) -> NativeGrpcFront:
        if self._library is None:
            raise RuntimeError("a front end is bound before it is started")
        return self._library

    # The thread that decides

    def _run(self, library: NativeGrpcFront) -> None:
        """Step after step of batches of what waits, until closed."""
        room = self._room
        overlap: Overlap[list[Waiting], Sequence[bytes | TaktError]] = Overlap(self._max_batch)
        while True:
            with self._lock:
                self._since_us = 0
                more = bool(overlap) or room.waiting > 0
            events = library.recv_batch_details(MOST_EVENTS, 0 if more else None)
            if events is None:
                return
            with self._lock:
                now_us = self._since_us = self._clock.monotonic_us()
                turned_away = self._admit(events)
                batch, late = room.take(overlap.wanted(room.waiting, len(room) - room.waiting), now_us)
            self._stirred.set()
            self._answer_instead(turned_away, Cause.OVERLOAD, BUSY)
            self._answer_instead(late, Cause.DEADLINE, LATE)
            if batch:
                done = overlap.begin(batch, self._decide([call.ask for call in batch]))
            else:
                done = overlap.advance() if overlap else None
            if done is not None:
                self._answer_all(*done)

    def _answer_all(self, batch: list[Waiting], answers: Sequence[bytes | TaktError]) -> None:
        """Answer those of a decided batch who still want to know."""
        with self._lock:
            wanted = self._room.done(batch, self._clock.monotonic_us())
        self._answer((call, answer) for call, answer, want in zip(batch, answers, wanted, strict=True) if want)

    # The thread that stands in

    def _watch(self, library: NativeGrpcFront) -> None:
        """While a step is long, take in what comes and answer what is out of time."""
        quiet = 0
        while not self._closing:
            if quiet > IDLE_TICKS:
                self._stirred.clear()
                if not (self._since_us or self._closing):
                    self._stirred.wait()
                quiet = 0
            time.sleep(TICK_S)
            quiet = 0 if self._since_us else quiet + 1
            self._stand_in(library)

    def _stand_in(self, library: NativeGrpcFront) -> None:
        now_us = self._clock.monotonic_us()
        with self._lock:
            if not self._since_us or now_us - self._since_us < LONG_US:
                return
            # the deciding thread does not read now, so that nothing is taken from under its hands
            turned_away = self._admit(library.recv_batch_details(MOST_EVENTS, 0) or ())
            late = self._room.expire(now_us)
        self._answer_instead(turned_away, Cause.OVERLOAD, BUSY)
        self._answer_instead(late, Cause.DEADLINE, LATE)

    # What both do

    def _admit(self, events: Iterable[Any]) -> list[Waiting]:
        """Let calls wait, and forget those whose callers have gone. Gives those that found too much waiting."""
        now_us = self._clock.monotonic_us()
        turned_away: list[Waiting] = []
        records: list[tuple[int, bytes | None]] = []
        room, serving = self._room, not self._calls.draining
        for kind, call_id, method, message, _, details in events:
            if serving and method == OF_DECIDE and kind != EVENT_CANCEL and len(message) <= LARGEST_MESSAGE:
                ask = Ask(message, now_us, latest(now_us, details[2]))
                if not room.enter(call_id, ask):
                    turned_away.append(Waiting(call_id, ask))
            elif kind == EVENT_CANCEL:
                gone = room.leave(call_id)
                if gone is None:
                    records.append((call_id, None))
                else:
                    self._calls.meter.called(DECIDE, "CANCELLED", (now_us - gone.ask.received_us) / SECOND_US)
            elif not serving:
                self._refuse(call_id, METHODS[method], refusal(DrainingError()), 0.0)
            elif len(message) > LARGEST_MESSAGE:
                error = MessageTooLargeError(len(message), LARGEST_MESSAGE)
                self._refuse(call_id, METHODS[method], refusal(error), 0.0)
            else:
                records.append((call_id, message))
        if records and self._loop is not None:
            self._loop.call_soon_threadsafe(self._take_records, records)
        return turned_away

    def _answer_instead(self, calls: Sequence[Waiting], cause: Cause, text: str) -> None:
        """Answer calls with their fallbacks."""
        if not calls:
            return
        answers: Sequence[bytes | Exception]
        try:
            answers = self._desk.fallbacks([call.ask.message for call in calls], cause, text)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread has to live on
            answers = [error] * len(calls)
        self._answer(zip(calls, answers, strict=True))

    def _answer(self, answers: Iterable[tuple[Waiting, bytes | Exception]]) -> None:
        """Send answers, and count them by their codes."""
        library = self._bound()
        taken: list[float] = []
        now_us = self._clock.monotonic_us()
        for call, answer in answers:
            seconds = (now_us - call.ask.received_us) / SECOND_US
            if isinstance(answer, Exception):
                self._refuse(call.call_id, DECIDE, refused_for(answer, DECIDE), seconds)
            elif library.respond(call.call_id, answer):
                taken.append(seconds)
            else:
                self._calls.meter.called(DECIDE, "CANCELLED", seconds)
        if taken:
            self._calls.meter.answered(DECIDE, taken)

    def _refuse(self, call_id: int, method: str, refused: Refusal, seconds: float) -> None:
        """End a call with a refusal."""
        details = [(DETAILS_KEY, refused.status().SerializeToString())]
        told = self._bound().fail(call_id, refused.code.value[0], refused.message, details)
        self._calls.meter.called(method, refused.code.name if told else "CANCELLED", seconds)

    # Feedback, on the event loop

    def _take_records(self, records: Sequence[tuple[int, bytes | None]]) -> None:
        """Record what came; None in a message's place: its caller has gone."""
        for call_id, message in records:
            if message is not None:
                task = asyncio.ensure_future(self._recorded(call_id, message))
                self._records[call_id] = task
                task.add_done_callback(functools.partial(self._forget_record, call_id))
            elif call_id in self._records:
                self._records[call_id].cancel()

    def _forget_record(self, call_id: int, _: asyncio.Task[None]) -> None:
        del self._records[call_id]

    async def _recorded(self, call_id: int, message: bytes) -> None:
        answer = await outcome(self._calls, RECORD, lambda: self._record(message))
        if isinstance(answer, Refusal):
            details = [(DETAILS_KEY, answer.status().SerializeToString())]
            self._bound().fail(call_id, answer.code.value[0], answer.message, details)
        else:
            self._bound().respond(call_id, answer)
