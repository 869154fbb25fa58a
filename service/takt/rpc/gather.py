"""Concurrent calls become batches: what came while the last batch was at work is the next one.

One thread does the work; nothing waits for company, so that a lone call is a batch of one at once. Where many wait,
batches overlap (`takt.rpc.overlap`). What waits is bounded. A call whose caller has gone, or whose time is spent, is
dropped before the work sees it.
"""

from __future__ import annotations

import asyncio
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import structlog

from takt.errors import StoreError, TaktError
from takt.rpc.errors import DefectError, DrainingError, LateError, OverloadedError
from takt.rpc.overlap import Overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from takt.engine.steps import Steps

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

Work: TypeAlias = "Callable[[Sequence[Ask]], Steps[Sequence[Answer | TaktError]]]"
"""Answers a batch of asks, in order, in steps."""

RETRY_AFTER_S: Final = 0.1
"""What those are told who found too much waiting: some batches later."""

_log = structlog.stdlib.get_logger("takt.rpc")


class _Call(Generic[Ask, Answer]):
    """One call that waits. Its future being done means that nobody waits any more."""

    __slots__ = ("ask", "future")

    def __init__(self, ask: Ask, future: asyncio.Future[Answer]) -> None:
        self.ask = ask
        self.future = future


class Gather(Generic[Ask, Answer]):
    """Gathers calls of one event loop for one thread that works on batches."""

    def __init__(
        self,
        work: Work[Ask, Answer],
        *,
        name: str,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        """`work` answers a batch in order, with an error in the place of an ask that was wrong. One thread calls it."""
        self._work = isolated(work, name)
        self._name = name
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._queue: SimpleQueue[_Call[Ask, Answer] | None] = SimpleQueue()
        self._draining = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work. Call it on the event loop that will ask."""
        loop = asyncio.get_running_loop()
        # a daemon: work that never returns must not keep the process from ending
        self._thread = threading.Thread(target=self._run, args=(loop,), name=f"takt-{self._name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Calls that wait, those whose callers have gone included."""
        return self._queue.qsize()

    async def ask(self, ask: Ask, timeout_s: float | None = None) -> Answer:
        """Wait for the answer to `ask`, at most `timeout_s`.

        Raises `OverloadedError` when too much waits already, `LateError` when the time is spent, `DrainingError` at the
        end, and whatever error the work gave in the answer's place.
        """
        if self._draining:
            raise DrainingError
        if self._queue.qsize() >= self._max_waiting:
            raise OverloadedError(RETRY_AFTER_S)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._queue.put(_Call(ask, future))
        if timeout_s is None:
            return await future
        timer = loop.call_later(timeout_s, _expire, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def drain(self, grace_s: float) -> bool:
        """Take no more, answer what waits, and end; whether that was done within `grace_s`."""
        if not self._draining:
            self._draining = True
            self._queue.put(None)
        if self._thread is None:
            return True
        await asyncio.to_thread(self._thread.join, grace_s)
        return not self._thread.is_alive()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread's work: batch after batch, until told to end."""
        overlap: Overlap[list[_Call[Ask, Answer]], Sequence[Answer | TaktError]] = Overlap(self._max_batch)
        at_work, last = 0, False
        while overlap or not last:
            batch: list[_Call[Ask, Answer]] = []
            wanted = 0 if last else overlap.wanted(self._queue.qsize(), at_work)
            if wanted:
                batch, last = self._taken(wanted, wait=not overlap)
            if batch:
                at_work += len(batch)
                done = overlap.begin(batch, self._work([call.ask for call in batch]))
            else:
                done = overlap.advance() if overlap else None
            if done is not None:
                at_work -= len(done[0])
                try:
                    loop.call_soon_threadsafe(_resolve, *done)
                except RuntimeError:  # the loop has ended, and with it all callers
                    _log.warning("answers_lost", work=self._name, batch=len(done[0]))
                    return

    def _taken(self, most: int, *, wait: bool) -> tuple[list[_Call[Ask, Answer]], bool]:
        """Up to so many calls whose callers still wait for them, and whether they are the last of all.

        `wait` for the first of them; that may have lost its caller, and be none.
        """
        batch: list[_Call[Ask, Answer]] = []
        while len(batch) < most:
            try:
                call = self._queue.get(block=wait)
            except Empty:
                break
            wait = False
            if call is None:
                return batch, True
            if not call.future.done():
                batch.append(call)
        return batch, False


def at_once(work: Callable[[Sequence[Ask]], Sequence[Answer | TaktError]]) -> Work[Ask, Answer]:
    """Work that is done in one step."""

    def steps(asks: Sequence[Ask]) -> Steps[Sequence[Answer | TaktError]]:
        yield from ()
        return work(asks)

    return steps


def isolated(work: Work[Ask, Answer], name: str) -> Work[Ask, Answer]:
    """Work that never raises: what fails in company is tried alone, so that one ask cannot spoil the others."""

    def answers(asks: Sequence[Ask]) -> Steps[Sequence[Answer | TaktError]]:
        try:
            return (yield from work(asks))
        except StoreError as error:
            return [error] * len(asks)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread has to live on
            if len(asks) > 1:
                _log.warning("batch_failed", work=name, batch=len(asks), error=type(error).__name__)
                found: list[Answer | TaktError] = []
                for ask in asks:
                    found += yield from answers([ask])
                return found
            if isinstance(error, TaktError):
                return [error]
            defect = DefectError()
            _log.exception("defect", work=name, call=defect.call)
            return [defect]

    return answers


def _expire(future: asyncio.Future[Any]) -> None:
    """The time of a call is spent."""
    if not future.done():
        future.set_exception(LateError("the time was spent before there was an answer"))


def _resolve(batch: Sequence[_Call[Any, Any]], answers: Sequence[Any]) -> None:
    """Wake those who still wait."""
    for call, answer in zip(batch, answers, strict=True):
        if call.future.done():
            continue
        if isinstance(answer, TaktError):
            call.future.set_exception(answer)
        else:
            call.future.set_result(answer)
