"""A candidate held against what was done, chance, the best constant action and the champion, on one log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from msgspec import Struct

from takt.catalog.snapshot import Catalog
from takt.errors import PreconditionError
from takt.exploration.distributions import RULES
from takt.features.matrix import model_matrix
from takt_training import metrics
from takt_training.evaluation import Quality, quality
from takt_training.importance import Importance, permutation_importance
from takt_training.logged.dataset import Logged, SlotState
from takt_training.metrics import Bin, Interval
from takt_training.offpolicy import from_log
from takt_training.offpolicy.draws import Bools, Draws, Floats, Floats32, Ints
from takt_training.offpolicy.estimators import Refused, Value, Weighed, gain, judge, logged, weigh
from takt_training.offpolicy.policies import Constant, Exploration, best_constant, by_scores, constant, uniform
from takt_training.offpolicy.reward import Ridge, cross_fitted
from takt_training.offpolicy.scoring import Judge, Scored
from takt_training.split import moment_split

Step = Callable[[str, float], None]
CANDIDATE, CHAMPION = "candidate", "champion"
IN_FORCE = "models in force"
"""Whose estimates stand in the log: those that decided, at the time."""
LEAST_ROWS = 200
"""In either part: fewer say nothing of anybody."""
LEAST_GROUP = 50
PROBED = 1000
"""Rows on which sensitivity and importance are measured."""


class Gain(Struct, frozen=True):
    """What one policy earns more than another per draw, paired; None where either is refused."""

    one: str
    other: str
    interval: Interval | None


class SlotValue(Struct, frozen=True):
    """One policy in one slot of one placement."""

    where: str
    found: Value | Refused


class Group(Struct, frozen=True):
    """Rows that share an offer, a placement or a stage: expected and observed, and how each model does there."""

    kind: str
    name: str
    rows: int
    expected: float
    observed: int
    log_loss: float
    champion_log_loss: float | None

    @property
    def worse(self) -> bool:
        """The champion tells these rows better."""
        return self.champion_log_loss is not None and self.log_loss > self.champion_log_loss


class Estimates(Struct, frozen=True):
    """How right the acceptance of what was shown is. None of it is known where too few were shown."""

    rows: int
    accepted: int
    candidate: Quality
    beside: str
    """Whom the candidate is compared with: the champion, or without one the models in force when it was decided."""
    champion: Quality | None
    """None where neither can be told."""
    difference: Interval | None
    """AUC of the candidate minus that of the champion, paired."""
    perfect_ece: tuple[float, float]
    reliability: tuple[Bin, ...]
    groups: tuple[Group, ...]
    importance: tuple[Importance, ...]
    """Empty where it was not asked for."""


class Sensitivity(Struct, frozen=True):
    """Share of probed draws whose first choice changes."""

    halved_value: float
    """When the offer that came first is worth half."""
    shuffled_attributes: float
    """When attributes are dealt out anew among the offers."""


class Comparison(Struct, frozen=True):
    """All that is found."""

    boundary_us: int
    rows: tuple[int, int]
    persons: int
    values: tuple[Value | Refused, ...]
    gains: tuple[Gain, ...]
    slots: tuple[SlotValue, ...]
    chosen: Constant | None
    estimates: Estimates | None
    sensitivity: Sensitivity
    no_shows: int
    unknown_offers: tuple[str, ...]
    """Offers of the log that the catalog lacks: no model can choose them."""


def compare(
    log: Logged,
    catalog: Catalog,
    candidate: Judge,
    champion: Judge | None,
    *,
    window_us: int,
    boundary_us: int,
    uses: bool = True,
    step: Step = lambda *_: None,
) -> Comparison:
    """Choose the best constant before the boundary, judge everything on what was decided from then on.

    Decisions whose outcome window is open at the boundary are in neither part. Without `uses` it is not measured what
    the candidate uses most. Raises PreconditionError if either part is too small.
    """
    seen = from_log.known(log)
    end = int(seen.time_us.max()) + window_us if len(seen.slots) else 0
    fold = moment_split(seen.time_us, window_us=window_us, boundary_us=boundary_us, end_us=end)
    sizes = (int(fold.train.sum()), int(fold.test.sum()))
    if min(sizes) < LEAST_ROWS:
        raise PreconditionError(
            f"{sizes[0]} draws before the boundary less one outcome window, {sizes[1]} from it on; each part needs at "
            f"least {LEAST_ROWS}: move the boundary with --from, or collect more"
        )
    training, test_log = from_log.draws(seen.take(fold.train)), seen.take(fold.test)
    test = from_log.draws(test_log)
    models = {CANDIDATE: candidate} | ({CHAMPION: champion} if champion else {})
    scored = {
        name: one.score(test_log, share=partial(step, f"scoring with the {name}")) for name, one in models.items()
    }
    step("judging policies", 0)
    chosen = best_constant(training)
    weighed = _weighed(test, chosen, scored, _exploration(catalog))
    values = tuple(judge(one) for one in weighed.values())
    step("judging policies", 1)
    known = {offer.id for offer in catalog.offers}
    return Comparison(
        boundary_us=boundary_us,
        rows=sizes,
        persons=len(np.unique(test.person)),
        values=values,
        gains=_gains(weighed, values),
        slots=_slots(test_log, weighed),
        chosen=chosen,
        estimates=_estimates(test_log, scored, candidate if uses else None, step),
        sensitivity=_sensitivity(test_log, candidate, test.allowed, step),
        no_shows=int((test_log.slots.state == SlotState.NO_SHOW).sum()),
        unknown_offers=tuple(name for name in log.slots.offer.names if name not in known),
    )


def _exploration(catalog: Catalog) -> Exploration:
    told = catalog.exploration
    return Exploration(RULES[told.rule], told.epsilon, told.temperature, told.gamma, told.silence_floor)


def _weighed(
    test: Draws, chosen: Constant | None, scored: dict[str, Scored], exploration: Exploration
) -> dict[str, Weighed]:
    expected = cross_fitted(Ridge(), test)
    policies = [uniform(test)]
    if chosen is not None:
        policies.append(constant(test, chosen.action, "best constant"))
    models = [name for name in (CHAMPION, CANDIDATE) if name in scored]
    policies += [by_scores(test, scored[name].total, exploration, name) for name in models]
    return {"logged": logged(test, expected)} | {one.name: weigh(test, one, expected) for one in policies}


def _gains(weighed: dict[str, Weighed], values: tuple[Value | Refused, ...]) -> tuple[Gain, ...]:
    refused = {one.policy for one in values if isinstance(one, Refused)}
    return tuple(
        Gain(CANDIDATE, other, None if {CANDIDATE, other} & refused else gain(weighed[CANDIDATE], weighed[other]))
        for other in (CHAMPION, "best constant", "logged")
        if other in weighed
    )


def _slots(log: Logged, weighed: dict[str, Weighed]) -> tuple[SlotValue, ...]:
    where = np.array([f"{p}/{k}" for p, k in zip(log.slots.placement.texts(), log.slots.slot.tolist(), strict=True)])
    told = [name for name in ("logged", CHAMPION, CANDIDATE) if name in weighed]
    return tuple(
        SlotValue(place, judge(_some(weighed[name], np.asarray(where == place))))
        for place in np.unique(where).tolist()
        for name in told
    )


def _some(one: Weighed, rows: Bools) -> Weighed:
    parts = (one.weight[rows], one.expected[rows], one.predicted[rows], one.reward[rows], one.person[rows])
    return Weighed(one.policy, *parts)


def _estimates(log: Logged, scored: dict[str, Scored], used: Judge | None, step: Step) -> Estimates | None:
    told = {name: one.acceptance for name, one in scored.items()}
    beside = CHAMPION
    if CHAMPION not in told:
        told[IN_FORCE], beside = log.slots.score["acceptance"], IN_FORCE
    shown = log.slots.state == SlotState.SHOWN
    if not np.isfinite(told[beside][shown]).any():
        del told[beside]
    fits = shown & np.logical_and.reduce([np.isfinite(one) for one in told.values()])
    seen = log.take(np.asarray(fits))
    accepted, person = seen.slots.happened, seen.person.codes.astype(np.int64)
    if len(accepted) < LEAST_ROWS or accepted.all() or not accepted.any():
        return None
    logits = {name: _logit(one[fits]) for name, one in told.items()}
    chance = told[CANDIDATE][fits]
    other = logits.get(beside)
    return Estimates(
        rows=len(accepted),
        accepted=int(accepted.sum()),
        candidate=quality(logits[CANDIDATE], accepted, person),
        beside=beside,
        champion=None if other is None else quality(other, accepted, person),
        difference=None if other is None else metrics.auc_difference(logits[CANDIDATE], other, accepted, person),
        perfect_ece=metrics.ece_of_perfect(chance),
        reliability=metrics.reliability(chance, accepted),
        groups=_groups(seen, chance, told[beside][fits] if beside in told else None),
        importance=() if used is None else _importance(seen, used, step),
    )


def _logit(chance: Floats) -> Floats:
    kept = np.clip(chance, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(kept / (1 - kept)))


def _groups(shown: Logged, chance: Floats, champion: Floats | None) -> tuple[Group, ...]:
    accepted = shown.slots.happened
    kinds = {
        "offer": shown.slots.offer.texts(),
        "placement": shown.slots.placement.texts(),
        "stage": shown.decisions.stage.take(shown.slots.decision).texts(),
    }
    found = []
    for kind, texts in kinds.items():
        for name in sorted({text for text in texts.tolist() if text is not None}):
            rows = np.asarray(texts == name)
            if rows.sum() >= LEAST_GROUP:
                other = None if champion is None else metrics.log_loss(champion[rows], accepted[rows])
                own = metrics.log_loss(chance[rows], accepted[rows])
                sums = (int(rows.sum()), float(chance[rows].sum()), int(accepted[rows].sum()))
                found.append(Group(kind, name, *sums, own, other))
    return tuple(found)


def _probed(count: int) -> Ints:
    return np.sort(np.random.default_rng(0).permutation(count)[:PROBED]).astype(np.int64)


def _importance(shown: Logged, candidate: Judge, step: Step) -> tuple[Importance, ...]:
    part = shown.take(_probed(len(shown.slots)))
    profile, context = part.profile(), part.context()
    names = (*candidate.scorer.metadata.features.profile_columns, *candidate.scorer.metadata.features.context_columns)
    done = 0

    def predict(columns: Floats32) -> Floats:
        nonlocal done
        step("what the model uses", min(done / (2 * len(names) + 1), 1.0))
        done += 1
        return candidate.accept(part, columns[:, : profile.shape[1]], columns[:, profile.shape[1] :])

    columns = np.concatenate([profile, context], axis=1)
    found = permutation_importance(predict, columns, names, part.slots.happened, shuffles=2)
    step("what the model uses", 1)
    return tuple(one for one in found if np.isfinite(one.loss))


def _sensitivity(log: Logged, candidate: Judge, allowed: Bools, step: Step) -> Sensitivity:
    rows = _probed(len(log.slots))
    part, allowed = log.take(rows), allowed[rows]
    step("sensitivity to the action", 0)
    whole = candidate.score(part).total
    first = _first(whole, allowed)
    catalog = candidate.catalog
    # each probed draw has a first choice of its own: its score is what halving the value makes of it
    halved = candidate.with_values(np.full(len(catalog.offers), 0.5)).score(part).total
    at = np.arange(len(rows))
    changed = whole.copy()
    changed[at, first] = halved[at, first]
    made = model_matrix(catalog.spec.offer, catalog.offer_table, 0)
    dealt = candidate.with_attributes(np.random.default_rng(0).permutation(made)).score(part).total
    step("sensitivity to the action", 1)
    # silence has neither value nor attributes: only draws with an offer first can follow them
    spoken = first != 0
    if not spoken.any():
        return Sensitivity(float("nan"), float("nan"))
    return Sensitivity(
        halved_value=float((_first(changed, allowed) != first)[spoken].mean()),
        shuffled_attributes=float((_first(dealt, allowed) != first)[spoken].mean()),
    )


def _first(total: Floats, allowed: Bools) -> Ints:
    first: Ints = np.argmax(np.where(allowed, total, -np.inf), axis=1).astype(np.int64)
    return first
