"""The log with its outcomes in formats of others, written beside the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from takt.features.spec import FeatureSpec
from takt_training.archive.export import Telling
from takt_training.logged.dataset import Logged
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from takt_training.logged.obp import bandit_feedback
from takt_training.logged.vw import lines

FILES: Final = {"vw": "log.dsjson", "obp": "bandit_feedback.npz"}


def write(archive: Path, kind: str, spec: FeatureSpec, goal: Goal, console: Console) -> dict[str, Any]:
    """Join outcomes and write `vw` or `obp`; says where and what. Raises what `load` raises."""
    with Telling(console, "decisions") as telling:
        logged = load(archive, spec, goal, tell=lambda done: telling(done, done))
    path = archive / kind / FILES[kind]
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    if kind == "vw":
        _write_lines(draft, logged, console)
    else:
        with draft.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **bandit_feedback(logged))
    draft.replace(path)
    return {"file": str(path), "slots": len(logged.slots), "examples": int(logged.example.sum()), **logged.counts}


def _write_lines(path: Path, logged: Logged, console: Console) -> None:
    with path.open("w", encoding="utf-8") as file, Telling(console, "lines") as telling:
        total = len(logged.slots)
        for line in lines(logged, lambda done: telling(done, total)):
            file.write(line)
            file.write("\n")
