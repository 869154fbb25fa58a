"""`takt.v1.DecisionService`: messages to requests, through the gathering, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from typing import Final

from takt.clock import SECOND_US, Clock
from takt.domain.decision import Decision
from takt.domain.reasons import Cause
from takt.domain.request import DecideRequest
from takt.errors import InvalidRequestError, Violation
from takt.rpc.calls import Calls, Context, answering, refused_for
from takt.rpc.errors import DrainingError, LateError, OverloadedError, abort, refusal
from takt.rpc.gather import Gather
from takt.v1 import decision_pb2, decision_pb2_grpc
from takt.wire.answer import response
from takt.wire.request import Budget, decide_request

LEAST_WAY_BACK_US: Final = 2_000
MOST_WAY_BACK_US: Final = 20_000
"""Time that is kept for an answer to be written and read: a twentieth of what the call has, within these bounds."""
STREAM_IN_FLIGHT: Final = 256
"""Requests of one stream that are read and not answered yet. With so many, it is not read further."""

ALREADY_WAITING: Final = Violation("request_id", "waits for an answer on this stream already; choose another")

Fallback = Callable[[DecideRequest, Cause, str], Decision]


class DecisionService(decision_pb2_grpc.DecisionServiceServicer):
    """Answers every request that means something: with a decision, or with fallbacks when there is no time for one."""

    def __init__(
        self,
        gather: Gather[DecideRequest, Decision],
        fallback: Fallback,
        *,
        calls: Calls,
        clock: Clock,
        budget_us: int,
        times: Callable[[], Container[str]],
    ) -> None:
        """`fallback` is quick and pure; `budget_us` is what a request has that names none.

        `times` gives the context features that are declared as timestamps.
        """
        self.calls = calls
        self._gather = gather
        self._fallback = fallback
        self._clock = clock
        self._budget_us = budget_us
        self._times = times
        self._streams: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @answering
    async def Decide(  # noqa: N802 - the contract's name
        self, request: decision_pb2.DecideRequest, context: Context
    ) -> decision_pb2.DecideResponse:
        """One decision."""
        return await self._decide(request, context)

    async def DecideStream(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[decision_pb2.DecideStreamRequest], context: Context
    ) -> None:
        """Decisions as they are ready. A wrong request has its error in its place, and the stream goes on."""
        with self.calls.counted("DecisionService.DecideStream") as call:
            if not self._ending.is_set():
                await self._stream(requests, context)
            if self._ending.is_set():
                call.code = "UNAVAILABLE"
                await abort(context, refusal(DrainingError()))

    def drain(self) -> None:
        """Read no further from any stream; what was read is still answered, then the streams end."""
        self._ending.set()
        for reading in self._streams:
            reading.cancel()

    async def _decide(self, message: decision_pb2.DecideRequest, context: Context) -> decision_pb2.DecideResponse:
        """The answer to one request, a fallback included. Raises `TaktError` where there is none."""
        now_us = self._clock.monotonic_us()
        latest_us = latest(now_us, context.time_remaining())
        try:
            request = decide_request(message, Budget(now_us, self._budget_us, latest_us), self._times())
        except InvalidRequestError as error:
            self.calls.meter.refused(type(error).__name__)
            raise
        left_us = request.deadline_us - now_us
        if left_us <= 0:
            return response(self._fallback(request, Cause.DEADLINE, "the call's deadline leaves no time to decide"))
        try:
            decision = await self._gather.ask(request, left_us / SECOND_US)
        except LateError:
            decision = self._fallback(request, Cause.DEADLINE, "the budget was spent before there was a decision")
        except OverloadedError:
            decision = self._fallback(request, Cause.OVERLOAD, "too many requests are waiting")
        return response(decision)

    async def _answered(
        self, message: decision_pb2.DecideRequest, context: Context, *, known: bool
    ) -> decision_pb2.DecideStreamResponse:
        """The answer to one request of a stream, or its error. `known`: its id waits for an answer already."""
        try:
            if known:
                refused = refusal(InvalidRequestError((ALREADY_WAITING,)))
            else:
                decided = await self._decide(message, context)
                return decision_pb2.DecideStreamResponse(request_id=message.request_id, response=decided)
        except Exception as error:  # noqa: BLE001 - all are mapped in one place
            refused = refused_for(error, "DecisionService.DecideStream")
        return decision_pb2.DecideStreamResponse(request_id=message.request_id, error=refused.status())

    async def _stream(self, requests: AsyncIterator[decision_pb2.DecideStreamRequest], context: Context) -> None:
        """Read, decide and write at once, each at its own pace, with a bounded number on the way."""
        places = asyncio.Semaphore(STREAM_IN_FLIGHT)
        writing = asyncio.Lock()  # a call takes one message at a time
        on_the_way: set[str] = set()

        async def answer(message: decision_pb2.DecideRequest, *, known: bool) -> None:
            answered = await self._answered(message, context, known=known)
            async with writing:
                if not known:
                    on_the_way.discard(message.request_id)
                await context.write(answered)
            places.release()

        async def read(answers: asyncio.TaskGroup) -> None:
            async for message in requests:
                request = message.request
                await places.acquire()
                known = request.request_id in on_the_way
                on_the_way.add(request.request_id)
                answers.create_task(answer(request, known=known))

        async with asyncio.TaskGroup() as answers:
            reading = answers.create_task(read(answers))
            self._streams.add(reading)
            reading.add_done_callback(self._streams.discard)


def latest(now_us: int, remaining_s: float | None) -> int:
    """The moment after which an answer comes too late for a call that has `remaining_s` left; 0 for no such moment."""
    if remaining_s is None:
        return 0
    remaining_us = round(remaining_s * SECOND_US)
    return now_us + remaining_us - min(MOST_WAY_BACK_US, max(LEAST_WAY_BACK_US, remaining_us // 20))
