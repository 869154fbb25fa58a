"""What is wrong with an input, as `google.rpc` says it."""

from __future__ import annotations

from collections.abc import Iterable

from google.rpc.error_details_pb2 import BadRequest

from takt.errors import Violation


def field_violations(violations: Iterable[Violation]) -> list[BadRequest.FieldViolation]:
    """One message per violation, in order."""
    return [BadRequest.FieldViolation(field=v.field, description=v.message) for v in violations]
