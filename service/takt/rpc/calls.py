"""What every call has in common: errors become statuses, and calls are counted."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import grpc
import structlog
from msgspec import Struct

from takt.errors import TaktError
from takt.rpc.errors import DefectError, DrainingError, NotServedError, Refusal, abort, refusal

Context = grpc.aio.ServicerContext[Any, Any]
Request = TypeVar("Request")
Response = TypeVar("Response")

LARGEST_MESSAGE: Final = 4 * 1024 * 1024
"""Bytes of a message that is read."""

_log = structlog.stdlib.get_logger("takt.rpc")


class CallMeter(Protocol):
    """What the edge tells of its own work. Implementations must be quick and never raise."""

    def called(self, method: str, code: str, seconds: float) -> None:
        """A call ended with this status code. A stream ends once, however many answers it had."""
        ...

    def answered(self, method: str, seconds: Sequence[float]) -> None:
        """Calls ended with OK, one for each duration."""
        ...

    def refused(self, reason: str) -> None:
        """A request for a decision was wrong before the engine saw it; `reason` is the error's class."""
        ...

    def feedback(self, outcome: str) -> None:
        """An event had this outcome."""
        ...


class Call(Struct):
    """One call that is under way."""

    begun_s: float
    code: str = "OK"
    """Name of the status that it ends with."""


class Calls:
    """The calls that are under way, counted as they end. For one event loop."""

    def __init__(self, meter: CallMeter) -> None:
        """Tell `meter` of every call."""
        self.meter = meter
        self.draining = False
        """While this holds, new calls are refused."""
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def counted(self, method: str) -> Iterator[Call]:
        """A call, from its begin to its end. One that is cancelled ends as that."""
        call = Call(time.perf_counter())
        self._under_way += 1
        self._idle.clear()
        try:
            yield call
        except asyncio.CancelledError:
            call.code = "CANCELLED"
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            self.meter.called(method, call.code, time.perf_counter() - call.begun_s)

    async def idle(self, timeout_s: float) -> bool:
        """Wait until no call is under way; whether that came within `timeout_s`."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


class Servicer(Protocol):
    """What `answering` needs of a servicer."""

    @property
    def calls(self) -> Calls:
        """Where its calls are counted."""
        ...


def refused_for(error: Exception, method: str) -> Refusal:
    """What a caller is told of any error. One that nobody foresaw is written to the log."""
    if isinstance(error, TaktError):
        return refusal(error)
    defect = DefectError()
    _log.error("defect", method=method, call=defect.call, exc_info=error)
    return refusal(defect)


async def outcome(calls: Calls, name: str, work: Callable[[], Awaitable[Response]]) -> Response | Refusal:
    """Do the work of one call, counted under `name`: its answer, or what the caller is told instead."""
    if calls.draining:
        # not counted as under way: callers that go on calling must not keep us from ending
        calls.meter.called(name, "UNAVAILABLE", 0.0)
        return refusal(DrainingError())
    with calls.counted(name) as call:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 - all are mapped in one place
            refused = refused_for(error, name)
            call.code = refused.code.name
            return refused


def answering(
    method: Callable[[Any, Request, Context], Awaitable[Response]],
) -> Callable[[Any, Request, Context], Awaitable[Response]]:
    """A unary call that refuses with the right status where `method` raises, and is counted."""
    name = method.__qualname__

    @functools.wraps(method)
    async def answered(self: Servicer, request: Request, context: Context) -> Response:
        answer = await outcome(self.calls, name, lambda: method(self, request, context))
        return await abort(context, answer) if isinstance(answer, Refusal) else answer

    return answered


def streaming(
    method: Callable[[Any, Request, Context], AsyncIterator[Response]],
) -> Callable[[Any, Request, Context], AsyncIterator[Response]]:
    """A call with many answers that refuses with the right status where `method` raises, and is counted once."""
    name = method.__qualname__

    @functools.wraps(method)
    async def answers(self: Servicer, request: Request, context: Context) -> AsyncIterator[Response]:
        if self.calls.draining:
            self.calls.meter.called(name, "UNAVAILABLE", 0.0)
            await abort(context, refusal(DrainingError()))
        with self.calls.counted(name) as call:
            try:
                async for answer in method(self, request, context):
                    yield answer
            except Exception as error:  # noqa: BLE001 - all are mapped in one place
                refused = refused_for(error, name)
                call.code = refused.code.name
            else:
                return
        await abort(context, refused)

    return answers


async def not_served(_: AsyncIterator[Any], context: Context, *, method: str) -> None:
    """Refuse a call that belongs to the contract and has to wait for its version."""
    await abort(context, refusal(NotServedError(method)))


def unserved(service: Any) -> grpc.GenericRpcHandler:
    """A handler that refuses every call of a service, given by its descriptor."""
    # whatever the call's kind, a handler of streams can end it without reading
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        method.name: grpc.stream_stream_rpc_method_handler(
            functools.partial(not_served, method=f"{service.name}.{method.name}")
        )
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)
