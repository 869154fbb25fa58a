"""A circuit breaker: a store that does not answer is left alone for a moment, so that nobody waits for it in vain."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Final

from takt.clock import Clock

FAILURES: Final = 3
COOLDOWN_US: Final = 500_000


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    """They do."""
    OPEN = "open"
    """They are refused at once."""
    HALF_OPEN = "half_open"
    """One is on trial; the others are refused until it is back."""


class Breaker:
    """Counts failures in a row; thread-safe.

    After `failures` of them it opens for `cooldown_us`, then lets one call through: its success closes the breaker, its
    failure opens it again. `clock` is asked for monotonic time only.
    """

    def __init__(self, clock: Clock, *, failures: int = FAILURES, cooldown_us: int = COOLDOWN_US) -> None:
        if failures < 1 or cooldown_us < 0:
            raise ValueError(f"failures={failures}, cooldown_us={cooldown_us}: at least 1 and 0 are needed")
        self._clock = clock
        self._limit = failures
        self._cooldown_us = cooldown_us
        self._failures = 0
        self._opened_us = 0
        self._state = BreakerState.CLOSED
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """As it was left by the last call; an open breaker becomes half open by the next call, not by time alone."""
        return self._state

    def admit(self) -> bool:
        """Whether a call may go through now. Whoever is admitted reports `succeeded` or `failed`."""
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return True
            waited_us = self._clock.monotonic_us() - self._opened_us
            # a trial that was never reported back must not keep the breaker half open for ever
            if waited_us < self._cooldown_us:
                return False
            self._state = BreakerState.HALF_OPEN
            self._opened_us = self._clock.monotonic_us()
            return True

    def succeeded(self) -> None:
        """Report that the store answered, whatever it said."""
        with self._lock:
            self._failures = 0
            self._state = BreakerState.CLOSED

    def failed(self) -> None:
        """Report that the store did not answer."""
        with self._lock:
            self._failures += 1
            if self._state is BreakerState.HALF_OPEN or self._failures >= self._limit:
                self._state = BreakerState.OPEN
                self._opened_us = self._clock.monotonic_us()
