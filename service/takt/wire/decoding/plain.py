"""The kernel that reads plain requests. What it finds odd it leaves alone."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.kernel import entry, kernel
from takt.wire.decoding.forward import before, delimited, double, is_ascii, varint
from takt.wire.decoding.names import FEATURE, NAME, NUMBER, PLACEMENT, TIMING, TRUTH, VALUES, WHOLE, Names, look_up
from takt.wire.encoding.backward import Bytes, Ints
from takt.wire.request import LEAST_BUDGET_US, MOST_BUDGET_US, MOST_CONTEXT, MOST_PLACEMENTS, MOST_TIMINGS
from takt.wire.values import LONGEST_ID, LONGEST_IDENTITY, LONGEST_NAMESPACE, LONGEST_PROFILE_ID, MOST_IDENTITIES

# Tags of `takt.v1.DecideRequest`: field number and wire type.
REQUEST_ID: Final = 0x0A
PROFILE_ID: Final = 0x12
IDENTITIES: Final = 0x1A
PLACEMENTS: Final = 0x22
CONTEXT: Final = 0x2A
TIMINGS: Final = 0x32
DRY_RUN: Final = 0x38
EXPLAIN: Final = 0x40
ALLOW_DUPLICATES: Final = 0x48
BUDGET: Final = 0x52
# Those of a field 1 and a field 2 in its messages.
FIRST_TEXT: Final = 0x0A
SECOND_TEXT: Final = 0x12
FIRST_NUMBER: Final = 0x08
SECOND_NUMBER: Final = 0x10
# Those of `takt.v1.Value`.
STRING_VALUE: Final = 0x0A
INT_VALUE: Final = 0x10
DOUBLE_VALUE: Final = 0x19
BOOL_VALUE: Final = 0x20
# Rows of `Read.texts`; the value of an identity follows its namespace.
ID_TEXT: Final = 0
PROFILE_TEXT: Final = 1
NAMESPACE_TEXT: Final = 2
TEXTS: Final = NAMESPACE_TEXT + 2 * MOST_IDENTITIES
MOST_EXPLAIN: Final = 3
EXACT: Final = 2**53
"""Whole numbers up to this are exact as a double."""


class Read(NamedTuple):
    """What is read of n messages, written by the kernel. Asks are placements asked for, one after the other."""

    plain: npt.NDArray[np.bool_]
    """bool [n]: the message was read; nothing else of an odd one is of any meaning but that it asks for nothing."""
    texts: Ints
    """int64 [n, TEXTS, 2]: where request id, profile id, and namespace and value of each identity begin in the
    messages, and where they end; 0 where there is none."""
    first_ask: Ints
    """int64 [n + 1]."""
    placement: Ints
    """int64 [n * MOST_PLACEMENTS]."""
    slots: Ints
    timings: npt.NDArray[np.bool_]
    """bool [n, T]."""
    numbers: npt.NDArray[np.float32]
    """float32 [n, F]."""
    categories: npt.NDArray[np.uint16]
    """uint16 [n, F]."""
    dry_run: npt.NDArray[np.bool_]
    explain: Ints
    """int64 [n]: `takt.domain.request.Explain`."""
    distinct: npt.NDArray[np.bool_]
    deadline_us: Ints
    log: Bytes
    """Each request as the log keeps it, one after the other."""
    log_spans: Ints
    """int64 [n, 6]: where it begins in `log`, where what its digest is of begins, the dry run's two bytes, the end; and
    where its identities begin in the messages, and end, which its digest is of before that."""
    entries: Ints
    """int64 [MOST_CONTEXT, 4], scratch: of each context entry, where it begins and ends, and where its key does."""


@kernel
def two_fields(source: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """Where a message's field 1 begins and ends, and where field 2 begins, which is the rest; -1 ends what is odd."""
    if at >= end or source[at] != FIRST_TEXT:
        return 0, -1, 0
    first, first_end = delimited(source, at + 1, end)
    if first_end < 0 or first_end >= end or source[first_end] != SECOND_TEXT:
        return 0, -1, 0
    second, second_end = delimited(source, first_end + 1, end)
    return first, first_end if second_end == end else -1, second


@kernel
def is_namespace(source: Bytes, start: int, end: int) -> bool:
    """Whether a text is 1 to `LONGEST_NAMESPACE` characters out of a-z, 0-9, "_" and "-"."""
    if not 1 <= end - start <= LONGEST_NAMESPACE:
        return False
    for k in range(start, end):
        c = source[k]
        if not (ord("a") <= c <= ord("z") or ord("0") <= c <= ord("9") or c == ord("_") or c == ord("-")):
            return False
    return True


@kernel
def read_identity(source: Bytes, at: int, end: int, texts: Ints, i: int, k: int) -> bool:
    """Read a `takt.v1.Identity` as the request's `k`th. False if it is odd."""
    namespace, namespace_end, value = two_fields(source, at, end)
    if namespace_end < 0 or not is_namespace(source, namespace, namespace_end):
        return False
    if not 1 <= end - value <= LONGEST_IDENTITY or not is_ascii(source, value, end):
        return False
    row = NAMESPACE_TEXT + 2 * k
    texts[i, row, 0], texts[i, row, 1] = namespace, namespace_end
    texts[i, row + 1, 0], texts[i, row + 1, 1] = value, end
    return True


@kernel
def read_placement(source: Bytes, at: int, end: int, names: Names, read: Read, asks: int, first: int) -> bool:
    """Read a `takt.v1.PlacementRequest` to ask `asks`; those of the request begin at `first`. False if it is odd."""
    if at >= end or source[at] != FIRST_TEXT:
        return False
    start, at = delimited(source, at + 1, end)
    if at < 0:
        return False
    p = look_up(names, PLACEMENT, source, start, at - start)
    if p < 0:
        return False
    for k in range(first, asks):
        if read.placement[k] == p:
            return False
    most = names.most_offers[p]
    if at < end:
        if source[at] != SECOND_NUMBER:
            return False
        wanted, at = varint(source, at + 1, end)
        if at != end or wanted <= 0 or wanted >= 1 << 32:
            return False
        most = min(most, wanted)
    read.placement[asks] = p
    read.slots[asks] = most
    return True


@kernel
def read_value(source: Bytes, at: int, end: int, names: Names, read: Read, i: int, f: int) -> bool:
    """Read a `takt.v1.Value` of context feature `f` for request `i`. False if it is odd, or does not fit."""
    if at >= end:
        return False
    feature = names.features[f]
    tag = source[at]
    kind = feature["kind"]
    if kind == NAME:
        start, at = delimited(source, at + 1, end)
        if tag != STRING_VALUE or at != end:
            return False
        code = look_up(names, VALUES + f, source, start, end - start)
        if code < 0:
            return False
        read.categories[i, feature["column"]] = np.uint16(code)
        return True
    number = 0.0
    if tag == DOUBLE_VALUE and kind == NUMBER:
        number, at = double(source, at + 1, end)
    elif (tag == INT_VALUE and kind in (NUMBER, WHOLE)) or (tag == BOOL_VALUE and kind == TRUTH):
        whole, at = varint(source, at + 1, end)
        if abs(whole) > EXACT or (kind == TRUTH and not 0 <= whole <= 1):
            return False
        number = float(whole)
    else:
        return False
    if at != end or not (feature["low"] <= number <= feature["high"]):
        return False
    read.numbers[i, feature["column"]] = np.float32(number)
    return True


@kernel
def read_entry(source: Bytes, at: int, end: int, names: Names, read: Read, i: int, n: int) -> bool:
    """Read an entry of the context map, the request's `n`th, and note its key. False if it is odd."""
    key, key_end, value = two_fields(source, at, end)
    if key_end < 0:
        return False
    f = look_up(names, FEATURE, source, key, key_end - key)
    if f < 0 or not read_value(source, value, end, names, read, i, f):
        return False
    read.entries[n, 2] = key
    read.entries[n, 3] = key_end
    return True


@kernel
def read_budget(source: Bytes, at: int, end: int) -> int:
    """Microseconds of a `google.protobuf.Duration`, -1 if it is odd or out of range."""
    seconds, nanos = 0, 0
    if at < end and source[at] == FIRST_NUMBER:
        seconds, at = varint(source, at + 1, end)
        if at < 0 or seconds <= 0:
            return -1
    if at < end and source[at] == SECOND_NUMBER:
        nanos, at = varint(source, at + 1, end)
        if at < 0 or nanos <= 0 or nanos >= 1_000_000_000:
            return -1
    if at != end or seconds > MOST_BUDGET_US:
        return -1
    budget_us = seconds * 1_000_000 + nanos // 1_000
    return budget_us if LEAST_BUDGET_US <= budget_us <= MOST_BUDGET_US else -1


@kernel
def sort_entries(source: Bytes, entries: Ints, n: int) -> None:
    """Sort context entries by key."""
    for k in range(1, n):
        j = k
        while j > 0 and before(source, entries[j, 2], entries[j, 3], entries[j - 1, 2], entries[j - 1, 3]):
            for c in range(4):
                entries[j, c], entries[j - 1, c] = entries[j - 1, c], entries[j, c]
            j -= 1


@kernel
def keep(log: Bytes, at: int, source: Bytes, start: int, end: int) -> int:
    """Copy a part of a message to the log's; where the next goes."""
    for k in range(start, end):
        log[at] = source[k]
        at += 1
    return at


@kernel
def say_nothing(names: Names, read: Read, i: int) -> None:
    """Let request `i` be one in which nothing is said."""
    read.texts[i] = 0
    read.timings[i] = True
    for f in range(names.numbers.shape[0]):
        read.numbers[i, f] = names.numbers[f]
    for f in range(names.categories.shape[0]):
        read.categories[i, f] = names.categories[f]
    read.dry_run[i] = False
    read.explain[i] = 0
    read.distinct[i] = True
    read.deadline_us[i] = 0
    read.log_spans[i] = 0


@kernel
def read_fields(source: Bytes, at: int, end: int, names: Names, read: Read, i: int) -> tuple[int, int, int]:
    """Read the fields of a message as request `i`: in the order of their numbers, those that stand once, once.

    Returns how many context entries it has, -1 if it is odd; how many timings; and its budget in microseconds, 0 if
    it names none.
    """
    asks = first = read.first_ask[i]
    identities, entries, listed, last, budget_us = 0, 0, 0, 0, 0
    while at < end:
        tag = int(source[at])
        repeated = tag in (IDENTITIES, PLACEMENTS, CONTEXT, TIMINGS)
        if tag < last or (tag == last and not repeated):
            return -1, 0, 0
        last = tag
        if tag in (DRY_RUN, EXPLAIN, ALLOW_DUPLICATES):
            number, at = varint(source, at + 1, end)
            if at < 0 or number < 1 or number > (MOST_EXPLAIN if tag == EXPLAIN else 1):
                return -1, 0, 0
            if tag == DRY_RUN:
                read.dry_run[i] = True
            elif tag == EXPLAIN:
                read.explain[i] = number - 1
            else:
                read.distinct[i] = False
            continue
        begun = at
        start, at = delimited(source, at + 1, end)
        if at < 0:
            return -1, 0, 0
        if tag == REQUEST_ID:
            read.texts[i, ID_TEXT, 0], read.texts[i, ID_TEXT, 1] = start, at
        elif tag == PROFILE_ID:
            read.texts[i, PROFILE_TEXT, 0], read.texts[i, PROFILE_TEXT, 1] = start, at
        elif tag == IDENTITIES:
            if identities == MOST_IDENTITIES or not read_identity(source, start, at, read.texts, i, identities):
                return -1, 0, 0
            identities += 1
        elif tag == PLACEMENTS:
            if asks - first == MOST_PLACEMENTS or not read_placement(source, start, at, names, read, asks, first):
                return -1, 0, 0
            asks += 1
        elif tag == CONTEXT:
            if entries == MOST_CONTEXT or not read_entry(source, start, at, names, read, i, entries):
                return -1, 0, 0
            read.entries[entries, 0], read.entries[entries, 1] = begun, at
            entries += 1
        elif tag == TIMINGS:
            t = look_up(names, TIMING, source, start, at - start)
            if t < 0 or listed == min(MOST_TIMINGS, read.timings.shape[1]):
                return -1, 0, 0
            if listed == 0:
                read.timings[i] = False
            read.timings[i, t] = True
            listed += 1
        elif tag == BUDGET:
            budget_us = read_budget(source, start, at)
            if budget_us < 0:
                return -1, 0, 0
        else:
            return -1, 0, 0
    read.first_ask[i + 1] = asks
    return entries, listed, budget_us


@kernel
def is_named(source: Bytes, texts: Ints, i: int, row: int, most: int) -> bool:
    """Whether an id was given that is plain text of 1 to `most` characters."""
    start, end = texts[i, row, 0], texts[i, row, 1]
    return 1 <= end - start <= most and is_ascii(source, start, end)


@kernel
def is_person_named(source: Bytes, texts: Ints, i: int) -> bool:
    """Whether request `i` names the person by identities and has no profile id, or by a profile id alone."""
    if texts[i, NAMESPACE_TEXT, 1] > 0:
        return bool(texts[i, PROFILE_TEXT, 1] == 0)
    return is_named(source, texts, i, PROFILE_TEXT, LONGEST_PROFILE_ID)


@kernel
def keep_identities(log: Bytes, at: int, source: Bytes, texts: Ints, i: int) -> tuple[int, int]:
    """Write the identities of request `i` without their values; where the next goes, and where they end in `source`."""
    after = texts[i, ID_TEXT, 1]
    for row in range(NAMESPACE_TEXT, TEXTS, 2):
        if texts[i, row, 1] == 0:
            break
        # a namespace is short: its length is one byte, and so is that of the message that it is alone in
        start, end = texts[i, row, 0] - 2, texts[i, row, 1]
        log[at], log[at + 1] = IDENTITIES, end - start
        at = keep(log, at + 2, source, start, end)
        after = texts[i, row + 1, 1]
    return at, after


@kernel
def keep_request(source: Bytes, start: int, end: int, read: Read, i: int, entries: int, at: int) -> int:
    """Write request `i` as the log keeps it: context in the order of its names, no budget, the level always stated."""
    log = read.log
    read.log_spans[i, 0] = at
    at = keep(log, at, source, start, read.texts[i, ID_TEXT, 1])
    at, part = keep_identities(log, at, source, read.texts, i)
    read.log_spans[i, 1] = at
    read.log_spans[i, 4], read.log_spans[i, 5] = read.texts[i, ID_TEXT, 1], part
    first, after = part, part
    if entries > 0:
        first = end
        for n in range(entries):
            first = min(first, read.entries[n, 0])
            after = max(after, read.entries[n, 1])
        at = keep(log, at, source, part, first)
        sort_entries(source, read.entries, entries)
        for n in range(entries):
            at = keep(log, at, source, read.entries[n, 0], read.entries[n, 1])
    stop = after
    while stop < end and source[stop] < DRY_RUN:
        stop = delimited(source, stop + 1, end)[1]
    at = keep(log, at, source, after, stop)
    read.log_spans[i, 2] = at
    if read.dry_run[i]:
        log[at], log[at + 1] = DRY_RUN, 1
        at += 2
    log[at], log[at + 1] = EXPLAIN, read.explain[i] + 1
    at += 2
    if not read.distinct[i]:
        log[at], log[at + 1] = ALLOW_DUPLICATES, 1
        at += 2
    read.log_spans[i, 3] = at
    return at


@kernel
def has_twins(source: Bytes, entries: Ints, n: int) -> bool:
    """Whether two context entries have the same key."""
    for a in range(n):
        for b in range(a):
            if not before(source, entries[a, 2], entries[a, 3], entries[b, 2], entries[b, 3]) and not before(
                source, entries[b, 2], entries[b, 3], entries[a, 2], entries[a, 3]
            ):
                return True
    return False


@entry
def read_plain(
    source: Bytes, starts: Ints, names: Names, received_us: Ints, latest_us: Ints, usual_us: int, read: Read
) -> int:
    """Read n messages, the ith being `source[starts[i]:starts[i + 1]]`; how many are plain.

    `received_us` int64 [n] is when each came, `latest_us` when its answer is too late (0 = never), `usual_us` the
    budget of one that names none.
    """
    plain, log_at = 0, 0
    read.first_ask[0] = 0
    for i in range(starts.shape[0] - 1):
        start, end = starts[i], starts[i + 1]
        say_nothing(names, read, i)
        entries, _, budget_us = read_fields(source, start, end, names, read, i)
        if (
            entries < 0
            or read.first_ask[i + 1] == read.first_ask[i]
            or not is_named(source, read.texts, i, ID_TEXT, LONGEST_ID)
            or not is_person_named(source, read.texts, i)
            or has_twins(source, read.entries, entries)
        ):
            read.first_ask[i + 1] = read.first_ask[i]
            read.plain[i] = False
            continue
        own_us = received_us[i] + (budget_us if budget_us > 0 else usual_us)
        # never 0, which would mean no deadline at all
        read.deadline_us[i] = max(1, min(own_us, latest_us[i]) if latest_us[i] else own_us)
        log_at = keep_request(source, start, end, read, i, entries, log_at)
        read.plain[i] = True
        plain += 1
    return plain
