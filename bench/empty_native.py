"""The second reference: a server on the native front end, as plain as `bench.empty`, whose only call does nothing.

Run as `python -m bench.empty_native ADDRESS`; it prints a line once it serves. Calls are taken many at a time and
answered at once, which is all that the low-level interface asks for.
"""

from __future__ import annotations

import signal
import sys
import threading

from pygrpc_native import NativeGrpcFront

from bench.empty import METHOD


def serve(address: str) -> None:
    """Serve until SIGTERM."""
    front = NativeGrpcFront(address, [(METHOD, False)])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=answer, args=(front,), daemon=True).start()
    front.start()
    print("serving", flush=True)
    stop.wait()
    front.close()


def answer(front: NativeGrpcFront) -> None:
    """Answer everything with nothing, until the server is closed."""
    while (events := front.recv_batch(4_096, None)) is not None:
        for _, call_id, *_ in events:
            front.respond(call_id, b"")


if __name__ == "__main__":
    serve(sys.argv[1])
