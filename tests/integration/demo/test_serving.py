"""The service as a child process: when it is told to serve, and what is told when it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from takt.cli.client import Client
from takt_training.demo.serving import Service, ServiceError

pytestmark = pytest.mark.timeout(300)  # kernels may have to be compiled

WORKSPACE = Path(__file__).parents[2] / "workspaces" / "minimal"


def given(folder: Path, workspace: Path) -> dict[str, str]:
    """Settings of a service that has everything in a folder, its socket too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        admin = f"127.0.0.1:{probe.getsockname()[1]}"
    return {
        "workspace": str(workspace),
        "data_dir": str(folder / "data"),
        "listen": f"unix:{folder / 'takt.sock'}",
        "admin_listen": admin,
        "metrics_listen": "127.0.0.1:0",
    }


def test_it_is_ready_on_a_socket(tmp_path: Path) -> None:
    """Whoever waited can call at once, wherever it listens."""
    with Service(given(tmp_path, WORKSPACE), tmp_path / "log") as service:
        service.await_ready()
        with Client(service.public) as client:
            client.await_ready(0.5)


def test_one_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    """The error holds the code and what it said."""
    (tmp_path / "empty").mkdir()
    with (
        Service(given(tmp_path, tmp_path / "empty"), tmp_path / "log") as service,
        pytest.raises(ServiceError, match=r"(?s)ended with 1:\n.*features\.yaml"),
    ):
        service.await_ready()


def test_one_that_takes_too_long_is_told_of(tmp_path: Path) -> None:
    """It may still come; who waits is told that it did not yet."""
    with (
        Service(given(tmp_path, WORKSPACE), tmp_path / "log") as service,
        pytest.raises(ServiceError, match="does not serve after"),
    ):
        service.await_ready(0.05)
