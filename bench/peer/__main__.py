"""Run as `python -m bench.peer ADDRESS MODEL STORE WORKSPACE`; prints a line once it serves."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from bench.peer.service import Decider, service
from takt.catalog.workspace import load_workspace


class _Server(uvicorn.Server):
    """Says when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        print("serving", flush=True)


async def serve(address: str, model: str, store: str, workspace: str) -> None:
    """Serve until SIGTERM."""
    host, _, port = address.rpartition(":")
    app = service(Decider(load_workspace(Path(workspace)), Path(model), store))
    await _Server(
        uvicorn.Config(app, host=host, port=int(port), http="httptools", log_level="error", access_log=False)
    ).serve()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:5]))
