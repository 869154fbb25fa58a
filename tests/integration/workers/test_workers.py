"""Several processes on one port: one that dies is replaced, and nobody notices more than its calls in flight."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from takt.v1 import decision_pb2_grpc, feedback_pb2, feedback_pb2_grpc
from takt.v1.types_pb2 import DEGRADATION_CAUSE_STORE
from tests.integration.rpc.asking import ask
from tests.integration.rpc.process import Service
from tests.integration.rpc.test_process import store_pid, until

pytestmark = pytest.mark.timeout(300)  # kernels may have to be compiled

WORKERS = 2
CALLERS = 6
SEEING_S = 0.25
"""Within which a caller's library sees that its connection has ended; until then it may go on giving it calls."""


def workers(service: Service) -> dict[int, int]:
    """Process id of each worker that is ready, by its number."""
    ended = {line["pid"] for line in service.lines if line["event"] == "worker_ended"}
    ready = [line for line in service.lines if line["event"] == "worker_ready"]
    return {line["worker"]: line["pid"] for line in ready if line["pid"] not in ended}


def metric(service: Service, name: str, **labels: str) -> float:
    """The sum over all series of a name with these labels."""
    families = text_string_to_metric_families(service.metrics())
    return sum(s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items())


def lives(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"


class Load:
    """Callers that ask on and on, each over a connection of its own, and write down what they get.

    Patient ones wait while they are not connected, so that what fails are calls in flight; others stop when all fails.
    """

    def __init__(self, address: str, *, patient: bool) -> None:
        self._patient = patient
        self.codes: list[Counter[str]] = [Counter() for _ in range(CALLERS)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(address, codes)) for codes in self.codes]

    def _ask(self, address: str, codes: Counter[str]) -> None:
        alone = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options=alone) as channel:
            decide = decision_pb2_grpc.DecisionServiceStub(channel).Decide
            while not self._over.is_set():
                try:
                    decide(ask("home_hero"), timeout=30, wait_for_ready=self._patient)
                except grpc.RpcError as error:
                    code = error.code().name  # type: ignore[attr-defined]  # calls have codes
                    codes[code] += 1
                    if not self._patient:
                        return
                    self._over.wait(SEEING_S)
                else:
                    codes["OK"] += 1

    @property
    def answered(self) -> list[int]:
        """How many answers each caller got."""
        return [codes["OK"] for codes in self.codes]

    def further(self) -> None:
        """Return once every caller has got some more answers."""
        before = self.answered
        until(lambda: all(now >= then + 3 for now, then in zip(self.answered, before, strict=True)))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module", params=["grpcio", "native"])
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundle: Path
) -> Iterator[tuple[Service, Path]]:
    """A service of several workers that is ready, and its data directory."""
    data = tmp_path_factory.mktemp(f"fleet-{request.param}")
    patience = ["--store-timeout-ms", "5000", "--decide-budget-ms", "20000"]
    chosen = ["--workers", str(WORKERS), "--transport", request.param]
    with Service([*chosen, "--data-dir", str(data), "--model", str(bundle), *patience]) as service:
        yield service.wait_ready(), data


def test_a_worker_that_is_killed_is_replaced(fleet: tuple[Service, Path]) -> None:
    """Under load, one process after the other is killed: each caller loses at most its call in flight, then goes on."""
    service, _ = fleet
    with Load(service.line("ready")["listen"], patient=True) as load:
        load.further()
        for number, pid in workers(service).items():
            counted = metric(service, "takt_decisions_total", dry_run="false")
            os.kill(pid, signal.SIGKILL)
            until(lambda number=number, pid=pid: workers(service).get(number, pid) != pid)  # type: ignore[misc]
            assert counted <= metric(service, "takt_decisions_total", dry_run="false")
            load.further()

    lost = Counter(code for codes in load.codes for code in codes.elements() if code != "OK")
    assert {"UNAVAILABLE"} >= set(lost)
    assert WORKERS >= max(codes["UNAVAILABLE"] for codes in load.codes)
    assert [1, 1] == [metric(service, "takt_worker_restarts_total", worker=str(n)) for n in range(WORKERS)]
    assert WORKERS == metric(service, "takt_workers")
    assert service.process.poll() is None


def test_all_workers_are_one_service(fleet: tuple[Service, Path]) -> None:
    """Whichever process a connection leads to, a repeat gets the same answer, and all are counted in one place."""
    service, _ = fleet
    before = metric(service, "takt_call_seconds_count", method="DecisionService.Decide", code="OK")
    request = ask("home_hero")
    answers = []
    for _ in range(12):
        with grpc.insecure_channel(
            service.line("ready")["listen"], options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            answers.append(decision_pb2_grpc.DecisionServiceStub(channel).Decide(request, timeout=30))
            event = feedback_pb2.Event(event_id="e", type="click", profile_id=request.profile_id)
            feedback_pb2_grpc.FeedbackServiceStub(channel).Record(feedback_pb2.RecordRequest(events=[event]))

    assert 1 == len({answer.SerializeToString(deterministic=True) for answer in answers})
    assert before + 12 == metric(service, "takt_call_seconds_count", method="DecisionService.Decide", code="OK")


def test_the_store_is_the_parents(fleet: tuple[Service, Path]) -> None:
    """The embedded store that all share is started again when it dies, and no worker with it."""
    service, data = fleet
    before, pids = store_pid(data), workers(service)
    os.kill(before, signal.SIGKILL)
    service.line("store_started")
    with grpc.insecure_channel(service.line("ready")["listen"]) as channel:
        decide = decision_pb2_grpc.DecisionServiceStub(channel).Decide
        until(
            lambda: (
                not [d for d in decide(ask("home_hero"), timeout=30).degradations if d.cause == DEGRADATION_CAUSE_STORE]
            )
        )

    assert before != store_pid(data)
    assert pids == workers(service)


def test_all_end_in_order(tmp_path: Path) -> None:
    """On SIGTERM every call is answered or sent elsewhere, no process stays behind, and the exit code is 0."""
    patience = ["--store-timeout-ms", "5000", "--decide-budget-ms", "20000"]
    with Service(["--workers", str(WORKERS), "--data-dir", str(tmp_path), *patience]) as service:
        with Load(service.wait_ready().line("ready")["listen"], patient=False) as load:
            load.further()
            pids = [*workers(service).values(), store_pid(tmp_path)]
            assert 0 == service.end()

        assert {"OK", "UNAVAILABLE"} >= {code for codes in load.codes for code in codes}
        assert ["draining", "drained", "stopped"] == [line["event"] for line in service.lines][-3:]
        assert service.line("drained")["clean"]
        assert [False] * 3 == [lives(pid) for pid in pids]


def test_nobody_outlives_the_parent(tmp_path: Path) -> None:
    """When the parent is killed, workers and store end as well, and ports and data are free for the next one."""
    arguments = ["--workers", str(WORKERS), "--data-dir", str(tmp_path)]
    with Service(arguments) as service:
        ready = service.wait_ready().line("ready")
        pids = [*workers(service).values(), store_pid(tmp_path)]
        service.process.kill()
        until(lambda: not any(lives(pid) for pid in pids))
    with Service([*arguments, "--listen", ready["listen"]]) as again:
        assert ready["listen"] == again.wait_ready().line("ready")["listen"]
        assert 0 == again.end()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workspace", "{tmp}"], "catalog.yaml:"),
        (["--listen", "unix:{tmp}/takt.sock"], "--workers (TAKT_WORKERS)"),
        (["--redis-url", "unix://{tmp}/nobody.sock"], "nobody.sock"),
        (["--listen", "{taken}"], "--listen (TAKT_LISTEN)"),
    ],
)
def test_what_keeps_it_from_beginning_is_said_once(
    tmp_path: Path, fleet: tuple[Service, Path], arguments: list[str], said: str
) -> None:
    """The parent ends with what would be right, also where only the workers could find out."""
    (tmp_path / "catalog.yaml").write_text("name: [")
    taken = fleet[0].line("ready")["listen"]
    filled = [argument.format(tmp=tmp_path, taken=taken) for argument in arguments]
    data = [] if "--redis-url" in arguments else ["--data-dir", str(tmp_path / "data")]
    with Service(["--workers", "2", *data, *filled]) as service:
        code = service.exit_code()

    assert 0 < code < 128, service.text
    assert said in service.text
    assert "Traceback" not in service.text
