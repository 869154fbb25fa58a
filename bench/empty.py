"""The reference: a gRPC server on plain grpcio with uvloop whose only call does nothing.

Run as `python -m bench.empty ADDRESS`; it prints a line once it serves.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import grpc
import uvloop

METHOD = "/bench.Empty/Call"


async def answer(request: bytes, context: object) -> bytes:  # noqa: ARG001 - the interface's
    """Nothing."""
    return b""


async def serve(address: str) -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Empty", {"Call": handler}),))
    server.add_insecure_port(address)
    await server.start()
    print("serving", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
