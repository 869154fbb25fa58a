"""Overload, spent time, callers that go, defects and the end: what the edge makes of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from takt.errors import StoreError
from takt.rpc.errors import DETAILS_KEY
from takt.v1 import decision_pb2, decision_pb2_grpc, feedback_pb2, feedback_pb2_grpc, profile_pb2, profile_pb2_grpc
from takt.v1.types_pb2 import ProfileReference
from tests.integration.rpc.asking import ask
from tests.integration.rpc.edge import Front, Work, causes, front, one, queued, run, until


def refusal(error: grpc.aio.AioRpcError) -> tuple[str, str, dict[str, str]]:
    """Status code, reason and metadata of a call that was refused."""
    status = Status.FromString(dict(error.trailing_metadata())[DETAILS_KEY])  # type: ignore[arg-type]  # bytes
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return error.code().name, info.reason, dict(info.metadata)


def test_concurrent_calls_are_gathered() -> None:
    """What comes while a batch is at work is the next batch, over real gRPC too."""

    async def test() -> None:
        async with front(Work()) as edge:
            first = asyncio.create_task(one(edge))
            await edge.work.taken_up()
            others = await queued(edge, 5)
            edge.work.gate.set()

            answers = await asyncio.gather(first, *others)
            assert [[]] * 6 == [causes(answer) for answer in answers]
            assert [1, 5] == [len(batch) for batch in edge.work.batches]

    run(test)


def test_overload_falls_back_at_once() -> None:
    """When as many wait as may, the next gets its fallback with OK, and says why; those that wait are answered."""

    async def test() -> None:
        async with front(Work(), max_waiting=3) as edge:
            first = asyncio.create_task(one(edge))
            await edge.work.taken_up()
            waiting = await queued(edge, 3)

            assert ["OVERLOAD"] == causes(await one(edge))
            edge.work.gate.set()
            assert [[]] * 4 == [causes(answer) for answer in await asyncio.gather(first, *waiting)]

    run(test)


def test_a_spent_budget_falls_back_and_is_not_decided() -> None:
    """A request whose budget runs out while it waits gets its fallback then, and never reaches the engine."""

    async def test() -> None:
        async with front(Work()) as edge:
            first = asyncio.create_task(one(edge))
            await edge.work.taken_up()

            assert ["DEADLINE"] == causes(await one(edge, budget=Duration(nanos=1_000_000), request_id="spent"))
            edge.work.gate.set()
            await first
            assert "spent" not in {name for batch in edge.work.batches for name in batch}

    run(test)


def test_the_services_own_budget_holds_where_none_is_asked() -> None:
    """Work that takes too long is not waited for."""

    async def test() -> None:
        async with front(Work(), budget_us=1_000) as edge:
            assert ["DEADLINE"] == causes(await one(edge))

    run(test)


def test_a_deadline_is_answered_before_it_passes() -> None:
    """A caller with a deadline gets its fallback in time to read it."""

    async def test() -> None:
        async with front(Work()) as edge:
            assert ["DEADLINE"] == causes(await edge.decide(ask("hero"), timeout=1))

    run(test)


def test_a_caller_that_goes_is_not_decided_for() -> None:
    """A call that is cancelled while it waits never reaches the engine."""

    async def test() -> None:
        async with front(Work()) as edge:
            first = asyncio.create_task(one(edge))
            await edge.work.taken_up()
            gone = edge.decide(ask("hero", request_id="gone"))
            await until(lambda: edge.waiting == 1)
            gone.cancel()
            await until(lambda: edge.count("takt_call_seconds_count", method=DECIDE, code="CANCELLED") == 1)
            edge.work.gate.set()
            await first
            await one(edge, request_id="after")

            assert {"after"} == {name for batch in edge.work.batches[1:] for name in batch}

    run(test)


DECIDE = "DecisionService.Decide"


def test_a_defect_is_told_by_an_id_that_is_in_the_log() -> None:
    """What nobody foresaw is INTERNAL, with nothing of what it says; the log has the same id."""

    async def test() -> None:
        work = Work(error=KeyError("secret"))
        work.gate.set()
        async with front(work) as edge:
            with capture_logs() as logged, pytest.raises(grpc.aio.AioRpcError) as error:
                await one(edge)

            code, reason, metadata = refusal(error.value)
            assert ("INTERNAL", "DEFECT") == (code, reason)
            assert [metadata["call"]] == [line["call"] for line in logged if line["event"] == "defect"]
            assert "secret" not in str(error.value)

    run(test)


def test_requests_that_are_wrong_are_counted() -> None:
    """What the edge refuses is counted like what the engine refuses."""

    async def test() -> None:
        async with front(Work()) as edge:
            with pytest.raises(grpc.aio.AioRpcError):
                await one(edge, request_id="")

            assert 1 == edge.count("takt_refusals_total", reason="INVALID_REQUEST")
            assert 1 == edge.count("takt_call_seconds_count", method=DECIDE, code="INVALID_ARGUMENT")

    run(test)


def test_the_store_failing_is_unavailable_for_feedback() -> None:
    """Feedback that could not be kept is refused as a whole, with the reason to try again."""

    async def test() -> None:
        async with front(Work(error=StoreError("no answer"))) as edge:
            event = feedback_pb2.Event(event_id="e", type="click", profile_id="p")
            stub = feedback_pb2_grpc.FeedbackServiceStub(edge.public)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.Record(feedback_pb2.RecordRequest(events=[event]))

            assert ("UNAVAILABLE", "STORE_UNAVAILABLE", {}) == refusal(error.value)

    run(test)


def test_events_of_one_call_stay_together() -> None:
    """Outcomes come back to the call whose events they are, however calls were joined; all are counted."""

    async def test() -> None:
        async with front(Work()) as edge:
            stub = feedback_pb2_grpc.FeedbackServiceStub(edge.public)
            names = [[f"{call}-{n}" for n in range(call)] for call in range(1, 8)]
            calls = [
                stub.Record(
                    feedback_pb2.RecordRequest(
                        events=[feedback_pb2.Event(event_id=name, type="click", profile_id="p") for name in events]
                    )
                )
                for events in names
            ]

            assert names == [[result.event_id for result in (await call).results] for call in calls]
            assert 28 == edge.count("takt_feedback_events_total", outcome="APPLIED")

    run(test)


def test_a_damaged_profile_is_data_loss() -> None:
    """A record that is there and cannot be read has its own status."""

    async def test() -> None:
        async with front(Work()) as edge:
            stub = profile_pb2_grpc.ProfileServiceStub(edge.admin)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.Get(profile_pb2.ProfileServiceGetRequest(profile=ProfileReference(profile_id="p")))

            assert ("DATA_LOSS", "PROFILE_UNREADABLE", {}) == refusal(error.value)

    run(test)


async def health(edge: Front) -> Any:
    """Overall health."""
    return (await health_pb2_grpc.HealthStub(edge.public).Check(health_pb2.HealthCheckRequest())).status


def test_draining_lets_calls_end() -> None:
    """Those who watch are told, calls under way are answered, new ones are not taken, and watching holds nothing up."""

    async def test() -> None:
        async with front(Work()) as edge:
            assert health_pb2.HealthCheckResponse.SERVING == await health(edge)
            watching = health_pb2_grpc.HealthStub(edge.public).Watch(health_pb2.HealthCheckRequest())
            assert health_pb2.HealthCheckResponse.SERVING == (await watching.read()).status
            under_way = asyncio.create_task(one(edge))
            await edge.work.taken_up()

            draining = asyncio.create_task(edge.servers.drain(60))
            assert health_pb2.HealthCheckResponse.NOT_SERVING == (await watching.read()).status
            assert not under_way.done()
            edge.work.gate.set()
            assert [] == causes(await under_way)
            await draining
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await edge.decide(ask("hero"), timeout=5)
            assert "UNAVAILABLE" == error.value.code().name

    run(test)


def test_the_grace_is_the_end_of_patience() -> None:
    """Calls that are still under way after the grace are cut off."""

    async def test() -> None:
        async with front(Work()) as edge:
            stuck = asyncio.create_task(one(edge))
            await edge.work.taken_up()
            await edge.servers.drain(0.01)

            with pytest.raises(grpc.aio.AioRpcError):
                await stuck

    run(test)


def streamed(request: decision_pb2.DecideRequest) -> decision_pb2.DecideStreamRequest:
    """A request on a stream."""
    return decision_pb2.DecideStreamRequest(request=request)


def test_a_stream_answers_as_it_is_ready() -> None:
    """What is out of time is answered while others wait; what is wrong is refused in its place."""

    async def test() -> None:
        async with front(Work()) as edge:
            stream = decision_pb2_grpc.DecisionServiceStub(edge.public).DecideStream()
            await stream.write(streamed(ask("hero", request_id="slow")))
            await edge.work.taken_up()
            await stream.write(streamed(ask("hero", request_id="slow")))
            await stream.write(streamed(ask("hero", request_id="spent", budget=Duration(nanos=1_000_000))))
            twice, spent = await stream.read(), await stream.read()
            await stream.write(streamed(ask(request_id="")))
            edge.work.gate.set()
            await stream.done_writing()

            assert ("slow", 3) == (twice.request_id, twice.error.code)
            assert ("spent", ["DEADLINE"]) == (spent.request_id, causes(spent.response))
            others = [await stream.read(), await stream.read()]
            assert {("slow", 0), ("", 3)} == {(other.request_id, other.error.code) for other in others}
            assert grpc.aio.EOF is await stream.read()
            assert "OK" == (await stream.code()).name

    run(test)


def test_a_stream_is_read_no_further_than_it_is_answered() -> None:
    """With as many requests under way as may be, the rest stay with the caller."""

    async def test() -> None:
        async with front(Work(), max_waiting=10_000) as edge:
            stream = decision_pb2_grpc.DecisionServiceStub(edge.public).DecideStream()
            await stream.write(streamed(ask("hero", request_id="first")))
            await edge.work.taken_up()

            async def pour() -> None:
                for n in range(1_000):
                    await stream.write(streamed(ask("hero", request_id=f"s-{n}")))
                await stream.done_writing()

            pouring = asyncio.create_task(pour())
            await until(lambda: edge.waiting >= 255)
            edge.work.waiting = lambda: edge.waiting
            edge.work.gate.set()
            answered = {answer.request_id async for answer in stream}
            await pouring
            assert 1_001 == len(answered)
            assert 256 >= max(edge.work.depths)

    run(test)


def test_a_stream_that_is_cut_leaves_nothing_behind() -> None:
    """When the caller of a stream goes, what waits for it is dropped."""

    async def test() -> None:
        async with front(Work()) as edge:
            stream = decision_pb2_grpc.DecisionServiceStub(edge.public).DecideStream()
            await stream.write(streamed(ask("hero", request_id="first")))
            await edge.work.taken_up()
            for n in range(5):
                await stream.write(streamed(ask("hero", request_id=f"s-{n}")))
            await until(lambda: edge.waiting == 5)
            stream.cancel()
            method = "DecisionService.DecideStream"
            await until(lambda: edge.count("takt_call_seconds_count", method=method, code="CANCELLED") == 1)
            edge.work.gate.set()
            await one(edge, request_id="after")

            assert [["first"], ["after"]] == edge.work.batches

    run(test)


def test_a_stream_ends_when_the_replica_does() -> None:
    """Draining answers what was read from a stream, then ends it with the reason to go elsewhere."""

    async def test() -> None:
        async with front(Work()) as edge:
            stream = decision_pb2_grpc.DecisionServiceStub(edge.public).DecideStream()
            await stream.write(streamed(ask("hero", request_id="read")))
            await edge.work.taken_up()
            draining = asyncio.create_task(edge.servers.drain(60))
            await asyncio.sleep(0)
            edge.work.gate.set()

            assert "read" == (await stream.read()).response.request_id
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stream.read()
            assert ("UNAVAILABLE", "SHUTTING_DOWN", {}) == refusal(error.value)
            await draining

    run(test)


def test_requests_may_be_poured_in_without_end() -> None:
    """A caller that writes and reads at once is served as long as it likes."""

    async def test() -> None:
        work = Work()
        work.gate.set()
        async with front(work) as edge:

            async def requests() -> AsyncIterator[decision_pb2.DecideStreamRequest]:
                for n in range(2_000):
                    yield streamed(ask("hero", request_id=f"s-{n}"))

            stream = decision_pb2_grpc.DecisionServiceStub(edge.public).DecideStream(requests())
            answers = [answer async for answer in stream]
            assert 2_000 == len({answer.response.request_id for answer in answers})
            assert all(not answer.HasField("error") for answer in answers)

    run(test)
