"""A service in this process, on a simulated clock: the real one, with its store and its gRPC front end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from takt.app import serve
from takt.cli.client import Client, Door
from takt.cli.messages import Answer, Question
from takt.clock import SystemClock
from takt.errors import TaktError
from takt.observation import logs
from takt.rpc.server import Listening
from takt.settings import load

START_S: Final = 600.0
"""Patience for the first start: kernels are compiled for this machine and kept."""
CALL_S: Final = 600.0


class SimulationError(TaktError):
    """The simulated world and the service do not fit."""


class SimulatedClock:
    """Wall time as it is set; deadlines run as ever."""

    def __init__(self, at_us: int) -> None:
        self._at_us = at_us
        self._real = SystemClock()

    def now_us(self) -> int:
        """The time that it was set to."""
        return self._at_us

    def monotonic_us(self) -> int:
        """Real time."""
        return self._real.monotonic_us()

    def turn(self, at_us: int) -> None:
        """Set the time. Raises `ValueError` for one that has passed."""
        if at_us < self._at_us:
            raise ValueError(f"{at_us} has passed, it is {self._at_us}")
        self._at_us = at_us


class Served(Struct, frozen=True):
    """A service that is serving."""

    public: Client
    admin: Client

    def decide(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """Answers by request id, asked in one stream. Raises `SimulationError` where one is missing or degraded."""
        answers = {}
        for answer in self.public.decide_many(questions):
            if answer.degradations:
                raise SimulationError(f"{answer.request_id} was degraded: {answer.degradations[0]}")
            answers[answer.request_id] = answer
        if len(answers) < len(questions):
            raise SimulationError(f"{len(questions) - len(answers):,} of {len(questions):,} requests were not answered")
        return answers


@contextmanager
def served(workspace: Path, model: Path, redis_url: str, clock: SimulatedClock) -> Iterator[Served]:
    """Serve on free ports until the end of the block. Raises `TaktError` if the service cannot begin."""
    logs.configure("error", "console")
    given = {
        "workspace": str(workspace),
        "model": str(model),
        "redis_url": redis_url,
        "listen": "127.0.0.1:0",
        "admin_listen": "127.0.0.1:0",
        "metrics_listen": "",
        "store_timeout_ms": "20000",
        "decide_budget_ms": "60000",
        "max_age_us": "60s",
    }
    settings = load(given, {})
    ready: Future[tuple[Listening, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def work() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        await serve(settings, on_ready=lambda told: ready.set_result((told, loop, stop)), stop=stop, clock=clock)

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001 - whatever it is, who waits has to know
            if not ready.done():
                ready.set_exception(error)

    thread = threading.Thread(target=run, name="takt-simulated", daemon=True)
    thread.start()
    try:
        listening, loop, stop = ready.result(START_S)
    except TimeoutError:
        raise SimulationError(f"the service did not begin within {START_S:g} s; run `takt compile` first") from None
    public = Door(address=str(listening.public), timeout_s=CALL_S)
    try:
        with Client(public) as client, Client(Door(address=str(listening.admin), timeout_s=CALL_S)) as admin:
            client.await_ready(START_S)
            yield Served(client, admin)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
