"""What a crash leaves of a segment, at each of its steps, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from takt.domain.log import LogPosition
from takt_training.archive.directory import files, opened
from takt_training.archive.positions import Positions, read_positions
from takt_training.archive.tables import DECISIONS, FEEDBACK, DayTable

EMPTY = Positions.start("store", [0])


def tables(*numbers: int) -> list[DayTable]:
    """Two kinds of rows of one day."""
    table = pa.table({"number": list(numbers)})
    return [DayTable(DECISIONS, "2026-11-26", table), DayTable(FEEDBACK, "2026-11-26", table)]


def archive_of(directory: Path, segments: int) -> None:
    """An archive of so many segments."""
    with opened(directory) as archive:
        for number in range(1, segments + 1):
            archive.add((archive.positions or EMPTY).advanced(0, LogPosition(number, 0), 1), tables(number))


def numbers(directory: Path, kind: str) -> list[int]:
    """What can be seen by anybody who reads the folder."""
    return [n for path in files(directory, kind) for n in pq.read_table(path, partitioning=None)["number"].to_pylist()]


def hide(directory: Path, segment: int) -> None:
    """Take a segment's files back to the names they are written under."""
    for path in directory.glob(f"*/day=*/{segment:08d}-*.parquet"):
        path.rename(path.with_name(f".{path.name}.part"))


def test_segments_stand_in_their_order(tmp_path: Path) -> None:
    """What was added is there, once, and the archive says how far it has come."""
    archive_of(tmp_path, 3)

    assert [1, 2, 3] == numbers(tmp_path, DECISIONS) == numbers(tmp_path, FEEDBACK)
    positions = read_positions(tmp_path)
    assert positions is not None
    assert (3, (LogPosition(3, 0),), (3,)) == (positions.segment, positions.reached, positions.entries)


def test_killed_before_it_counts(tmp_path: Path) -> None:
    """Files that positions do not speak of are forgotten: their entries will be read again."""
    archive_of(tmp_path, 2)
    before = (tmp_path / "positions.json").read_bytes()
    archive_of(tmp_path, 1)
    hide(tmp_path, 3)
    (tmp_path / "positions.json").write_bytes(before)

    assert [1, 2] == numbers(tmp_path, DECISIONS)
    with opened(tmp_path):
        pass

    assert [1, 2] == numbers(tmp_path, DECISIONS) == numbers(tmp_path, FEEDBACK)
    assert [] == list(tmp_path.glob("*/day=*/.*"))


@pytest.mark.parametrize("renamed", [0, 1])
def test_killed_before_its_files_are_named(tmp_path: Path, renamed: int) -> None:
    """Once positions speak of it, a segment is finished by whoever comes next, however many of its files were named."""
    archive_of(tmp_path, 2)
    hide(tmp_path, 2)
    for path in sorted(tmp_path.glob("*/day=*/.*.part"))[:renamed]:
        path.rename(path.with_name(path.name[1:].removesuffix(".part")))

    with opened(tmp_path):
        pass

    assert [1, 2] == numbers(tmp_path, DECISIONS) == numbers(tmp_path, FEEDBACK)


def test_killed_while_a_file_was_written(tmp_path: Path) -> None:
    """A file that was cut short never counted."""
    archive_of(tmp_path, 1)
    (tmp_path / DECISIONS / "day=2026-11-26" / ".00000002-0.parquet.part").write_bytes(b"PAR1")
    (tmp_path / ".positions.json.new").write_bytes(b"{")

    archive_of(tmp_path, 1)

    assert [1, 1] == numbers(tmp_path, DECISIONS)
    assert 2 == getattr(read_positions(tmp_path), "segment", None)


def test_texts_are_kept_once(tmp_path: Path) -> None:
    """Layouts and legends never change: the first stands."""
    with opened(tmp_path) as archive:
        archive.keep("legends", "c1", "one")
        archive.keep("legends", "c1", "two")

    assert "one" == (tmp_path / "legends" / "c1.json").read_text()
