"""Merges under any interleaving of callers, each of whom may stop between any two steps."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from takt.clock import ManualClock
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.decision import person_address
from takt.domain.ledger import STATE_AT, LedgerState
from takt.domain.merge import MergeStep
from takt.domain.request import Identity
from takt.engine.link import REDIRECTS, Merger, takes_part
from takt.errors import PreconditionError, StoreError
from takt.identity import anonymous_id
from takt.memory.ledger import Ledger
from takt.memory.store import MemoryStore
from takt.ports import Commit, Mark, MarkKind, MarkOutcome, Store
from tests.contract.building import contact, entry, group
from tests.contract.harness import NOW_US, RETENTION_US, Harness, MemoryHarness

CAP = 2
EXAMPLES = itertools.count()


class Turns:
    """Runs callers on threads, one store call at a time, in the order that is drawn."""

    def __init__(self) -> None:
        self._paused = threading.Semaphore(0)
        self._waiting: dict[int, threading.Semaphore] = {}
        self._current = threading.local()
        self.errors: list[BaseException] = []

    def run(self, callers: list[Callable[[], None]], choices: list[int]) -> None:
        """Run all to their end."""

        def live(number: int, caller: Callable[[], None]) -> None:
            self._current.number = number
            self._waiting[number].acquire()
            try:
                caller()
            except BaseException as error:  # noqa: BLE001 -- told to the test
                self.errors.append(error)
            del self._waiting[number]
            self._paused.release()

        self._waiting = {number: threading.Semaphore(0) for number in range(len(callers))}
        threads = [threading.Thread(target=live, args=item) for item in enumerate(callers)]
        for thread in threads:
            thread.start()
        for choice in itertools.chain(choices, itertools.count()):
            alive = sorted(self._waiting)
            if not alive:
                break
            self._waiting[alive[choice % len(alive)]].release()
            self._paused.acquire()
        for thread in threads:
            thread.join()

    def step(self) -> None:
        """Let somebody go first."""
        if hasattr(self._current, "number"):
            waiting = self._waiting[self._current.number]
            self._paused.release()
            waiting.acquire()


@dataclass
class Through:
    """A store as one caller has it: others go first before every call, and at one of them the caller dies."""

    inner: Any
    turns: Turns
    dies_at: list[int]
    """Calls that are left; shared with the store's merging. Never, if negative."""
    after: bool
    """Whether it dies after the call was carried out."""

    @property
    def merging(self) -> Through:
        """The steps of merging, as this caller has them."""
        return Through(self.inner.merging, self.turns, self.dies_at, self.after)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any call of the store."""
        method = getattr(self.inner, name)

        def called(*arguments: Any, **named: Any) -> Any:
            self.turns.step()
            dies = self.dies_at[0] == 0
            self.dies_at[0] -= 1
            if dies and not self.after:
                raise StoreError("died before the call")
            answer = method(*arguments, **named)
            if dies:
                raise StoreError("died after the call")
            return answer

        return called


@dataclass
class History:
    """What callers were told, and what the store did, in order."""

    store: Store
    clock: ManualClock
    turns: Turns
    number: int
    events: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    granted: dict[int, str] = field(default_factory=dict)
    """Code of each decision whose contact was committed, and the name it was committed under."""
    confirmed: set[int] = field(default_factory=set)

    def identity(self, name: str) -> Identity:
        """A name of this example. Upper case names are those of profiles, and resolve to them."""
        return Identity("n", f"{name}/{self.number}")

    def profile(self, name: str) -> str:
        """The profile that a name led to in the beginning."""
        if name.isupper():
            return f"{name}/{self.number}"
        identity = self.identity(name)
        return anonymous_id(identity.namespace, identity.value)

    def merger(self, store: Any) -> Merger:
        """Merges people that have no records."""
        return Merger(store, codec=ProtobufCodec(8), clock=self.clock, spec=lambda: 1 / 0)  # type: ignore[arg-type,return-value]

    def decide(self, name: str, code: int, store: Any) -> None:
        """Contact somebody if fewer than `CAP` contacts are in the ledger, as the engine would."""
        merger = self.merger(store)
        (owner,) = store.resolve([self.identity(name)])
        person = owner or self.profile(name)
        for _ in range(REDIRECTS):
            fetched = store.fetch([person])
            if takes_part(fetched.ledgers[0]):
                (lead,) = merger.follow([person_address(person)])
                if not lead.settled:
                    return
                person = lead.profile_id
                continue
            ledger = Ledger.parse(fetched.ledgers[0])
            if len(ledger.entries) >= CAP:
                return
            made = entry(f"r{code}", contact(decision=code, time_us=fetched.now_us))
            grouped = group(person, made, gate=ledger.gate, appends=ledger.appends, snapshot_us=fetched.now_us)
            (outcome,) = store.commit([grouped])
            if outcome.commit is Commit.DONE:
                return

    def confirm(self, code: int, store: Any) -> None:
        """Tell that a contact was clicked, by what the decision was made for."""
        person = person_address(self.granted[code])
        for _ in range(REDIRECTS):
            (outcome,) = store.mark(
                [
                    Mark(
                        event_id=f"e{code}",
                        person=person,
                        decision=code,
                        offer=0,
                        kind=MarkKind.CLICKED,
                        suppression=b"",
                        record=b"",
                    )
                ]
            )
            if outcome is not MarkOutcome.MERGING:
                assert outcome in (MarkOutcome.APPLIED, MarkOutcome.DUPLICATE)
                self.confirmed.add(code)
                return
            (lead,) = self.merger(store).follow([person])
            if lead.settled:
                person = person_address(lead.profile_id)

    def link(self, names: tuple[str, ...], store: Any) -> None:
        """Link names; remember when that was answered."""
        try:
            self.merger(store).link("", [self.identity(name) for name in names])
        except PreconditionError:
            return
        self.events.append(("linked", names))

    def caller(self, what: tuple[Any, ...], code: int) -> Callable[[], None]:
        """One caller's work, on a store that dies when it is told to."""
        kind, argument, dies_at, after = what

        def work() -> None:
            through = Through(Watched(self), self.turns, [dies_at], after)
            try:
                if kind == "decide":
                    self.decide(argument, code, through)
                elif kind == "link":
                    self.link(argument, through)
                elif self.granted:
                    self.confirm(min(self.granted), through)
            except StoreError:
                pass

        return work

    def check(self) -> None:
        """Finish what is unfinished, then count: nothing lost, nothing doubled, no cap exceeded after a Link."""
        names = sorted("ABcd")
        leads = self.merger(self.store).lead([self.profile(name) for name in names])
        assert all(lead.settled for lead in leads)
        people = sorted({lead.profile_id for lead in leads})
        ledgers = [Ledger.parse(data) for data in self.store.fetch(people).ledgers]
        assert {LedgerState.OPEN} >= {LedgerState(ledger.state) for ledger in ledgers}
        contacts = [one for ledger in ledgers for one in ledger.entries]
        assert sorted(self.granted) == sorted(one.decision for one in contacts)
        assert self.confirmed <= {one.decision for one in contacts if one.state == 2}
        lead_of = dict(zip(names, leads, strict=True))
        groups = {name: {name} for name in names}
        counted = dict.fromkeys(names, 0)
        for kind, concerned in self.events:
            if kind == "linked":
                joined = set().union(*(groups[name] for name in concerned))
                groups.update(dict.fromkeys(joined, joined))
                assert 1 == len({lead_of[name] for name in concerned})
            else:
                (name,) = concerned
                assert sum(counted[one] for one in groups[name]) < CAP
                counted[name] += 1
        for profile in {self.profile(name) for name in names} - set(people):
            assert self.store.fetch([profile]).ledgers[0][STATE_AT] == LedgerState.MOVED


@dataclass
class Watched:
    """The store, seen by the test: it notes each grant at the moment it is made."""

    history: History

    def __getattr__(self, name: str) -> Any:
        """Everything but commits and seals."""
        return getattr(self.history.store, name)

    @property
    def merging(self) -> Any:
        """The steps of merging, of which it notes each seal: from then on the loser's identities lead to the winner."""
        return Sealing(self.history)

    def commit(self, groups: Any) -> Any:
        """Note what was done."""
        outcomes = self.history.store.commit(groups)
        for grouped, outcome in zip(groups, outcomes, strict=True):
            if outcome.commit is Commit.DONE:
                (contacts,) = Ledger.parse(Ledger().pack() + grouped.entries[0].contacts).entries
                self.history.granted[contacts.decision] = grouped.profile_id
                name = next(n for n in "ABcd" if self.history.profile(n) == grouped.profile_id)
                self.history.events.append(("grant", (name,)))
        return outcomes


@dataclass
class Sealing:
    """The steps of merging, seen by the test."""

    history: History

    def __getattr__(self, name: str) -> Any:
        """Everything but seals."""
        return getattr(self.history.store.merging, name)

    def seal(self, loser: str, winner: str) -> Any:
        """Note who are one person from now on."""
        answer = self.history.store.merging.seal(loser, winner)
        if answer[0] is MergeStep.DONE:
            profiles = {self.history.profile(name): name for name in "ABcd"}
            self.history.events.append(("linked", (profiles[loser], profiles[winner])))
        return answer


names = st.sampled_from("ABcd")
deaths = st.sampled_from([-1, -1, 0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 8, 10, 12])
callers = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), names, st.just(-1), st.just(False)),
        st.tuples(st.just("confirm"), st.none(), deaths, st.booleans()),
        st.tuples(st.just("link"), st.permutations("ABcd").map(lambda p: tuple(p[:2])), deaths, st.booleans()),
        st.tuples(st.just("link"), st.permutations("ABcd").map(lambda p: tuple(p[:3])), deaths, st.booleans()),
    ),
    min_size=1,
    max_size=4,
)
contacted = st.lists(names, max_size=6)
rounds = st.lists(callers, min_size=1, max_size=4)
choices = st.lists(st.integers(0, 4), max_size=80)


def play(store: Store, clock: ManualClock, *, before: list[str], waves: list[Any], order: list[int]) -> None:
    """Contacts, one after the other, then waves of interleaved callers, and what is to be said of the end."""
    clock.at_us = NOW_US
    history = History(store, clock, Turns(), next(EXAMPLES))
    for name in "AB":
        store.merging.name(history.identity(name), history.profile(name), former=None)
    codes = itertools.count(1)
    for name in before:
        history.decide(name, next(codes), Watched(history))
    for wave in waves:
        turns = Turns()
        history.turns = turns
        turns.run([history.caller(what, next(codes)) for what in wave], order)
        assert [] == turns.errors
        clock.advance(1000)
    history.check()


@settings(max_examples=300, deadline=None)
@example(before=["B"] * 2, waves=[[("link", ("A", "B"), 5, False)], [("decide", "A", -1, False)]], order=[])
@example(before=["c"] * 2, waves=[[("link", ("A", "c"), 4, True)], [("confirm", None, -1, False)]], order=[])
@given(before=contacted, waves=rounds, order=choices)
def test_no_interleaving_exceeds_a_cap_or_loses_a_contact(
    before: list[str], waves: list[Any], order: list[int]
) -> None:
    """Links, decisions and feedback in any order, some of them dying: what was answered holds, and ends meet."""
    clock = ManualClock(NOW_US)
    play(MemoryStore(clock, retention_us=RETENTION_US), clock, before=before, waves=waves, order=order)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=contacted, waves=rounds, order=choices)
def test_real_stores_hold_it_too(harness: Harness, before: list[str], waves: list[Any], order: list[int]) -> None:
    """The same on servers, where every step is a round trip."""
    if isinstance(harness, MemoryHarness):
        return
    play(harness.store, harness.clock, before=before, waves=waves, order=order)
