"""What waits is bounded, in order, and leaves when its caller or its time has gone."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from takt.rpc.desk import Ask
from takt.rpc.waiting import READ_BUDGET_US, WaitingRoom
from takt.v1 import decision_pb2


def room_of(*asks: Ask, most: int = 10, budget_us: int = 250_000) -> WaitingRoom:
    """A room where these wait, under ids from 0."""
    room = WaitingRoom(most=most, budget_us=budget_us)
    assert [True] * len(asks) == [room.enter(call_id, ask) for call_id, ask in enumerate(asks)]
    return room


def ask(received_us: int = 0, latest_us: int = 0, budget_us: int = 0) -> Ask:
    """A call that came at this moment."""
    budget = Duration()
    budget.FromMicroseconds(budget_us)
    message = decision_pb2.DecideRequest(budget=budget if budget_us else None)
    return Ask(message.SerializeToString(), received_us, latest_us)


def ids(calls: list[object]) -> list[int]:
    """Their ids."""
    return [call.call_id for call in calls]  # type: ignore[attr-defined]


def test_batches_are_taken_in_order() -> None:
    """Who came first is decided first, in batches that are not too large; all stay until they are done."""
    room = room_of(*[ask()] * 5)
    first, second = room.take(3, 0)[0], room.take(3, 0)[0]

    assert ([0, 1, 2], [3, 4], []) == (ids([*first]), ids([*second]), room.take(3, 0)[0])
    assert (5, 0) == (len(room), room.waiting)
    assert ([True] * 3, [True] * 2) == (room.done(first, 0), room.done(second, 0))
    assert 0 == len(room)


def test_waiting_is_bounded() -> None:
    """Only so many wait; what is at work does not count."""
    room = room_of(ask(), ask(), most=2)
    assert not room.enter(2, ask())
    room.take(1, 0)[0]
    assert room.enter(2, ask())
    assert not room.enter(3, ask())


def test_whoever_has_gone_gets_nothing() -> None:
    """A call whose caller has gone is in no batch, and its answer is not wanted if it was in one."""
    room = room_of(ask(), ask(), ask())
    assert 1 == getattr(room.leave(1), "call_id", None)
    batch = room.take(10, 0)[0]
    assert [0, 2] == ids([*batch])
    assert 2 == getattr(room.leave(2), "call_id", None)
    assert [True, False] == room.done(batch, 0)
    assert room.leave(7) is None


def test_time_is_spent_by_what_is_first() -> None:
    """The call's own deadline, the request's budget, or the service's: whichever comes first ends the waiting."""
    room = room_of(ask(latest_us=5_000), ask(budget_us=30_000), ask(), ask(latest_us=900_000), budget_us=250_000)
    room.take(2, 0)[0]

    assert [] == room.expire(4_999)
    assert [0] == ids([*room.expire(5_000)])
    assert [] == room.expire(29_999)
    assert [1] == ids([*room.expire(30_000)])
    assert [2, 3] == ids([*room.expire(250_000)])
    assert 0 == len(room)


def test_budgets_are_not_read_at_once() -> None:
    """A message is looked into only when its call has waited for a while: most are decided before."""
    room = room_of(ask(budget_us=1_000))

    assert [] == room.expire(READ_BUDGET_US - 1)
    assert [0] == ids([*room.expire(READ_BUDGET_US)])


def test_what_cannot_be_read_has_the_services_budget() -> None:
    """A message that is no request is told so when it is decided, or when the service's own budget is spent."""
    room = room_of(Ask(b"\xff", 0), budget_us=50_000)

    assert [] == room.expire(49_999)
    assert [0] == ids([*room.expire(50_000)])


def test_nobody_is_let_in_who_would_wait_too_long() -> None:
    """Once it is known how fast decisions are made, as many wait as are decided in half of the budget; the patient may.

    Here 20 calls are decided in 20 ms, and the service's own budget is 50 ms.
    """
    room = room_of(*[ask()] * 60, most=1_000, budget_us=50_000)
    for now_us in (0, 20_000):
        batch, late = room.take(20, now_us)
        assert (20, []) == (len(batch), late)
        room.done(batch, now_us + 20_000)
    for call_id in range(100, 105):
        assert room.enter(call_id, ask(20_000))

    assert [True] * 1 + [False] * 3 == [room.enter(call_id, ask(20_000)) for call_id in range(105, 109)]
    assert room.enter(200, ask(20_000, budget_us=100_000))
    assert not room.enter(201, ask(20_000, budget_us=40_000))


def test_who_would_be_answered_too_late_is_no_part_of_a_batch() -> None:
    """What is left of a call's time must do for a batch as large as it is by then."""
    room = room_of(*[ask(latest_us=100_000)] * 60, most=1_000)
    for now_us in (0, 40_000):
        room.done(room.take(20, now_us)[0], now_us + 40_000)  # 2 ms for each

    batch, late = room.take(20, 80_000)  # 20 ms are left

    assert (list(range(40, 49)), list(range(49, 60))) == (ids([*batch]), ids([*late]))
    assert [True] * 9 == room.done(batch, 98_000)


def test_one_slow_batch_is_forgotten_with_the_next() -> None:
    """A store that stood still for a moment must not keep callers out when it is quick again."""
    patient = ask(budget_us=60_000_000)
    room = room_of(*[patient] * 50, most=1_000)
    for now_us in (0, 2_000_000):
        room.done(room.take(20, now_us)[0], now_us + 2_000_000)
    assert not room.enter(100, ask(4_000_000))

    room.done(room.take(20, 4_000_000)[0], 4_010_000)  # ten, a millisecond each

    assert [True] * 126 + [False] * 4 == [room.enter(call_id, ask(4_010_000)) for call_id in range(200, 330)]
