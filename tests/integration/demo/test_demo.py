"""The demo as a newcomer runs it: a process of its own, real households, real decisions; and the README's client."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
TAKT = Path(sys.executable).parent / "takt"
READY = "Serving on "
LONG_S = 150
"""The first start compiles kernels."""
WIDE = {**os.environ, "COLUMNS": "160"}


@dataclass
class Demo:
    """A demo that keeps serving, and what it printed until then."""

    process: subprocess.Popen[str]
    address: str
    admin: str
    data_dir: Path
    printed: list[str] = field(default_factory=list)


def addresses(number: int) -> list[str]:
    """Addresses that nobody listens on."""
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    free = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    return free


def command(data_dir: Path, listen: str, admin: str) -> list[str]:
    """`takt demo` on these addresses."""
    where = ["--listen", listen, "--admin-listen", admin, "--metrics-listen", ""]
    return [str(TAKT), "demo", "--data-dir", str(data_dir), *where]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo, serving."""
    data_dir = tmp_path_factory.mktemp("demo")
    listen, admin = addresses(2)
    # a process that ignores Ctrl-C, as whatever runs in the background of a script does, hands that on
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command(data_dir, listen, admin), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=WIDE
    )
    signal.signal(signal.SIGINT, before)
    made = Demo(process, listen, admin, data_dir)
    assert process.stdout is not None
    for line in process.stdout:
        made.printed.append(line)
        if READY in line:
            break
    yield made
    process.terminate()
    process.communicate(timeout=LONG_S)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command, to its end."""
    return subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, timeout=LONG_S, check=False, env=WIDE
    )


def readme_client() -> str:
    """The first Python block of the README."""
    found = re.search(r"```python\n(.*?)```", (TOP / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.timeout(2 * LONG_S)
def test_demo_shows_real_decisions(demo: Demo) -> None:
    """A person sees offers with their factors, reasons, caps that bite, and that some of it is simulated."""
    shown = "".join(demo.printed)
    assert READY in shown, shown
    assert "2,469 households" in shown
    for word in (
        "OFFERED",
        "acceptance",
        "leaves out",
        "at most",
        "the identical answer",
        "REQUEST_ID_REUSED",
        "Simulated",
    ):
        assert word in shown
    assert "degraded" not in shown


@pytest.mark.timeout(2 * LONG_S)
def test_readme_client_gets_a_decision(demo: Demo, tmp_path: Path) -> None:
    """The README's client, copied out of it, gets a decision from the demo."""
    client = tmp_path / "client.py"
    client.write_text(readme_client(), encoding="utf-8")
    done = run(sys.executable, client, demo.address)
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("PLACEMENT_STATUS_")


def test_readme_shows_the_example() -> None:
    """The README's client is examples/client.py, in 15 lines."""
    example = (TOP / "examples/client.py").read_text(encoding="utf-8").partition("\n\n")[2]
    assert example == readme_client()
    assert 15 >= sum(bool(line.strip()) for line in example.splitlines())


@pytest.mark.timeout(2 * LONG_S)
@pytest.mark.parametrize(
    "arguments",
    [
        ["decide", "--profile", "hh-0042", "--placement", "home_hero", "--context", "page=home"],
        ["decide", "--profile", "hh-0042", "--placement", "home_tiles", "--dry-run", "--explain", "full", "--json"],
        ["decide", "--identity", "cookie=unknown", "--placement", "home_tiles:1"],
    ],
    ids=lambda arguments: " ".join(arguments[:4]),
)
def test_commands_reach_the_demo(demo: Demo, arguments: list[str]) -> None:
    """Every client command of the README works against the demo."""
    done = run(TAKT, *arguments, "--server", demo.address)
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(2 * LONG_S)
def test_what_became_of_a_decision_is_recorded(demo: Demo) -> None:
    """The decision id that `decide` prints is what `record` wants; one event counts once."""
    placements = ["--placement", "home_hero", "--placement", "home_tiles", "--json"]
    decided = run(TAKT, "decide", "--profile", "hh-0013", *placements, "--server", demo.address)
    decision_id = json.loads(decided.stdout)["decision_id"]
    event = ["record", "--type", "impression", "--decision", decision_id, "--event-id", "e-1", "--server", demo.address]
    outcomes = [run(TAKT, *event).stdout for _ in range(2)]
    assert "1 duplicate\n" == outcomes[1], outcomes


@pytest.mark.timeout(2 * LONG_S)
def test_profiles_can_be_read_and_put_again(demo: Demo) -> None:
    """What `profile get` prints, `profile put` takes."""
    found = run(TAKT, "profile", "get", "hh-0042", "--json", "--server", demo.admin)
    assert 0 == found.returncode, found.stderr
    done = subprocess.run(
        [str(TAKT), "profile", "put", "-", "--server", demo.admin],
        input=found.stdout,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert (0, "1 updated\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.timeout(2 * LONG_S)
def test_an_address_that_is_taken_is_named(demo: Demo, tmp_path: Path) -> None:
    """A second demo on the same address says so, and which flag chooses another."""
    done = run(*command(tmp_path, demo.address, addresses(1)[0]), "--once")
    assert 1 == done.returncode
    assert demo.address in done.stderr
    assert "--listen" in done.stderr


@pytest.mark.timeout(2 * LONG_S)
def test_ctrl_c_and_again(demo: Demo) -> None:
    """Ctrl-C ends it with 0 and leaves no store behind; once more on the same directory, it ends by itself with 0."""
    store = int((demo.data_dir / "store" / "store.lock").read_text(encoding="ascii"))
    demo.process.send_signal(signal.SIGINT)
    rest, _ = demo.process.communicate(timeout=LONG_S)
    assert 0 == demo.process.returncode, rest
    with pytest.raises(ProcessLookupError):
        os.kill(store, 0)
    done = run(*command(demo.data_dir, *addresses(2)), "--once")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "OFFERED" in done.stdout
    assert READY not in done.stdout
