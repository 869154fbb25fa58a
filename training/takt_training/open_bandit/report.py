"""The report of the recipe `open-bandit`: what can be said of another policy, and what cannot."""

from __future__ import annotations

from takt_training.offpolicy.estimators import Refused, Value
from takt_training.offpolicy.support import LARGEST_SHARE, LEAST_ESS, Support
from takt_training.open_bandit.recipe import BOUNDARY_DAY, Crossing, Evaluated
from takt_training.report.document import Figure, Intervals, Line, Points, Report, Section, Table
from takt_training.report.numbers import percent, plain

_NAMES = {"ipw": "IPW", "snipw": "SNIPW", "dr": "doubly robust", "dm": "direct method"}


def report(found: Evaluated) -> Report:
    """Everything, warnings first."""
    return Report(
        title="Open Bandit: can one policy's log judge another?",
        lead="Two policies filled three positions of a fashion shop's page in the same week. What is estimated "
        "from the "
        "log of one is held against what happened under the other. Small sample, 10,000 rows a log, true propensities.",
        warnings=_warnings(found),
        figures=tuple(
            Figure(
                name=f"relative_error_{name}",
                label=f"relative error, {_NAMES[name]}",
                value=round(error.mean, 4),
                bar=f"{error.published:.3f} ± {error.spread:.3f} as published",
                ok=error.within,
            )
            for name, error in found.errors.items()
        ),
        sections=(
            _crossings(found),
            _positions(found),
            _errors(found),
            _constants(found),
            _propensities(found),
            _LIMITS,
        ),
        data={
            "relative_errors": found.errors,
            "policies": (*found.crossings, *found.positions),
            "best_constant": found.constants,
            "rows_and_clicks": found.sizes,
        },
    )


def _warnings(found: Evaluated) -> tuple[str, ...]:
    refused = [
        f"{c.campaign}: {c.policy} from the log of {c.log}" for c in found.crossings if isinstance(c.found, Refused)
    ]
    wrong = [name for name, support in found.propensities.items() if not support.weights_add_up]
    told = (
        (
            "Clicks are rare: some 40 in 10,000 rows. Every interval here spans a factor of two or more; no policy "
            "is shown to "
            f"be better than another by {len(found.sizes) // 2} campaigns of this size."
        ),
        f"{len(refused)} of {len(found.crossings)} estimates are refused ({'; '.join(refused)}), because the log "
        "hardly ever "
        "does what that policy would."
        if refused
        else "",
        f"The weights of {', '.join(wrong)} do not add up to 1: propensities there are wrong or missing."
        if wrong
        else "",
        (
            "No person is known in these data, so rows are taken as independent. People who came back make true "
            "intervals wider."
        ),
    )
    return tuple(sentence for sentence in told if sentence)


def _crossings(found: Evaluated) -> Section:
    return Section(
        "Estimated from one log, known from the other",
        "Clicks per impression by the doubly robust estimate. The upright mark is what the other log saw, with "
        "its own interval.",
        (
            Intervals(tuple(_line(c) for c in found.crossings), percent=True, decimals=2),
            Table(
                ("", "IPS", "SNIPS", "doubly robust", "direct", "ESS", "largest weight", "mean weight"),
                tuple(_cells(c) for c in found.crossings),
                f"Refused where the effective sample size (ESS) is under {LEAST_ESS:.0f} or the largest weight over "
                f"{LARGEST_SHARE:.0%} of the sum; what the formulas give there is told in brackets and is not to "
                "be used. "
                "The direct method has no interval: how wrong its model is, is not known.",
            ),
        ),
    )


def _line(crossing: Crossing) -> Line:
    judged, support = crossing.found, crossing.found.support
    return Line(
        name=f"{crossing.campaign}: {crossing.policy}",
        interval=judged.dr if isinstance(judged, Value) else None,
        refused=" ".join(judged.reasons) if isinstance(judged, Refused) else "",
        detail=f"from the log of {crossing.log}; ESS {support.ess:,.0f}, largest weight {support.largest_share:.1%}",
        truth=crossing.truth,
    )


def _cells(crossing: Crossing) -> tuple[str, ...]:
    judged = crossing.found
    value = judged.unfit if isinstance(judged, Refused) else judged
    told = [percent(part) for part in (value.ips.value, value.snips.value, value.dr.value, value.direct)]
    if isinstance(judged, Refused):
        told = [f"({text})" for text in told]
    support = judged.support
    sizes = (f"{support.ess:,.0f}", percent(support.largest_share, 1), plain(support.mean_weight, 2))
    return (f"{crossing.campaign}: {crossing.policy} from {crossing.log}", *told, *sizes)


def _positions(found: Evaluated) -> Section:
    return Section(
        "Position by position",
        "A page with three positions is three draws. Judging only the first, as some tools do, would miss two "
        "thirds of it.",
        (Intervals(tuple(_line(c) for c in found.positions), percent=True, decimals=2),),
    )


def _errors(found: Evaluated) -> Section:
    return Section(
        "As good as published",
        "Relative error of BTS, estimated from bootstrap samples of the uniform log, beside what Open Bandit "
        "Pipeline publishes.",
        (
            Table(
                ("", "relative error", "its deviation", "published", "published deviation", ""),
                tuple(
                    (
                        _NAMES[name],
                        plain(error.mean, 3),
                        plain(error.deviation, 3),
                        plain(error.published, 3),
                        plain(error.spread, 3),
                        "within" if error.within else "outside",
                    )
                    for name, error in found.errors.items()
                ),
                "The direct method looks best because the two policies hardly differ in value: a model that says "
                "the same of "
                "everything is right here, and nobody could tell where it is not.",
            ),
        ),
    )


def _constants(found: Evaluated) -> Section:
    constants = found.constants
    chosen = constants.chosen
    if chosen is None or constants.found is None:
        return Section("The best single item", "No item was shown often enough to pick one.", ())
    judged = constants.found
    line = Line(
        name=f"always {chosen.name}",
        interval=judged.dr if isinstance(judged, Value) else None,
        refused=" ".join(judged.reasons) if isinstance(judged, Refused) else "",
        detail=f"ESS {judged.support.ess:,.0f}, largest weight {judged.support.largest_share:.1%}",
    )
    rows = constants.fold_rows
    return Section(
        "The best single item",
        f"Chosen on the {rows[0]:,} rows before {BOUNDARY_DAY}, where it had {percent(chosen.value)} clicks on some "
        f"{chosen.ess:.0f} impressions, and judged on the {rows[1]:,} rows from then on.",
        (Intervals((line,), percent=True, decimals=2),),
    )


def _propensities(found: Evaluated) -> Section:
    return Section(
        "Are the propensities right?",
        "Weights of the uniform policy on the log of BTS have mean 1 if every item could be shown and its "
        "probability is right.",
        (
            Table(
                ("campaign", "mean weight", "standard error", ""),
                tuple(
                    (
                        name,
                        plain(support.mean_weight, 3),
                        plain(support.mean_weight_error, 3),
                        _sum(support),
                    )
                    for name, support in found.propensities.items()
                ),
                "Where estimates are refused, one weight decides the mean too, and nothing can be told.",
            ),
        ),
    )


def _sum(support: Support) -> str:
    if not support.weights_add_up:
        return "does not add up"
    return "cannot be told" if support.shortfalls else "adds up"


_LIMITS = Section(
    "What these data cannot say",
    "",
    (
        Points(
            (
                (
                    "What a model would earn: nothing is trained here to choose items. The recipe checks the "
                    "estimates that judge "
                    "models, on data whose answer is known."
                ),
                "Timing and tonality: a row is an item at a position. The data know no moments, channels or tones.",
                (
                    "BTS as it was at a moment: its probabilities moved through the week. It is judged as its "
                    "average over the week, "
                    "by the harmonic mean of its logged probabilities for each item and position."
                ),
                (
                    "Whole slates: a click on one position may depend on the other two. Each position is judged "
                    "given what the log "
                    "showed beside it."
                ),
                "Silence: a page always showed three items.",
                (
                    "More than the small sample: the full data have 26 million rows; these are some 10,000 a log, as "
                    "shipped in obp 0.4.1."
                ),
            )
        ),
    ),
)
