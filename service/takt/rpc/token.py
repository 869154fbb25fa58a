"""The bearer token of a listener."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc

from takt.rpc.calls import Context
from takt.rpc.errors import TokenRequiredError, abort, refusal

_SCHEME: Final = "bearer "


async def _refuse(_: AsyncIterator[Any], context: Context) -> None:
    await abort(context, refusal(TokenRequiredError()))


class TokenGuard(grpc.aio.ServerInterceptor):
    """Lets no call through without `authorization: Bearer TOKEN`, reflection and health included."""

    def __init__(self, token: str) -> None:
        """Ask for this token."""
        self._token = token.encode()
        # whatever the call's kind, a handler of streams can end it without reading
        self._refusing: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(_refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The call's own handler with the right token, else one that refuses."""
        for key, value in handler_call_details.invocation_metadata or ():
            if key == "authorization" and self._fits(value):
                return await continuation(handler_call_details)
        return self._refusing

    def _fits(self, value: str | bytes) -> bool:
        """Whether a header holds the token; takes as long whether it is nearly right or not."""
        text = value if isinstance(value, str) else value.decode("ascii", "replace")
        if text[: len(_SCHEME)].lower() != _SCHEME:
            return False
        return hmac.compare_digest(text[len(_SCHEME) :].strip().encode(), self._token)
