"""`takt log export` to Parquet, from start to end: open, drain with progress, say what was done."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from msgspec.structs import asdict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from takt.ports import Store
from takt_training.archive.directory import opened
from takt_training.archive.drain import Drain, Drained

LAG_HOURS: Final = 6.0
"""An entry that waited longer is warned about: the log is what fills a server."""
SAY_EVERY: Final = 100_000
"""Entries between two lines where there is no terminal."""


class Telling:
    """A progress bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, what: str) -> None:
        """`what` is counted."""
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._console = console
        self._what = what
        self._bar: AbstractContextManager[Any] = (
            Progress(*columns, console=console) if console.is_terminal else nullcontext()
        )
        self._task: Any = None
        self._said = 0
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def __call__(self, done: int, total: int) -> None:
        """So many are done."""
        if isinstance(self._bar, Progress):
            if self._task is None:
                self._task = self._bar.add_task(self._what, total=total)
            self._bar.update(self._task, completed=done, total=max(done, total))
        elif done - self._said >= SAY_EVERY or done >= total:
            self._said = done
            seconds = time.monotonic() - self._begun
            self._console.print(f"{self._what} {done:,} of {max(done, total):,} after {seconds:.1f} s", highlight=False)


def drain(store: Store, out: Path, *, trim: bool, segment_entries: int, console: Console) -> Drained:
    """Drain a store's log to the archive in `out`. Raises `PreconditionError`, `StoreError`."""
    store.check_marker()
    begun_ms = time.time_ns() // 1_000_000
    with opened(out) as archive, Telling(console, "entries") as telling:
        done = Drain(store, archive, trim=trim, segment_entries=segment_entries).run(telling)
    hours = (begun_ms - done.oldest_ms) / 3_600_000 if done.oldest_ms else 0.0
    if hours > LAG_HOURS:
        done.warnings.append(f"the oldest entry waited for {hours:.1f} hours to be exported; run this more often")
    return done


def told(done: Drained, out: Path, *, seconds: float) -> dict[str, Any]:
    """What was done, for scripts."""
    return {"out": str(out), "seconds": round(seconds, 3), **asdict(done)}


def show(done: Drained, out: Path, console: Console, *, seconds: float) -> None:
    """What was done, for people."""
    written = ", ".join(f"{count:,} {kind}" for kind, count in done.entries.items()) or "nothing new"
    console.print(f"{out}: {written}, in {seconds:.1f} s", highlight=False)
    console.print(f"trimmed {done.trimmed:,} from the store, {done.left:,} stay there for now", highlight=False)
    for warning in done.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
