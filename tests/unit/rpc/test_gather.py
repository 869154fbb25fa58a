"""Concurrent calls become batches; what waits is bounded, timely and wanted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from takt.engine.steps import Pause, Steps
from takt.errors import InvalidRequestError, StoreError, TaktError, Violation
from takt.rpc.errors import DefectError, DrainingError, LateError, OverloadedError
from takt.rpc.gather import Gather, at_once


class Bench:
    """Work that waits at a gate, remembers its batches, and doubles what it is asked."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.busy = threading.Event()
        self.wrong: dict[int, Exception] = {}

    def __call__(self, asks: Sequence[int]) -> list[int | TaktError]:
        """Work on a batch once the gate is open."""
        self.batches.append(list(asks))
        self.busy.set()
        self.gate.wait()
        for ask in asks:
            if ask in self.wrong:
                raise self.wrong[ask]
        return [2 * ask for ask in asks]

    async def taken_up(self) -> None:
        """Wait until a batch is at work."""
        await asyncio.to_thread(self.busy.wait)
        self.busy.clear()


def gather_of(bench: Bench, *, max_batch: int = 128, max_waiting: int = 1000) -> Gather[int, int]:
    """A gather that has started. Call it on the event loop."""
    gather: Gather[int, int] = Gather(at_once(bench), name="test", max_batch=max_batch, max_waiting=max_waiting)
    gather.start()
    return gather


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on an event loop of its own."""
    asyncio.run(test)


async def queued(gather: Gather[int, int], asks: Sequence[int], **given: Any) -> list[asyncio.Task[int]]:
    """Ask, and return once all of it waits."""
    expected = gather.waiting + len(asks)
    tasks = [asyncio.create_task(gather.ask(ask, **given)) for ask in asks]
    await asyncio.sleep(0)  # each runs until it waits
    assert expected == gather.waiting
    return tasks


def test_a_lone_call_is_a_batch_at_once() -> None:
    """Nothing waits for company: one call is one batch."""

    async def test() -> None:
        bench = Bench()
        bench.gate.set()
        gather = gather_of(bench)

        assert 14 == await gather.ask(7)
        assert [[7]] == bench.batches
        assert await gather.drain(5)

    run(test())


def test_what_waits_is_the_next_batch() -> None:
    """Calls that come while a batch is at work are decided together, in order, in batches that are not too large."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench, max_batch=3)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        others = await queued(gather, [1, 2, 3, 4, 5])
        bench.gate.set()

        assert [0, 2, 4, 6, 8, 10] == await asyncio.gather(first, *others)
        assert [[0], [1, 2, 3], [4, 5]] == bench.batches
        assert await gather.drain(5)

    run(test())


def test_many_are_decided_in_batches_that_overlap() -> None:
    """While one batch waits for the store others are begun, up to three; each call gets its own answer."""

    async def test() -> None:
        begun: list[int] = []
        most = 0
        busy, gate = threading.Event(), threading.Event()

        def work(asks: Sequence[int]) -> Steps[list[int | TaktError]]:
            nonlocal most
            begun.append(len(asks))
            most = max(most, len(begun))
            busy.set()
            gate.wait()
            yield Pause.COMMIT
            begun.remove(len(asks))
            return [2 * ask for ask in asks]

        gather: Gather[int, int] = Gather(work, name="test", max_batch=128, max_waiting=1000)
        gather.start()
        first = asyncio.create_task(gather.ask(0))
        await asyncio.to_thread(busy.wait)
        others = await queued(gather, range(1, 200))
        gate.set()

        assert [2 * n for n in range(200)] == await asyncio.gather(first, *others)
        assert (3, []) == (most, begun)
        assert await gather.drain(5)

    run(test())


def test_waiting_is_bounded() -> None:
    """Beyond the bound a call is refused at once, with the time after which to come back."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench, max_waiting=2)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        waiting = await queued(gather, [1, 2])

        with pytest.raises(OverloadedError) as refusal:
            await gather.ask(3)
        bench.gate.set()

        assert 0 < refusal.value.retry_after_s
        assert [0, 2, 4] == await asyncio.gather(first, *waiting)
        assert await gather.drain(5)

    run(test())


def test_spent_time_ends_the_waiting() -> None:
    """A call whose time is spent is told so while its batch is still far, and is never worked on."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        (late,) = await queued(gather, [1], timeout_s=0.001)
        with pytest.raises(LateError):
            await late
        (timely,) = await queued(gather, [2], timeout_s=60)
        bench.gate.set()

        assert [0, 4] == await asyncio.gather(first, timely)
        assert [[0], [2]] == bench.batches
        assert await gather.drain(5)

    run(test())


def test_time_can_be_spent_at_work() -> None:
    """A call that is being worked on is told when its time is spent; the answer that comes later is dropped."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench)
        with pytest.raises(LateError):
            await gather.ask(0, 0.01)
        bench.gate.set()

        assert await gather.drain(5)
        assert [[0]] == bench.batches

    run(test())


def test_callers_that_have_gone_are_dropped() -> None:
    """A call that was cancelled while it waited is never worked on."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        gone, stays = await queued(gather, [1, 2])
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        bench.gate.set()

        assert [0, 4] == await asyncio.gather(first, stays)
        assert [[0], [2]] == bench.batches
        assert await gather.drain(5)

    run(test())


def test_draining_answers_what_waits() -> None:
    """At the end nothing new is taken, and all that waits is answered."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench, max_batch=2)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        waiting = await queued(gather, [1, 2, 3])
        draining = asyncio.create_task(gather.drain(5))
        await asyncio.sleep(0)
        with pytest.raises(DrainingError):
            await gather.ask(4)
        bench.gate.set()

        assert await draining
        assert [0, 2, 4, 6] == await asyncio.gather(first, *waiting)

    run(test())


def test_work_that_never_ends_does_not_hold_up_the_end() -> None:
    """Draining tells when the grace was not enough, and returns."""

    async def test() -> None:
        bench = Bench()
        gather = gather_of(bench)
        stuck = asyncio.create_task(gather.ask(0))
        await bench.taken_up()

        assert not await gather.drain(0.01)
        bench.gate.set()
        assert 0 == await stuck

    run(test())


def test_a_poisonous_ask_is_alone_in_its_failure() -> None:
    """When a batch fails, its asks are tried alone: only the one that fails again is told, with an id for the log."""

    async def test() -> None:
        bench = Bench()
        bench.wrong[2] = ZeroDivisionError("x")
        gather = gather_of(bench)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        tasks = await queued(gather, [1, 2, 3])
        bench.gate.set()

        answers = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert [0, 2, DefectError, 6] == [type(a) if isinstance(a, Exception) else a for a in answers]
        assert [[0], [1, 2, 3], [1], [2], [3]] == bench.batches
        assert await gather.drain(5)

    run(test())


def test_a_store_that_fails_is_not_tried_again_for_each() -> None:
    """The whole batch is told that the store failed; asking it once more for each would only take longer."""

    async def test() -> None:
        bench = Bench()
        bench.wrong[2] = StoreError("no answer")
        gather = gather_of(bench)
        first = asyncio.create_task(gather.ask(0))
        await bench.taken_up()
        tasks = await queued(gather, [1, 2])
        bench.gate.set()

        answers = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert [int, StoreError, StoreError] == [type(a) for a in answers]
        assert [[0], [1, 2]] == bench.batches
        assert await gather.drain(5)

    run(test())


def test_an_error_in_an_answers_place_is_raised() -> None:
    """An ask that was wrong raises its own error, and the others are answered."""

    async def test() -> None:
        wrong = InvalidRequestError((Violation("x", "is wrong"),))
        gather: Gather[int, int] = Gather(
            at_once(lambda asks: [wrong if ask == 1 else ask for ask in asks]), name="test", max_batch=8, max_waiting=8
        )
        gather.start()

        answers = await asyncio.gather(gather.ask(0), gather.ask(1), return_exceptions=True)
        assert [0, wrong] == answers
        assert await gather.drain(5)

    run(test())
