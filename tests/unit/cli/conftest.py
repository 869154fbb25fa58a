"""A service that answers what a test tells it, on a real port, and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from takt.cli.main import main
from takt.v1 import (
    catalog_pb2_grpc,
    contact_pb2,
    contact_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
)


@dataclass
class Service(
    decision_pb2_grpc.DecisionServiceServicer,
    feedback_pb2_grpc.FeedbackServiceServicer,
    profile_pb2_grpc.ProfileServiceServicer,
    contact_pb2_grpc.ContactServiceServicer,
    catalog_pb2_grpc.CatalogServiceServicer,
):
    """Keeps what it was asked, and answers with what `answers` makes of it."""

    address: str = ""
    asked: list[Any] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    answers: Callable[[Any], Any] = lambda request: request
    refusal: status_pb2.Status | None = None
    refuses: Callable[[Any], bool] = lambda _: True
    """Which requests the refusal is for."""

    def _answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        self.tokens += [value for key, value in context.invocation_metadata() if key == "authorization"]
        if self.refusal is not None and self.refuses(request):
            context.abort_with_status(rpc_status.to_status(self.refusal))
        return self.answers(request)

    def Decide(self, request: decision_pb2.DecideRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Record(self, request: feedback_pb2.RecordRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Put(self, request: profile_pb2.ProfileServicePutRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Get(self, request: profile_pb2.ProfileServiceGetRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def List(self, request: contact_pb2.ContactServiceListRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Reset(self, request: contact_pb2.ContactServiceResetRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Backfill(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Audit(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        yield from self._answer(request, context)

    def Link(self, request: profile_pb2.ProfileServiceLinkRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Validate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)

    def Apply(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See the base class."""
        return self._answer(request, context)


@pytest.fixture
def service() -> Iterator[Service]:
    """The service, listening."""
    made = Service()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    decision_pb2_grpc.add_DecisionServiceServicer_to_server(made, server)
    feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(made, server)
    profile_pb2_grpc.add_ProfileServiceServicer_to_server(made, server)
    contact_pb2_grpc.add_ContactServiceServicer_to_server(made, server)
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(made, server)
    made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield made
    server.stop(None).wait()


@pytest.fixture
def takt() -> Callable[..., Result]:
    """Run `takt` with these arguments and this stdin."""

    def run(*arguments: object, stdin: str = "", env: dict[str, str] | None = None) -> Result:
        # whoever runs the tests may have set a width, which would cut what tests look for
        given = {"COLUMNS": None, **(env or {})}
        result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin, env=given, prog_name="takt")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def refusal(code: code_pb2.Code.ValueType, message: str, reason: str, **violations: str) -> status_pb2.Status:
    """A status with rich details, as the service sends them. Dots in fields are written as two underscores."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="takt.v1")]
    if violations:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=name.replace("__", "."), description=text)
            for name, text in violations.items()
        ]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    packed = [any_pb2.Any() for _ in details]
    for one, detail in zip(packed, details, strict=True):
        one.Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)
