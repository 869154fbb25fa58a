"""`takt.v1.DecisionService` on grpcio: serialised messages from calls and streams, through the gathering, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from takt.clock import SECOND_US, Clock
from takt.domain.reasons import Cause
from takt.errors import InvalidRequestError, TaktError, Violation
from takt.rpc.calls import Calls, Context, answering, refused_for
from takt.rpc.desk import UNREADABLE, Ask
from takt.rpc.errors import DrainingError, LateError, OverloadedError, Refusal, abort, refusal
from takt.rpc.gather import Gather
from takt.v1 import decision_pb2
from takt.wire.answer import varint
from takt.wire.request import asked_budget_us

DECIDE: Final = "DecisionService.Decide"

LEAST_WAY_BACK_US: Final = 2_000
MOST_WAY_BACK_US: Final = 20_000
"""Time that is kept for an answer to be written and read: a twentieth of what the call has, within these bounds."""
STREAM_IN_FLIGHT: Final = 256
"""Requests of one stream that are read and not answered yet. With so many, it is not read further."""

RESPONSE_TAG: Final = b"\x12"
"""Field `response` of `DecideStreamResponse`, number 2, with a length."""

ALREADY_WAITING: Final = Violation("request_id", "waits for an answer on this stream already; choose another")

Fallbacks = Callable[[Sequence[bytes], Cause, str], Sequence[bytes | TaktError]]


class DecisionService:
    """Answers every request that means something: with a decision, or with fallbacks when there is no time for one."""

    def __init__(
        self, gather: Gather[Ask, bytes], fallbacks: Fallbacks, *, calls: Calls, clock: Clock, budget_us: int
    ) -> None:
        """`gather` works at a desk, `fallbacks` are that desk's; `budget_us` is what a request has that names none."""
        self.calls = calls
        self._gather = gather
        self._fallbacks = fallbacks
        self._clock = clock
        self._budget_us = budget_us
        self._streams: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a grpcio server is given: messages of `Decide` pass as the bytes that they are."""
        decide: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(self.Decide)
        stream: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(self.DecideStream)
        name = decision_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name
        return grpc.method_handlers_generic_handler(name, {"Decide": decide, "DecideStream": stream})

    @answering
    async def Decide(self, message: bytes, context: Context) -> bytes:  # noqa: N802 - the contract's name
        """One decision."""
        return await self._decide(message, context)

    async def DecideStream(self, requests: AsyncIterator[bytes], context: Context) -> None:  # noqa: N802 - as above
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

    async def _decide(self, message: bytes, context: Context) -> bytes:
        """The answer to one request, a fallback included. Raises `TaktError` where there is none."""
        now_us = self._clock.monotonic_us()
        latest_us = latest(now_us, context.time_remaining())
        left_us = asked_budget_us(message) or self._budget_us
        if latest_us:
            left_us = min(left_us, latest_us - now_us)
        if left_us <= 0:
            return self._instead(message, Cause.DEADLINE, "the call's deadline leaves no time to decide")
        try:
            return await self._gather.ask(Ask(message, now_us, latest_us), left_us / SECOND_US)
        except LateError:
            return self._instead(message, Cause.DEADLINE, "the budget was spent before there was a decision")
        except OverloadedError:
            return self._instead(message, Cause.OVERLOAD, "too many requests are waiting")

    def _instead(self, message: bytes, cause: Cause, text: str) -> bytes:
        """The fallback in a decision's place. Raises `TaktError` where the request is wrong."""
        (answer,) = self._fallbacks([message], cause, text)
        if isinstance(answer, TaktError):
            raise answer
        return answer

    async def _answered(self, request_id: str, message: bytes, context: Context, refused: Refusal | None) -> bytes:
        """The answer to one request of a stream, or its error; `refused` if that is known already."""
        try:
            if refused is None:
                return streamed(request_id, await self._decide(message, context))
        except Exception as error:  # noqa: BLE001 - all are mapped in one place
            refused = refused_for(error, "DecisionService.DecideStream")
        return decision_pb2.DecideStreamResponse(request_id=request_id, error=refused.status()).SerializeToString()

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """Read, decide and write at once, each at its own pace, with a bounded number on the way."""
        places = asyncio.Semaphore(STREAM_IN_FLIGHT)
        writing = asyncio.Lock()  # a call takes one message at a time
        on_the_way: set[str] = set()

        async def answer(request_id: str, message: bytes, refused: Refusal | None) -> None:
            answered = await self._answered(request_id, message, context, refused)
            async with writing:
                if refused is None:
                    on_the_way.discard(request_id)
                await context.write(answered)
            places.release()

        async def read(answers: asyncio.TaskGroup) -> None:
            async for serialised in requests:
                await places.acquire()
                refused = None
                try:
                    request_id, message = unwrapped(serialised)
                except InvalidRequestError as error:
                    request_id, message, refused = "", b"", refusal(error)
                if refused is None and request_id in on_the_way:
                    refused = refusal(InvalidRequestError((ALREADY_WAITING,)))
                if refused is None:
                    on_the_way.add(request_id)
                answers.create_task(answer(request_id, message, refused))

        async with asyncio.TaskGroup() as answers:
            reading = answers.create_task(read(answers))
            self._streams.add(reading)
            reading.add_done_callback(self._streams.discard)


def unwrapped(serialised: bytes) -> tuple[str, bytes]:
    """Id and serialised request of a message of a stream. Raises `InvalidRequestError` for what cannot be read."""
    try:
        request = decision_pb2.DecideStreamRequest.FromString(serialised).request
    except DecodeError:
        raise InvalidRequestError((UNREADABLE,)) from None
    return request.request_id, request.SerializeToString()


def streamed(request_id: str, answer: bytes) -> bytes:
    """A serialised answer as a message of a stream, without reading it."""
    head: bytes = decision_pb2.DecideStreamResponse(request_id=request_id).SerializeToString()
    return b"".join((head, RESPONSE_TAG, varint(len(answer)), answer))


def latest(now_us: int, remaining_s: float | None) -> int:
    """The moment after which an answer comes too late for a call that has `remaining_s` left; 0 for no such moment."""
    if remaining_s is None:
        return 0
    remaining_us = round(remaining_s * SECOND_US)
    return now_us + remaining_us - min(MOST_WAY_BACK_US, max(LEAST_WAY_BACK_US, remaining_us // 20))
