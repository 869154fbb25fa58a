"""Requests that are right, and what comes back when one is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from takt.v1 import decision_pb2


def ask(*placements: str, **given: Any) -> decision_pb2.DecideRequest:
    """A request under an id of its own, for a person of its own unless one is given."""
    request_id = given.pop("request_id", uuid4().hex)
    if "identities" not in given:
        given.setdefault("profile_id", f"p-{request_id}"[:64])
    return decision_pb2.DecideRequest(
        request_id=request_id,
        placements=[decision_pb2.PlacementRequest(placement=name) for name in placements or ("home_hero",)],
        **given,
    )


def refused(call: Callable[[], object]) -> tuple[str, str, dict[str, str]]:
    """Status code, reason, and violations by field of a call that is refused."""
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    error: Any = refusal.value
    status = rpc_status.from_call(error)
    assert status is not None, error
    reason, fields = "", {}
    for packed in status.details:
        info, bad = ErrorInfo(), BadRequest()
        if packed.Unpack(info):
            assert "takt.v1" == info.domain
            reason = info.reason
        elif packed.Unpack(bad):
            fields = {v.field: v.description for v in bad.field_violations}
    return error.code().name, reason, fields
