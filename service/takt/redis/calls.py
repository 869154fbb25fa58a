"""A batch in one round trip: on a plain server as one command, in a cluster as one command per slot touched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from msgspec import Struct
from redis.exceptions import ResponseError

from takt.clock import Clock
from takt.errors import StoreError, StoreMarkerError
from takt.ports import Begun
from takt.redis import frames
from takt.redis.functions import Functions
from takt.redis.marker import Marker
from takt.redis.wire import Command, Wire, explained


class Unit(NamedTuple):
    """One group, event, profile or claim on its way to a server-side function."""

    partition: int
    keys: tuple[bytes, ...]
    """As many as the function takes per unit, all in the partition's slot."""
    frame: bytes


class Calls(Struct, frozen=True, dict=True):
    """Reads and function calls for batches. Answers come in the order of what was asked."""

    wire: Wire
    functions: Functions
    marker: Marker
    per_slot: bool
    """Whether one command may touch one slot only."""
    clock: Clock | None = None
    """Stands in for the server's time."""

    def read(self, name: str, wanted: Sequence[tuple[int, bytes]], *first: Command) -> tuple[list[Any], list[Any]]:
        """Values of (partition, key) pairs, None where there is none, and the replies to the commands sent before."""
        return self.begin_read(name, wanted, *first)()

    def begin_read(
        self, name: str, wanted: Sequence[tuple[int, bytes]], *first: Command
    ) -> Begun[tuple[list[Any], list[Any]]]:
        """`read`, under way."""
        plan = self._plan(wanted)
        commands = [*first]
        commands += [("MGET", *(wanted[at][1] for at in part)) for part in plan]
        begun = self.wire.begin(name, commands) if commands else list

        def read() -> tuple[list[Any], list[Any]]:
            replies = self.wire.checked(begun())
            values: list[Any] = [None] * len(wanted)
            for part, reply in zip(plan, replies[len(first) :], strict=True):
                for at, value in zip(part, reply, strict=True):
                    values[at] = value
            return values, replies[: len(first)]

        return read

    def run(self, name: str, function: str, units: Sequence[Unit]) -> list[tuple[Any, int]]:
        """Answer of a function to each unit, and the time it went by. After a `StoreError` anything may be written.

        Where the server has lost the functions they are loaded again and the call repeated: nothing had run.
        """
        return self.begin_run(name, function, units)()

    def begin_run(self, name: str, function: str, units: Sequence[Unit]) -> Begun[list[tuple[Any, int]]]:
        """`run`, under way."""
        plan = self._plan(units)
        if not plan:
            return list

        def commands(parts: Sequence[list[int]]) -> list[Command]:
            return [self._command(function, [units[at] for at in part]) for part in parts]

        begun = self.wire.begin(name, commands(plan))

        def run() -> list[tuple[Any, int]]:
            replies = begun()
            lost = [number for number, reply in enumerate(replies) if self.functions.is_missing(reply)]
            if lost:
                self.functions.load()
                again = self.wire.attempt(name, commands([plan[number] for number in lost]))
                for number, reply in zip(lost, again, strict=True):
                    replies[number] = reply
            answers: list[tuple[Any, int]] = [(None, 0)] * len(units)
            for part, reply in zip(plan, replies, strict=True):
                if isinstance(reply, ResponseError):
                    raise StoreError(f"{self.wire.shown}: {explained(reply)}")
                for at, answer in zip(part, reply[1:], strict=True):
                    answers[at] = (answer, reply[0])
            return answers

        return run

    def codes(self, name: str, function: str, units: Sequence[Unit]) -> list[int]:
        """Do as `run` does for functions that answer with a code, and raise `StoreMarkerError` on a missing marker."""
        codes = [code for code, _ in self.run(name, function, units)]
        self.check_marker(codes, units)
        return codes

    def check_marker(self, codes: Sequence[int], units: Sequence[Unit]) -> None:
        """Raise `StoreMarkerError` if a unit's answer says that its partition lacks its marker."""
        if frames.MARKER in codes:
            partition = units[codes.index(frames.MARKER)].partition
            raise StoreMarkerError(
                f"{self.wire.shown}: partition {partition} does not bear the marker of store {self.marker.store_id}: "
                "it lost data, or it is another store; restore its data"
            )

    def _command(self, function: str, units: Sequence[Unit]) -> Command:
        keys = [key for unit in units for key in unit.keys]
        given_us = self.clock.now_us() if self.clock else 0
        arguments = [frames.common(given_us, self.marker.retention_us), self._marked, *(u.frame for u in units)]
        return self.functions.command(function, keys, arguments)

    @cached_property
    def _marked(self) -> bytes:
        """The marker, as it is in every command."""
        return self.marker.pack()

    def _plan(self, asked: Sequence[Unit | tuple[int, bytes]]) -> list[list[int]]:
        """Which of what is asked, each with its partition first, go into one command, by their positions."""
        if not self.per_slot:
            return [list(range(len(asked)))] if asked else []
        parts: dict[int, list[int]] = {}
        for at, one in enumerate(asked):
            parts.setdefault(one[0], []).append(at)
        return list(parts.values())
