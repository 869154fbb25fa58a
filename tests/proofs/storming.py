"""Callers in a process of their own: many calls in flight on few customers, retries, feedback in any order.

Every answer is written to a file before its caller goes on. A line is one JSON object, by its key `k`:

    a   an answer: id, person, decision, decided_at, sent and got (microseconds), causes of degradation, digest of its
        bytes, contacts (placement, channel, offer, moment, end of its hold), refusals by caps (placement, reason, cap,
        offers), other refusals of the contact policy (reason)
    l   a call whose answer was lost: id, sent, got, code
    f   an event: id, type, decision, offer, sent, got, outcome; empty where the answer was lost
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from takt.v1 import decision_pb2, decision_pb2_grpc, feedback_pb2, feedback_pb2_grpc, types_pb2

CALL_S = 10.0
"""Longer than any answer of a service that lives should take."""
PERSISTENCE_S = 120.0
"""How long one id is asked for, over kills and restarts, before it is given up for good."""
FIRST_CAP, LAST_CAP = types_pb2.REASON_CODE_CAP_PROFILE, types_pb2.REASON_CODE_CAP_TOTAL
POLICY = range(types_pb2.REASON_CODE_NO_CONSENT, FIRST_CAP)
CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True, slots=True)
class Orders:
    """What one process of callers does."""

    name: str
    addresses: list[str]
    calls: int
    """Calls of `Decide` after which it finishes; those that settle open ids come on top."""
    callers: int
    """In flight at once."""
    customers: int
    """At any one time; another set follows every `stay_s`, so that ledgers stay within their maximum."""
    stay_s: float
    placements: list[str]
    told: str
    """File for what they are told."""
    made: str
    """File that holds the number of calls so far, 8 bytes, little endian."""
    seed: int


@dataclass(slots=True)
class Storm:
    """One process of callers at work."""

    orders: Orders
    draw: random.Random = field(default_factory=random.Random)
    file: int = -1
    counter: int = -1
    calls: int = 0
    ids: int = 0
    left: deque[tuple[float, decision_pb2.DecideRequest]] = field(default_factory=deque)
    """Requests whose caller lost its answer and went on with a new id: asked for again later."""
    errands: set[asyncio.Task[None]] = field(default_factory=set)
    decisions: list[Any] = field(default_factory=list)
    feedback: list[Any] = field(default_factory=list)
    shunned: dict[int, float] = field(default_factory=dict)
    """Replicas that did not answer, and until when they are left alone."""

    async def run(self) -> None:
        """Call until the orders are done; then settle what is open."""
        self.draw.seed(self.orders.seed)
        self.file = os.open(self.orders.told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.counter = os.open(self.orders.made, os.O_WRONLY | os.O_CREAT)
        channels = [grpc.aio.insecure_channel(address, CHANNEL) for address in self.orders.addresses]
        self.decisions = [decision_pb2_grpc.DecisionServiceStub(channel) for channel in channels]
        self.feedback = [feedback_pb2_grpc.FeedbackServiceStub(channel) for channel in channels]
        await asyncio.gather(*(self.caller() for _ in range(self.orders.callers)))
        while self.errands:
            await asyncio.gather(*self.errands)
        while self.left:
            await self.settle(self.left.popleft()[1])
        for channel in channels:
            await channel.close()
        os.close(self.counter)
        os.close(self.file)

    async def caller(self) -> None:
        """One visitor after the other."""
        while self.calls < self.orders.calls:
            if self.left and time.monotonic() - self.left[0][0] > 20:
                await self.settle(self.left.popleft()[1])
            if not self.answering() and self.draw.random() < 0.9:  # nobody is there; some knock all the same
                await asyncio.sleep(self.draw.uniform(0.1, 0.3))
                continue
            request = self.request()
            if self.draw.random() < 0.05:  # a twin at another replica, at the same moment
                await asyncio.gather(self.visit(request), self.ask(request))
            else:
                await self.visit(request)

    def request(self) -> decision_pb2.DecideRequest:
        """About one of the customers of this moment."""
        self.ids += 1
        era = int(time.time() // self.orders.stay_s)
        placements = self.draw.sample(self.orders.placements, self.draw.randint(1, len(self.orders.placements)))
        return decision_pb2.DecideRequest(
            request_id=f"{self.orders.name}-{self.ids}",
            profile_id=f"customer-{era}-{self.draw.randrange(self.orders.customers)}",
            placements=[decision_pb2.PlacementRequest(placement=placement) for placement in placements],
            explain=decision_pb2.EXPLAIN_LEVEL_OFFERS,
        )

    async def visit(self, request: decision_pb2.DecideRequest) -> None:
        """Ask, retry as callers do, and report what became of what was shown."""
        answer = await self.ask(request)
        if answer is None or answer.degradations:
            if self.draw.random() < 0.3:  # gives up, and comes again under a new id
                self.left.append((time.monotonic(), request))
                await asyncio.sleep(self.draw.uniform(0.1, 0.5))
                return
            answer = await self.settle(request)
            if answer is None:
                return
        if self.draw.random() < 0.08:
            self.errand(self.again(request, self.draw.uniform(0, 8)))
        for placement in answer.placements:
            for offer in placement.offers:
                self.errand(self.report(answer, offer))

    async def settle(self, request: decision_pb2.DecideRequest) -> decision_pb2.DecideResponse | None:
        """Ask under one id until there is a final answer."""
        until = time.monotonic() + PERSISTENCE_S
        pause = 0.05
        while time.monotonic() < until:
            answer = await self.ask(request)
            if answer is not None and not answer.degradations:
                return answer
            await asyncio.sleep(pause * self.draw.uniform(0.5, 1.5))
            pause = min(2 * pause, 1.0)
        return None

    async def again(self, request: decision_pb2.DecideRequest, after_s: float) -> None:
        """The same request once more."""
        await asyncio.sleep(after_s)
        await self.ask(request)

    async def ask(self, request: decision_pb2.DecideRequest) -> decision_pb2.DecideResponse | None:
        """One call at one replica; None if its answer was lost."""
        self.calls += 1
        os.pwrite(self.counter, self.calls.to_bytes(8, "little"), 0)
        replica = self.replica()
        sent = now()
        try:
            answer: decision_pb2.DecideResponse = await self.decisions[replica].Decide(request, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                raise
            self.shunned[replica] = time.monotonic() + 1.0
            self.tell({"k": "l", "id": request.request_id, "sent": sent, "got": now(), "code": error.code().name})
            return None
        self.tell(told(request, answer, sent, now()))
        return answer

    def answering(self) -> list[int]:
        """Replicas that are not shunned."""
        moment = time.monotonic()
        return [r for r in range(len(self.decisions)) if self.shunned.get(r, 0.0) < moment]

    def replica(self) -> int:
        """Any replica, but one that answers if there is one."""
        return self.draw.choice(self.answering() or range(len(self.decisions)))

    async def report(self, answer: decision_pb2.DecideResponse, offer: decision_pb2.RankedOffer) -> None:
        """What became of one offer: seen, clicked, not shown, late, in the wrong order, twice; or never told."""
        hold_s = max(0.0, offer.hold_expires_at.ToMicroseconds() / 1e6 - time.time())
        fates: list[list[tuple[float, str]]] = [
            [],
            [(self.draw.uniform(0, hold_s), "impression")],
            [(self.draw.uniform(0, hold_s / 2), "impression"), (self.draw.uniform(0, hold_s), "click")],
            [(self.draw.uniform(0, hold_s / 2), "click"), (self.draw.uniform(0, hold_s / 2), "impression")],
            [(self.draw.uniform(0, hold_s), "not_shown")],
            [(hold_s + self.draw.uniform(0, 3), "impression")],
            [(self.draw.uniform(0, hold_s / 2), "not_shown"), (self.draw.uniform(0, hold_s), "impression")],
        ]
        (fate,) = self.draw.choices(fates, weights=[30, 20, 15, 10, 15, 5, 5])
        for number, (after_s, kind) in enumerate(fate):
            event = feedback_pb2.Event(
                event_id=f"{answer.request_id}-{offer.offer}-{number}",
                type=kind,
                decision_id=answer.decision_id,
                offer=offer.offer,
            )
            self.errand(self.record(event, after_s))
            if self.draw.random() < 0.2:
                self.errand(self.record(event, after_s + self.draw.uniform(0, 2)))

    async def record(self, event: feedback_pb2.Event, after_s: float) -> None:
        """Send one event until it is taken."""
        await asyncio.sleep(after_s)
        until = time.monotonic() + PERSISTENCE_S
        while time.monotonic() < until:
            replica = self.replica()
            sent = now()
            outcome = ""
            try:
                answer = await self.feedback[replica].Record(feedback_pb2.RecordRequest(events=[event]), timeout=CALL_S)
                outcome = feedback_pb2.EventOutcome.Name(answer.results[0].outcome).removeprefix("EVENT_OUTCOME_")
            except grpc.aio.AioRpcError as error:
                if error.code() not in {
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                }:
                    raise
                self.shunned[replica] = time.monotonic() + 1.0
            line = {"k": "f", "id": event.event_id, "type": event.type, "decision": event.decision_id}
            self.tell({**line, "offer": event.offer, "sent": sent, "got": now(), "outcome": outcome})
            if outcome not in {"", "UNAVAILABLE"}:
                return
            await asyncio.sleep(self.draw.uniform(0.1, 0.5))

    def errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something meanwhile."""
        task = asyncio.get_running_loop().create_task(work)
        self.errands.add(task)
        task.add_done_callback(self.errands.discard)

    def tell(self, line: dict[str, Any]) -> None:
        """Write one line, before anything else is done."""
        os.write(self.file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def told(
    request: decision_pb2.DecideRequest, answer: decision_pb2.DecideResponse, sent: int, got: int
) -> dict[str, Any]:
    """The line of an answer."""
    caps = []
    others = set()
    for placement in answer.placements:
        for exclusion in placement.exclusions:
            if FIRST_CAP <= exclusion.reason <= LAST_CAP:
                caps.append([placement.placement, exclusion.reason, exclusion.rule, list(exclusion.offers)])
            elif exclusion.reason in POLICY:
                others.add(types_pb2.ReasonCode.Name(exclusion.reason))
    return {
        "k": "a",
        "id": request.request_id,
        "person": request.profile_id,
        "decision": answer.decision_id,
        "at": answer.decided_at.ToMicroseconds(),
        "sent": sent,
        "got": got,
        "causes": [types_pb2.DegradationCause.Name(d.cause)[18:] for d in answer.degradations],
        "digest": hashlib.blake2b(answer.SerializeToString(deterministic=True), digest_size=8).hexdigest(),
        "asked": [placement.placement for placement in request.placements],
        "contacts": [
            [
                placement.placement,
                offer.channel,
                offer.offer,
                offer.timing.not_before.ToMicroseconds(),
                offer.hold_expires_at.ToMicroseconds(),
            ]
            for placement in answer.placements
            for offer in placement.offers
        ],
        "caps": caps,
        "others": sorted(others),
    }


def now() -> int:
    """Microseconds since the epoch, by the clock that the store's host has too."""
    return time.time_ns() // 1000


def made(files: Sequence[str]) -> int:
    """Calls so far, of all processes."""
    return sum(int.from_bytes(Path(file).read_bytes(), "little") for file in files if Path(file).exists())


@dataclass(frozen=True, slots=True)
class Told:
    """All that callers were told, line by line, as often as one likes: too much of it to be held at once."""

    files: tuple[str, ...]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name in self.files:
            with Path(name).open("rb") as file:
                for line in file:
                    yield json.loads(line)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    asyncio.run(Storm(Orders(**given)).run())
