"""`make bench`: what a full decision costs, beside an empty call and beside the service one would otherwise write.

It says what it does as it goes, prints a table, writes `bench/results/latest.json`, and prints as its last line one
JSON object of figures with their bars. Exits 1 if a bar is missed, a scene failed, or a figure was not measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import floors, plot, report, scenes, soak
from bench.figures import BARS
from bench.load import Generator
from bench.scenes import Bench
from bench.stand import ASKED, Stand, stand
from bench.workspace import Size

MILLION: Final = 1_000_000
IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
SUBJECTS: Final = ("grpcio", "native", "peer")
SOAKED: Final = "soak_growth_mb"
SCENES: Final = (
    *("floors", "front", "half", "overload", "stream", "workers"),
    *("offers", "caps", "ledger", "profiles", "start", "disk", "soak"),
)


def main() -> None:
    """Measure, print a table, write the figures."""
    arguments = _arguments()
    out = Console(width=None if sys.stdout.isatty() else 120)
    begun = time.time()
    chosen = frozenset(arguments.only)
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="takt-bench-", dir=arguments.data) as scratch, Generator() as generator:
        bench = Bench(
            generator,
            Path(scratch),
            out,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            only=chosen & set(SUBJECTS),
            workers=arguments.workers,
            quick=arguments.quick,
            part=bool(chosen),
        )
        bench.say(f"stores keep their data in {arguments.data}; every commit is synced before it is answered")
        with stand(bench.folder()) as usual:
            grown = usual.populate(ASKED)
            bench.notes.add("bytes_per_profile_of_20k", grown / ASKED)
            usual.contacted()
            for name, scene in _scenes(bench, usual, arguments).items():
                if not chosen & set(SCENES) or name in chosen:
                    at = time.time()
                    try:
                        scene()
                    except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, the other scenes can be measured
                        failed.append(name)
                        traceback.print_exc()
                    finally:
                        # what was measured stays, whatever becomes of the rest
                        report.write(bench, took_s=time.time() - begun, data=str(arguments.data), last=name)
                    bench.say(f"{name}: {time.time() - at:.0f} s{', and it failed' if name in failed else ''}")
    if "bytes_per_profile" not in bench.notes.rounds:
        bench.notes.add("bytes_per_profile", bench.notes.median("bytes_per_profile_of_20k"))
    report.write(bench, took_s=time.time() - begun, data=str(arguments.data))
    report.show(out, bench.notes, report.PART if chosen else report.RESULTS)
    plot.draw(bench.notes, report.RESULTS.parent)
    figures = bench.notes.figures()
    print(json.dumps(figures), flush=True)
    if failed:
        out.print(f"failed, see above: {', '.join(failed)}", highlight=False)
    whole = not (chosen or arguments.quick)
    lacking = [name for name in BARS if whole and name not in figures and (name != SOAKED or arguments.soak)]
    if lacking:
        out.print(f"not measured: {', '.join(lacking)}", highlight=False)
    sys.exit(0 if all(figure["ok"] for figure in figures.values()) and not (failed or lacking) else 1)


def _scenes(bench: Bench, usual: Stand, arguments: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """What is measured, in order."""
    wanted: dict[str, Callable[[], None]] = {
        "floors": lambda: floors.measure(bench, usual),
        "front": lambda: scenes.front_ends(bench, usual),
    }
    if bench.only and not set(arguments.only) & set(SCENES):
        return wanted
    if arguments.quick and not set(arguments.only) & set(SCENES):
        return wanted
    wanted |= {
        "half": lambda: scenes.half_load(bench, usual),
        "overload": lambda: scenes.overload(bench, usual),
        "stream": lambda: scenes.stream(bench, usual),
        "workers": lambda: scenes.workers(bench, usual),
        "offers": lambda: scenes.sizes(bench, usual, {f"offers_{n}": Size(offers=n) for n in (10, 1_000, 10_000)}),
        "caps": lambda: scenes.sizes(bench, usual, {f"caps_{n}": Size(caps=n) for n in (1, 10)}),
        "ledger": lambda: scenes.ledgers(bench, usual),
        "profiles": lambda: scenes.profiles(bench, arguments.profiles),
        "start": lambda: scenes.start(bench, usual),
        "disk": lambda: scenes.disk(bench),
    }
    if arguments.soak:
        wanted["soak"] = lambda: soak.soak(bench, usual, arguments.soak)
    return wanted


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the ratios that fit into 50 s: 3 short rounds")
    parser.add_argument("--rounds", type=int, help="rounds of every scene (5; 3 with --quick)")
    parser.add_argument("--seconds", type=float, help="seconds of load per subject and round (1.2; 0.5 with --quick)")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=(*SUBJECTS, *SCENES),
        help="only this subject (the others' ratios fall away) or this scene; may be repeated",
    )
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="watch memory and latency as long")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service (1)")
    parser.add_argument("--profiles", type=int, default=MILLION, help="profiles of the large store (1000000)")
    parser.add_argument(
        "--data",
        type=Path,
        default=IN_MEMORY if IN_MEMORY.is_dir() else Path(tempfile.gettempdir()),
        help="where the stores keep their data (a folder in memory, so that it is not this machine's disk that counts)",
    )
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 5)
    given.seconds = given.seconds or (0.5 if given.quick else 1.2)
    return given


if __name__ == "__main__":
    main()
