"""Plain requests read by the kernel are what the slow way makes of the same bytes; odd ones are left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.catalog.workspace import load_workspace
from takt.domain.request import DecideRequest, Identity
from takt.engine.asking import Asking
from takt.engine.force import Force, force
from takt.errors import InvalidRequestError
from takt.model.prior import ConstantScorer
from takt.v1 import decision_pb2, types_pb2
from takt.wire.asking import asking_of
from takt.wire.decoding import reading
from takt.wire.decoding.names import names_of
from takt.wire.decoding.plain import read_plain
from takt.wire.decoding.reading import UNREADABLE, Ask, Reading, blank
from takt.wire.request import Budget, decide_request
from takt.wire.values import LONGEST_IDENTITY, LONGEST_NAMESPACE, LONGEST_PROFILE_ID, MOST_IDENTITIES

FORCE = force(load_workspace(Path(__file__).parents[2] / "workspaces" / "minimal"), ConstantScorer())
BUDGET_US = 50_000
PLACEMENTS = [p.id for p in FORCE.catalog.placements]
TIMINGS = [t.id for t in FORCE.catalog.timings]


def value(**kind: Any) -> types_pb2.Value:
    """A value of the contract."""
    return types_pb2.Value(**kind)


scalars = st.one_of(
    st.sampled_from(["basket", "home", "nowhere", ""]).map(lambda text: value(string_value=text)),
    st.sampled_from([0.0, -0.0, 1.5, 1e300, float("nan")]).map(lambda number: value(double_value=number)),
    st.sampled_from([0, 1, -1, 300, 2**24, 2**60]).map(lambda number: value(int_value=number)),
    st.booleans().map(lambda truth: value(bool_value=truth)),
    st.just(value(string_list_value=types_pb2.StringList(values=["a"]))),
    st.just(value()),
)
identities = st.builds(
    types_pb2.Identity,
    namespace=st.sampled_from(["cookie", "login", "a-z_09", "n" * 32, "n" * 33, "", "Login", "log in", "lögin"]),
    value=st.sampled_from(["ada", "c1", "a\0b", "v" * 127, "v" * 128, "v" * 256, "v" * 257, "", "ådå"]),
)
right_identities = st.builds(
    types_pb2.Identity,
    namespace=st.text("az09_-", min_size=1, max_size=LONGEST_NAMESPACE),
    value=st.text(st.characters(max_codepoint=127), min_size=1, max_size=LONGEST_IDENTITY),
)
FEATURES = [feature.name for feature in FORCE.catalog.spec.context.features]
messages = st.builds(
    decision_pb2.DecideRequest,
    request_id=st.sampled_from(["r", "r-2", "é", "", "x" * 128, "x" * 129]),
    profile_id=st.sampled_from(["p", "q", "p" * 64, "p" * 65, ""]),
    identities=st.just([])
    | st.lists(right_identities, max_size=3)
    | st.lists(identities, max_size=MOST_IDENTITIES + 1),
    placements=st.lists(
        st.builds(
            decision_pb2.PlacementRequest,
            placement=st.sampled_from([*PLACEMENTS, "nowhere"]),
            max_offers=st.sampled_from([0, 1, 2, 99]),
        ),
        max_size=4,
    ),
    context=st.dictionaries(st.sampled_from([*FEATURES, "unheard_of"]), scalars, max_size=4),
    timings=st.lists(st.sampled_from([*TIMINGS, "never"]), max_size=3),
    dry_run=st.booleans(),
    explain=st.sampled_from([0, 1, 2, 3]),
    allow_duplicates=st.booleans(),
    budget=st.none() | st.builds(Duration, seconds=st.sampled_from([0, 1, 61]), nanos=st.sampled_from([0, 5_000_000])),
)


def named(*pairs: tuple[str, str], **more: Any) -> decision_pb2.DecideRequest:
    """A request that names the person by identities."""
    return decision_pb2.DecideRequest(
        request_id="r",
        identities=[types_pb2.Identity(namespace=namespace, value=text) for namespace, text in pairs],
        placements=[decision_pb2.PlacementRequest(placement=PLACEMENTS[0])],
        **more,
    )


def valued(ask: Ask) -> DecideRequest | InvalidRequestError:
    """What is asked, or what is wrong with it."""
    try:
        return decide_request(
            decision_pb2.DecideRequest.FromString(ask.message), Budget(ask.received_us, BUDGET_US, ask.latest_us)
        )
    except DecodeError:
        return InvalidRequestError((UNREADABLE,))
    except InvalidRequestError as error:
        return error


def slowly(asks: list[Ask]) -> Asking:
    """The same, one message after the other."""
    values = [valued(ask) for ask in asks]
    asking = asking_of(FORCE, [v if isinstance(v, DecideRequest) else DecideRequest("", ()) for v in values])
    asking.errors.update({i: v for i, v in enumerate(values) if not isinstance(v, DecideRequest)})
    return asking


def plain(ask: Ask) -> bool:
    """Whether the kernel reads a message."""
    source = np.frombuffer(ask.message, np.uint8)
    read, nil = blank(FORCE, 1, len(source)), np.zeros(1, np.int64)
    found = read_plain(source, np.array([0, len(source)]), names_of(FORCE), nil, nil, BUDGET_US, read)
    assert [found == 1] == read.plain.tolist()
    return bool(found)


def same(one: Asking, other: Asking) -> None:
    """Hold two askings to each other, column by column; of wrong requests only the errors mean anything."""
    right = [i for i in range(len(one)) if i not in one.errors]
    assert {i: str(e) for i, e in one.errors.items()} == {i: str(e) for i, e in other.errors.items()}
    assert one.identities == other.identities
    for name in Asking.__struct_fields__:
        a, b = getattr(one, name), getattr(other, name)
        if name in {"force", "identities", "errors"}:
            continue
        if name in {"first_ask", "placement", "slots"}:
            assert a.tolist() == b.tolist(), name
        elif isinstance(a, np.ndarray):
            assert a[right].tobytes() == b[right].tobytes(), name
        else:
            assert [a[i] for i in right] == [b[i] for i in right], name


@settings(max_examples=500)
@given(st.lists(messages, min_size=1, max_size=5), st.sampled_from([0, 2_000, 10**9]))
def test_any_request_is_read_alike(asked: list[decision_pb2.DecideRequest], latest_us: int) -> None:
    """Right, wrong and odd ones together, in every column."""
    asks = [Ask(message.SerializeToString(), 1_000, latest_us) for message in asked]

    same(Reading(BUDGET_US).read(FORCE, asks), slowly(asks))


by_identities = st.lists(
    st.tuples(st.sampled_from(["cookie", "a-z_09"]), st.sampled_from(["c1", "ada", "v" * 130])), min_size=1, max_size=3
).map(lambda pairs: named(*pairs, timings=TIMINGS[:1]))


@settings(max_examples=1_000)
@given(messages | by_identities, st.data())
def test_damaged_bytes_are_read_alike(asked: decision_pb2.DecideRequest, data: st.DataObject) -> None:
    """A message that lost, gained or changed bytes means what protobuf makes of it, or nothing."""
    whole = bytearray(asked.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    asks = [Ask(bytes(whole), 1_000)]

    same(Reading(BUDGET_US).read(FORCE, asks), slowly(asks))


@pytest.fixture
def fast_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be read the slow way."""

    def never(force: Force, requests: Any) -> Asking:
        raise AssertionError((force, requests))

    monkeypatch.setattr(reading, "asking_of", never)


@pytest.mark.usefixtures("fast_only")
@pytest.mark.parametrize("to_keep", [True, False])
@pytest.mark.parametrize(
    "pairs",
    [
        [("cookie", "c1")],
        [("login", "ada"), ("cookie", "c1")],
        [("cookie", "c1"), ("cookie", "c1")],
        [("n" * LONGEST_NAMESPACE, "v" * LONGEST_IDENTITY)] * MOST_IDENTITIES,
        [("a-z_09", " \0\x7f\n")],
    ],
)
def test_identities_are_plain(pairs: list[tuple[str, str]], to_keep: bool) -> None:
    """One or the most of them, short or as long as can be, the same one twice; between requests by profile id."""
    message = named(*pairs, dry_run=True, explain=2, allow_duplicates=True, budget=Duration(seconds=1))
    message.context["page"].string_value = "basket"
    message.context["logged_in"].bool_value = True
    by_id = decision_pb2.DecideRequest(request_id="r", profile_id="p", placements=message.placements)
    asks = [Ask(m.SerializeToString(), 1_000) for m in (by_id, message, by_id, named(*pairs), named(*pairs[:1]))]

    asking = Reading(BUDGET_US).read(FORCE, asks, to_keep=to_keep)

    wanted = tuple(Identity(*pair) for pair in pairs)
    assert {1: wanted, 3: wanted, 4: wanted[:1]} == asking.identities
    assert ["p", "", "p", "", ""] == asking.profile_ids
    if to_keep:
        same(asking, slowly(asks))


@settings(max_examples=300)
@given(st.lists(right_identities, min_size=1, max_size=MOST_IDENTITIES), messages)
def test_any_right_identities_are_plain(wanted: list[types_pb2.Identity], asked: decision_pb2.DecideRequest) -> None:
    """Whatever their lengths and characters, with whatever else is asked: only that can be odd."""
    asked.ClearField("identities")
    asked.request_id, asked.profile_id = "r", "p"
    asks = [Ask(asked.SerializeToString(), 1_000)]
    asked.ClearField("profile_id")
    asked.identities.extend(wanted)
    asks.append(Ask(asked.SerializeToString(), 1_000))

    assert [plain(asks[0])] * 2 == [plain(ask) for ask in asks]
    same(Reading(BUDGET_US).read(FORCE, asks), slowly(asks))


LONG = "v" * LONGEST_IDENTITY


@pytest.mark.parametrize(
    "message",
    [
        named(("cookie", "c1"), profile_id="p"),
        named(("cookie", "c1"), profile_id="p" * (LONGEST_PROFILE_ID + 1)),
        named(),
        named(*[("cookie", "c1")] * (MOST_IDENTITIES + 1)),
        named(("", "c1")),
        named(("cookie", "")),
        named(("", "")),
        named(("n" * (LONGEST_NAMESPACE + 1), "c1")),
        named(("cookie", LONG + "v")),
        named(("cookie", "c1"), ("Cookie", "c1")),
        named(("coo kie", "c1")),
        named(("coo\0kie", "c1")),
        named(("cöökie", "c1")),
        named(("cookie", "ç1")),
        named(("cookie", LONG[1:] + "é")),
    ],
)
def test_wrong_or_unusual_identities_are_odd(message: decision_pb2.DecideRequest) -> None:
    """What is wrong is told in the words of the slow way; a value that is not ASCII is right there."""
    asks = [Ask(named(("cookie", "c0")).SerializeToString(), 1_000), Ask(message.SerializeToString(), 1_000)]

    assert not plain(asks[1])
    same(Reading(BUDGET_US).read(FORCE, asks), slowly(asks))
    same(Reading(BUDGET_US).read(FORCE, asks[::-1]), slowly(asks[::-1]))


COOKIE = b"\x0a\x06cookie"
ODDLY: dict[str, bytes] = {
    "an unknown field at the end": COOKIE + b"\x12\x02c1\x1a\x01x",
    "an unknown field between": COOKIE + b"\x18\x01\x12\x02c1",
    "the value first": b"\x12\x02c1" + COOKIE,
    "the namespace twice": COOKIE + COOKIE + b"\x12\x02c1",
    "the value twice": COOKIE + b"\x12\x02c0\x12\x02c1",
    "a length longer than it need be": b"\x0a\x86\x00cookie\x12\x02c1",
    "a value that is cut off": COOKIE + b"\x12\x03c1",
    "a namespace that is cut off": b"\x0a\x07cookie",
    "a value of a negative length": COOKIE + b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "another wire type": COOKIE + b"\x10\x02",
    "no UTF-8": COOKIE + b"\x12\x01\xff",
    "nothing": b"",
}


@pytest.mark.parametrize("identity", ODDLY.values(), ids=ODDLY.keys())
def test_identities_that_no_generated_code_writes_are_odd(identity: bytes) -> None:
    """They mean what protobuf makes of them."""
    placement = named().SerializeToString()[len(b"\x0a\x01r") :]
    ask = Ask(b"\x0a\x01r\x1a" + bytes([len(identity)]) + identity + placement, 1_000)

    assert not plain(ask)
    same(Reading(BUDGET_US).read(FORCE, [ask]), slowly([ask]))


@pytest.mark.usefixtures("fast_only")
def test_a_value_counts_in_the_digest_and_is_not_in_the_log() -> None:
    """Two people's requests differ in the digest alone, and so do two ways to divide the same characters."""
    pairs = [[("cookie", "c1")], [("cookie", "c2")], [("cookie", "c")], [("cooki", "ec1")]]
    asking = Reading(BUDGET_US).read(FORCE, [Ask(named(*p).SerializeToString(), 1_000) for p in pairs])

    assert len(pairs) == len(set(asking.digests))
    assert 1 == len(set(asking.messages[:3]))
    logged = decision_pb2.DecideRequest.FromString(asking.messages[0])
    assert [types_pb2.Identity(namespace="cookie")] == list(logged.identities)


@pytest.mark.usefixtures("fast_only")
def test_what_callers_send_is_plain() -> None:
    """The slow way is not taken for what generated code writes, whatever the order of its context."""
    message = decision_pb2.DecideRequest(
        request_id="r", profile_id="p", timings=TIMINGS[:1], dry_run=True, explain=2, budget=Duration(nanos=5_000_000)
    )
    message.placements.add(placement=PLACEMENTS[0], max_offers=1)
    message.context["page"].string_value = "basket"
    message.context["logged_in"].bool_value = True
    data = message.SerializeToString()
    entries = {name: decision_pb2.DecideRequest(context={name: message.context[name]}) for name in message.context}
    first, second = (entries[name].SerializeToString() for name in ("page", "logged_in"))
    for ordered in (first + second, second + first):
        start = min(data.index(first), data.index(second))
        swapped = data[:start] + ordered + data[start + len(ordered) :]
        asking = Reading(BUDGET_US).read(FORCE, [Ask(swapped, 1_000)])
        assert [6_000] == asking.deadlines_us
        assert {} == asking.errors


def test_an_absurd_message_is_refused_by_name() -> None:
    """Too many placements, and what is no message at all."""
    message = decision_pb2.DecideRequest(request_id="r", profile_id="p")
    message.placements.extend([decision_pb2.PlacementRequest(placement=PLACEMENTS[0])] * 10_000)

    asking = Reading(BUDGET_US).read(FORCE, [Ask(message.SerializeToString(), 0), Ask(b"\xff", 0)])

    assert [0, 1] == sorted(asking.errors)
    for error, field in zip(asking.errors.values(), ("placements", "request"), strict=True):
        assert isinstance(error, InvalidRequestError)
        assert field == error.violations[0].field
