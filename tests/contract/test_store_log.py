"""The decision log of every store: read in pages, trimmed no sooner than ids are forgotten."""

from __future__ import annotations

import time
import zlib

from takt.domain.log import START, LogEntry, LogExtent, LogKind, LogPosition
from takt.ports import Commit, DecisionLog, MarkKind, Rewrite, Store
from tests.contract.building import contact, entry, group, mark, packed
from tests.contract.harness import NOW_US, RETENTION_US, Harness

LONG_AGO_MS = NOW_US // 1_000 - 10 * RETENTION_US // 1_000


def partition_of(store: Store, profile_id: str) -> int:
    """Where a person's entries are."""
    return zlib.crc32(profile_id.encode()) % store.decision_log.partitions


def everything(log: DecisionLog, partition: int, page: int = 2) -> list[LogEntry]:
    """All entries of a partition, page by page."""
    found: list[LogEntry] = []
    while more := log.read(partition, found[-1].position if found else START, page):
        found += more
    return found


def test_a_new_log_is_empty(harness: Harness) -> None:
    """Nothing was written and nothing can be read."""
    log = harness.store.decision_log

    assert [LogExtent(0, 0, START, START)] * log.partitions == log.extents()
    assert [] == log.read(0, START, 10)
    assert 0 == log.trim([START] * log.partitions)


def test_entries_come_in_order_with_what_became_of_them(harness: Harness) -> None:
    """Decisions, events and changes of a person stand in one partition, in the order in which they were written."""
    store = harness.store
    store.commit([group("p", entry("r1", contact(decision=77)), entry("r2"))])
    store.mark([mark("p", "e1", MarkKind.SHOWN), mark("p", "e2", MarkKind.SHOWN, decision=99)])
    read = store.fetch(["p"]).ledgers[0]
    store.rewrite([Rewrite("p", read, b"", 0, packed(contact()), b"who, when, why")])

    found = everything(store.decision_log, partition_of(store, "p"))

    assert [
        (LogKind.DECISION, b"log r1", ""),
        (LogKind.DECISION, b"log r2", ""),
        (LogKind.FEEDBACK, b"log e1", "APPLIED"),
        (LogKind.FEEDBACK, b"log e2", "ORPHAN"),
        (LogKind.CHANGE, b"who, when, why", ""),
    ] == [(e.kind, e.record, e.outcome) for e in found]
    assert [e.position for e in found] == sorted({e.position for e in found})


def test_late_events_say_so(harness: Harness) -> None:
    """An event that confirms a hold which had lapsed is told apart in the log too."""
    store = harness.store
    store.commit([group("p", entry("r1", contact(decision=77)))])
    harness.clock.advance(3_600_000_000)
    store.mark([mark("p", "e1", MarkKind.SHOWN)])

    assert ["", "LATE"] == [e.outcome for e in everything(store.decision_log, partition_of(store, "p"))]


def test_extents_tell_how_much_there_is(harness: Harness) -> None:
    """What is there, what was ever written, and from where to where."""
    store = harness.store
    store.commit([group("p", entry("r1"), entry("r2"))])
    at = partition_of(store, "p")

    extent = store.decision_log.extents()[at]

    found = everything(store.decision_log, at)
    assert LogExtent(2, 2, found[0].position, found[-1].position) == extent
    assert 0 == extent.trimmed


def test_trimmed_up_to_a_position(harness: Harness) -> None:
    """What is behind the position stays, and what went is still counted as written."""
    log = harness.store.decision_log
    for number in range(5):
        harness.log_at(3, LONG_AGO_MS + number, b"%d" % number)
    harness.log_at(4, LONG_AGO_MS, b"of another partition")
    up_to = [START] * log.partitions
    up_to[3] = LogPosition(LONG_AGO_MS + 2, 0)

    assert 3 == log.trim(up_to)
    assert [b"3", b"4"] == [e.record for e in everything(log, 3)]
    assert [b"of another partition"] == [e.record for e in everything(log, 4)]
    assert (2, 5, 3) == (log.extents()[3].entries, log.extents()[3].written, log.extents()[3].trimmed)
    assert 0 == log.trim(up_to)


def test_a_trimmed_log_goes_on(harness: Harness) -> None:
    """Positions are never used again, not even when everything was trimmed."""
    log = harness.store.decision_log
    harness.log_at(3, LONG_AGO_MS, b"old")
    last = log.extents()[3].last
    log.trim([last if partition == 3 else START for partition in range(log.partitions)])

    assert LogExtent(0, 1, START, last) == log.extents()[3]
    harness.log_at(3, LONG_AGO_MS + 1, b"new")
    assert [b"new"] == [e.record for e in log.read(3, last, 10)]


def test_what_an_id_leads_to_is_not_trimmed(harness: Harness) -> None:
    """A repeat within the retention gets its answer even if the log was trimmed of all that may go."""
    store = harness.store
    store.commit([group("p", entry("r1"))])
    log = store.decision_log

    # not only of the store's clock: the server's own time is what positions are made of
    far = LogPosition(max(NOW_US // 1_000, time.time_ns() // 1_000_000) + 60_000, 0)

    assert 0 == log.trim([far] * log.partitions)
    (again,) = store.commit([group("p", entry("r1"))])
    assert (Commit.KNOWN, b"log r1") == (again.commit, again.known["r1"].record)


def test_first_legend_stands(harness: Harness) -> None:
    """What records of a catalog mean is registered once."""
    log = harness.store.decision_log
    assert {} == log.legends()

    log.register_legend("c1", '{"ü": 1}')
    log.register_legend("c1", "[]")
    log.register_legend("c2", "[]")

    assert {"c1": '{"ü": 1}', "c2": "[]"} == log.legends()
