"""`takt.ports.Editions` in plain dictionaries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from takt.clock import Clock
from takt.domain.edition import HEARD_WITHIN_US, KEPT_EDITIONS, PATIENCE_US, Edition, Following, SourceFile


class Marked(Protocol):
    """What the editions need of their store. `edition` is as the marker has it."""

    edition: int
    log: list[tuple[str, bytes]]


class MemoryEditions:
    """The catalogs of a store in memory; `lock` is the store's."""

    def __init__(self, store: Marked, clock: Clock, lock: threading.Lock, check_marker: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._lock = lock
        self._check_marker = check_marker
        self._kept: list[tuple[Edition, tuple[SourceFile, ...]]] = []
        self._heard: dict[bytes, tuple[int, int, int]] = {}
        """By replica: which edition it has loaded, which one it decides by, and when it was heard of."""

    def history(self) -> list[Edition]:
        """See `takt.ports.Editions`."""
        with self._lock:
            return [edition for edition, _ in reversed(self._kept)]

    def files(self, number: int) -> tuple[SourceFile, ...] | None:
        """See `takt.ports.Editions`."""
        with self._lock:
            return next((files for edition, files in self._kept if edition.number == number), None)

    def has_contacts(self) -> bool:
        """See `takt.ports.Editions`."""
        with self._lock:
            return bool(self._store.log)

    def announce(self, edition: Edition, files: Sequence[SourceFile]) -> bool:
        """See `takt.ports.Editions`."""
        with self._lock:
            self._check_marker()
            last = self._kept[-1][0] if self._kept else None
            if edition.number != (last.number if last else 0) + 1 or (last and not last.in_force_us):
                return False
            self._kept.append((replace(edition, announced_us=self._clock.now_us(), in_force_us=0), tuple(files)))
            del self._kept[:-KEPT_EDITIONS]
            return True

    def follow(self, replica: bytes, prepared: int, decides: int) -> Following:
        """See `takt.ports.Editions`."""
        with self._lock:
            self._check_marker()
            now_us = self._clock.now_us()
            self._heard[replica] = (prepared, decides, now_us)
            self._heard = {r: heard for r, heard in self._heard.items() if now_us - heard[2] <= HEARD_WITHIN_US}
            announced = in_force = self._kept[-1][0].number if self._kept else 0
            ready = sum(loaded >= announced for loaded, _, _ in self._heard.values())
            if self._kept and not self._kept[-1][0].in_force_us:
                last, files = self._kept[-1]
                if ready == len(self._heard) or now_us >= last.announced_us + PATIENCE_US:
                    self._kept[-1] = (replace(last, in_force_us=now_us), files)
                else:
                    in_force -= 1
            turned = sum(by >= in_force for _, by, _ in self._heard.values())
            return Following(now_us, announced, in_force, len(self._heard), ready, turned)

    def leave(self, replica: bytes) -> None:
        """See `takt.ports.Editions`."""
        with self._lock:
            self._heard.pop(replica, None)

    def advance(self, number: int) -> None:
        """See `takt.ports.Editions`."""
        with self._lock:
            self._check_marker()
            self._store.edition = max(self._store.edition, number)

    def cover(self, number: int, since_us: int, actor: str, reason: str) -> bool:  # noqa: ARG002 - kept by real stores
        """See `takt.ports.Editions`."""
        with self._lock:
            self._check_marker()
            if not self._kept or self._kept[-1][0].number != number:
                return False
            edition, files = self._kept[-1]
            stated_us = since_us if edition.stated_us is None else min(edition.stated_us, since_us)
            self._kept[-1] = (replace(edition, stated_us=stated_us), files)
            return True
