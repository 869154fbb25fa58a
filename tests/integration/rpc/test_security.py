"""Who may call: TLS, mTLS and the token, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from takt.errors import TaktError
from takt.rpc.server import ListenError, Tls, read_tls
from takt.settings import Address, Settings, SettingsError, load
from takt.v1 import decision_pb2_grpc, profile_pb2, profile_pb2_grpc
from takt.v1.types_pb2 import ProfileReference
from tests.integration.rpc.asking import ask
from tests.integration.rpc.edge import Front, Work, front
from tests.integration.rpc.process import WORKSPACE

TOKEN = "open-sesame"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs servers' certificates."""
    return trustme.CA()


@pytest.fixture(scope="module")
def clients() -> trustme.CA:
    """Who signs callers' certificates."""
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Tls:
    """A server's own certificate."""
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    return Tls(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())


def pem(authority: trustme.CA) -> bytes:
    """An authority's certificate."""
    return authority.cert_pem.bytes()


def open_front(
    test: Callable[[Front], Coroutine[Any, Any, None]], *, tls: Tls | None = None, token: str | None = None
) -> None:
    """Run a test on an edge that answers."""

    async def opened() -> None:
        work = Work()
        work.gate.set()
        async with front(work, tls=tls, token=token) as edge:
            await test(edge)

    asyncio.run(opened())


async def decide(address: Address, credentials: grpc.ChannelCredentials) -> str:
    """The status of a decision that is asked for over TLS."""
    async with grpc.aio.secure_channel(f"localhost:{address.port}", credentials) as channel:
        try:
            await decision_pb2_grpc.DecisionServiceStub(channel).Decide(ask("hero"), timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


def test_tls_on_both_listeners(authority: trustme.CA, server: Tls) -> None:
    """Whoever trusts the authority is served on either listener; plaintext and strangers are not."""

    async def test(edge: Front) -> None:
        trusting = grpc.ssl_channel_credentials(pem(authority))
        assert "OK" == await decide(edge.listening.public, trusting)
        assert "UNIMPLEMENTED" == await decide(edge.listening.admin, trusting)
        assert "UNAVAILABLE" == await decide(edge.listening.public, grpc.ssl_channel_credentials(pem(trustme.CA())))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await edge.decide(ask("hero"), timeout=10)
        assert "UNAVAILABLE" == error.value.code().name

    open_front(test, tls=server)


def test_mtls_asks_callers_for_a_certificate(authority: trustme.CA, clients: trustme.CA, server: Tls) -> None:
    """With an authority for callers, only those who present its certificate are served."""

    def presenting(signed_by: trustme.CA) -> grpc.ChannelCredentials:
        leaf = signed_by.issue_cert("caller.example")
        return grpc.ssl_channel_credentials(
            pem(authority), leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()
        )

    async def test(edge: Front) -> None:
        for listening in (edge.listening.public, edge.listening.admin):
            assert "UNAVAILABLE" == await decide(listening, grpc.ssl_channel_credentials(pem(authority)))
            assert "UNAVAILABLE" == await decide(listening, presenting(trustme.CA()))
        assert "OK" == await decide(edge.listening.public, presenting(clients))
        assert "UNIMPLEMENTED" == await decide(edge.listening.admin, presenting(clients))

    open_front(test, tls=Tls(server.certificate, server.key, pem(clients)))


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), "UNAUTHENTICATED"),
        ((("authorization", "Bearer wrong"),), "UNAUTHENTICATED"),
        ((("authorization", TOKEN),), "UNAUTHENTICATED"),
        ((("authorization", f"Basic {TOKEN}"),), "UNAUTHENTICATED"),
        ((("authorization", "Bearer "),), "UNAUTHENTICATED"),
        ((("authorization", f"Bearer {TOKEN}"),), "DATA_LOSS"),
        ((("authorization", f"bearer {TOKEN}"),), "DATA_LOSS"),
        ((("authorization", "Bearer wrong"), ("authorization", f"Bearer {TOKEN}")), "DATA_LOSS"),
    ],
)
def test_the_admin_listener_wants_its_token(metadata: tuple[tuple[str, str], ...], code: str) -> None:
    """Without the token no call gets through to the service, which here answers with a status of its own."""

    async def test(edge: Front) -> None:
        asked = profile_pb2.ProfileServiceGetRequest(profile=ProfileReference(profile_id="p"))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await profile_pb2_grpc.ProfileServiceStub(edge.admin).Get(asked, metadata=metadata)
        assert code == error.value.code().name

    open_front(test, token=TOKEN)


def test_the_token_guards_everything_on_its_listener() -> None:
    """Calls that are not served yet, reflection and health want the token too; the public listener wants none."""

    async def test(edge: Front) -> None:
        for method in (
            "/takt.v1.CatalogService/Get",
            "/takt.v1.ProfileService/Export",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "/no.such/Call",
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await edge.admin.unary_unary(method)(b"", timeout=10)
            assert (method, "UNAUTHENTICATED") == (method, error.value.code().name)
        await edge.decide(ask("hero"), timeout=10)

    open_front(test, token=TOKEN)


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    """A second process cannot take an address that another one listens on, be it a port or a socket."""

    async def test(edge: Front) -> None:
        for taken in (edge.listening.public, edge.listening.admin):
            with pytest.raises(ListenError, match=rf"{taken.port} cannot be listened on"):
                async with front(Work(), listen=taken):
                    pass
        path = Address("", 0, str(tmp_path / "takt.sock"))
        async with front(Work(), listen=path):
            with pytest.raises(TaktError, match="in use by another process"):
                async with front(Work(), listen=path):
                    pass

    open_front(test)


def settings(tmp_path: Path, **files: bytes) -> Settings:
    """Settings with these files."""
    given: dict[str, str | None] = {"workspace": str(WORKSPACE)}
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        given[name] = str(path)
    return load(given, {})


def test_files_that_hold_no_certificate_are_refused_at_the_start(tmp_path: Path, server: Tls) -> None:
    """A wrong file is named at the start, not found out by the first caller."""
    good = settings(tmp_path, tls_cert=server.certificate, tls_key=server.key)

    assert server == read_tls(good)
    assert read_tls(settings(tmp_path)) is None
    with pytest.raises(SettingsError, match=r"^--tls-cert \(TAKT_TLS_CERT\): .* holds no certificate in PEM$"):
        read_tls(settings(tmp_path, tls_cert=server.key, tls_key=server.key))
    with pytest.raises(SettingsError, match=r"^--tls-key \(TAKT_TLS_KEY\): .* holds no private key in PEM$"):
        read_tls(settings(tmp_path, tls_cert=server.certificate, tls_key=server.certificate))
    another = trustme.CA().issue_cert("localhost").private_key_pem.bytes()
    with pytest.raises(SettingsError, match=r"^--tls-key \(TAKT_TLS_KEY\): .* not the key of the certificate$"):
        read_tls(settings(tmp_path, tls_cert=server.certificate, tls_key=another))
