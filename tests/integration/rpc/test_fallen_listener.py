"""A server of grpcio's that falls takes the process with it, so that whoever looks after it starts another."""

from __future__ import annotations

import socket
from pathlib import Path

import grpc
import pytest

from takt.v1 import decision_pb2_grpc
from tests.integration.rpc.asking import ask
from tests.integration.rpc.process import Service
from tests.proofs.frames import END_HEADERS, END_STREAM, HEADERS, frame, opening, packed

pytestmark = pytest.mark.timeout(300)  # kernels may have to be compiled


def call_without_meaning(address: str) -> None:
    """One call whose path is not UTF-8."""
    host, _, port = address.rpartition(":")
    headers = packed(
        [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", b"/takt.v1.\xff\xfe/Decide"),
            (b":authority", b"takt"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        ]
    )
    with socket.create_connection((host, int(port)), timeout=10) as caller:
        caller.sendall(opening() + frame(HEADERS, END_HEADERS | END_STREAM, 1, headers))
        caller.settimeout(5)
        try:
            while caller.recv(4_096):
                pass
        except OSError:
            pass  # it hung up


@pytest.mark.parametrize(("transport", "listener"), [("grpcio", "listen"), ("native", "admin")])
def test_a_fallen_listener_ends_the_process(tmp_path: Path, transport: str, listener: str) -> None:
    """It says which, and ends with 1 rather than live on without it."""
    with Service(["--data-dir", str(tmp_path / "data"), "--transport", transport]) as service:
        call_without_meaning(service.wait_ready().line("ready")[listener])

        assert {"listen": "TAKT_LISTEN", "admin": "TAKT_ADMIN_LISTEN"}[listener] in str(service.line("listener_fell"))
        assert 1 == service.exit_code()


def test_the_native_front_end_does_not_fall(tmp_path: Path) -> None:
    """Such a call is refused there, and neither it nor what stands behind it falls."""
    with Service(["--data-dir", str(tmp_path / "data"), "--transport", "native"]) as service:
        call_without_meaning(service.wait_ready().line("ready")["listen"])

        with service.public as channel:
            answer = decision_pb2_grpc.DecisionServiceStub(channel).Decide(ask("home_hero"), timeout=10)
        assert answer.decision_id
        with service.public as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/takt.v1.DecisionService/Nothing")(b"", timeout=10)
        assert grpc.StatusCode.UNIMPLEMENTED == refused.value.code()
        assert service.process.poll() is None
