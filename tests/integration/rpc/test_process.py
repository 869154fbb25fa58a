"""A service as a process: it begins, says what it does, meets faults, and ends in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import redis

from takt.redis import keys
from takt.v1 import (
    decision_pb2,
    decision_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
    types_pb2,
)
from takt.v1.types_pb2 import Identity, ProfileReference, Value
from tests.integration.rpc.asking import ask
from tests.integration.rpc.process import Service

pytestmark = pytest.mark.timeout(300)  # kernels may have to be compiled

Decide = Callable[..., decision_pb2.DecideResponse]


def causes(answer: decision_pb2.DecideResponse) -> list[str]:
    """Why an answer is degraded."""
    return [types_pb2.DegradationCause.Name(d.cause).removeprefix("DEGRADATION_CAUSE_") for d in answer.degradations]


def put(service: Service, name: str, visits: int = 1) -> None:
    """Write a profile."""
    write = profile_pb2.ProfileWrite(
        profile_id=name,
        identities=[Identity(namespace="login", value=f"login-of-{name}")],
        features={"visits_30d": Value(int_value=visits)},
        consents=[profile_pb2.Consent(purpose="web.personalisation", granted=True)],
    )
    with service.admin as channel:
        stub = profile_pb2_grpc.ProfileServiceStub(channel)
        (result,) = stub.Put(profile_pb2.ProfileServicePutRequest(profiles=[write])).results
    assert name == result.profile_id


def visits(service: Service, name: str) -> int:
    """Read back what `put` wrote."""
    asked = ProfileReference(identity=Identity(namespace="login", value=f"login-of-{name}"))
    with service.admin as channel:
        read = profile_pb2_grpc.ProfileServiceStub(channel).Get(profile_pb2.ProfileServiceGetRequest(profile=asked))
    found: int = read.profile.features["visits_30d"].int_value
    return found


def store_pid(data: Path) -> int:
    """Process id of the embedded store."""
    return int((data / "store.lock").read_text())


def until(holds: Callable[[], bool]) -> None:
    """Wait for what other processes do; the test's own time-out is the end of it."""
    pause = threading.Event()
    while not holds():
        pause.wait(0.02)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, transport: str) -> Path:
    """A data directory."""
    return tmp_path_factory.mktemp(f"faults-{transport}")


@pytest.fixture(scope="module")
def faulty(data: Path, bundle: Path) -> Iterator[Service]:
    """A service that faults are tried on."""
    arguments = ["--data-dir", str(data), "--model", str(bundle), "--store-timeout-ms", "500"]
    with Service([*arguments, "--decide-budget-ms", "20000"]) as service:
        yield service.wait_ready()


@pytest.fixture
def decide(faulty: Service) -> Iterator[Decide]:
    """Ask it for decisions."""
    with faulty.public as channel:
        yield decision_pb2_grpc.DecisionServiceStub(channel).Decide


def test_a_store_that_hangs_is_not_waited_for(faulty: Service, data: Path, decide: Decide) -> None:
    """While the store hangs in mid-load, pages get fallbacks and nobody is contacted; when it goes on, so do we."""
    name = uuid4().hex
    put(faulty, name)
    assert [] == causes(decide(ask("home_hero", profile_id=name)))
    stopped = threading.Event()
    with ThreadPoolExecutor(8) as pool:

        def ask_on() -> list[decision_pb2.DecideResponse]:
            answers = []
            while not stopped.is_set():
                answers.append(decide(ask("home_hero", profile_id=name)))
            return answers

        load = [pool.submit(ask_on) for _ in range(8)]
        os.kill(store_pid(data), signal.SIGSTOP)
        try:
            until(lambda: "takt_store_up 0.0" in faulty.metrics())
        finally:
            os.kill(store_pid(data), signal.SIGCONT)
            stopped.set()
        answers = [answer for future in load for answer in future.result()]
    hanging = [answer for answer in answers if "STORE" in causes(answer)]

    assert hanging
    assert {decision_pb2.PLACEMENT_STATUS_FALLBACK} == {answer.placements[0].status for answer in hanging}
    assert {"content/hero/neutral"} == {answer.placements[0].fallback for answer in hanging}
    faulty.line("store_down")
    faulty.line("store_up")  # found out without a caller
    assert [] == causes(decide(ask("home_hero", profile_id=name)))


def test_a_store_that_dies_is_started_again(faulty: Service, data: Path, decide: Decide) -> None:
    """The embedded store comes back with its data, without a restart of the service."""
    name = uuid4().hex
    put(faulty, name, visits=7)
    before = store_pid(data)
    os.kill(before, signal.SIGKILL)
    faulty.line("store_ended")
    faulty.line("store_started")

    until(lambda: not causes(decide(ask("home_hero", profile_id=name))))
    assert before != store_pid(data)
    assert 7 == visits(faulty, name)


def test_a_corrupt_record_degrades_its_own_row(faulty: Service, data: Path, decide: Decide) -> None:
    """Somebody whose record cannot be read is treated as unknown, and says so; others are not touched."""
    broken, whole = uuid4().hex, uuid4().hex
    put(faulty, broken)
    put(faulty, whole)
    with redis.Redis(unix_socket_path=str(data / "store.sock")) as store:
        key = keys.person(broken, keys.DEFAULT_PARTITIONS).profile
        assert store.exists(key)
        store.set(key, b"not a record")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: decide(ask("home_hero", profile_id=name)), [broken, whole]))

    assert [["PROFILE"], []] == [causes(answer) for answer in answers]
    assert [True, False] == [answer.anonymous for answer in answers]


def test_it_ends_in_order(tmp_path: Path, bundle: Path) -> None:
    """On SIGTERM every call is answered or sent elsewhere, the exit code is 0, and the data are there next time."""
    arguments = ["--data-dir", str(tmp_path), "--model", str(bundle), "--store-timeout-ms", "5000"]
    name = uuid4().hex
    with Service(arguments) as service:
        put(service, name, visits=3)
        codes: list[str] = []
        going = threading.Event()

        def ask_on() -> None:
            with service.public as channel:
                stub = decision_pb2_grpc.DecisionServiceStub(channel)
                while True:
                    try:
                        stub.Decide(ask("home_hero", profile_id=name))
                    except grpc.RpcError as error:
                        codes.append(error.code().name)  # type: ignore[attr-defined]  # calls have codes
                        return
                    codes.append("OK")
                    going.set()

        callers = [threading.Thread(target=ask_on) for _ in range(4)]
        for caller in callers:
            caller.start()
        going.wait()
        assert 0 == service.end()
        for caller in callers:
            caller.join()

        assert {"OK", "UNAVAILABLE"} == set(codes)
        assert ["UNAVAILABLE"] * 4 == [code for code in codes if code != "OK"]
        assert ["draining", "drained", "stopped"] == [line["event"] for line in service.lines][-3:]
        assert service.line("drained")["clean"]
    with Service(arguments) as service:
        assert 3 == visits(service, name)
        service.end(signal.SIGKILL)
    with Service(arguments) as service:
        assert 3 == visits(service, name)
        assert 0 == service.end(signal.SIGINT)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("moment", ["draining", "drained", "stopped"])
def test_being_told_again_does_not_cut_the_end_short(tmp_path: Path, moment: str, workers: str) -> None:
    """A second SIGTERM or Ctrl-C changes nothing, whether it comes while calls are awaited or while the store ends."""
    with Service(["--data-dir", str(tmp_path), "--workers", workers]) as service:
        service.wait_ready()
        service.process.send_signal(signal.SIGTERM)
        service.line(moment)
        service.process.send_signal(signal.SIGINT)
        assert 0 == service.end(signal.SIGTERM)
        assert ["draining", "drained", "stopped"] == [line["event"] for line in service.lines][-3:]


def test_logs_name_nobody(tmp_path: Path) -> None:
    """Whatever is asked, rightly or wrongly, no id, name, value or content of it is in the log."""
    secret = f"ada{uuid4().hex}"
    with Service(["--data-dir", str(tmp_path), "--log-level", "debug"]) as service:
        put(service, secret)
        with service.public as channel:
            decisions = decision_pb2_grpc.DecisionServiceStub(channel)
            decisions.Decide(ask("home_hero", profile_id=secret, request_id=f"r-{secret}"))
            decisions.Decide(ask("home_hero", identities=[Identity(namespace="login", value=secret)]))
            wrong = [
                ask(secret),
                ask("home_hero", context={secret: Value(string_value=secret)}),
                ask("home_hero", identities=[Identity(namespace=secret, value=secret)]),
            ]
            for request in wrong:
                with pytest.raises(grpc.RpcError):
                    decisions.Decide(request)
            event = feedback_pb2.Event(
                event_id=secret, type=secret, profile_id=secret, attributes={secret: Value(string_value=secret)}
            )
            feedback_pb2_grpc.FeedbackServiceStub(channel).Record(feedback_pb2.RecordRequest(events=[event]))
        metrics = service.metrics()
        assert 0 == service.end()

        assert "ready" in service.text
        assert secret not in service.text
        assert secret not in metrics
        assert len(service.text.splitlines()) == len(service.lines)


def test_a_damaged_model_is_flagged_and_policy_holds(tmp_path: Path, bundle: Path) -> None:
    """Without a usable model the service begins all the same; every answer says that a prior scored."""
    damaged = tmp_path / "tiny" / "1.0.0"
    damaged.mkdir(parents=True)
    for file in bundle.iterdir():
        content = file.read_bytes()
        (damaged / file.name).write_bytes(content[: len(content) // 2] if file.name == "model.onnx" else content)
    with Service(["--data-dir", str(tmp_path / "data"), "--model", str(damaged)]) as service:
        name = uuid4().hex
        put(service, name)
        assert "model.onnx" in service.line("model_refused")["message"]
        with service.public as channel:
            answer = decision_pb2_grpc.DecisionServiceStub(channel).Decide(
                ask("home_hero", "newsletter", profile_id=name), timeout=30
            )

    assert "MODEL" in causes(answer)
    assert answer.versions.model.startswith("prior")
    reasons = {e.reason for e in answer.placements[1].exclusions}
    assert types_pb2.REASON_CODE_NO_CONSENT in reasons


def test_what_keeps_it_from_beginning_is_said(tmp_path: Path, faulty: Service) -> None:
    """A wrong setting, a broken workspace or an address in use end it at once, with what would be right."""
    taken = faulty.line("ready")["listen"]
    (tmp_path / "catalog.yaml").write_text("name: [")
    for arguments, said in (
        (["--max-batch", "0"], "--max-batch (TAKT_MAX_BATCH)"),
        (["--data-dir", str(tmp_path / "data"), "--workspace", str(tmp_path)], "catalog.yaml:"),
        (["--data-dir", str(tmp_path / "data"), "--listen", taken], "--listen (TAKT_LISTEN)"),
    ):
        with Service(arguments) as service:
            begun = time.monotonic()
            code = service.exit_code()

        assert 0 < code < 128, service.text
        assert said in service.text
        assert "Traceback" not in service.text
        assert time.monotonic() - begun < 60
