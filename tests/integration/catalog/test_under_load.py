"""Catalogs change while callers go on calling: no request fails, and no decision is made by what is out of force."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from takt.v1 import decision_pb2
from tests.integration.catalog.conftest import Replica, capped, granted

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("back_to_five")]

LIMITS = (5, 2, 9, 3, 1, 12, 4, 20)
"""Put in force one after the other; the first is what the replicas were started with."""
CALLERS = 6


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: when it was asked for and had, and how many contacts its person had before."""

    asked: float
    had: float
    contacts: int
    answer: decision_pb2.DecideResponse


@dataclass(frozen=True, slots=True)
class InForce:
    """One catalog: nobody can have been decided for by it before, and only by it after, until the next was begun."""

    limit: int
    version: str
    begun: float
    done: float


@dataclass
class Caller:
    """Asks for one person after another, now here and now there, and knows how often each was contacted."""

    replicas: Sequence[Replica]
    stop: threading.Event
    told: list[Told] = field(default_factory=list)

    def call(self) -> None:
        """Until told to stop: some 25 questions for each person, so that every limit is met from both sides."""
        turns = itertools.cycle(self.replicas)
        while not self.stop.is_set():
            person, contacts = self.replicas[0].person(), 0
            for _ in range(25):
                asked = time.monotonic()
                answer = next(turns).decide(person)
                self.told.append(Told(asked, time.monotonic(), contacts, answer))
                contacts += granted(answer)
                if self.stop.is_set():
                    break


def possible(told: Told, changes: Sequence[InForce]) -> list[InForce]:
    """The catalogs that an answer may have been made by: those in force at some moment between question and answer."""
    nexts = [*changes[1:], None]
    return [
        change
        for change, after in zip(changes, nexts, strict=True)
        if change.begun <= told.had and (after is None or told.asked <= after.done)
    ]


def test_no_request_fails_and_none_is_judged_by_the_past(two: tuple[Replica, Replica]) -> None:
    """Over several changes under load, each answer is exact under a catalog that was in force while it was made."""
    stop = threading.Event()
    callers = [Caller(two, stop) for _ in range(CALLERS)]
    changes = [InForce(LIMITS[0], two[0].version(), 0.0, 0.0)]
    with ThreadPoolExecutor(CALLERS) as pool:
        calling = [pool.submit(caller.call) for caller in callers]
        try:
            for replica, limit in zip(itertools.cycle(two), LIMITS[1:], strict=False):
                time.sleep(0.5)  # some answers under each
                begun = time.monotonic()
                version = replica.limit(limit)
                changes.append(InForce(limit, version, begun, time.monotonic()))
            time.sleep(0.5)
        finally:
            stop.set()
        for called in calling:
            called.result()  # a call that failed fails the test

    told = [one for caller in callers for one in caller.told]
    of_one = [one for one in told if len(possible(one, changes)) == 1]
    versions = {change.version: change for change in changes}
    assert [] == [one.answer.degradations for one in told if one.answer.degradations]
    assert [] == [one for one in told if versions[one.answer.versions.catalog] not in possible(one, changes)]
    by = [(one, versions[one.answer.versions.catalog].limit) for one in told]
    assert [] == [(one.contacts, limit) for one, limit in by if granted(one.answer) and one.contacts >= limit]
    assert [] == [(one.contacts, limit) for one, limit in by if capped(one.answer) and one.contacts < limit]
    # and there was something to be seen: answers under every catalog, grants and refusals, also after each change
    assert set(versions) == {one.answer.versions.catalog for one in of_one}
    assert {True, False} == {granted(one.answer) for one in of_one} == {capped(one.answer) for one in of_one}
