"""From contacts to heads, calibrated and judged; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from threadpoolctl import threadpool_limits

from takt.clock import DAY_US
from takt.errors import ModelError
from takt.features.matrix import model_columns
from takt.features.spec import FeatureSpec
from takt_training.calibration import Platt, fit_platt
from takt_training.joint.baseline import Yardstick, fit_yardstick
from takt_training.joint.contacts import Bools, Contacts, Floats, Ints
from takt_training.joint.curves import Curve, fit_isotonic
from takt_training.joint.doubt import Doubt, fit_doubt
from takt_training.joint.encoding import Column, columns_of, fit_encoding
from takt_training.joint.fitting import Anyway, Encoded, Task, fit_head, predictors
from takt_training.joint.head import LEAST_CHANCE, Head
from takt_training.joint.monotone import fit_splines
from takt_training.joint.network import ANYWAY, Link, Shape, either
from takt_training.joint.parts import Parts, Weights, divide, weigh
from takt_training.joint.settings import Settings, check_monotone
from takt_training.leaks import Leak, find_leaks
from takt_training.preparation import Floats32
from takt_training.towers import on_one_thread

Step = Callable[[str, float], None]
"""Told the name of a step and the share of it that is done."""

SAMPLE = 50_000
"""Rows, evenly spread, that encodings are fitted on and columns are looked at with."""
LEAST_ROWS = 200
"""Contacts to learn from; fewer say nothing."""
LEAST_HAPPENED = 20
"""Of these with, and without, the outcome."""
NO_SILENCE = "baseline needs decisions for silence (or people who got nothing)"
NO_LIFT = (
    "lift: added needs the head baseline, learned offer by offer from a log whose goals come without a decision too "
    "(heads: [baseline], attribution: person)"
)
PERIODS = 40
"""Calibration takes rows of one stretch of time to share its luck; at most about so many stretches."""


class Arms(Struct, frozen=True):
    """Names along the timing and the tonality axis, as the catalog declares them."""

    timings: tuple[str, ...]
    tonalities: tuple[str, ...]


class Trained(Struct, frozen=True, eq=False):
    """What training gave."""

    spec: FeatureSpec
    settings: Settings
    arms: Arms
    encoded: Encoded
    heads: Mapping[str, Head]
    """By output: `acceptance`, and those that were asked for."""
    doubt: Doubt | None
    parts: Parts
    weights: Weights
    yardstick: Yardstick
    platt: Platt | None
    """Of acceptance, where Platt scaling was asked for: adopted or not."""
    leaks: tuple[Leak, ...]
    """Columns that are suspicious, or trusted on purpose."""

    @property
    def acceptance(self) -> Head:
        """The head that every model has."""
        return self.heads["acceptance"]


def train(
    contacts: Contacts, spec: FeatureSpec, arms: Arms, settings: Settings, step: Step = lambda *_: None
) -> Trained:
    """Learn. The same contacts, settings and code give the same heads, on one thread and one kind of processor.

    Raises ModelError naming what stands against it: a column that knows too much, too few rows, a head without data;
    PreconditionError if nothing is left on one side of the split.
    """
    on_one_thread()
    with threadpool_limits(1):
        return _train(contacts, spec, arms, settings, step)


def _train(contacts: Contacts, spec: FeatureSpec, arms: Arms, settings: Settings, step: Step) -> Trained:
    wrong = check_monotone(settings, model_columns(spec.offer))
    if wrong:
        raise ModelError(wrong)
    parts = divide(contacts, settings)
    contact = ~contacts.silent
    fit, stop, calibrate = (rows[contact[rows]] for rows in (parts.fit, parts.stop, parts.calibrate))
    _enough(contacts, fit, stop, calibrate)
    persons = [*columns_of(spec.profile, "profile"), *columns_of(spec.context, "context")]
    offers = columns_of(spec.offer, "offer")
    step("looking for columns that know too much", 0)
    leaks = _leaks(contacts, persons, offers, fit, settings)
    step("looking for columns that know too much", 1)
    encoded = _encode(contacts, persons, offers, fit, settings)
    weights = weigh(contacts, settings.weight_clip)
    heads: dict[str, Head] = {}
    added = settings.lift == "added"
    for task in _tasks(contacts, arms, encoded, parts=parts, weights=weights, settings=settings):
        name = f"learning {task.name}"
        step(name, 0)
        rows, learned = examples(contacts, task.name), task
        if added and task.name == "acceptance":
            rows, alone = _with_untold(contacts, arms, settings.seed)
            learned = _added(contacts, rows, task, parts, Anyway(alone, heads["baseline"].parameters))
        heads[task.name] = fit_head(rows, encoded, learned, settings.descent, partial(step, name))
        step(name, 1)
    if added:
        heads |= _apart(heads["acceptance"])
    step("calibrating", 0)
    platt = None
    for name in ("baseline", "acceptance", "reaction"):
        if name in heads:
            head = replace(heads[name], over=heads["baseline"] if added and name == "acceptance" else None)
            curve, fitted = _calibrated(contacts, encoded, head, parts, settings)
            heads[name] = replace(head, curve=curve)
            platt = fitted if name == "acceptance" else platt
    step("calibrating", 1)
    doubt = None
    if "uncertainty" in settings.heads:
        told = _information(contacts, encoded, heads["acceptance"], fit)
        doubt = fit_doubt(
            contacts, encoded, heads["acceptance"], fit, information=told, penalty=settings.descent.penalty
        )
    step("fitting the logistic baseline", 0)
    yardstick = fit_yardstick(
        contacts, encoded, weights.values, fit, timings=len(arms.timings), tonalities=len(arms.tonalities)
    )
    step("fitting the logistic baseline", 1)
    return Trained(spec, settings, arms, encoded, heads, doubt, parts, weights, yardstick, platt, leaks)


def _enough(contacts: Contacts, fit: Ints, stop: Ints, calibrate: Ints) -> None:
    for what, rows in (("to learn from", fit), ("to stop by", stop), ("to calibrate with", calibrate)):
        happened = int(contacts.happened[rows].sum())
        least = LEAST_HAPPENED if what == "to learn from" else 1
        if len(rows) < (LEAST_ROWS if least > 1 else 2) or min(happened, len(rows) - happened) < least:
            raise ModelError(
                f"{len(rows):,} contacts {what}, {happened:,} with the outcome: at least "
                f"{LEAST_ROWS if least > 1 else 2} with {least} of either outcome are needed"
            )


def _leaks(
    contacts: Contacts, persons: list[Column], offers: list[Column], fit: Ints, settings: Settings
) -> tuple[Leak, ...]:
    """Columns that know too much. Raises ModelError for those that are not trusted on purpose."""
    rows = _sample(fit)
    raw = np.concatenate([contacts.persons(rows), contacts.offers[contacts.offer[rows]]], axis=1)
    columns = [*persons, *offers]
    found = find_leaks(
        [column.name for column in columns],
        raw,
        contacts.happened[rows],
        categories=[column.values > 0 for column in columns],
    )
    refused = [leak for leak in found if leak.refused and leak.column not in settings.trusted]
    if refused:
        raise ModelError(
            "\n".join(f"{leak}; was it filled in afterwards? If not, name it under `trusted`" for leak in refused)
        )
    return tuple(found)


def _sample(rows: Ints) -> Ints:
    return rows[:: max(1, -(-len(rows) // SAMPLE))]


def _encode(contacts: Contacts, persons: list[Column], offers: list[Column], fit: Ints, settings: Settings) -> Encoded:
    rows = _sample(fit)
    used = contacts.offers[contacts.offer[rows]]
    names = [column.name for column in offers]
    return Encoded(
        persons=fit_encoding(contacts.persons(rows), persons),
        offers=fit_encoding(used, offers, without=tuple(settings.monotone)),
        splines=fit_splines(used, names, settings.monotone),
        vocabulary=contacts.vocabulary(_mask(contacts, fit)),
    )


def _mask(contacts: Contacts, rows: Ints) -> Bools:
    mask = np.zeros(len(contacts), np.bool_)
    mask[rows] = True
    return mask


def _tasks(
    contacts: Contacts, arms: Arms, encoded: Encoded, *, parts: Parts, weights: Weights, settings: Settings
) -> list[Task]:
    """What each head learns, and from which rows."""
    contact = ~contacts.silent
    timings, tonalities = (
        len(names) if len(np.unique(codes[contact & (codes >= 0)])) > 1 else 0
        for names, codes in ((arms.timings, contacts.timing), (arms.tonalities, contacts.tonality))
    )
    with_arms = Shape(
        person=encoded.persons.width,
        offer=encoded.offers.width,
        codes=len(encoded.vocabulary) + 1,
        monotone=len(encoded.splines),
        timings=timings,
        tonalities=tonalities,
        hidden=settings.hidden,
        rank=settings.rank,
    )
    flat = replace(with_arms, timings=0, tonalities=0)
    weight = weights.values.astype(np.float32)
    happened = contacts.happened.astype(np.float32)

    def rows(which: Bools, what: str) -> tuple[Ints, Ints]:
        train, stop = parts.fit[which[parts.fit]], parts.stop[which[parts.stop]]
        if len(train) < LEAST_HAPPENED or not len(stop):
            raise ModelError(f"heads: {what}; {len(train):,} rows are there to learn from and {len(stop):,} to stop by")
        return train, stop

    def task(name: str, link: Link, shape: Shape, target: Floats32, used: tuple[Ints, Ints]) -> Task:
        return Task(name, link, shape, target, weight, *used)

    tasks = [task("acceptance", Link.PROBABILITY, with_arms, happened, rows(contact, "acceptance needs contacts"))]
    added = settings.lift == "added"
    if added and ("baseline" not in settings.heads or contacts.untold is None):
        raise ModelError(NO_LIFT)
    if "baseline" in settings.heads:
        # what acceptance is learned above has to be there before it
        tasks.insert(0 if added else 1, _baseline(contacts, flat, weight, rows(contacts.silent, NO_SILENCE)))
    if "reaction" in settings.heads:
        if contacts.reacted is None:
            raise ModelError("heads: reaction needs to know of negative reactions, and these data do not")
        used = rows(contact, "reaction needs contacts")
        tasks.append(
            task(
                "reaction", Link.PROBABILITY, replace(with_arms, monotone=0), contacts.reacted.astype(np.float32), used
            )
        )
    if "value" in settings.heads:
        used = rows(contact & contacts.happened, "value needs contacts that were accepted")
        tasks.append(_value(contacts, replace(flat, monotone=0), weight, used))
    return tasks


def examples(contacts: Contacts, head: str) -> Contacts:
    """What a head is learned from and judged by: the contacts, or what came anyway where that is known by offer."""
    if head == "baseline" and contacts.untold is not None:
        return contacts.of_untold(contacts.untold)
    return contacts


def examples_of(contacts: Contacts, head: str, rows: Ints) -> Ints:
    """Those of a head's `examples` that come from some rows of the contacts, by number: silences for the baseline."""
    if head != "baseline":
        return rows[~contacts.silent[rows]]
    if contacts.untold is None:
        return rows[contacts.silent[rows]]
    return np.flatnonzero(_mask(contacts, rows)[contacts.untold.row])


def _baseline(contacts: Contacts, flat: Shape, weight: Floats32, silences: tuple[Ints, Ints]) -> Task:
    """What happens without a contact: offer by offer where silences tell, else anything at all."""
    target = examples(contacts, "baseline").happened.astype(np.float32)
    if contacts.untold is None:
        return Task("baseline", Link.PROBABILITY, replace(flat, codes=0, monotone=0), target, weight, *silences)
    train, stop = (examples_of(contacts, "baseline", rows) for rows in silences)
    return Task(
        "baseline", Link.PROBABILITY, replace(flat, monotone=0), target, weight[contacts.untold.row], train, stop
    )


def _with_untold(contacts: Contacts, arms: Arms, seed: int) -> tuple[Contacts, Bools]:
    """`Contacts.with_untold`, with arms by chance where nothing was said: what might be said."""
    joined, alone = contacts.with_untold()
    rng = np.random.default_rng(seed)
    timing, tonality = (rng.integers(0, len(names), len(joined)) for names in (arms.timings, arms.tonalities))
    return replace(
        joined,
        timing=np.where(alone, timing, joined.timing),
        tonality=np.where(alone, tonality, joined.tonality),
    ), alone


def _added(contacts: Contacts, joined: Contacts, acceptance: Task, parts: Parts, anyway: Anyway) -> Task:
    """Acceptance above the baseline, and the baseline too: from `joined`, the contacts and behind them the pairs."""
    train, stop = (examples_of(contacts, "baseline", rows) + len(contacts) for rows in (parts.fit, parts.stop))
    of_pairs = () if contacts.untold is None else acceptance.weight[contacts.untold.row]
    return replace(
        acceptance,
        target=joined.happened.astype(np.float32),
        weight=np.concatenate([acceptance.weight, of_pairs], dtype=np.float32),
        train=np.concatenate([acceptance.train, train]),
        stop=np.concatenate([acceptance.stop, stop]),
        anyway=anyway,
    )


def _apart(both: Head) -> dict[str, Head]:
    """Acceptance and baseline, of what was learned together."""
    own = {name: value for name, value in both.parameters.items() if not name.startswith(ANYWAY)}
    below = {name.removeprefix(ANYWAY): value for name, value in both.parameters.items() if name.startswith(ANYWAY)}
    return {
        "acceptance": replace(both, parameters=own),
        "baseline": Head("baseline", Link.PROBABILITY, below, epochs=both.epochs),
    }


def _value(contacts: Contacts, shape: Shape, weight: Floats32, used: tuple[Ints, Ints]) -> Task:
    """Expected value given acceptance: positive where no value is negative, else any."""
    reward = contacts.reward[used[0]]
    positive = bool((contacts.reward[contacts.happened] >= 0).all()) and float(reward.mean()) > 0
    scale = float(reward.mean()) if positive else float(reward.std() or 1.0)
    shift = 0.0 if positive else float(reward.mean())
    target = ((contacts.reward - shift) / scale).astype(np.float32)
    link = Link.POSITIVE if positive else Link.REAL
    return Task("value", link, shape, target, weight, *used, scale=scale, shift=shift)


def _calibrated(
    contacts: Contacts, encoded: Encoded, head: Head, parts: Parts, settings: Settings
) -> tuple[Curve, Platt | None]:
    """The curve of one head, from rows that it has not learned from; none where these say too little."""
    rows = examples_of(contacts, head.name, parts.calibrate)
    contacts = examples(contacts, head.name)
    outcome = contacts.reacted if head.name == "reaction" and contacts.reacted is not None else contacts.happened
    happened = outcome[rows]
    if settings.calibration == "none" or min(happened.sum(), (~happened).sum()) < LEAST_HAPPENED:
        return Curve(), None
    eta = predictors(contacts, encoded, head, rows)
    anyway = np.zeros(len(rows)) if head.over is None else _chances(contacts, encoded, head.over, rows)
    if settings.calibration == "isotonic":
        return fit_isotonic(eta, happened, None if head.over is None else anyway), None
    platt = fit_platt(eta, happened, periods(contacts.time_us[rows]), anyway)
    return Curve(platt.scale, platt.shift) if platt.adopted and platt.scale > 0 else Curve(), platt


def periods(time_us: Ints) -> Ints:
    """Number of the stretch of time of each row [n]: whole days, several together where there are many."""
    first, last = int(time_us.min()), int(time_us.max())
    days = max(1, -(-(last - first) // DAY_US))
    length = DAY_US * -(-days // PERIODS)
    return np.asarray((time_us - first) // length)


def log_odds(contacts: Contacts, trained: Trained, head: Head, rows: Ints) -> Floats:
    """Calibrated log-odds of some rows, float64 [k]."""
    eta = head.curve.apply(predictors(contacts, trained.encoded, head, rows))
    return eta if head.over is None else np.asarray(either(log_odds(contacts, trained, head.over, rows), eta))


def _chances(contacts: Contacts, encoded: Encoded, head: Head, rows: Ints) -> Floats:
    """Calibrated probabilities of some rows."""
    return head.value(head.curve.apply(predictors(contacts, encoded, head, rows)))


def _information(contacts: Contacts, encoded: Encoded, acceptance: Head, rows: Ints) -> Floats:
    """In each row on the linear predictor, float64 [k]: of acceptance, or of what a contact adds."""
    p = acceptance.value(predictors(contacts, encoded, acceptance, rows))
    if acceptance.over is None:
        return p * (1 - p)
    either_ = np.maximum(1 - (1 - _chances(contacts, encoded, acceptance.over, rows)) * (1 - p), LEAST_CHANCE)
    return np.asarray(p**2 * (1 - either_) / either_)
