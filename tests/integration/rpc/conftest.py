"""One real service for all tests of this folder, on each front end: a minimal workspace, a tiny model, a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from takt.v1 import decision_pb2_grpc, feedback_pb2_grpc, profile_pb2, profile_pb2_grpc
from takt.v1.types_pb2 import FORM_OF_ADDRESS_FORMAL, StringList, Value
from tests.integration.rpc.process import TRANSPORT, Service


@pytest.fixture(scope="session", params=["grpcio", "native"], autouse=True)
def transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """The front end: every test of this folder runs on both."""
    before = TRANSPORT.set(request.param)
    yield request.param
    TRANSPORT.reset(before)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, bundle: Path, transport: str) -> Iterator[Service]:
    """A service that is ready."""
    data = tmp_path_factory.mktemp(f"data-{transport}")
    # generous budgets: these tests are about answers, not about a busy machine's speed
    arguments = ["--data-dir", str(data), "--model", str(bundle), "--store-timeout-ms", "5000"]
    with Service([*arguments, "--decide-budget-ms", "30000"]) as running:
        yield running.wait_ready()


@pytest.fixture
def decisions(service: Service) -> Iterator[decision_pb2_grpc.DecisionServiceStub]:
    """Asks for decisions."""
    with service.public as channel:
        yield decision_pb2_grpc.DecisionServiceStub(channel)


@pytest.fixture
def feedback(service: Service) -> Iterator[feedback_pb2_grpc.FeedbackServiceStub]:
    """Records events."""
    with service.public as channel:
        yield feedback_pb2_grpc.FeedbackServiceStub(channel)


@pytest.fixture
def profiles(service: Service) -> Iterator[profile_pb2_grpc.ProfileServiceStub]:
    """Writes and reads profiles."""
    with service.admin as channel:
        yield profile_pb2_grpc.ProfileServiceStub(channel)


@pytest.fixture
def ada(profiles: profile_pb2_grpc.ProfileServiceStub) -> str:
    """Profile id of somebody new, who agreed to be shown offers on the web, and wants to hear of gardens."""
    name = f"ada-{uuid4().hex}"
    write = profile_pb2.ProfileWrite(
        profile_id=name,
        features={
            "recency_days": Value(double_value=2.0),
            "visits_30d": Value(int_value=5),
            "segment": Value(string_value="premium"),
            "interests": Value(string_list_value=StringList(values=["garden"])),
        },
        time_zone="Europe/Berlin",
        locale="de-DE",
        form_of_address=FORM_OF_ADDRESS_FORMAL,
        consents=[profile_pb2.Consent(purpose="web.personalisation", granted=True)],
    )
    (written,) = profiles.Put(profile_pb2.ProfileServicePutRequest(profiles=[write])).results
    assert (name, []) == (written.profile_id, list(written.violations))
    return name
