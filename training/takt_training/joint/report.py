"""The report of `takt train` on a log or a table: a page for people and figures for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from takt.catalog.times import shown_duration
from takt_training.calibration import CRITICAL
from takt_training.evaluation import Quality
from takt_training.joint.judgement import HeadLevel, Judgement, OfferLevel, bars
from takt_training.joint.parts import moment
from takt_training.joint.training import Trained
from takt_training.report import files
from takt_training.report.document import (
    Bar,
    Bars,
    Block,
    Figure,
    Intervals,
    Line,
    Points,
    Reliability,
    Report,
    Section,
    Table,
    Text,
)
from takt_training.report.numbers import percent, plain

SHOWN_OFFERS: Final = 20
SHOWN_COLUMNS: Final = 15
FAR: Final = 1.96
"""Standard deviations from which on chance is no explanation."""
OURS, YARDSTICK = "two towers", "logistic regression"
_LABELS: Final = {
    "auc_minus_logistic_high": "AUC minus logistic, upper end",
    "ece": "calibration error (ECE)",
    "observed_over_expected": "observed over expected",
    "log_loss_minus_constant": "log loss minus that of one rate",
}
_HEADS: Final = {
    "baseline": "baseline: P(the same without a contact)",
    "value": "value of an acceptance",
    "reaction": "reaction: P(a negative one)",
}

_LIMITS: Final = Section(
    "What these figures do not say",
    "",
    (
        Points(
            (
                (
                    "Cause: acceptance is P(accepted given the contact). What would have happened without one is told "
                    "by the output baseline alone."
                ),
                (
                    "What another policy would earn: that is judged on draws whose candidates and probabilities are "
                    "known. takt train --log and takt evaluate do it with a log; a table does not say among which "
                    "offers each contact was chosen."
                ),
                "Tomorrow: people, offers and the season change. Judge every later part of the log anew.",
            )
        ),
    ),
)


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
    """Write `report.html` and `report.json` beside the bundle's files.

    `notes`: sentences about where the data came from, and counts as `name: number`.
    """
    files.write_report(report(trained, found, notes), directory)


def report(trained: Trained, found: Judgement, notes: Sequence[str] = ()) -> Report:
    """Everything, warnings first."""
    settings = trained.settings
    return Report(
        title=f"{settings.name} {settings.version}",
        lead=f"P({settings.goal} within {shown_duration(settings.window_us)} of the contact), for every offer, timing "
        "and tonality. Two towers, trained and judged by takt train.",
        warnings=(*warnings(trained, found), *(note for note in notes if note.startswith("Observational"))),
        figures=tuple(
            Figure(name, _LABELS[name], figure["value"], figure["bar"], figure["ok"])
            for name, figure in figures(found).items()
        ),
        sections=(
            _data(trained, found, notes),
            _ranking(found),
            _calibration(trained, found),
            _importance(found),
            _offers(found),
            *((_outputs(found.heads),) if found.heads else ()),
            *((_weights(trained),) if trained.weights.clip else ()),
            _LIMITS,
        ),
        data={
            "bundle": f"{settings.name}/{settings.version}",
            "split": {
                "by": trained.parts.by,
                "boundary_us": trained.parts.boundary_us,
                "embargo_us": trained.parts.embargo_us,
                "embargoed": trained.parts.embargoed,
                "rows": {name: len(getattr(trained.parts, name)) for name in ("fit", "stop", "calibrate", "test")},
            },
            "judgement": found,
            "weights": {
                "clip": trained.weights.clip,
                "clipped": trained.weights.clipped,
                "largest_share": trained.weights.largest_share,
                "effective_rows": trained.weights.effective,
            },
            "heads": {name: {"epochs": head.epochs, "axes": list(head.axes)} for name, head in trained.heads.items()},
            "suspicious": [str(leak) for leak in trained.leaks],
            "notes": list(notes),
        },
    )


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


def _data(trained: Trained, found: Judgement, notes: Sequence[str]) -> Section:
    parts = trained.parts
    at, embargo = moment(parts.boundary_us), shown_duration(parts.embargo_us)
    lead = {
        "time": f"By time: judged by what came from {at} on; nothing is learned from what was open {embargo} before.",
        "person": "By person: some people's rows are only judged by.",
        "both": f"By time and by person: judged by what came from {at} on, of people of whom nothing is learned.",
    }[parts.by]
    rows = (
        ("to learn from", len(parts.fit), "heads, encodings, the logistic regression"),
        ("to stop by", len(parts.stop), "when learning begins to fit chance"),
        ("to calibrate with", len(parts.calibrate), "whether, and how, levels are corrected"),
        ("to judge by", len(parts.test), f"{found.rows:,} contacts of {found.persons:,} people"),
        ("left out", parts.embargoed, "outcome still open at the boundary"),
    )
    told = tuple(note for note in notes if not note.startswith("Observational"))
    blocks: list[Block] = [
        Table(
            ("", "rows", "for what"),
            tuple((name, f"{count:,}", what) for name, count, what in rows),
            "Rows are contacts and, where they are known, decisions for silence. Intervals are over people drawn with "
            "replacement.",
        )
    ]
    if told:
        blocks.append(Points(tuple(_readable(note) for note in told)))
    return Section("Data and split", lead, tuple(blocks))


def _readable(note: str) -> str:
    """A count's name as words."""
    name, colon, rest = note.partition(": ")
    return f"{name.replace('_', ' ')}{colon}{rest}" if " " not in name else note


def _ranking(found: Judgement) -> Section:
    qualities = ((OURS, found.model), (YARDSTICK, found.logistic))
    return Section(
        "Who accepts",
        f"AUC on {found.rows:,} held-out contacts of {found.persons:,} people, {found.happened:,} accepted.",
        (
            Intervals(tuple(Line(name, one.auc, strong=name == OURS) for name, one in qualities), decimals=3),
            Intervals(
                (Line(f"{OURS} minus {YARDSTICK}", found.difference),),
                reference=0.0,
                caption="Paired: the same people are drawn for both.",
            ),
            Table(
                ("", "log loss", "ECE", "observed / expected"),
                (
                    *(_quality(name, one) for name, one in qualities),
                    ("one rate for everybody", plain(found.constant_log_loss), "", ""),
                ),
            ),
        ),
    )


def _quality(name: str, found: Quality) -> tuple[str, ...]:
    return (name, plain(found.log_loss), plain(found.ece), plain(found.observed_over_expected, 3))


def _calibration(trained: Trained, found: Judgement) -> Section:
    mean, most = found.perfect_ece
    tenths = tuple(
        (str(number), f"{part.rows:,}", plain(part.expected), plain(part.observed))
        for number, part in enumerate(found.reliability, 1)
    )
    return Section(
        "Calibration",
        f"The ECE is {found.model.ece:.4f}. If these estimates were exactly right, chance alone would make it "
        f"{mean:.4f} on average and up to {most:.4f} (95th percentile).",
        (
            Reliability(found.reliability),
            Table(("tenth, by estimate", "rows", "expected", "observed"), tenths),
            Text((_corrected(trained),)),
        ),
    )


def _corrected(trained: Trained) -> str:
    """What calibration did to acceptance."""
    platt = trained.platt
    if platt is None:
        how = trained.settings.calibration
        return "Levels are as they were learned." if how == "none" else f"Calibration ({how}) is inside the graph."
    verdict = "adopted, and inside the graph" if platt.adopted else "not adopted"
    return (
        f"Platt scaling: scale {platt.fitted_scale:.3f}, shift {platt.fitted_shift:+.3f}, {verdict} (Wald "
        f"{platt.wald:.2f}; it is adopted above {CRITICAL}). {platt.groups} stretches of time differ among themselves "
        f"by {platt.spread:.2f} (standard deviation of log-odds)."
    )


def _importance(found: Judgement) -> Section:
    shown = found.importance[:SHOWN_COLUMNS]
    return Section(
        "What the model uses most",
        "AUC that is lost when one input is shuffled over the rows.",
        (
            Bars(
                tuple(Bar(one.column, one.loss, f"{one.loss:+.4f}") for one in shown),
                f"The first {len(shown)} of {len(found.importance)} inputs. Inputs that say the same share their loss, "
                "and nothing here says what causes what.",
            ),
        ),
    )


def _offers(found: Judgement) -> Section:
    shown = found.offers[:SHOWN_OFFERS]
    far = [level for level in found.offers if abs(_distance(level)) > FAR]
    blocks: list[Block] = [
        Table(
            ("offer", "contacts", "expected", "accepted", "standard deviations"),
            tuple(_level(level) for level in shown),
            "All offers, most contacts first."
            if len(shown) == len(found.offers)
            else f"The {len(shown)} of {len(found.offers)} offers with the most contacts.",
        )
    ]
    if hidden := [level for level in far if level not in shown]:
        blocks.append(
            Table(
                ("further offers that are off", "contacts", "expected", "accepted", "standard deviations"),
                tuple(_level(level) for level in hidden[:SHOWN_OFFERS]),
            )
        )
    if found.unseen is not None:
        new = found.unseen
        told = (
            f"Offers that training had not seen, judged by their attributes alone: AUC {new.auc}, observed / expected "
            f"{new.observed_over_expected:.2f}."
        )
        blocks.append(Text((told,)))
    return Section(
        "Offer by offer",
        f"{len(far)} of {len(found.offers)} offers were accepted more or less often than chance around the estimates "
        "allows; one in twenty would be by luck.",
        tuple(blocks),
    )


def _level(level: OfferLevel) -> tuple[str, ...]:
    return (
        level.offer,
        f"{level.rows:,}",
        f"{level.expected:,.1f}",
        f"{level.observed:,}",
        f"{_distance(level):+.1f}",
    )


def _distance(level: OfferLevel) -> float:
    """Of observed from expected in standard deviations, at most those of a binomial distribution."""
    share = min(level.expected / max(level.rows, 1), 1.0)
    return float((level.observed - level.expected) / max(level.expected * (1 - share), 1e-9) ** 0.5)


def _outputs(heads: Sequence[HeadLevel]) -> Section:
    return Section(
        "Further outputs",
        "What each expected on average of the held-out rows that tell of it, and what was seen.",
        (
            Table(
                ("", "rows", "expected", "seen", "AUC"),
                tuple(
                    (
                        _HEADS.get(head.name, head.name),
                        f"{head.rows:,}",
                        plain(head.expected),
                        plain(head.observed),
                        "" if head.auc is None else plain(head.auc, 3),
                    )
                    for head in heads
                ),
            ),
        ),
    )


def _weights(trained: Trained) -> Section:
    weights = trained.weights
    told = (
        f"{weights.clipped:,} rows were clipped, the largest carries {percent(weights.largest_share)} of the sum, the "
        f"effective number of rows is {weights.effective:,.0f}."
    )
    return Section("Weights", f"Rows count 1 / propensity, at most {weights.clip:g}.", (Text((told,)),))
