"""What a run showed, as a table and as `bench/results/latest.json`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
import onnxruntime
from rich.console import Console
from rich.table import Table

from bench.figures import BARS, Notes
from bench.scenes import Bench

RESULTS: Final = Path("bench/results/latest.json")
PART: Final = RESULTS.with_name("part.local.json")
"""Where a run of some scenes or subjects is kept: it must not take the place of a whole one."""
SHARES: Final = {
    "Redis": ("commit", "trip fetch", "trip resolve"),
    "ONNX": ("score",),
    "numpy and kernels": ("read", "filter", "select"),
}
"""Which stages of the service's metrics belong to what; what is left is front end, protobuf and waiting."""


def write(bench: Bench, *, took_s: float, data: str, last: str | None = None) -> None:
    """Keep everything in the results' file; `last` is the scene after which a run that goes on, or went wrong, was."""
    told: dict[str, Any] = dict(bench.notes.figures())
    told["not_measured"] = bench.notes.missing
    told["absolutes"] = bench.notes.absolutes()
    told["shares"] = {subject: shares(bench.notes, subject) for subject in deciders(bench.notes)}
    told["run"] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "rounds": bench.rounds,
        "seconds_per_run": bench.seconds,
        "quick": bench.quick,
        "took_s": round(took_s),
        "ended_after": last,
        "data": data,
        "cores": os.cpu_count(),
        "load_at_the_end": os.getloadavg()[0],
        "processor": _processor(),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    results = PART if bench.part else RESULTS
    results.parent.mkdir(parents=True, exist_ok=True)
    written = results.with_suffix(".new")
    written.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    written.replace(results)


def deciders(notes: Notes) -> list[str]:
    """Subjects at 64 callers whose stages are known."""
    return sorted({name.partition("_stages_")[0] for name in notes.rounds if "_stages_64 " in name})


def shares(notes: Notes, subject: str, callers: int = 64) -> dict[str, float]:
    """Percent of the time per decision by where it goes, at so many callers.

    Stages overlap where the service lets them; then the shares are of their sum.
    """
    prefix, suffix = f"{subject}_stages_{callers} ", " us"
    stages = {
        name.removeprefix(prefix).removesuffix(suffix): notes.median(name)
        for name in notes.rounds
        if name.startswith(prefix)
    }
    known = {stage for names in SHARES.values() for stage in names}
    spent = {kind: sum(stages.get(name, 0.0) for name in names) for kind, names in SHARES.items()}
    spent |= {name: us for name, us in stages.items() if name not in known and not name.startswith("trip ")}
    whole = max(1e6 / notes.median(f"{subject}_per_s_{callers}"), sum(spent.values()))
    spent["front end, protobuf, waiting"] = whole - sum(spent.values())
    return {kind: round(100 * us / whole, 1) for kind, us in spent.items()}


def show(out: Console, notes: Notes, results: Path = RESULTS) -> None:
    """Print medians with their spread."""
    table = Table(title="figures with their bars")
    for column in ("figure", "median", "least", "most", "must", "aim", ""):
        table.add_column(column, justify="left" if column in {"figure", ""} else "right")
    for name, figure in notes.figures().items():
        verdict = "[green]met[/]" if figure["ok"] else "[red]missed[/]"
        numbers = (shown(figure[key]) for key in ("value", "least", "most"))
        table.add_row(name, *numbers, figure["bar"], figure["aim"] or "", verdict)
    for name, reason in notes.missing.items():
        table.add_row(name, "", "", "", str(BARS.get(name, "")), "", f"not measured: {reason}")
    out.print(table)
    rest = Table(title="what they were made from")
    for column in ("", "median", "least", "most"):
        rest.add_column(column, justify="left" if not column else "right")
    for name, told in notes.absolutes().items():
        rest.add_row(name, *(shown(told[key]) for key in ("median", "least", "most")))
    out.print(rest)
    where = Table(title="where the time of a decision goes, at 64 callers, in percent")
    where.add_column("")
    where.add_column("")
    for subject in deciders(notes):
        where.add_row(subject, ", ".join(f"{kind} {share:g}" for kind, share in shares(notes, subject).items()))
    out.print(where)
    out.print(f"written to {results}", highlight=False)


def shown(value: float) -> str:
    """Three digits, or whole thousands."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True)
    return found.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
