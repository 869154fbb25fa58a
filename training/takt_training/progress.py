"""How training tells where it is: a bar per step on a terminal, a line per step elsewhere."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Steps:
    """One progress bar per step, by the step's name."""

    def __init__(self, console: Console) -> None:
        """Bars on a terminal; one line per finished step elsewhere."""
        columns = (TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn())
        self._console = console
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, name: str, share: float) -> None:
        """A step is `share` done; its first call starts it."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=1.0)
            if not self._console.is_terminal:
                self._console.print(f"{name} ...")
        self._progress.update(self._tasks[name], completed=share)
