"""Callers of a running service, with nothing but the generated stubs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from takt.v1 import decision_pb2, decision_pb2_grpc, profile_pb2, profile_pb2_grpc, types_pb2

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT_S = 30.0
"""Longer than any answer may take: a call that hangs is a failure of the proof, not an answer."""
FALLBACKS = {decision_pb2.PLACEMENT_STATUS_FALLBACK, decision_pb2.PLACEMENT_STATUS_EMPTY}


class Caller:
    """One channel to a service."""

    def __init__(self, address: str) -> None:
        """Connects with the first call."""
        self._channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self._decisions = decision_pb2_grpc.DecisionServiceStub(self._channel)
        self._profiles = profile_pb2_grpc.ProfileServiceStub(self._channel)

    def decide(self, request: decision_pb2.DecideRequest) -> decision_pb2.DecideResponse:
        """Ask."""
        answer: decision_pb2.DecideResponse = self._decisions.Decide(request, timeout=TIMEOUT_S)
        return answer

    def refusal(self, request: decision_pb2.DecideRequest) -> tuple[str, list[str]]:
        """Code and reason (`INVALID_ARGUMENT INVALID_REQUEST`), and the fields named; `OK` if it was answered."""
        try:
            self.decide(request)
        except grpc.RpcError as error:
            status = rpc_status.from_call(cast(grpc.Call, error))  # a failed call is its own error
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            for packed in status.details if status is not None else ():
                _ = packed.Unpack(info) or packed.Unpack(bad)
            return f"{error.code().name} {info.reason}".strip(), [v.field for v in bad.field_violations]
        return "OK", []

    def profile(self, profile_id: str) -> profile_pb2.Profile | None:
        """One profile; None if it is not there."""
        request = profile_pb2.ProfileServiceGetRequest(profile=types_pb2.ProfileReference(profile_id=profile_id))
        try:
            found: profile_pb2.ProfileServiceGetResponse = self._profiles.Get(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return found.profile

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def ask(profile_id: str, *placements: str, request_id: str = "", **more: Any) -> decision_pb2.DecideRequest:
    """A request about one household; every offer left out is to be named."""
    request = decision_pb2.DecideRequest(
        request_id=request_id or str(uuid.uuid4()),
        profile_id=profile_id,
        placements=[decision_pb2.PlacementRequest(placement=placement) for placement in placements],
        explain=decision_pb2.EXPLAIN_LEVEL_OFFERS,
        **more,
    )
    request.context["page"].string_value = "home"
    return request


def causes(answer: decision_pb2.DecideResponse) -> set[str]:
    """Causes of degradation, such as `STORE`."""
    return {types_pb2.DegradationCause.Name(d.cause).removeprefix("DEGRADATION_CAUSE_") for d in answer.degradations}


def offers(answer: decision_pb2.DecideResponse) -> list[str]:
    """Every offer shown, with repetitions."""
    return [offer.offer for placement in answer.placements for offer in placement.offers]


def at_once(callers: int, tasks: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """`work` on every task, by so many threads that start together; results in the tasks' order."""
    start = threading.Barrier(min(callers, len(tasks)))
    waited = threading.local()

    def run(task: T) -> R:
        if not hasattr(waited, "yes"):
            waited.yes = True
            start.wait()
        return work(task)

    with ThreadPoolExecutor(start.parties) as pool:
        return list(pool.map(run, tasks))
