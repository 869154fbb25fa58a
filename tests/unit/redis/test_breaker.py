"""The breaker opens after failures in a row, and lets one call at a time find out whether it may close."""

from __future__ import annotations

import pytest

from takt.clock import ManualClock
from takt.redis.breaker import Breaker, BreakerState


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the tests move."""
    return ManualClock(0)


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    """A breaker that opens after two failures, for a hundred microseconds."""
    return Breaker(clock, failures=2, cooldown_us=100)


def fail(breaker: Breaker, times: int) -> None:
    """Let calls through and fail them."""
    for _ in range(times):
        assert breaker.admit()
        breaker.failed()


def test_closed_breaker_admits_everybody(breaker: Breaker) -> None:
    """Without failures nothing is refused."""
    assert [True, True, True] == [breaker.admit() for _ in range(3)]


def test_success_forgets_failures(breaker: Breaker) -> None:
    """Only failures in a row count."""
    fail(breaker, 1)
    breaker.succeeded()
    fail(breaker, 1)

    assert BreakerState.CLOSED == breaker.state


def test_failures_open_it(breaker: Breaker, clock: ManualClock) -> None:
    """After the last failure that is one too many nobody is admitted until the pause is over."""
    fail(breaker, 2)
    clock.advance(99)

    assert (BreakerState.OPEN, False) == (breaker.state, breaker.admit())


def test_one_call_is_tried_after_the_pause(breaker: Breaker, clock: ManualClock) -> None:
    """The first to ask is on trial, the others wait for its outcome."""
    fail(breaker, 2)
    clock.advance(100)

    assert [True, False, False] == [breaker.admit() for _ in range(3)]
    assert BreakerState.HALF_OPEN == breaker.state


def test_successful_trial_closes_it(breaker: Breaker, clock: ManualClock) -> None:
    """One answer is enough to go on as if nothing had been, with a fresh count."""
    fail(breaker, 2)
    clock.advance(100)
    assert breaker.admit()
    breaker.succeeded()
    fail(breaker, 1)

    assert (BreakerState.CLOSED, True) == (breaker.state, breaker.admit())


def test_failed_trial_opens_it_again(breaker: Breaker, clock: ManualClock) -> None:
    """One more failure is another whole pause."""
    fail(breaker, 2)
    clock.advance(100)
    fail(breaker, 1)
    clock.advance(99)
    assert not breaker.admit()
    clock.advance(1)

    assert breaker.admit()


def test_lost_trial_does_not_block_for_ever(breaker: Breaker, clock: ManualClock) -> None:
    """A trial that is never reported back is followed by another after the pause."""
    fail(breaker, 2)
    clock.advance(100)
    assert breaker.admit()
    clock.advance(100)

    assert breaker.admit()


@pytest.mark.parametrize(("failures", "cooldown_us"), [(0, 100), (1, -1)])
def test_absurd_settings_are_refused(clock: ManualClock, failures: int, cooldown_us: int) -> None:
    """A breaker that is always open, or opens into the past, is a mistake."""
    with pytest.raises(ValueError, match=f"failures={failures}, cooldown_us={cooldown_us}"):
        Breaker(clock, failures=failures, cooldown_us=cooldown_us)
