"""Lost replies, dead, slow and forgetful servers: nothing is done twice, nothing hangs, nothing needs a restart."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from msgspec.structs import replace

import takt.redis
from takt.clock import ManualClock
from takt.domain.request import Identity
from takt.errors import StoreError, StoreMarkerError
from takt.memory.ledger import Ledger
from takt.ports import Commit, MarkKind, MarkOutcome, ProfileOutcome
from takt.redis import keys
from takt.redis.breaker import Breaker, BreakerState
from takt.redis.calls import Unit
from takt.redis.embedded import EmbeddedServer
from takt.redis.frames import claim, refusals, settle
from takt.redis.functions import LIBRARY, library
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address, Wire
from tests.contract.building import contact, entry, group, mark, write
from tests.integration.store.proxy import Proxy
from tests.integration.store.test_round_trips import calls

DOCS = Path(__file__).parents[3] / "docs" / "store.md"
FUNCTIONS = Path(takt.redis.__file__).parent / "functions.lua"


@contextlib.contextmanager
def limited(client: redis.Redis, address: Address, *rules: str) -> Iterator[Address]:
    """An address with a user who may do everything but what the rules take away."""
    client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">s3cret", "~takt:*", "+@all", *rules)
    try:
        yield replace(address, url=address.url.replace("unix://", "unix://limited:s3cret@"))
    finally:
        client.acl_deluser("limited")


def commit(store: RedisStore, request_id: str, profile_id: str = "p") -> Commit:
    """Commit one contact on what is there now."""
    fetched = store.fetch([profile_id])
    ledger = Ledger.parse(fetched.ledgers[0])
    (outcome,) = store.commit(
        [
            group(
                profile_id,
                entry(request_id, contact(time_us=fetched.now_us)),
                gate=ledger.gate,
                appends=ledger.appends,
                snapshot_us=fetched.now_us,
            )
        ]
    )
    return outcome.commit


def test_lost_reply_is_found_again(
    server: EmbeddedServer, client: redis.Redis, store: RedisStore, tmp_path: Path
) -> None:
    """A commit whose reply is lost is an error, was executed exactly once, and its repeat gets the first answer."""
    now_us = store.fetch(["p"]).now_us
    before = calls(client, "fcall")
    with Proxy(server.socket, listen=tmp_path / "s") as proxy:
        through = RedisStore.open(Address(f"unix://{tmp_path / 's'}", timeout_s=10.0))
        group_of_one = group("p", entry("r1", contact(), record=b"first"), snapshot_us=now_us)
        proxy.losing.set()
        with pytest.raises(StoreError):
            through.commit([group_of_one])
        proxy.losing.clear()
        executed = calls(client, "fcall") - before
        (repeat,) = through.commit([group_of_one])
        through.close()

    assert 1 == executed
    assert (Commit.KNOWN, b"first") == (repeat.commit, repeat.known["r1"].record)
    assert 1 == Ledger.parse(store.fetch(["p"]).ledgers[0]).appends


def test_late_reply_is_not_taken_for_another(server: EmbeddedServer, store: RedisStore) -> None:
    """A server that stalls past the time-out and then answers: the next call gets its own reply."""
    store.put([write("a", b"A"), write("b", b"B")])
    impatient = RedisStore.open(Address(server.url, timeout_s=0.1))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreError, match="does not answer in time"):
            impatient.fetch(["a"])
    finally:
        os.kill(server.pid, signal.SIGCONT)

    patient = RedisStore.open(Address(server.url, timeout_s=10.0), wire=impatient.wire)

    assert [b"B"] == patient.fetch(["b"]).records
    patient.close()


def test_dead_server_is_left_alone_and_found_again(tmp_path: Path) -> None:
    """After three failures calls are refused at once; when the server is back, the same store works again."""
    clock = ManualClock(0)
    with EmbeddedServer(tmp_path / "data") as server:
        address = Address(server.url, timeout_s=10.0)
        init_store(address, partitions=4)
        store = RedisStore.open(address, wire=Wire(address, breaker=Breaker(clock)))
        store.put([write("p", b"kept")])
        server.stop()

        for _ in range(3):
            with pytest.raises(StoreError, match=r"store\.sock"):
                store.fetch(["p"])
        failed = store.trips.counts()["fetch"].failures
        with pytest.raises(StoreError, match="left alone"):
            store.fetch(["p"])
        assert (3, BreakerState.OPEN) == (store.trips.counts()["fetch"].failures, store.wire.breaker.state)
        assert 3 == failed

        server.start()
        clock.advance(10_000_000)
        assert [b"kept"] == store.fetch(["p"]).records
        assert Commit.DONE == commit(store, "r1")
        assert BreakerState.CLOSED == store.wire.breaker.state
        store.close()


def test_what_was_told_does_not_keep_a_server_from_being_found_again(tmp_path: Path) -> None:
    """The call on trial finds another server, and puts back what was told to it before: all of it is that one trial."""
    clock = ManualClock(0)
    with EmbeddedServer(tmp_path / "data") as server:
        address = Address(server.url, timeout_s=10.0)
        init_store(address, partitions=4)
        store = RedisStore.open(address, wire=Wire(address, breaker=Breaker(clock)))
        assert Commit.DONE == commit(store, "r1")
        server.stop()
        for _ in range(3):
            with pytest.raises(StoreError, match=r"store\.sock"):
                store.fetch(["p"])
        assert BreakerState.OPEN == store.wire.breaker.state

        server.start()
        clock.advance(10_000_000)
        assert Commit.KNOWN == commit(store, "r1")
        assert BreakerState.CLOSED == store.wire.breaker.state
        assert 0 < store.trips.counts()["restore"].trips


def test_connection_closed_while_idle_costs_nothing(client: redis.Redis, store: RedisStore) -> None:
    """A server or firewall that closed an idle connection is noticed before a command is sent."""
    store.fetch(["p"])
    client.execute_command("CLIENT KILL TYPE normal SKIPME yes")

    assert [None] == store.fetch(["p"]).records


@pytest.mark.parametrize("mode", ["functions", "scripts"])
def test_lost_functions_are_loaded_again(client: redis.Redis, address: Address, mode: str) -> None:
    """A server that lost its functions gets them back in the same call, and nothing is committed twice."""
    init_store(address)
    store = RedisStore.open(address, mode=mode)  # type: ignore[arg-type]
    assert Commit.DONE == commit(store, "r1")

    client.function_flush("SYNC")
    client.script_flush("SYNC")

    assert Commit.DONE == commit(store, "r2")
    assert 2 == Ledger.parse(store.fetch(["p"]).ledgers[0]).appends
    store.close()


def test_scripts_stand_in_where_functions_are_forbidden(client: redis.Redis, address: Address) -> None:
    """A user who may not load functions gets scripts without asking."""
    init_store(address)

    with limited(client, address, "-function", "-fcall") as restricted:
        store = RedisStore.open(restricted)
        assert store.uses_scripts
        assert Commit.DONE == commit(store, "r1")
        store.close()


def permissions(*names: str) -> list[str]:
    """Rules of docs/store.md: nothing but these, and what the functions call."""
    inside = documented_commands()
    return ["-@all", *(f"+{name}" for name in (*names, "mget", "time", "hgetall", "hsetnx", "info", *inside))]


def documented_commands() -> list[str]:
    """What a user must be allowed whose functions are to run."""
    found = re.search(r"what the functions call: `([a-z ]+)`", DOCS.read_text("utf-8"))
    assert found
    return found[1].split()


def test_every_command_of_the_functions_is_documented() -> None:
    """An administrator who allows what the docs list, and nothing else, is not surprised in mid-flight."""
    called = set(re.findall(r"redis\.p?call\('([A-Z]+)'", FUNCTIONS.read_text("utf-8")))
    assert sorted(name.lower() for name in called) == documented_commands()


def test_a_permission_that_lacks_stops_commits(client: redis.Redis, address: Address) -> None:
    """Whether somebody was merged away cannot be told without it, so nothing is committed for them."""
    init_store(address)

    with limited(client, address, *permissions("fcall", "function|load", "function|list"), "-getrange") as restricted:
        store = RedisStore.open(restricted)
        with pytest.raises(StoreError, match=r"getrange|can't run this command"):
            store.commit([group("p", entry("r1"), compare=False, snapshot_us=store.fetch([]).now_us)])
        store.close()


@pytest.mark.parametrize(
    ("names", "scripts"),
    [(("fcall", "function|load", "function|list"), False), (("script|load", "evalsha"), True)],
)
def test_documented_permissions_suffice(
    client: redis.Redis, address: Address, names: tuple[str, ...], scripts: bool
) -> None:
    """A user who may do what the docs list, and nothing else, can do all that a service does."""
    init_store(address)

    with limited(client, address, *permissions(*names)) as restricted:
        store = RedisStore.open(restricted)
        assert scripts == store.uses_scripts
        assert [ProfileOutcome.WRITTEN] == store.put([write("p", identities=(LOGIN,), tightens=True)])
        assert ["p"] == store.resolve([LOGIN])
        assert [Commit.DONE, Commit.KNOWN] == [commit(store, "r1"), commit(store, "r1")]
        assert [MarkOutcome.APPLIED] == store.mark([mark("p", "e1", MarkKind.SHOWN)])
        store.register_layout(1, "[]")
        assert {1: "[]"} == store.layouts()
        store.check_marker()
        store.close()


def test_neither_functions_nor_scripts(client: redis.Redis, address: Address) -> None:
    """A user who may load neither is told what to allow."""
    init_store(address)

    with (
        limited(client, address, "-function", "-script") as restricted,
        pytest.raises(StoreError, match="allow this user FUNCTION LOAD and FCALL, or SCRIPT LOAD and EVALSHA"),
    ):
        RedisStore.open(restricted)


def test_newer_functions_are_left(client: redis.Redis, address: Address) -> None:
    """Two servers of different age: the higher revision stays, the lower one is replaced."""
    init_store(address)
    newer, older = (re.sub(rb"(?m)^-- revision: \d+$", b"-- revision: %d" % n, library()) for n in (999, 0))
    assert library() not in (newer, older)

    loaded = []
    for present in (newer, older):
        client.execute_command("FUNCTION", "LOAD", "REPLACE", present)
        RedisStore.open(address).close()
        ((_, _, _, _, _, _, _, code),) = client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY, "WITHCODE")
        loaded.append(code)

    assert [newer, library()] == loaded


def test_password_comes_from_a_file(client: redis.Redis, address: Address, tmp_path: Path) -> None:
    """Password and user let us in; without them the store says what to check, and shows no secret."""
    init_store(address)
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    client.config_set("requirepass", "s3cret")
    try:
        RedisStore.open(Address(address.url, timeout_s=10.0, password_file=file)).close()
        with pytest.raises(StoreError, match="check user and password file"):
            RedisStore.open(address)
        with pytest.raises(StoreError) as refused:
            RedisStore.open(Address(address.url.replace("unix://", "unix://:wr0ng@"), timeout_s=10.0))
        assert "wr0ng" not in str(refused.value)
    finally:
        redis.Redis.from_url(address.url, password="s3cret").config_set("requirepass", "")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    try:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost"),
            ],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("no openssl command to make a certificate with")
    return certificate, key


def test_tls_verifies_the_server(server: EmbeddedServer, address: Address, certificate: tuple[Path, Path]) -> None:
    """With rediss:// and the right CA the store works; without it the server is not trusted."""
    init_store(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Proxy(server.socket, tls=context) as proxy:
        url = f"rediss://localhost:{proxy.port}"
        store = RedisStore.open(Address(url, timeout_s=10.0, ca_file=certificate[0]))
        assert Commit.DONE == commit(store, "r1")
        store.close()
        with pytest.raises(StoreError, match="certificate verify failed"):
            RedisStore.open(Address(url, timeout_s=10.0))


def test_out_of_memory_writes_nothing(client: redis.Redis, store: RedisStore) -> None:
    """A full server refuses before the first write, and goes on when there is room."""
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreError, match="out of memory"):
            commit(store, "r1")
        assert 0 == Ledger.parse(store.fetch(["p"]).ledgers[0]).appends
    finally:
        client.config_set("maxmemory", 0)

    assert Commit.DONE == commit(store, "r1")


def test_server_that_evicts_is_refused(client: redis.Redis, address: Address) -> None:
    """Contacts that may be thrown away are no caps."""
    init_store(address)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreError, match=r"has maxmemory-policy allkeys-lru.*Set it to noeviction"):
            RedisStore.open(address)
    finally:
        client.config_set("maxmemory-policy", "noeviction")


def test_server_that_may_not_be_asked_is_used(client: redis.Redis, address: Address) -> None:
    """Managed servers may forbid INFO: the store warns and works."""
    init_store(address)

    with limited(client, address, "-info") as restricted:
        store = RedisStore.open(restricted)
        assert "may not be asked whether it evicts keys" in store.server.check()[0]
        assert Commit.DONE == commit(store, "r1")
        store.close()


def test_wrong_type_under_a_key_stops_one_person(client: redis.Redis, store: RedisStore) -> None:
    """Whatever another program wrote under one person's keys, the others' commits go through."""
    names = ["profile", "ledger", "ids", "odd", "foreign", "fine"]
    now_us = store.fetch([]).now_us
    generation = now_us // store.marker.retention_us
    client.hset(store.keys_of("profile").profile, "x", "y")
    client.rpush(store.keys_of("ledger").ledger, "x")
    client.set(store.keys_of("ids").ids + b":%d" % generation, "x")
    client.set(store.keys_of("odd").ledger, b"\1" * 1025)
    client.set(store.keys_of("foreign").ledger, b"\2" * 2048)

    outcomes = store.commit([group(name, entry("r", contact()), appends=1, snapshot_us=now_us) for name in names[:1]])
    outcomes += store.commit([group(name, entry("r", contact()), snapshot_us=now_us) for name in names[1:]])

    assert [*[Commit.CORRUPT] * 5, Commit.DONE] == [o.commit for o in outcomes]


def test_trimmed_log_forgets_the_record_only(client: redis.Redis, store: RedisStore) -> None:
    """An id outlives its log record: it is still known, so that nothing is granted twice."""
    commit(store, "r1")
    client.xtrim(store.keys_of("p").log, maxlen=0)

    (outcome,) = store.commit([group("p", entry("r1", contact()))])

    assert Commit.KNOWN == outcome.commit
    assert outcome.known["r1"].record is None


def test_server_time_is_policy_time(client: redis.Redis, store: RedisStore) -> None:
    """Without a clock of its own the store tells the server's time, everywhere the same."""
    seconds, microseconds = client.time()
    fetched_us = store.fetch([]).now_us
    (outcome,) = store.commit([group("p", entry("r1"), snapshot_us=fetched_us)])
    store.put([write("p", tightens=True)])
    gate = Ledger.parse(store.fetch(["p"]).ledgers[0]).gate

    assert seconds * 1_000_000 + microseconds <= fetched_us <= outcome.now_us <= gate


def test_ids_expire_in_the_server(client: redis.Redis, store: RedisStore) -> None:
    """Generations of ids and ledgers that only warn go by themselves; what counts stays."""
    commit(store, "r1")
    store.mark([mark("q", "e1", MarkKind.NONE, decision=0)])
    store.put([write("only-a-gate", tightens=True)])
    retention_ms = store.marker.retention_us // 1000

    ttl = {key: client.pttl(key) for key in client.scan_iter(match=b"takt:*")}
    ids = [ms for key, ms in ttl.items() if b":r:" in key]

    assert 2 == len(ids)
    assert all(retention_ms < ms <= 2 * retention_ms for ms in ids)
    assert 0 < ttl[store.keys_of("only-a-gate").ledger] <= 60_000
    assert -1 == ttl[store.keys_of("p").ledger] == ttl[store.keys_of("only-a-gate").profile]


def test_feedback_repeats_after_a_lost_reply(server: EmbeddedServer, store: RedisStore, tmp_path: Path) -> None:
    """An event whose reply was lost is a duplicate when it comes again."""
    commit(store, "r1")
    event = mark("p", "e1", MarkKind.SHOWN)
    with Proxy(server.socket, listen=tmp_path / "s") as proxy:
        through = RedisStore.open(Address(f"unix://{tmp_path / 's'}", timeout_s=10.0))
        proxy.losing.set()
        with pytest.raises(StoreError):
            through.mark([event])
        through.close()

    assert [MarkOutcome.DUPLICATE] == store.mark([event])


LOGIN = Identity("login", "ann")


def claims(store: RedisStore, function: str, frame: bytes) -> list[int]:
    """Make or end a claim on the identity, alone, as half of a put."""
    identity = keys.identity(LOGIN.namespace, LOGIN.value, store.marker.partitions)
    touched = (identity.marker, identity.identity, identity.anonymous_ledger, identity.anonymous_merges)
    return store._calls.codes("put", function, [Unit(identity.partition, touched, frame)])


def test_unfinished_put_names_nobody(client: redis.Redis, store: RedisStore) -> None:
    """A put that died between claim and profile: the identity names nobody, is refused to others, and lapses."""
    identity = keys.identity(LOGIN.namespace, LOGIN.value, store.marker.partitions)
    now_us = store.fetch([]).now_us

    claims(store, "takt_claim_v1", claim("p", anonymous=False))

    assert [None] == store.resolve([LOGIN])
    assert [ProfileOutcome.IDENTITY_TAKEN] == store.put([write("q", identities=(LOGIN,))])
    (outcome,) = store.commit([group(identity.anonymous, entry("r1", contact()), slack=9, snapshot_us=now_us)])
    assert Commit.CONFLICT == outcome.commit
    assert 0 < client.pttl(identity.identity) <= 10_000
    assert 0 < client.pttl(identity.anonymous_ledger) <= 60_000
    assert [ProfileOutcome.WRITTEN] == store.put([write("p", identities=(LOGIN,))])
    assert (["p"], -1) == (store.resolve([LOGIN]), client.pttl(identity.identity))


def test_claim_that_lapsed_is_not_kept(store: RedisStore) -> None:
    """A put so slow that its claim lapsed and another had the identity meanwhile is told so."""
    store.put([write("q", identities=(LOGIN,))])

    (code,) = claims(store, "takt_settle_v1", settle("p", keep=True, anonymous=False))

    assert ProfileOutcome.IDENTITY_TAKEN == refusals([code])
    assert ["q"] == store.resolve([LOGIN])


def test_ledger_that_was_trimmed_stays(client: redis.Redis, store: RedisStore) -> None:
    """A ledger without entries that remembers since when it is complete does not expire."""
    key = store.keys_of("p").ledger
    client.set(key, Ledger(trimmed_before_us=5).pack())

    store.put([write("p", tightens=True)])

    assert -1 == client.pttl(key)
    assert 5 == Ledger.parse(store.fetch(["p"]).ledgers[0]).trimmed_before_us


def test_flushed_server_fails_closed(client: redis.Redis, store: RedisStore) -> None:
    """A server that came back empty is noticed by every call that would write, and by the check."""
    now_us = store.fetch(["p"]).now_us
    client.flushall()

    assert [Commit.MARKER] == [o.commit for o in store.commit([group("p", entry("r1", contact()), snapshot_us=now_us)])]
    with pytest.raises(StoreMarkerError, match="partition"):
        store.mark([mark("p", "e1", MarkKind.SHOWN)])
    with pytest.raises(StoreMarkerError, match="partition"):
        store.put([write("p")])
    with pytest.raises(StoreMarkerError, match="64 of 64 partitions"):
        store.check_marker()
    assert 0 == client.dbsize()
