"""Writes what the last run showed into `docs/performance.md`, between its marks. Run as `python -m bench.page`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.figures import BARS
from bench.report import RESULTS, shown

PAGE: Final = Path("docs/performance.md")
PLOTS: Final = Path("docs/performance")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
SUBJECTS: Final = (
    ("empty_grpcio", "empty call, grpcio"),
    ("empty_native", "empty call, native"),
    ("decide_native", "decision, native"),
    ("decide_grpcio", "decision, grpcio"),
    ("peer", "peer's decision"),
    ("disk", "decision, native, store on disk"),
)


def main() -> None:
    """Replace what stands between the marks, and copy the plots beside the page."""
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN} and {END}")
    plots = [name for name in ("load.svg", "cost.svg") if (RESULTS.parent / name).is_file()]
    parts = [
        _run(told["run"]),
        _figures(told),
        _rates(told["absolutes"]),
        _shares(told["shares"]),
        _floors(told["absolutes"]),
    ]
    for name in plots:
        PLOTS.mkdir(exist_ok=True)
        shutil.copyfile(RESULTS.parent / name, PLOTS / name)
        parts.append(f"![{name.removesuffix('.svg')}](performance/{name})")
    PAGE.write_text(
        before + BEGIN + "\n\n" + "\n\n".join(part for part in parts if part) + "\n\n" + END + after, "utf-8"
    )


def _run(run: dict[str, Any]) -> str:
    kind = "quick run" if run["quick"] else "run"
    ended = f" It ended after the scene `{run['ended_after']}`, before the others." if run["ended_after"] else ""
    return (
        f"A {kind} of {run['rounds']} rounds on {run['at'][:10]}, commit `{run['commit']}`, in {run['took_s']} s: "
        f"{run['cores']} cores ({run['processor']}), Python {run['python']}, grpcio {run['grpcio']}, "
        f"ONNX Runtime {run['onnxruntime']}.{ended}"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    rule = "|".join(["---", *("---:" for _ in head[1:])])
    return "\n".join((f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)))


def _figures(told: dict[str, Any]) -> str:
    rows = []
    for name, bar in BARS.items():
        if name in told:
            figure = told[name]
            spread = f"{shown(figure['least'])} to {shown(figure['most'])}"
            met = "met" if figure["ok"] else "**missed**"
            rows.append((f"{bar.means} (`{name}`)", shown(figure["value"]), spread, str(bar), bar.aimed or "", met))
        else:
            reason = told["not_measured"].get(name, "not part of this run")
            rows.append((f"{bar.means} (`{name}`)", "", "", str(bar), bar.aimed or "", reason))
    return _table(("figure", "median", "rounds", "must", "aim", ""), rows)


def _rates(known: dict[str, Any]) -> str:
    rows = []
    for subject, label in SUBJECTS:
        if f"{subject}_p50_ms_1" in known:
            kinds = ("p50_ms_1", "per_s_64", "per_s_256", "server_cpu_us_64", "store_cpu_us_64", "generator_cpu_us_64")
            found = [known.get(f"{subject}_{kind}") for kind in kinds]
            rows.append((label, *(shown(value["median"]) if value else "" for value in found)))
    head = ("", "lone p50, ms", "per s, 64 callers", "256", "us of CPU per call: server", "store", "generator")
    return _table(head, rows) if rows else ""


def _shares(told: dict[str, dict[str, float]]) -> str:
    named = {
        "decide_native": "native",
        "decide_grpcio": "grpcio",
        "offers_1000": "1,000 offers",
        "ledger_200": "200 contacts",
    }
    chosen = {label: told[name] for name, label in named.items() if name in told}
    kinds = list(dict.fromkeys(kind for shares in chosen.values() for kind in shares))
    rows = [(kind, *(f"{shares.get(kind, 0):g}" for shares in chosen.values())) for kind in kinds]
    return _table(("percent of a decision, 64 callers", *chosen), rows) if chosen else ""


def _floors(known: dict[str, Any]) -> str:
    floors = {
        "floor_round_trip_us": "one round trip to the store",
        "floor_fetch_us_1": "fetch for 1 person",
        "floor_fetch_us_64": "fetch for 64",
        "floor_model_us_1": "run of the model for 1",
        "floor_model_us_64": "run of the model for 64",
        "floor_sync_us_data": "sync where the store keeps its data",
        "floor_sync_us_disk": "sync of this machine's disk",
    }
    rows = [(label, shown(known[name]["median"])) for name, label in floors.items() if name in known]
    return _table(("floor", "microseconds"), rows) if rows else ""


if __name__ == "__main__":
    main()
