"""The report of `takt evaluate`: would the candidate earn more, and are its estimates right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from takt_training.offpolicy.comparison import CANDIDATE, CHAMPION, IN_FORCE, Comparison, Estimates, Group
from takt_training.offpolicy.estimators import Refused, Value
from takt_training.report.document import (
    Bar,
    Bars,
    Block,
    Intervals,
    Line,
    Reliability,
    Report,
    Section,
    Table,
)
from takt_training.report.numbers import percent, plain, signed

MOST_ROWS = 15


def report(found: Comparison, *, title: str, notes: Sequence[str] = ()) -> Report:
    """Everything, warnings first; `notes` are warnings from outside: what the bundles say of themselves."""
    return Report(
        title=title,
        lead="What a candidate would have earned on the draws of this log, beside what was done, chance, the "
        "best single "
        "action and the champion. Offers are chosen anew, moments and tones left as they were drawn.",
        warnings=(*notes, *policy_warnings(found), *_doubts(found.estimates)),
        figures=(),
        sections=(
            _data(found),
            _values(found),
            _slots(found),
            *(_estimates(found.estimates) if found.estimates else ()),
            _sensitivity(found),
        ),
        data={"comparison": found},
    )


def policy_sections(found: Comparison) -> tuple[Section, ...]:
    """What stands behind a report of training: what each policy would earn, and where the estimates are worse."""
    told = found.estimates
    worse = (_groups(told.groups, told.beside),) if told is not None and told.champion is not None else ()
    return (_values(found), _slots(found), *worse, _sensitivity(found))


def policy_warnings(found: Comparison) -> tuple[str, ...]:
    """What a reader should know before any value, in plain words."""
    refused = [one.policy for one in found.values if isinstance(one, Refused)]
    unsound = [one.policy for one in found.values if not one.support.weights_add_up]
    told = [f"Refused, because this log cannot tell: the value of {', '.join(refused)}."] if refused else []
    told += [
        f"The candidate {'earns less than' if gain.interval.high < 0 else 'is not shown to beat'} {_named(gain.other)} "
        f"(gain {signed(gain.interval)} a draw)."
        for gain in found.gains
        if gain.interval is not None and gain.interval.low <= 0
    ]
    if unsound:
        told.append(f"The weights of {', '.join(unsound)} do not add up to 1: propensities are wrong, believe nothing.")
    if found.chosen is None:
        told.append("No action was drawn often enough before the boundary to be chosen as the best constant.")
    if found.unknown_offers:
        told.append(f"{len(found.unknown_offers)} offers of the log are not in the catalog; no model can choose them.")
    if found.sensitivity.shuffled_attributes < 0.05:
        told.append("Dealing out attributes anew hardly changes the choice: the model ranks people, not offers.")
    estimates = found.estimates
    if estimates is not None and (worse := [one for one in estimates.groups if one.worse]):
        told.append(
            f"The estimates of the {estimates.beside} are better in {len(worse)} of {len(estimates.groups)} groups, "
            "named below."
        )
    return tuple(told)


def _doubts(found: Estimates | None) -> tuple[str, ...]:
    """Whether the estimates are right at all."""
    if found is None:
        return ("Too few offers were shown, or accepted, to say whether the estimates of acceptance are right.",)
    if found.candidate.ece <= found.perfect_ece[1]:
        return ()
    return (
        (
            f"The calibration error is {found.candidate.ece:.4f}; estimates that are exactly right would stay below "
            f"{found.perfect_ece[1]:.4f} in 95 of 100 samples."
        ),
    )


def _named(policy: str) -> str:
    return {"logged": "what was done", CHAMPION: "the champion", "best constant": "the best constant action"}[policy]


def _data(found: Comparison) -> Section:
    begins = datetime.fromtimestamp(found.boundary_us / 1e6, UTC)
    rows = (
        ("before, less one outcome window", f"{found.rows[0]:,}", "chooses the best constant"),
        ("from then on", f"{found.rows[1]:,}", f"judges everything; {found.persons:,} persons"),
    )
    return Section(
        "Data and split",
        f"By time, at {begins:%Y-%m-%d %H:%M} UTC.",
        (
            Table(
                ("", "draws", ""),
                rows,
                f"{found.no_shows:,} judged draws were never seen by anybody and earned nothing.",
            ),
        ),
    )


def _line(judged: Value | Refused, name: str) -> Line:
    support = judged.support
    return Line(
        name=name,
        interval=judged.dr if isinstance(judged, Value) else None,
        refused=" ".join(judged.reasons) if isinstance(judged, Refused) else "",
        detail=f"ESS {support.ess:,.0f}, largest weight {support.largest_share:.2%}",
        strong=judged.policy == CANDIDATE,
    )


def _values(found: Comparison) -> Section:
    chosen = "" if found.chosen is None else f"The best constant is {found.chosen.name}. "
    told = tuple(gain for gain in found.gains if gain.interval is not None)
    blocks: list[Block] = [Intervals(tuple(_line(one, one.policy) for one in found.values))]
    if told:
        lines = tuple(Line(f"candidate minus {gain.other}", gain.interval) for gain in told)
        blocks.append(Intervals(lines, reference=0.0, caption="Paired on the same draws."))
    rows = tuple(_cells(one) for one in found.values)
    blocks.append(
        Table(
            ("", "IPS", "SNIPS", "doubly robust", "direct", "mean weight"),
            rows,
            f"{chosen}What is in brackets is refused: told to compare with other tools, and not to be used.",
        )
    )
    return Section("What each policy would earn", "Reward a draw, doubly robust.", tuple(blocks))


def _cells(judged: Value | Refused) -> tuple[str, ...]:
    value = judged.unfit if isinstance(judged, Refused) else judged
    told = [plain(part) for part in (value.ips.value, value.snips.value, value.dr.value, value.direct)]
    if isinstance(judged, Refused):
        told = [f"({text})" for text in told]
    return (judged.policy, *told, plain(judged.support.mean_weight, 3))


def _slots(found: Comparison) -> Section:
    lines = tuple(_line(one.found, f"{one.where}: {one.found.policy}") for one in found.slots)
    return Section("Slot by slot", "Each slot given the picks that the log made before it.", (Intervals(lines),))


def _estimates(found: Estimates) -> tuple[Section, ...]:
    qualities = [(CANDIDATE, found.candidate)] + ([(found.beside, found.champion)] if found.champion else [])
    lines = tuple(Line(name, one.auc, strong=name == CANDIDATE) for name, one in qualities)
    rows = tuple(
        (name, plain(one.log_loss), plain(one.ece), plain(one.observed_over_expected, 3)) for name, one in qualities
    )
    mean, most = found.perfect_ece
    right = Section(
        "Are the estimates right",
        f"Acceptance of {found.rows:,} offers that were shown, {found.accepted:,} accepted. AUC by person.",
        (
            Intervals(lines, decimals=3),
            Table(
                ("", "log loss", "ECE", "observed / expected"),
                rows,
                f"If the candidate's estimates were exactly right, its ECE would be {mean:.4f}, below {most:.4f} "
                "in 95 of 100.",
            ),
            Reliability(found.reliability),
        ),
    )
    used = found.importance[:MOST_ROWS]
    return (
        right,
        _groups(found.groups, found.beside),
        Section(
            "What the model uses most",
            "AUC lost when one column is shuffled among the draws.",
            (Bars(tuple(Bar(one.column, one.loss, plain(one.loss)) for one in used)),),
        ),
    )


def _groups(groups: tuple[Group, ...], beside: str) -> Section:
    ordered = sorted(groups, key=lambda one: (not one.worse, -one.rows))[:MOST_ROWS]
    rows = tuple(
        (
            f"{one.kind} {one.name}",
            f"{one.rows:,}",
            plain(one.expected, 1),
            f"{one.observed:,}",
            plain(one.log_loss),
            "" if one.champion_log_loss is None else plain(one.champion_log_loss),
            "worse" if one.worse else "",
        )
        for one in ordered
    )
    header = ("", "shown", "expected", "observed", "log loss", f"of the {beside}", "")
    worse = sum(one.worse for one in groups)
    told = {
        CHAMPION: "the champion",
        IN_FORCE: "the models that decided, as they estimated at the time,",
    }[beside]
    lead = (
        f"Log loss beside that of {told} by offer, placement and stage: worse in {worse} of {len(groups)}, told first."
    )
    return Section("Where it is worse", lead, (Table(header, rows),))


def _sensitivity(found: Comparison) -> Section:
    told = found.sensitivity
    rows = (
        ("the offer that came first is worth half", percent(told.halved_value, 1)),
        ("attributes are dealt out anew among the offers", percent(told.shuffled_attributes, 1)),
    )
    return Section(
        "Does the choice follow the offers",
        "A model that ranks people well may still not care what it offers them. Share of draws whose first "
        "choice changes when",
        (Table(("", "changes"), rows),),
    )
