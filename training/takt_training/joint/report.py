"""What a person reads of a training run (`report.md`, `reliability.svg`), and what a script reads (`report.json`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from takt.clock import DAY_US
from takt_training.complete_journey.report import reliability_svg
from takt_training.evaluation import Quality
from takt_training.joint.judgement import Judgement, bars
from takt_training.joint.training import Trained
from takt_training.metrics import Interval

_SUBJECT = """\
P({goal} within {days} days of the contact), two towers with joint timing and tonality. Figures for scripts are in
`report.json`."""
_WHO = """\
## Who accepts

{split}. Of {rows} contacts of {persons} people to judge by, {happened} were accepted. Intervals are 95% over people."""
_CALIBRATION = """\
## Calibration

![observed over expected, by tenths](reliability.svg)

The ECE is {ece:.4f}. If these estimates were exactly right, chance alone would make it {mean:.4f} on average and up to
{most:.4f} (95th percentile)."""

SHOWN_OFFERS = 20
SHOWN_COLUMNS = 15


def figures(found: Judgement) -> dict[str, dict[str, Any]]:
    """What a model should keep beside what it reached."""
    return {
        name: {"value": round(value, 6), "bar": bar, "ok": bool(ok)} for name, (value, bar, ok) in bars(found).items()
    }


def summary(found: Judgement) -> dict[str, Any]:
    """Held-out figures for the manifest."""
    return {
        "test_contacts": found.rows,
        "test_happened": found.happened,
        "auc": round(found.model.auc.value, 6),
        "auc_low": round(found.model.auc.low, 6),
        "auc_high": round(found.model.auc.high, 6),
        "auc_logistic": round(found.logistic.auc.value, 6),
        "auc_minus_logistic": round(found.difference.value, 6),
        "log_loss": round(found.model.log_loss, 6),
        "ece": round(found.model.ece, 6),
        "observed_over_expected": round(found.model.observed_over_expected, 6),
    }


def write_report(trained: Trained, found: Judgement, directory: Path, *, notes: Sequence[str] = ()) -> None:
    """Write the files beside the bundle's. `notes`: sentences about where the data came from."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = trained.settings
    told = {
        "bundle": f"{settings.name}/{settings.version}",
        "figures": figures(found),
        "split": trained.parts.told(),
        "judgement": asdict(found),
        "weights": {
            "clip": trained.weights.clip,
            "clipped": trained.weights.clipped,
            "largest_share": trained.weights.largest_share,
            "effective_rows": trained.weights.effective,
        },
        "heads": {name: {"epochs": head.epochs, "axes": list(head.axes)} for name, head in trained.heads.items()},
        "suspicious": [str(leak) for leak in trained.leaks],
        "warnings": warnings(trained, found),
        "notes": list(notes),
    }
    text = json.dumps(_rounded(told), indent=2, sort_keys=True, allow_nan=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    (directory / "reliability.svg").write_text(reliability_svg(found.reliability), encoding="utf-8")
    (directory / "report.md").write_text(markdown(trained, found, notes), encoding="utf-8")


def warnings(trained: Trained, found: Judgement) -> list[str]:
    """What a reader should know before anything else, in plain words."""
    told = []
    if found.difference.high < 0:
        told.append("The logistic regression ranks better. Prefer it, or find out why.")
    elif found.difference.low <= 0:
        told.append("Whether this ranks better than a logistic regression cannot be told from these data.")
    if found.model.log_loss >= found.constant_log_loss:
        told.append("One rate for everybody predicts better than this model.")
    if not 0.8 <= found.model.observed_over_expected <= 1.25:
        ratio = found.model.observed_over_expected
        told.append(f"The level is off: {ratio:.2f} times as many accepted as was expected.")
    if found.model.ece > found.perfect_ece[1]:
        told.append("The calibration error is larger than chance alone would make it.")
    if trained.weights.clip == 0 and trained.weights.uneven:
        told.append(
            "Rows are not weighted by how they were selected: where offers were not drawn at random, acceptance is "
            "that of the people who used to get them."
        )
    if trained.weights.largest_share > 0.02:
        told.append("A single row carries over 2% of the weight; clip lower.")
    told += [f"Suspicious: {leak}." for leak in trained.leaks]
    return told


def markdown(trained: Trained, found: Judgement, notes: Sequence[str]) -> str:
    """The report for a person."""
    settings = trained.settings
    mean, most = found.perfect_ece
    sections = [
        f"# {settings.name} {settings.version}",
        _SUBJECT.format(goal=settings.goal, days=settings.window_us // DAY_US),
        *_bullets("Read this first", [*warnings(trained, found), *notes]),
        _WHO.format(
            split=trained.parts.told(),
            rows=f"{found.rows:,}",
            persons=f"{found.persons:,}",
            happened=f"{found.happened:,}",
        ),
        _table(
            ("", "AUC", "log loss", "ECE", "observed / expected"),
            [
                ("two towers", *_cells(found.model)),
                ("logistic regression", *_cells(found.logistic)),
                ("one rate for everybody", ".5", f"{found.constant_log_loss:.4f}", "", ""),
            ],
        ),
        f"AUC of the two towers minus the logistic regression: {_signed(found.difference)} (paired).",
        _CALIBRATION.format(ece=found.model.ece, mean=mean, most=most),
        "## What it uses most\n\nAUC that is lost when one input is shuffled over the rows.",
        _table(("input", "loss"), [(one.column, f"{one.loss:+.4f}") for one in found.importance[:SHOWN_COLUMNS]]),
        "## By offer",
        _table(
            ("offer", "contacts", "expected", "accepted"),
            [
                (level.offer, f"{level.rows:,}", f"{level.expected:.1f}", f"{level.observed:,}")
                for level in found.offers[:SHOWN_OFFERS]
            ],
        ),
    ]
    if found.unseen is not None:
        sections.append(
            f"Offers that training had not seen, judged by their attributes: AUC {found.unseen.auc}, observed / "
            f"expected {found.unseen.observed_over_expected:.2f}."
        )
    if found.heads:
        sections += [
            "## Further outputs",
            _table(
                ("output", "rows", "expected", "seen", "AUC"),
                [
                    (
                        h.name,
                        f"{h.rows:,}",
                        f"{h.expected:.4f}",
                        f"{h.observed:.4f}",
                        "" if h.auc is None else f"{h.auc:.4f}",
                    )
                    for h in found.heads
                ],
            ),
        ]
    weights = trained.weights
    if weights.clip:
        sections.append(
            f"## Weights\n\nRows count 1 / propensity, at most {weights.clip:g}: {weights.clipped:,} rows were "
            f"clipped, the largest carries {weights.largest_share:.2%} of the sum, the effective number of rows is "
            f"{weights.effective:,.0f}."
        )
    return "\n\n".join(sections) + "\n"


def _bullets(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines)] if lines else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(quality: Quality) -> tuple[str, str, str, str]:
    return (
        str(quality.auc),
        f"{quality.log_loss:.4f}",
        f"{quality.ece:.4f}",
        f"{quality.observed_over_expected:.3f}",
    )


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _rounded(value: Any) -> Any:
    """Floats to six decimals, so that the file shows figures and not rounding."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
