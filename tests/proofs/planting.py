"""What must not be learned from, planted: a column that knows the outcome, a log counted twice, shuffled times."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from takt_training.archive.directory import files, opened
from takt_training.archive.drain import Drain
from takt_training.demo import places
from tests.proofs.figures import Figures
from tests.proofs.log_scale import LongLog, LongStore, real_records

TABLE: Final = Path(__file__).parents[2] / "examples" / "table"
DECISIONS: Final = 32_000
SETTINGS: Final = {"name": "planted", "version": "1.0.0", "goal": "purchase", "window": "1m", "split": {"by": "person"}}


def planted(figures: Figures, quick: bool) -> None:
    """Each is refused by the command that anyone would run, with a message that names it. Not with `--quick`."""
    if quick:
        return
    figures.step("what must not be learned from, planted")
    with tempfile.TemporaryDirectory(prefix="takt-planted-") as temporary:
        directory = Path(temporary)
        figures.check("leak", _leak(directory / "leak"), "== refused")
        archive = directory / "archive"
        _log(archive)
        figures.check("untouched_log", _trained(archive, directory / "1", "Bundle and report are in"), "== trained")
        for name, plant, message in (
            ("duplicate_of_the_log", _copied, "decisions stand twice"),
            ("shuffled_times", _shuffled, "times run backwards"),
        ):
            touched = directory / name
            shutil.copytree(archive, touched)
            plant(touched)
            figures.check(name, _trained(touched, directory / f"{name}-out", message), "== refused")


def _leak(directory: Path) -> str:
    """Revenue under another name, filled in only where something was bought."""
    directory.mkdir()
    frame = pd.read_csv(TABLE / "contacts.csv", dtype="str", keep_default_na=False)
    frame.assign(basket=frame.revenue).to_csv(directory / "contacts.csv", index=False)
    mapping = (TABLE / "mapping.yaml").read_text(encoding="utf-8")
    segment = "  - {column: segment, type: category}"
    assert segment in mapping
    (directory / "mapping.yaml").write_text(
        mapping.replace(segment, "  - {column: basket, type: float}"), encoding="utf-8"
    )
    table = ("--table", directory / "contacts.csv", "--mapping", directory / "mapping.yaml")
    workspace = ("--workspace", directory / "workspace", "--out", directory / "bundle")
    return _told(
        ("train", *table, *workspace), directory / "bundle", "profile.basket: whether it is filled in alone predicts"
    )


def _log(archive: Path) -> None:
    """An archive of real decisions."""
    records, version, text, layout, fingerprint = real_records()
    store = LongStore(LongLog(DECISIONS, records, version, text))
    store.register_layout(fingerprint, layout)
    with opened(archive) as kept:
        Drain(store, kept, trim=False).run(lambda done, total: None)  # noqa: ARG005


def _copied(archive: Path) -> None:
    """A file of decisions stands twice, as after a careless restore."""
    path = files(archive, "decisions")[0]
    shutil.copy(path, path.with_name("99999999-0.parquet"))


def _shuffled(archive: Path) -> None:
    """The moments of a file's decisions are dealt out anew."""
    path = files(archive, "decisions")[0]
    table = pq.read_table(path, partitioning=None)
    order = pa.array(np.random.default_rng(1).permutation(table.num_rows))
    at = table.schema.get_field_index("decided_at")
    pq.write_table(table.set_column(at, "decided_at", table["decided_at"].take(order)), path)


def _trained(archive: Path, out: Path, message: str) -> str:
    settings = archive.with_suffix(".yaml")
    settings.write_text(json.dumps(SETTINGS), encoding="utf-8")
    workspace = ("--workspace", places.workspace(None), "--settings", settings)
    return _told(("train", "--log", archive, *workspace, "--out", out), out, message)


def _told(command: tuple[object, ...], out: Path, message: str) -> str:
    """Run a command of takt: `trained` with a bundle and a message, `refused` without and with one, or what it said."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("takt")), *map(str, command)], capture_output=True, text=True, check=False
    )
    said = " ".join((done.stdout + done.stderr).split())
    if message not in said:
        return f"exit {done.returncode}, without {message!r}: {said[-300:]}"
    if (out / "model.onnx").is_file():
        return "trained"
    return "refused" if done.returncode == 1 else f"exit {done.returncode}"
