"""The policy kernels against a slow, obvious reading of what caps, gaps and suppressions mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.policy.contacts import CONTACT, Contacts, counts_as, fullest_window
from takt.policy.judging import (
    CAP,
    MOMENT,
    PLENTY,
    Own,
    Spot,
    Terms,
    Verdicts,
    judge_group,
    judge_offers,
    judge_timings,
    matters_since,
    terms,
    verdicts_for,
)
from takt.policy.recent import Recent, recall, recent_for, remember

if TYPE_CHECKING:
    from collections.abc import Callable

OFFERS, GROUPS, CHANNELS, PLACEMENTS, TIMINGS = 4, 2, 2, 3, 3
OFFER_GROUP = [0, 0, 1, -1]
VALID_UNTIL = [1 << 60, 1030, 1 << 60, 1001]
NOW = 1000
FOREVER = 1 << 60
KEPT = 45


@dataclass(frozen=True)
class Seen:
    """One ledger entry, as a person would write it down."""

    time: int
    ends: int
    decision: int
    offer: int
    channel: int
    placement: int
    state: int

    @property
    def group(self) -> int:
        """The group of the offer, as it was then: here as it is now."""
        return OFFER_GROUP[self.offer] if self.offer >= 0 else -1


@dataclass(frozen=True)
class Cap:
    """At most `limit` per window, rolling (`width`) or a fixed [start, end) for every timing."""

    scope: int
    limit: int
    width: int
    window: tuple[int, int]
    counts: int
    keys: tuple[bool, ...]


@dataclass(frozen=True)
class Case:
    """A whole situation."""

    entries: tuple[Seen, ...]
    caps: tuple[Cap, ...]
    gaps: tuple[int, ...]
    moments: tuple[int, ...]
    open: tuple[bool, ...]
    quiet: tuple[bool, ...]
    decision: int
    channel: int
    placement: int
    max_entries: int
    gap_all: int
    lapsed: int = KEPT
    known: int = 0


def counted(entry: Seen, counts: int) -> bool:
    """Whether this entry counts as a decision, an impression, a click."""
    if entry.state >= 16:
        return False
    held = entry.ends > NOW
    return {
        0: True,
        1: entry.state in (1, 2) or (entry.state == 0 and held),
        2: entry.state == 2 or (entry.state in (0, 1) and held),
    }[counts]


def unit(entry: Seen, scope: int, position: int) -> object:
    """What makes two entries the same contact for a scope."""
    if scope in (0, 1):
        return (entry.decision, entry.channel, entry.time)
    if scope == 2:
        return (entry.decision, entry.placement, entry.time)
    return position


def units(case: Case, cap: Cap, key: int) -> dict[object, int]:
    """Every counted unit of one key, and when it counts."""
    belongs: Callable[[Seen], bool] = {
        0: lambda _: True,
        1: lambda e: e.channel == key,
        2: lambda e: e.placement == key,
        3: lambda e: e.group == key,
        4: lambda e: e.offer == key,
    }[cap.scope]
    return {unit(e, cap.scope, i): e.time for i, e in enumerate(case.entries) if belongs(e) and counted(e, cap.counts)}


def left(case: Case, cap: Cap, key: int, moment: int) -> int:
    """How many more units the fullest window that contains the moment could take."""
    times = list(units(case, cap, key).values())
    if not cap.width:
        return cap.limit - sum(cap.window[0] <= t < cap.window[1] for t in times)
    starts = range(moment - cap.width + 1, moment + 1)
    return cap.limit - max(sum(s <= t < s + cap.width for t in times) for s in starts)


def in_hand(case: Case, scope: int, moment: int) -> bool:
    """Whether the decision at hand already makes this unit: its entries are the last of the ledger."""
    mine = []
    for e in reversed(case.entries):
        if e.decision != case.decision:
            break
        mine.append(e)
    mine = [e for e in mine if e.time == moment and e.state < 16]
    return any(e.placement == case.placement if scope == 2 else e.channel == case.channel for e in mine)


def crowded(case: Case) -> bool:
    """Whether nothing fits into the ledger, or contacts may be missing that something in force looks back on."""
    unconfirmed = [e for e in case.entries if e.state in (0, 3)]
    gone = [e for e in case.entries if e.ends < NOW - KEPT] + [e for e in unconfirmed if e.ends < NOW - case.lapsed]
    if len(case.entries) - len(set(map(id, gone))) >= case.max_entries:
        return True
    starts = [NOW - gap for gap in (*case.gaps, case.gap_all)]
    starts += [NOW - cap.width if cap.width else cap.window[0] for cap in case.caps if cap.counts == 0]
    return case.known > min([NOW, *starts])


def timing_verdict(case: Case, t: int) -> int:
    """The first reason, in the order of judgement, that closes a timing for every offer."""
    moment = case.moments[t]
    if not case.open[t]:
        return 100
    if case.quiet[t]:
        return 120
    if crowded(case):
        return 130
    if not in_hand(case, 1, moment):
        gaps = {channel: max(gap, case.gap_all) for channel, gap in enumerate(case.gaps) if channel == case.channel}
        felt = [e for e in case.entries if e.state < 16 and e.state != 3]
        if any(abs(e.time - moment) < gaps.get(e.channel, case.gap_all) for e in felt):
            return 140
    found = []
    for cap in case.caps:
        key = {0: 0, 1: case.channel, 2: case.placement}.get(cap.scope, -1)
        if key >= 0 and cap.keys[key] and not in_hand(case, cap.scope, moment) and left(case, cap, key, moment) <= 0:
            found.append(150 + 10 * cap.scope)
    return min(found, default=0)


def offer_verdict(case: Case, t: int, o: int) -> int:
    """The first reason that closes one offer at one timing."""
    moment = case.moments[t]
    if moment >= VALID_UNTIL[o]:
        return 100
    group = OFFER_GROUP[o]
    for e in case.entries:
        if e.ends > moment and (
            (e.state == 16 and e.offer == o) or (e.state == 17 and e.group >= 0 and e.group == group)
        ):
            return 110
    found = []
    for cap in case.caps:
        key = {3: group, 4: o}.get(cap.scope, -1)
        if key >= 0 and cap.keys[key] and left(case, cap, key, moment) <= 0:
            found.append(180 if cap.scope == 3 else 190)
    return min(found, default=0)


entries = st.builds(
    Seen,
    time=st.integers(940, 1060),
    ends=st.sampled_from([950, 1000, 1001, 1040, FOREVER]),
    decision=st.integers(1, 4),
    offer=st.integers(-1, OFFERS - 1),
    channel=st.integers(-1, CHANNELS - 1),
    placement=st.integers(-1, PLACEMENTS - 1),
    state=st.sampled_from([0, 0, 0, 1, 2, 3, 16, 17, 18]),
)
caps = st.builds(
    Cap,
    scope=st.integers(0, 4),
    limit=st.integers(0, 4),
    width=st.sampled_from([0, 1, 7, 20, 50]),
    window=st.tuples(st.integers(940, 1000), st.integers(1000, 1060)),
    counts=st.integers(0, 2),
    keys=st.tuples(*[st.booleans()] * OFFERS),
)
flags = st.tuples(*[st.sampled_from([True, True, True, False])] * TIMINGS)
cases = st.builds(
    Case,
    entries=st.lists(entries, max_size=12).map(lambda found: tuple(sorted(found, key=lambda e: e.decision))),
    caps=st.lists(caps, max_size=5).map(tuple),
    gaps=st.tuples(*[st.sampled_from([0, 0, 5, 30])] * CHANNELS),
    moments=st.tuples(*[st.integers(NOW, 1060)] * TIMINGS),
    open=flags,
    quiet=flags.map(lambda f: tuple(not x for x in f)),
    decision=st.integers(1, 5),
    channel=st.integers(0, CHANNELS - 1),
    placement=st.integers(0, PLACEMENTS - 1),
    max_entries=st.sampled_from([3, 100, 100, 100]),
    gap_all=st.sampled_from([0, 0, 0, 10]),
    lapsed=st.sampled_from([KEPT, 20, 0]),
    known=st.sampled_from([0, 0, 0, 951, 970, 996, NOW]),
)


def as_contacts(case: Case) -> Contacts:
    """The entries as the kernels take them."""
    rows = [(e.time, e.ends, e.decision, e.offer, e.group, e.channel, e.placement, e.state) for e in case.entries]
    return np.array(rows, CONTACT)


def as_terms(case: Case) -> Terms:
    """The caps as the kernels take them."""
    keys = np.array([cap.keys for cap in case.caps], np.bool_).reshape(len(case.caps), OFFERS)
    caps = np.array([(cap.scope, cap.limit, cap.width, cap.counts) for cap in case.caps], CAP)
    gaps, groups = np.array(case.gaps, np.int64), np.array(OFFER_GROUP, np.int64)
    return terms(
        caps=caps,
        keys=keys,
        gap_us=gaps,
        offer_group=groups,
        valid_until_us=np.array(VALID_UNTIL, np.int64),
        max_entries=case.max_entries,
        keep_us=KEPT,
        lapsed_us=case.lapsed,
        gap_all_us=case.gap_all,
    )


def as_spot(case: Case) -> Spot:
    """The spot as the kernels take it."""
    window = np.array([[cap.window] * TIMINGS for cap in case.caps], np.int64).reshape(len(case.caps), TIMINGS, 2)
    moments = np.array(
        [(m, m + 1, o, q, True, True) for m, o, q in zip(case.moments, case.open, case.quiet, strict=True)], MOMENT
    )
    return Spot(np.uint64(case.decision), case.channel, case.placement, NOW, moments, window, case.known)


def nonsense() -> tuple[Verdicts, Recent]:
    """Room for verdicts on all offers, filled with nonsense: the kernels must write everything they answer for."""
    verdicts, recent = verdicts_for(TIMINGS, OFFERS, OFFERS), recent_for(17)
    for array in (verdicts.timings, verdicts.open, verdicts.size, verdicts.reason, verdicts.cap, verdicts.room):
        array[:] = 77
    for field in ("reason", "cap", "room"):
        verdicts.timing[field] = 77
    verdicts.offers[:], verdicts.size[0] = np.arange(OFFERS), OFFERS
    return verdicts, recent


def judged(case: Case, verdicts: Verdicts, recent: Recent) -> None:
    """Judge every timing and offer of a case."""
    contacts, policy, spot = as_contacts(case), as_terms(case), as_spot(case)
    since = matters_since(policy, spot.window_us, NOW)
    recall(contacts, 0, len(case.entries), since, NOW, recent)
    judge_timings(policy, contacts, 0, len(case.entries), recent, spot, OWN, verdicts)
    judge_offers(policy, contacts, recent, spot, OWN, verdicts)


OWN = Own(2, np.array([1, 2]), np.array([1, 1, 2]), 3, 1)


@settings(max_examples=2000)
@given(cases)
def test_verdicts_are_those_of_the_obvious_reading(case: Case) -> None:
    """Every timing and every offer gets the reason that a slow reading of the policy gives it."""
    verdicts, recent = nonsense()
    judged(case, verdicts, recent)
    expected = [timing_verdict(case, t) for t in range(TIMINGS)]
    assert expected == verdicts.timing["reason"].tolist()
    assert [t for t, reason in enumerate(expected) if not reason] == verdicts.open[: verdicts.size[2]].tolist()
    assert [[offer_verdict(case, t, o) for o in range(OFFERS)] for t in range(TIMINGS)] == verdicts.reason.tolist()


picks = st.tuples(st.integers(0, OFFERS - 1), st.integers(0, TIMINGS - 1), st.sampled_from([0, 40]))


@settings(max_examples=2000)
@given(cases, st.lists(picks, min_size=1, max_size=3))
def test_verdicts_brought_up_to_date_are_those_of_the_ledger_with_the_picks(
    case: Case, picked: list[tuple[int, int, int]]
) -> None:
    """After each pick, what is brought up to date says the same of all others as judging everything anew."""
    verdicts, recent = nonsense()
    judged(case, verdicts, recent)
    policy, spot = as_terms(case), as_spot(case)
    others = set(range(OFFERS))
    for o, t, lasts in picked:
        moment = case.moments[t]
        made = Seen(moment, moment + lasts, case.decision, o, case.channel, case.placement, 0)
        case = replace(case, entries=(*case.entries, made))
        contacts = as_contacts(case)
        remember(contacts, 0, len(case.entries) - 1, NOW, recent)
        judge_timings(policy, contacts, 0, len(case.entries), recent, spot, OWN, verdicts)
        judge_group(policy, recent, spot, OFFER_GROUP[o], verdicts)
        others.discard(o)
        fresh, again = nonsense()
        judged(case, fresh, again)
        assert fresh.timing["reason"].tolist() == verdicts.timing["reason"].tolist()
        assert fresh.timing["cap"].tolist() == verdicts.timing["cap"].tolist()
        assert fresh.open[: fresh.size[2]].tolist() == verdicts.open[: verdicts.size[2]].tolist()
        assert fresh.reason[:, sorted(others)].tolist() == verdicts.reason[:, sorted(others)].tolist()
        alive = (verdicts.cap >= 0)[:, sorted(others)]
        assert fresh.cap[:, sorted(others)][alive].tolist() == verdicts.cap[:, sorted(others)][alive].tolist()


@settings(max_examples=1000)
@given(cases, st.lists(entries.filter(lambda e: e.state < 16), max_size=4))
def test_room_others_may_use_never_lets_a_cap_be_exceeded(case: Case, others: list[Seen]) -> None:
    """Where others append no more than the room, what was allowed still is, and our own contacts fit besides."""
    verdicts, recent = nonsense()
    judged(case, verdicts, recent)
    fresh = tuple(Seen(e.time, e.ends, 90 + i, e.offer, e.channel, e.placement, e.state) for i, e in enumerate(others))
    for t in range(TIMINGS):
        for o in range(OFFERS):
            if verdicts.timing[t]["reason"] or verdicts.reason[t, o]:
                continue
            room = min(verdicts.timing[t]["room"], verdicts.room[t, o])
            later = replace(case, entries=fresh[:room] + case.entries)
            if case.gaps[case.channel] or case.gap_all:
                assert 0 == room
                continue
            if len(fresh[:room]) + len(case.entries) >= case.max_entries:
                continue  # the store refuses for want of room in the ledger
            assert timing_verdict(later, t) == 0
            assert offer_verdict(later, t, o) == 0


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 60), st.integers(1, 30))
def test_the_fullest_window_is_found_among_all_windows(times: list[int], moment: int, width: int) -> None:
    """Trying only starts at contacts and at the moment finds what trying every start finds."""
    obvious = max(sum(s <= t < s + width for t in times) for s in range(moment - width + 1, moment + 1))
    assert obvious == fullest_window(np.array(times, np.int64), len(times), moment, width)


def test_an_expired_hold_counts_as_decision_only() -> None:
    """At the very moment of its expiry a hold no longer counts as an impression."""
    assert [True, False, False] == [counts_as(0, NOW, counts, NOW) for counts in (0, 1, 2)]
    assert [True, True, True] == [counts_as(0, NOW + 1, counts, NOW) for counts in (0, 1, 2)]


def test_room_is_plenty_where_nothing_limits() -> None:
    """Without caps and gaps others may do what they like."""
    case = Case((), (), (0, 0), (NOW,) * TIMINGS, (True,) * TIMINGS, (False,) * TIMINGS, 1, 0, 0, 100, 0)
    verdicts, recent = nonsense()
    judged(case, verdicts, recent)
    assert {PLENTY} == set(verdicts.timing["room"].tolist()) | set(verdicts.room.reshape(-1).tolist())
