"""The listeners: a public one for decisions and feedback, one of its own for what changes or reveals data."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from msgspec import Struct

from takt.errors import TaktError, Violation
from takt.rpc.calls import LARGEST_MESSAGE, unserved
from takt.rpc.catalog import CatalogService
from takt.rpc.contact import ContactService
from takt.rpc.decision import DecisionService
from takt.rpc.feedback import FeedbackService
from takt.rpc.native import NativeFront
from takt.rpc.profile import ProfileService
from takt.rpc.token import TokenGuard
from takt.settings import Address, Settings, SettingsError, label
from takt.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    contact_pb2,
    contact_pb2_grpc,
    decision_pb2,
    feedback_pb2,
    model_pb2,
    profile_pb2,
    profile_pb2_grpc,
)

OPTIONS: Final[Sequence[tuple[str, int]]] = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # an answer at the explain level FULL over a large catalog may be larger than any request
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # callers may look whether we are there as often as that, also between calls
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

LAST_CALLS_S: Final = 0.1
"""Time in which callers that do not know yet are still told to go elsewhere."""
LAST_WORDS_S: Final = 0.25
"""Time that answers which are given already have to reach the wire."""

PUBLIC: Final = tuple(
    file.DESCRIPTOR.services_by_name[name]
    for file, name in ((decision_pb2, "DecisionService"), (feedback_pb2, "FeedbackService"))
)
ADMIN: Final = tuple(
    file.DESCRIPTOR.services_by_name[name]
    for file, name in (
        (profile_pb2, "ProfileService"),
        (contact_pb2, "ContactService"),
        (catalog_pb2, "CatalogService"),
        (model_pb2, "ModelService"),
    )
)
NOT_SERVED: Final = ("ModelService",)


class ListenError(TaktError):
    """An address cannot be listened on."""


class Tls(Struct, frozen=True):
    """How a listener proves who it is, and whether callers have to."""

    certificate: bytes
    """PEM, the chain."""
    key: bytes
    """PEM."""
    client_ca: bytes | None = None
    """PEM: callers present a certificate from one of these authorities. None: they need none."""

    def credentials(self) -> grpc.ServerCredentials:
        """As grpc wants them."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], self.client_ca, require_client_auth=self.client_ca is not None
        )


def read_tls(settings: Settings) -> Tls | None:
    """Read the files that are named, if any are. Raises `SettingsError` for one that cannot be used."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    tls = Tls(
        _pem(settings.tls_cert, "tls_cert", b"CERTIFICATE"),
        _pem(settings.tls_key, "tls_key", b"PRIVATE KEY"),
        None if settings.tls_client_ca is None else _pem(settings.tls_client_ca, "tls_client_ca", b"CERTIFICATE"),
    )
    # grpc itself says nothing of files that do not fit, but refuses every call
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (ssl.SSLError, ValueError):
        problem = f"{str(settings.tls_key)!r} is encrypted, damaged, or not the key of the certificate"
        raise SettingsError((Violation(label("tls_key"), problem),)) from None
    return tls


def _pem(path: Path, setting: str, kind: bytes) -> bytes:
    """What a PEM file holds. Raises `SettingsError` if that is not a PEM of this kind."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError((Violation(label(setting), f"{str(path)!r} cannot be read: {error.strerror}"),)) from None
    if b"-----BEGIN " not in text or kind + b"-----" not in text:
        wanted = kind.decode().lower()
        raise SettingsError((Violation(label(setting), f"{str(path)!r} holds no {wanted} in PEM"),))
    return text


class Listening(Struct, frozen=True):
    """Where a process can be reached: the ports that were really bound."""

    public: Address
    admin: Address
    metrics: Address | None = None


class AdminServices(Struct, frozen=True):
    """What is served on the listener of its own."""

    profile: ProfileService
    contact: ContactService
    catalog: CatalogService


class Servers:
    """Both listeners of a process, with their health."""

    def __init__(
        self,
        *,
        decision: DecisionService,
        feedback: FeedbackService,
        admin: AdminServices,
        native: NativeFront | None = None,
        share: bool = False,
        tls: Tls | None = None,
        token: str | None = None,
    ) -> None:
        """Register every service. Make it on the event loop that will serve. `token` guards the admin listener.

        With `native`, that is what listens in public, and grpcio serves behind it what it does not. With `share`, other
        processes of ours may take the same ports.
        """
        self._share = share
        # two services on one port would each get a part of the calls: unless shared, an address in use is an error
        options = (*OPTIONS, ("grpc.so_reuseport", int(share)))
        self._native = native
        self._behind: tempfile.TemporaryDirectory[str] | None = None
        """Holds the socket that grpcio listens on behind the native front end."""
        self._tls = tls
        self._calls = decision.calls
        self._decision = decision
        self._health = health.aio.HealthServicer()
        self._public = grpc.aio.server(options=options)
        self._public.add_generic_rpc_handlers((decision.handlers(), feedback.handlers()))
        self._admin = grpc.aio.server(options=options, interceptors=[TokenGuard(token)] if token else [])
        profile_pb2_grpc.add_ProfileServiceServicer_to_server(admin.profile, self._admin)
        contact_pb2_grpc.add_ContactServiceServicer_to_server(admin.contact, self._admin)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(admin.catalog, self._admin)
        self._admin.add_generic_rpc_handlers(tuple(unserved(s) for s in ADMIN if s.name in NOT_SERVED))
        for server, services in ((self._public, PUBLIC), (self._admin, ADMIN)):
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
            names = [s.full_name for s in services]
            reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    async def start(self, public: Address, admin: Address) -> Listening:
        """Listen, without being ready yet. Raises `ListenError` naming the address that is not free."""
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            listening = self._listen(public, admin)
        except ListenError:
            if self._behind is not None:
                self._behind.cleanup()
            raise
        for address in (listening.public, listening.admin):
            if address.path:
                # whoever may open the socket is a caller: leave that to its owner and group
                await asyncio.to_thread(os.chmod, address.path, 0o660)
        await self._public.start()
        await self._admin.start()
        if self._native is not None:
            self._native.start()
        return listening

    async def ready(self) -> None:
        """Tell those who ask for health that calls may come."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def fallen(self) -> tuple[str, BaseException]:
        """Wait until a server of grpcio's falls by itself: the setting of its address, and what it fell over.

        It does so over a call whose path is not UTF-8 (seen in 1.85.1), serves nobody from then on, and can neither be
        stopped nor put back.
        """
        serving = {
            asyncio.ensure_future(server.wait_for_termination()): setting
            for server, setting in ((self._public, "listen"), (self._admin, "admin_listen"))
        }
        try:
            ended, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_EXCEPTION)
            for wait in ended:
                error = wait.exception()
                if error is not None:
                    return serving[wait], error
            nothing: asyncio.Future[tuple[str, BaseException]] = asyncio.get_running_loop().create_future()
            return await nothing  # they were stopped: there is nothing to tell, ever
        finally:
            for wait in serving:
                wait.cancel()

    async def quiet(self, grace_s: float) -> None:
        """Health off, refuse new calls, and wait at most `grace_s` for those that are under way."""
        await self._health.enter_graceful_shutdown()
        self._calls.draining = True
        self._decision.drain()
        waits = [self._calls.idle(grace_s)]
        if self._native is not None:
            waits.append(self._native.idle(grace_s))
        await asyncio.gather(*waits)

    async def drain(self, grace_s: float) -> None:
        """Health off, refuse new calls, let those in flight end within `grace_s`, then hang up.

        Callers are refused in so many words before the listeners close: grpc would tell those whose call comes at that
        very moment that it was cancelled, which nobody tries again. Streams of health and reflection last as long as
        their callers like, and are not waited for.
        """
        await self.quiet(grace_s)
        await asyncio.sleep(min(LAST_CALLS_S, grace_s))
        await asyncio.gather(self._public.stop(LAST_WORDS_S), self._admin.stop(LAST_WORDS_S))
        if self._native is not None:
            await self._native.close()
        if self._behind is not None:
            self._behind.cleanup()

    async def _set(self, status: Any) -> None:
        for name in ("", *_names((*PUBLIC, *ADMIN))):
            await self._health.set(name, status)

    def _listen(self, public: Address, admin: Address) -> Listening:
        """Take both addresses. Raises `ListenError`."""
        if self._native is None:
            bound = self._bind(self._public, public, "listen")
        else:
            bound = self._bind_native(self._native, public)
        return Listening(bound, self._bind(self._admin, admin, "admin_listen"))

    def _bind_native(self, native: NativeFront, address: Address) -> Address:
        """Take the public address for the native front end, and a socket behind it for grpcio."""
        if address.path:
            _refuse_living(Path(address.path), "listen")
        try:
            port = native.bind(str(address), share=self._share)
        except OSError:
            raise _unavailable(address, "listen") from None
        self._behind = tempfile.TemporaryDirectory(prefix="takt-")
        behind = Path(self._behind.name) / "grpcio.sock"
        self._public.add_insecure_port(f"unix:{behind}")
        native.fall_back_to(behind)
        return address if address.path else Address(address.host, port)

    def _bind(self, server: grpc.aio.Server, address: Address, setting: str) -> Address:
        """Take an address; port 0 becomes the one that was free."""
        if address.path:
            _refuse_living(Path(address.path), setting)
        try:
            if self._tls is None:
                port = server.add_insecure_port(str(address))
            else:
                port = server.add_secure_port(str(address), self._tls.credentials())
        except RuntimeError:
            port = 0
        if port <= 0:
            raise _unavailable(address, setting)
        return address if address.path else Address(address.host, port)


def _names(services: Iterable[Any]) -> list[str]:
    return [service.full_name for service in services]


def _unavailable(address: Address, setting: str) -> ListenError:
    return ListenError(f"{label(setting)}: {address} cannot be listened on; is it in use, or not of this machine?")


def _refuse_living(path: Path, setting: str) -> None:
    """A socket that nobody listens on is taken over, by grpc itself; one that lives would be too, so look first."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise ListenError(f"{label(setting)}: unix:{path} is in use by another process")
