"""What is put under load, and where it is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from bench import empty, servers
from bench.messages import Messages
from bench.servers import DECIDE, DECIDE_STREAM, Serving
from bench.stand import Stand


class Subject(Struct, frozen=True):
    """Something that is put under load."""

    name: str
    address: str
    method: str
    messages: Path
    pids: dict[str, int]
    protocol: str = "grpc"
    serving: Serving | None = None
    """Of whom stages are known."""


def decider(name: str, serving: Serving, on: Stand, method: str = DECIDE) -> Subject:
    """The service, asked for decisions."""
    streaming = method == DECIDE_STREAM
    return Subject(
        name,
        serving.address,
        method,
        on.streamed if streaming else on.messages,
        {"server": serving.pid, "store": on.server.pid or 0},
        "stream" if streaming else "grpc",
        serving,
    )


@contextmanager
def references(folder: Path) -> Iterator[dict[str, Subject]]:
    """The empty calls."""
    nothing = Messages.of([b"", b""]).write(folder / "nothing.npz")
    with ExitStack() as stack:
        found = {}
        for name, module in (("empty_grpcio", "bench.empty"), ("empty_native", "bench.empty_native")):
            address, pid = stack.enter_context(servers.reference(module))
            found[name] = Subject(name, address, empty.METHOD, nothing, {"server": pid})
        yield found
