"""An archive on disk: files by kind and day, and how they come to be part of it, each exactly once.

    positions.json                                   how far it has come
    decisions/day=2026-11-26/00000012-0.parquet      of segment 12
    feedback/day=2026-11-26/00000012-0.parquet
    changes/day=..., damaged/day=...
    layouts/<fingerprint>.json, legends/<catalog>.json

A segment's files are written under hidden names and made durable. Replacing `positions.json` is what makes them part
of the archive, together with how far it has come. Only then they get their names. Whoever opens an archive finishes
what a crash left: hidden files of a segment that counts get their names, those of one that does not are deleted. So a
file that can be seen is always part of the archive, and no entry is ever seen twice.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from takt.errors import PreconditionError
from takt_training.archive.positions import FILE as POSITIONS
from takt_training.archive.positions import Positions, read_positions, sync_directory, write_durably
from takt_training.archive.tables import CHANGES, CONSENTS, DAMAGED, DECISIONS, FEEDBACK, DayTable

KINDS: Final = (DECISIONS, FEEDBACK, CHANGES, CONSENTS, DAMAGED)
FILE: Final = re.compile(r"(\d{8,})-\d+\.parquet")
_HIDDEN: Final = re.compile(r"\.(\d{8,})-\d+\.parquet\.part")

_LOCK: Final = ".lock"
_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Archive(Struct):
    """An archive that this process may write to. Make it with `opened`."""

    directory: Path
    positions: Positions | None
    """None before the first segment."""

    def add(self, positions: Positions, tables: list[DayTable]) -> Positions:
        """Make a segment part of the archive. On return it is durable; after a crash it is whole or not there."""
        number = (self.positions.segment if self.positions else 0) + 1
        hidden = []
        for index, made in enumerate(tables):
            path = self.directory / made.kind / f"day={made.day}" / f".{number:08d}-{index}.parquet.part"
            _make(path.parent)
            with path.open("wb") as file:
                pq.write_table(made.table, file, compression="zstd", row_group_size=65_536)
                file.flush()
                os.fsync(file.fileno())
            hidden.append(path)
        for directory in {path.parent for path in hidden}:
            sync_directory(directory)
        written = replace(positions, segment=number)
        self.record(written)
        _show(hidden)
        return written

    def record(self, positions: Positions) -> None:
        """Say how far it has come."""
        write_durably(self.directory / POSITIONS, positions.pack())
        self.positions = positions

    def keep(self, folder: str, name: str, text: str) -> None:
        """Keep a text under a name, once: layouts and legends never change."""
        if not _SAFE.fullmatch(name):
            raise PreconditionError(f"{name!r} cannot be the name of a file in {self.directory / folder}")
        path = self.directory / folder / f"{name}.json"
        if not path.exists():
            _make(path.parent)
            write_durably(path, text.encode())


@contextmanager
def opened(directory: Path) -> Iterator[Archive]:
    """An archive for writing, with whatever a crash left in order. Raises `PreconditionError` if it is in use."""
    _make(directory)
    with (directory / _LOCK).open("a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PreconditionError(f"{directory}: another export is writing to it; wait for it to end") from None
        positions = read_positions(directory)
        _recover(directory, positions.segment if positions else 0)
        yield Archive(directory, positions)


def files(directory: Path, kind: str) -> list[Path]:
    """The files of one kind, by segment; only those that are part of the archive."""
    found = [path for path in (directory / kind).glob("day=*/*.parquet") if FILE.fullmatch(path.name)]
    return sorted(found, key=lambda path: (path.name.partition("-")[0].zfill(20), path.name, path.parent.name))


def texts(directory: Path, folder: str) -> dict[str, str]:
    """Layouts or legends by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((directory / folder).glob("*.json"))}


def _recover(directory: Path, segment: int) -> None:
    """Finish the segment that counts; forget one that does not."""
    finished = []
    for kind in KINDS:
        for path in sorted((directory / kind).glob("day=*/.*.part")):
            found = _HIDDEN.fullmatch(path.name)
            if found and int(found[1]) <= segment:
                finished.append(path)
            elif found:
                path.unlink()
    _show(finished)


def _show(hidden: list[Path]) -> None:
    for path in hidden:
        path.replace(path.with_name(path.name[1:].removesuffix(".part")))
    for directory in {path.parent for path in hidden}:
        sync_directory(directory)


def _make(directory: Path) -> None:
    """Make a directory and its parents, durably."""
    missing = []
    at = directory
    while not at.exists():
        missing.append(at)
        at = at.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)
