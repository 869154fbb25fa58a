"""`takt contacts audit` against a real service on a real store: a clean one, and one that was tampered with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pytest
import redis
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import replace

from takt.cli.exits import Exit
from takt.cli.main import main
from takt.clock import HOUR_US
from takt.domain.decision import ledger_code
from takt.domain.ledger import ENTRY, LATE, WIDTH, EntryState, code16, code32
from takt.domain.totals import Pool
from takt.redis import keys
from takt.redis.embedded import EmbeddedServer
from takt.redis.marker import init_store
from takt.redis.wire import Address
from takt.v1 import contact_pb2, contact_pb2_grpc, decision_pb2, feedback_pb2, feedback_pb2_grpc, profile_pb2, types_pb2
from tests.integration.catalog.conftest import PARTITIONS, Replica, arguments, granted, store, written
from tests.integration.rpc.process import Service

__all__ = ["store"]
pytestmark = pytest.mark.timeout(300)  # the first test may wait for kernels to be compiled

WHY = {"actor": "anna", "reason": "a test"}
Entries = npt.NDArray[np.void]
Tampering = Callable[[Entries], Entries]


@pytest.fixture(scope="module")
def shop(store: EmbeddedServer, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A service that is ready."""
    workspace = written(tmp_path_factory.mktemp("workspace") / "five", 5)
    with Service(arguments(store, bundle), workspace) as service:
        service.wait_ready()
        replica = Replica(service)
        yield replica
        replica.close()


@pytest.fixture
def contacts(shop: Replica) -> Iterator[contact_pb2_grpc.ContactServiceStub]:
    """Changes contacts by hand."""
    with shop.service.admin as channel:
        yield contact_pb2_grpc.ContactServiceStub(channel)


def audited(shop: Replica, *given: str) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """Exit code, findings and summary of the command."""
    result = CliRunner().invoke(main, ["contacts", "audit", "--server", shop.admin, "--json", *given])
    *findings, summary = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, findings, summary


def offered(shop: Replica, person: str) -> decision_pb2.DecideResponse:
    """A decision that showed an offer; now and then silence is drawn."""
    for _ in range(20):
        answer = shop.decide(person)
        if granted(answer):
            return answer
    raise AssertionError("nothing but silence")


def happened(shop: Replica, decision: decision_pb2.DecideResponse, *types: str) -> list[str]:
    """Record events about a decision, one after the other: what became of each."""
    outcomes = []
    with shop.service.public as channel:
        stub = feedback_pb2_grpc.FeedbackServiceStub(channel)
        for name in types:
            event = feedback_pb2.Event(event_id=uuid4().hex, type=name, decision_id=decision.decision_id)
            (result,) = stub.Record(feedback_pb2.RecordRequest(events=[event])).results
            outcomes.append(feedback_pb2.EventOutcome.Name(result.outcome).removeprefix("EVENT_OUTCOME_"))
    return outcomes


def tamper(store: EmbeddedServer, person: str, change: Tampering) -> None:
    """Write other entries into somebody's ledger, past the service and its log."""
    with redis.Redis.from_url(store.url, protocol=2) as client:
        key = keys.person(person, PARTITIONS).ledger
        ledger: bytes = client.get(key)  # type: ignore[assignment]  # the client is no asynchronous one
        entries = np.frombuffer(ledger[WIDTH:], ENTRY).copy()
        client.set(key, ledger[:WIDTH] + change(entries).tobytes())


def test_what_the_service_did_itself_is_no_difference(
    shop: Replica, contacts: contact_pb2_grpc.ContactServiceStub
) -> None:
    """Holds, confirmations, late ones, releases, resets, backfills and merges are all in the log, and are told so."""
    held, shown, late, freed, reset, filled, loser, winner = (shop.person() for _ in range(8))
    offered(shop, held)
    assert ["APPLIED", "APPLIED", "ORPHAN"] == [
        *happened(shop, offered(shop, shown), "impression", "click"),
        *happened(shop, decision_pb2.DecideResponse(decision_id=("0" * 16 + "1" * 32)), "impression"),
    ]
    assert ["APPLIED", "LATE"] == happened(shop, offered(shop, late), "not_shown", "impression")
    assert ["APPLIED"] == happened(shop, offered(shop, freed), "not_shown")
    offered(shop, reset)
    whom = types_pb2.ProfileReference(profile_id=reset)
    assert 1 == contacts.Reset(contact_pb2.ContactServiceResetRequest(profile=whom, **WHY)).removed
    offered(shop, reset)
    mail = contact_pb2.BackfillContact(
        contact_id="crm-1",
        profile=types_pb2.ProfileReference(profile_id=filled),
        counted_at=Timestamp(seconds=int(time.time()) - 3600),
        channel="email",
        offer="tea-towel",
    )
    contacts.Backfill(contact_pb2.ContactServiceBackfillRequest(contacts=[mail], **WHY))
    login = types_pb2.Identity(namespace="login", value=uuid4().hex)
    shop.profiles.Put(
        profile_pb2.ProfileServicePutRequest(
            profiles=[profile_pb2.ProfileWrite(profile_id=loser, identities=[login], time_zone="Europe/Berlin")]
        )
    )
    before = [offered(shop, person) for person in (loser, winner)]
    linked = shop.profiles.Link(profile_pb2.ProfileServiceLinkRequest(profile_id=winner, identities=[login]))
    assert 1 == len(linked.absorbed_profile_ids)
    assert ["APPLIED", "APPLIED"] == [*happened(shop, before[0], "impression"), *happened(shop, before[1], "click")]

    code, findings, summary = audited(shop)

    assert [("late", late)] == [(one["kind"], one["profile_id"]) for one in findings], findings
    assert (Exit.OK, 7, 8, 0, 1) == (
        code,
        *(summary[name] for name in ("profiles", "contacts", "findings", "late")),
    )
    assert (Exit.OK, 2) == (code, audited(shop, loser)[2]["contacts"])


def a_stranger(entries: Entries) -> Entries:
    """A contact that nobody decided."""
    added = entries[-1:].copy()
    added["decision"], added["offer"], added["placement"] = 77, code32("toy-train"), code16("home_hero")
    return np.concatenate([entries, added])


def changed(field: str, by: Callable[[Any], Any]) -> Tampering:
    """Another value in the newest entry."""

    def change(entries: Entries) -> Entries:
        entries[field][-1] = by(entries[field][-1])
        return entries

    return change


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (a_stranger, "missing_in_log", "nobody knows why"),
        (lambda entries: entries[:-1], "missing_in_ledger", "it is not counted"),
        (changed("state", lambda _: EntryState.CLICKED), "different", "it is clicked by the ledger, held by the log"),
        (changed("state", lambda _: EntryState.SHOWN | LATE), "different", "shown late by the ledger, held by the log"),
        (changed("time_us", lambda time_us: time_us - HOUR_US), "different", "it counts at"),
        (changed("expiry_s", lambda seconds: seconds + 60), "different", "its hold ends at"),
        (changed("channel", lambda _: code16("email")), "different", "its channel is"),
    ],
)
def test_a_planted_difference_is_found_and_named(
    shop: Replica, store: EmbeddedServer, change: Tampering, kind: str, says: str
) -> None:
    """Whatever is written past the log is found, for everybody and for the person, with whom, what and when."""
    person = shop.person()
    answer = offered(shop, person)
    (offer,) = answer.placements[0].offers
    tamper(store, person, change)

    for asked in ((), (person,), ("--partition", str(keys.partition_of(person, PARTITIONS)))):
        code, findings, summary = audited(shop, *asked)

        assert Exit.FAILED == code
        (found,) = [one for one in findings if one["profile_id"] == person]
        assert kind == found["kind"]
        assert says in found["message"]
        assert "home_hero" == found["contact"]["placement"]
        if kind == "missing_in_log":
            assert ("toy-train", 77) == (found["contact"]["offer"], ledger_code(found["contact"]["decision_id"]))
        else:
            assert (offer.offer, answer.decision_id) == (found["contact"]["offer"], found["contact"]["decision_id"])
        assert summary["findings"] == sum(one["kind"] != "late" for one in findings)
    tamper(store, person, lambda entries: entries[:0])
    whom = ("--until", "2026-01-01T00:00:00Z")
    assert (Exit.OK, []) == audited(shop, *whom)[:2]


def test_who_is_not_there_and_what_is_wrong(shop: Replica) -> None:
    """Nobody is not found, and a partition that there is not is named."""
    where = ("contacts", "audit", "--server", shop.admin)
    nobody = CliRunner().invoke(main, [*where, "nobody"])
    nowhere = CliRunner().invoke(main, [*where, "--partition", "99"])

    assert (Exit.FAILED, True) == (nobody.exit_code, "no such profile" in nobody.stderr)
    assert (Exit.FAILED, True) == (nowhere.exit_code, "partitions: 99 is none of this store's" in nowhere.stderr)


@pytest.fixture(scope="module")
def thrifty(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, EmbeddedServer]]:
    """A service with a budget over all customers, on a store of its own."""
    workspace = written(tmp_path_factory.mktemp("workspace") / "thrifty", 5)
    catalog = workspace / "catalog.yaml"
    text = catalog.read_text(encoding="utf-8")
    assert "\ncaps:\n" in text
    budget = "\ncaps:\n  - {id: launch, scope: total, limit: 100, window: ever}\n"
    catalog.write_text(text.replace("\ncaps:\n", budget), encoding="utf-8")
    with EmbeddedServer(tmp_path_factory.mktemp("thrifty")) as server:
        init_store(Address(server.url, timeout_s=10.0), partitions=PARTITIONS)
        with Service(arguments(server, bundle), workspace) as service:
            replica = Replica(service.wait_ready())
            yield replica, server
            replica.close()


def test_a_token_that_nobody_took_is_told(thrifty: tuple[Replica, EmbeddedServer]) -> None:
    """What a budget has spent is what the log tells, until somebody changes it past the service."""
    shop, server = thrifty
    given = sum(len(offered(shop, shop.person()).placements[0].offers) for _ in range(7))

    code, findings, summary = audited(shop)
    assert (Exit.OK, [], 1) == (code, findings, summary["totals"])

    with redis.Redis.from_url(server.url, protocol=2) as client:
        pools = [
            (key, name, Pool.parse(data))
            for key in (keys.totals(partition).pools for partition in range(PARTITIONS))
            for name, data in client.hgetall(key).items()  # type: ignore[union-attr]  # no asynchronous client
        ]
        key, name, pool = max(pools, key=lambda one: one[2].spent)
        client.hset(key, name, replace(pool, spent=pool.spent + 2).pack())
    code, findings, summary = audited(shop)

    (one,) = findings
    assert (Exit.FAILED, "total_mismatch", "launch") == (code, one["kind"], one["cap"])
    assert (given + 2, given) == (int(one["counted"]), int(one["logged"]))
    assert 1 == summary["findings"]
    assert 0 == audited(shop, "--partition", "0")[2]["totals"]
