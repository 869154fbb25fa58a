"""Plain requests read by the kernel are what the slow way makes of the same bytes; odd ones are left to it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.catalog.workspace import load_workspace
from takt.domain.request import DecideRequest
from takt.engine.asking import Asking
from takt.engine.force import Force, force
from takt.errors import InvalidRequestError
from takt.model.prior import ConstantScorer
from takt.v1 import decision_pb2, types_pb2
from takt.wire.asking import asking_of
from takt.wire.decoding import reading
from takt.wire.decoding.reading import UNREADABLE, Ask, Reading
from takt.wire.request import Budget, decide_request

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
FEATURES = [feature.name for feature in FORCE.catalog.spec.context.features]
messages = st.builds(
    decision_pb2.DecideRequest,
    request_id=st.sampled_from(["r", "r-2", "é", "", "x" * 128, "x" * 129]),
    profile_id=st.sampled_from(["p", "q", "p" * 64, "p" * 65, ""]),
    identities=st.lists(st.just(types_pb2.Identity(namespace="login", value="ada")), max_size=1),
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


def same(one: Asking, other: Asking) -> None:
    """Hold two askings to each other, column by column; of wrong requests only the errors mean anything."""
    right = [i for i in range(len(one)) if i not in one.errors]
    assert {i: str(e) for i, e in one.errors.items()} == {i: str(e) for i, e in other.errors.items()}
    assert one.identities == other.identities
    for field in fields(Asking):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in {"force", "identities", "errors"}:
            continue
        if field.name in {"first_ask", "placement", "slots"}:
            assert a.tolist() == b.tolist(), field.name
        elif isinstance(a, np.ndarray):
            assert a[right].tobytes() == b[right].tobytes(), field.name
        else:
            assert [a[i] for i in right] == [b[i] for i in right], field.name


@settings(max_examples=500)
@given(st.lists(messages, min_size=1, max_size=5), st.sampled_from([0, 2_000, 10**9]))
def test_any_request_is_read_alike(asked: list[decision_pb2.DecideRequest], latest_us: int) -> None:
    """Right, wrong and odd ones together, in every column."""
    asks = [Ask(message.SerializeToString(), 1_000, latest_us) for message in asked]

    same(Reading(BUDGET_US).read(FORCE, asks), slowly(asks))


@settings(max_examples=500)
@given(messages, st.data())
def test_damaged_bytes_are_read_alike(asked: decision_pb2.DecideRequest, data: st.DataObject) -> None:
    """A message that lost, gained or changed bytes means what protobuf makes of it, or nothing."""
    whole = bytearray(asked.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    asks = [Ask(bytes(whole), 1_000)]

    same(Reading(BUDGET_US).read(FORCE, asks), slowly(asks))


def test_what_callers_send_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way is not taken for what generated code writes, whatever the order of its context."""

    def never(force: Force, requests: Any) -> Asking:
        raise AssertionError((force, requests))

    monkeypatch.setattr(reading, "asking_of", never)
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
