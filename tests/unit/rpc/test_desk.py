"""Behind the desk, bytes become requests and decisions become bytes, and nothing is lost on the way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from takt.domain.decision import Decision, Degradation, PlacementDecision, Versions
from takt.domain.reasons import Cause, Status
from takt.domain.request import DecideRequest
from takt.engine.steps import Pause, Steps, finished
from takt.errors import InvalidRequestError, RequestIdReusedError, TaktError
from takt.rpc.decision import streamed, unwrapped
from takt.rpc.desk import UNREADABLE, Ask, SharedDesk
from takt.v1 import decision_pb2
from takt.wire.answer import response
from tests.unit.rpc.message_desk import MessageDesk


def decided(request: DecideRequest, *degradations: Degradation) -> Decision:
    """A decision that says nothing."""
    return Decision(
        decision_id="d",
        request_id=request.request_id,
        profile_id=request.profile_id,
        anonymous=False,
        stage="",
        placements=tuple(PlacementDecision(p.placement, "web", Status.SILENCE) for p in request.placements),
        versions=Versions("c", "m/1", "f", "0"),
        decided_at_us=1,
        attempts=1,
        dry_run=False,
        degradations=degradations,
    )


@dataclass
class Decider:
    """Decides whatever it is asked, but for ids that are used up; remembers the requests."""

    asked: list[DecideRequest] = field(default_factory=list)
    used_up: str = "used up"

    def decide(self, requests: Sequence[DecideRequest]) -> list[Decision | TaktError]:
        """A decision for each."""
        self.asked += requests
        return [RequestIdReusedError(r.request_id) if r.request_id == self.used_up else decided(r) for r in requests]

    def fallback(self, request: DecideRequest, cause: Cause, message: str) -> Decision:
        """A decision that is degraded."""
        return decided(request, Degradation(cause, message))


def message(request_id: str, *, profile_id: str = "p") -> bytes:
    """A serialised request."""
    placements = [decision_pb2.PlacementRequest(placement="hero")]
    return decision_pb2.DecideRequest(
        request_id=request_id, profile_id=profile_id, placements=placements
    ).SerializeToString()


def desk_of(decider: Decider, refused: list[str]) -> MessageDesk:
    """A desk before a decider, that writes down what it refuses itself."""
    return MessageDesk(decider, budget_us=1_000, times=frozenset, refused=refused.append)


def test_every_ask_has_its_answer_in_its_place() -> None:
    """Right and wrong ones in one batch: the decider sees the right ones alone, and each gets its own."""
    decider, refused = Decider(), list[str]()
    asks = [message("a"), b"\xff", message("used up"), message("b", profile_id=""), message("c")]

    answers = finished(desk_of(decider, refused).deciding([Ask(m, 5_000) for m in asks]))

    assert ["a", "used up", "c"] == [request.request_id for request in decider.asked]
    assert answers[0] == response(decided(decider.asked[0])).SerializeToString()
    assert isinstance(answers[1], InvalidRequestError)
    assert (UNREADABLE,) == answers[1].violations
    assert isinstance(answers[2], RequestIdReusedError)
    assert isinstance(answers[3], InvalidRequestError)
    assert isinstance(answers[4], bytes)
    assert "c" == decision_pb2.DecideResponse.FromString(answers[4]).request_id
    assert ["InvalidRequestError", "InvalidRequestError"] == refused


def test_nothing_right_is_nothing_to_decide() -> None:
    """A batch of wrong messages does not reach the decider."""
    decider = Decider()
    answers = finished(desk_of(decider, []).deciding([Ask(b"\xff", 0), Ask(b"\x0a", 0)]))

    assert [] == decider.asked
    assert [InvalidRequestError] * 2 == [type(answer) for answer in answers]


@pytest.mark.parametrize(("latest_us", "deadline_us"), [(0, 6_000), (5_400, 5_400), (9_000, 6_000)])
def test_the_budget_runs_from_when_the_call_came(latest_us: int, deadline_us: int) -> None:
    """A request has the service's own budget, and never more than until its answer would be too late."""
    decider = Decider()
    finished(desk_of(decider, []).deciding([Ask(message("a"), 5_000, latest_us)]))

    assert [deadline_us] == [request.deadline_us for request in decider.asked]


def test_a_fallback_says_why() -> None:
    """The placements are answered with the cause; what is no request has its error instead."""
    desk = desk_of(Decider(), [])
    answer, wrong = desk.fallbacks([message("a"), b"\xff"], Cause.OVERLOAD, "too many")

    assert isinstance(answer, bytes)
    read = decision_pb2.DecideResponse.FromString(answer)
    assert ("a", ["hero"], ["too many"]) == (
        read.request_id,
        [p.placement for p in read.placements],
        [d.message for d in read.degradations],
    )
    assert isinstance(wrong, InvalidRequestError)


def test_a_message_of_a_stream_is_unwrapped_and_wrapped() -> None:
    """Id and request come out as they went in; an answer of any size goes in as it is, without being read."""
    asked = decision_pb2.DecideRequest.FromString(message("a"))
    assert ("a", asked.SerializeToString()) == unwrapped(
        decision_pb2.DecideStreamRequest(request=asked).SerializeToString()
    )
    with pytest.raises(InvalidRequestError):
        unwrapped(b"\xff")
    for size in (0, 1, 127, 128, 20_000, 3_000_000):
        answer = decision_pb2.DecideResponse(stage="s" * size)
        expected = decision_pb2.DecideStreamResponse(request_id="a", response=answer)
        assert expected == decision_pb2.DecideStreamResponse.FromString(streamed("a", answer.SerializeToString()))


def test_a_shared_desk_lets_one_in_at_a_time_and_in_order() -> None:
    """However many come at once, each is alone inside for a step, and whoever came first is next."""
    inside, order, most = 0, list[int](), 0
    entered, gate = threading.Event(), threading.Event()

    class Busy:
        def deciding(self, asks: Sequence[Ask]) -> Steps[list[bytes | TaktError]]:
            nonlocal inside, most
            for _ in range(2):
                inside += 1
                most = max(most, inside)
                order.append(asks[0].received_us)
                entered.set()
                gate.wait()
                inside -= 1
                yield Pause.READ
            return [b""]

        def fallbacks(self, messages: Sequence[bytes], cause: Cause, text: str) -> list[bytes | TaktError]:
            return [message + text.encode() + cause.encode() for message in messages]

    desk = SharedDesk(Busy())
    threads = [threading.Thread(target=lambda n=n: finished(desk.deciding([Ask(b"", n)]))) for n in range(6)]
    for n, thread in enumerate(threads):
        thread.start()
        while len(desk) < n + 1:  # until it stands in line
            threading.Event().wait(0.001)
    gate.set()
    for thread in threads:
        thread.join()

    assert (1, 0) == (most, len(desk))
    assert [0, 1, 2, 3, 4, 5] == order[:6]
    assert [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5] == sorted(order)
