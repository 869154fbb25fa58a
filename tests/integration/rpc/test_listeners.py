"""What stands around the calls: health, reflection, metrics, what is not served, who may call what."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from takt.rpc.server import ADMIN, PUBLIC
from takt.v1 import decision_pb2_grpc, profile_pb2, profile_pb2_grpc
from tests.integration.rpc.asking import ask, refused
from tests.integration.rpc.process import Service

SERVED = {
    *(("ProfileService", name) for name in ("Put", "Get", "Link")),
    *(("ContactService", name) for name in ("List", "Reset", "Backfill", "Audit")),
    *(("CatalogService", name) for name in ("Validate", "Apply", "Get")),
}

pytestmark = pytest.mark.timeout(300)  # the first test may wait for kernels to be compiled


def services(channel: grpc.Channel) -> set[str]:
    """The services that reflection lists."""
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
    return {service.name for service in answer.list_services_response.service}


def test_health_is_told_per_service(service: Service) -> None:
    """Overall and for each service by name, on either listener."""
    names = ["", *(s.full_name for s in (*PUBLIC, *ADMIN))]
    with service.public as public, service.admin as admin:
        for channel in (public, admin):
            stub = health_pb2_grpc.HealthStub(channel)
            statuses = {name: stub.Check(health_pb2.HealthCheckRequest(service=name)).status for name in names}
            assert {health_pb2.HealthCheckResponse.SERVING} == set(statuses.values())


def test_reflection_lists_what_is_there(service: Service) -> None:
    """Callers can find the contract on the listener that serves it."""
    around = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    with service.public as public, service.admin as admin:
        assert {"takt.v1.DecisionService", "takt.v1.FeedbackService"} | around == services(public)
        assert {f"takt.v1.{n}Service" for n in ("Profile", "Contact", "Catalog", "Model")} | around == services(admin)


def test_profiles_are_not_on_the_public_listener(service: Service) -> None:
    """What reveals data is not served where everybody may call."""
    with service.public as public, pytest.raises(grpc.RpcError) as refusal:
        profile_pb2_grpc.ProfileServiceStub(public).Get(profile_pb2.ProfileServiceGetRequest())

    assert "UNIMPLEMENTED" == refusal.value.code().name  # type: ignore[attr-defined]  # calls have codes


@pytest.mark.parametrize(
    "method",
    [
        f"{service.full_name}/{method.name}"
        for service in ADMIN
        for method in service.methods
        if (service.name, method.name) not in SERVED
    ],
)
def test_what_is_not_served_says_so(service: Service, method: str) -> None:
    """Every call of the contract that waits for its version is refused with its own reason, whatever its kind."""
    with service.admin as admin:
        call = admin.unary_unary(f"/{method}")
        assert ("UNIMPLEMENTED", "NOT_SERVED", {}) == refused(lambda: call(b""))


def test_metrics_are_served(service: Service) -> None:
    """After a decision, Prometheus finds it, its stages, its round trips and what is in force."""
    with service.public as public:
        decision_pb2_grpc.DecisionServiceStub(public).Decide(ask("home_hero"))
    samples = [s for family in text_string_to_metric_families(service.metrics()) for s in family.samples]

    def total(name: str, **labels: str) -> float:
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    assert 1 <= total("takt_placements_total", placement="home_hero")
    assert 1 <= total("takt_exclusions_total", reason="NO_CONSENT")
    assert 1 <= total("takt_call_seconds_count", method="DecisionService.Decide", code="OK")
    assert 1 <= total("takt_batch_size_count")
    assert 1 <= total("takt_stage_seconds_count", stage="score")
    assert 1 <= total("takt_store_seconds_count", call="fetch", ok="true")
    assert 1 <= total("takt_commits_total", outcome="DONE")
    assert 1 == total("takt_store_up")
    assert 1 == total("takt_build_info", model="tiny/1.0.0")
    assert 0 == total("takt_waiting")
    assert 0 < total("process_resident_memory_bytes")
