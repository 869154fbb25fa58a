"""The recount must find what it looks for: each fault is planted, and found."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.v1 import types_pb2
from tests.proofs.recounting import code, compare, from_ledgers, from_told, granted_twice, judge

T = 1_790_000_000_000_000
SECOND = 1_000_000
DIGEST = bytes(range(12))
Line = dict[str, Any]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """At most 6 occasions in 20 s, 4 on the web in a day, 2 impressions on the tile, 6 of a group, 2 of an offer."""
    return load_workspace(Path(__file__).parents[1] / "workspaces" / "caps")


def answer(number: int, at_us: int, *shown: tuple[str, str], refused: Line | None = None, **more: Any) -> Line:
    """An answer that shows (placement, offer) pairs, in hand 10 ms later; holds end after 5 s."""
    decision = number.to_bytes(8, "big").hex() + "00000000" + DIGEST.hex()
    channel = {"hero": "web", "tile": "web", "inbox": "app"}
    return {
        "k": "a",
        "id": f"r{number}",
        "person": "p",
        "decision": decision,
        "at": at_us,
        "sent": at_us - 10_000,
        "got": at_us + 10_000,
        "causes": [],
        "digest": "d",
        "asked": ["hero", "tile", "inbox"],
        "contacts": [[where, channel[where], offer, at_us, at_us + 5 * SECOND] for where, offer in shown],
        "caps": [[where, reason, cap, offers] for (where, reason, cap), offers in (refused or {}).items()],
        "others": [],
        **more,
    }


def event(number: int, kind: str, offer: str, sent_us: int, outcome: str = "APPLIED") -> Line:
    """An event that was taken within 10 ms."""
    decision = answer(number, T)["decision"]
    line = {"k": "f", "id": f"e{number}{kind}", "type": kind, "decision": decision, "offer": offer}
    return {**line, "sent": sent_us, "got": sent_us + 10_000, "outcome": outcome}


def ledger(*answers: Line, states: dict[tuple[str, str], int] | None = None) -> dict[bytes, bytes]:
    """The bytes that the store holds after these answers; `states` by decision and offer where it is not held."""
    entries = b"".join(
        struct.pack(
            "<qQIIHHHBB",
            at_us,
            int.from_bytes(bytes.fromhex(line["decision"][:16]), "little"),
            (ends_us - at_us) // SECOND,
            code(offer, 4),
            0,
            code(channel, 2),
            code(placement, 2),
            (states or {}).get((line["decision"], offer), 0),
            0,
        )
        for line in answers
        for placement, channel, offer, at_us, ends_us in line["contacts"]
    )
    return {DIGEST: struct.pack("<qqqBB6x", 1, len(entries) // 32, 0, 1, 0) + entries}


def visits(number: int, *, every_us: int = SECOND) -> list[Line]:
    """So many visits, each shown the lamp in the inbox."""
    return [answer(n, T + n * every_us, ("inbox", "lamp")) for n in range(number)]


def test_nothing_is_found_where_all_is_well(catalog: Catalog) -> None:
    """Answers and ledgers that agree, at the limit and not beyond it."""
    told = visits(6, every_us=3 * SECOND)
    recount, kept = from_told(catalog, told), from_ledgers(catalog, ledger(*told), {DIGEST.hex(): "p"})
    assert (0, 0) == recount.over_delivered()
    assert (0, 0) == kept.recount.over_delivered()
    assert 0 == granted_twice(told)
    found = compare(recount, kept)
    assert (0, 0, 0, 0) == (found.lost, found.untold, found.moved, found.unconfirmed)


def test_one_contact_too_many_is_found_on_both_sides(catalog: Catalog) -> None:
    """The seventh occasion within 20 s."""
    told = visits(7, every_us=3 * SECOND)
    assert (1, 0) == from_told(catalog, told).over_delivered()
    assert (1, 0) == from_ledgers(catalog, ledger(*told), {}).recount.over_delivered()
    assert (0, 0) == from_told(catalog, visits(7, every_us=20 * SECOND // 6 + 1)).over_delivered()


def test_one_impression_too_many_is_found(catalog: Catalog) -> None:
    """Confirmed impressions count after their holds are over; where nothing was confirmed the next is granted."""
    told = [answer(n, T + 15 * SECOND * n, ("tile", offer)) for n, offer in enumerate(("coat", "hat", "saw"))]
    seen = [event(n, "impression", line["contacts"][0][2], line["at"] + SECOND) for n, line in enumerate(told)]
    assert (0, 0) == from_told(catalog, told).over_delivered()
    assert (1, 0) == from_told(catalog, [*told, *seen]).over_delivered()
    assert (0, 0) == from_told(catalog, [*told, *seen[1:]]).over_delivered()
    states = {(line["decision"], line["contacts"][0][2]): 1 for line in told}
    assert (1, 0) == from_ledgers(catalog, ledger(*told, states=states), {}).recount.over_delivered()


def test_what_an_event_may_have_changed_is_open(catalog: Catalog) -> None:
    """An impression whose acknowledgement was lost counts possibly, and is no proof of a contact too many."""
    told = [answer(n, T + 15 * SECOND * n, ("tile", offer)) for n, offer in enumerate(("coat", "hat", "saw"))]
    seen = [event(n, "impression", line["contacts"][0][2], line["at"] + SECOND, "") for n, line in enumerate(told)]
    assert (0, 1) == from_told(catalog, [*told, *seen]).over_delivered()


def test_a_double_grant_is_found(catalog: Catalog) -> None:
    """One id with two answers; a degraded answer before the final one is none; an entry that stands there twice."""
    first, again = answer(1, T, ("hero", "coat")), answer(1, T + SECOND, ("hero", "hat"), digest="other")
    assert 1 == granted_twice([first, again])
    assert 0 == granted_twice([first, first])
    assert 0 == granted_twice([{**again, "causes": ["STORE"]}, first])
    assert 1 == from_ledgers(catalog, ledger(first, first), {}).twice


def test_a_lost_contact_is_found(catalog: Catalog) -> None:
    """Told and not in the ledger, in the ledger and not told, and one that is not as it was told."""
    told = visits(3)
    found = compare(from_told(catalog, told), from_ledgers(catalog, ledger(*told[:2]), {DIGEST.hex(): "p"}))
    assert (1, 0, 0) == (found.lost, found.untold, found.moved)
    found = compare(from_told(catalog, told[:2]), from_ledgers(catalog, ledger(*told), {DIGEST.hex(): "p"}))
    assert (0, 1, 0) == (found.lost, found.untold, found.moved)
    found = compare(from_told(catalog, told), from_ledgers(catalog, ledger(*told), {DIGEST.hex(): "somebody else"}))
    assert (0, 0, 3) == (found.lost, found.untold, found.moved)


def test_a_lost_confirmation_is_found(catalog: Catalog) -> None:
    """The impression was acknowledged, and the ledger still has the hold."""
    told = [answer(1, T, ("hero", "coat"))]
    recount = from_told(catalog, [*told, event(1, "impression", "coat", T + SECOND)])
    assert 1 == compare(recount, from_ledgers(catalog, ledger(*told), {})).unconfirmed
    states = {(told[0]["decision"], "coat"): 1}
    assert 0 == compare(recount, from_ledgers(catalog, ledger(*told, states=states), {})).unconfirmed


def test_an_unjustified_refusal_is_found(catalog: Catalog) -> None:
    """Five occasions refuse nobody, six do; one that was not told yet may."""
    refused = {("inbox", types_pb2.REASON_CODE_CAP_PROFILE, "person-20s"): ["lamp"]}
    for before, expected in ((5, "unjustified"), (6, "sure")):
        told = [*visits(before), answer(9, T + 6 * SECOND, refused=refused)]
        assert 1 == judge(from_told(catalog, told), told).kinds[expected]
    told = [*visits(6), answer(9, T + 5 * SECOND + 5_000, refused=refused)]
    assert 1 == judge(from_told(catalog, told), told).kinds["open"]


def test_a_cap_that_does_not_count_here_justifies_nothing(catalog: Catalog) -> None:
    """The web's cap has no say in the inbox."""
    refused = {("inbox", types_pb2.REASON_CODE_CAP_CHANNEL, "web-day"): ["lamp"]}
    told = [answer(1, T, refused=refused)]
    assert 1 == judge(from_told(catalog, told), told).kinds["unjustified"]
