"""How far an archive has come: the one file whose replacement makes a segment part of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from takt.domain.log import START, LogPosition
from takt.errors import PreconditionError

FILE: Final = "positions.json"
FORMAT: Final = 1


class Positions(Struct, frozen=True):
    """What is in the archive: everything up to these positions, and nothing else."""

    store_id: str
    segment: int
    """Number of the last segment that is part of it; 0 before the first."""
    reached: tuple[LogPosition, ...]
    """Of each partition, the last entry that is in it."""
    entries: tuple[int, ...]
    """Of each partition, how many are in it."""
    passed: tuple[int, ...]
    """Of each partition, how many had been trimmed before the first export."""
    newest_us: int = 0
    """The newest moment that was read in any partition, microseconds."""
    through_us: int = 0
    """Up to here it is complete, in all partitions: `newest_us` when the log was last read to its end."""

    @classmethod
    def start(cls, store_id: str, trimmed: list[int]) -> Self:
        """Of an archive in which nothing is yet."""
        n = len(trimmed)
        return cls(store_id, 0, (START,) * n, (0,) * n, tuple(trimmed))

    def advanced(self, partition: int, position: LogPosition, entries: int) -> Self:
        """With so many more entries of a partition, the last of them at `position`."""
        reached, counts = list(self.reached), list(self.entries)
        reached[partition] = position
        counts[partition] += entries
        return replace(self, reached=tuple(reached), entries=tuple(counts))

    def pack(self) -> bytes:
        """As it stands in its file."""
        partitions = [
            {"reached": str(reached), "entries": entries, "passed": passed}
            for reached, entries, passed in zip(self.reached, self.entries, self.passed, strict=True)
        ]
        told = {
            "format": FORMAT,
            "store_id": self.store_id,
            "segment": self.segment,
            "newest_us": self.newest_us,
            "through_us": self.through_us,
            "partitions": partitions,
        }
        return (json.dumps(told, indent=1) + "\n").encode()


def read_positions(directory: Path) -> Positions | None:
    """How far an archive has come; None where there is none. Raises `PreconditionError` if it cannot be read."""
    path = directory / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return _parse(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise PreconditionError(
            f"{path}: says not how far the archive has come ({error}); restore it, or export to another directory"
        ) from error


def _parse(read: Any) -> Positions:
    if read["format"] != FORMAT:
        raise ValueError(f"it is of format {read['format']!r}, and this version reads {FORMAT}")
    partitions = read["partitions"]
    return Positions(
        store_id=str(read["store_id"]),
        segment=int(read["segment"]),
        reached=tuple(_position(p["reached"]) for p in partitions),
        entries=tuple(int(p["entries"]) for p in partitions),
        passed=tuple(int(p["passed"]) for p in partitions),
        newest_us=int(read["newest_us"]),
        through_us=int(read["through_us"]),
    )


def _position(text: str) -> LogPosition:
    ms, _, sequence = text.partition("-")
    return LogPosition(int(ms), int(sequence))


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file, so that after any crash there is the old content or the new, and after return the new."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
