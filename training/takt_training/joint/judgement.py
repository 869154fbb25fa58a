"""How good a trained model is on rows that it has not seen, as values; `report` turns them into pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from takt_training import metrics
from takt_training.evaluation import Quality
from takt_training.joint.contacts import Contacts, Floats, Ints
from takt_training.joint.encoding import columns_of
from takt_training.joint.network import Link
from takt_training.joint.training import Trained, examples, examples_of, log_odds
from takt_training.metrics import Bin, Interval

MOST_DRAWS, FEW_DRAWS = 1000, 100
"""Bootstrap draws, and how many where there are many rows and intervals are narrow."""
MANY_ROWS = 50_000
IMPORTANCE_ROWS = 4000
LEAST_ROWS = 200
"""Rows of an offer that are needed to say how it does."""


class OfferLevel(Struct, frozen=True):
    """What was expected of one offer and what was seen."""

    offer: str
    rows: int
    expected: float
    observed: int


class Importance(Struct, frozen=True):
    """How much AUC is lost when one input is shuffled over the rows."""

    column: str
    loss: float


class HeadLevel(Struct, frozen=True):
    """One further head: what it expected on average and what was seen, and how well it ranks where that is defined."""

    name: str
    rows: int
    expected: float
    observed: float
    auc: float | None


class Judgement(Struct, frozen=True):
    """Acceptance beside the logistic baseline, and what else a sceptic asks for."""

    rows: int
    persons: int
    happened: int
    model: Quality
    logistic: Quality
    difference: Interval
    """AUC of the model minus that of the logistic regression, paired."""
    constant_log_loss: float
    perfect_ece: tuple[float, float]
    reliability: tuple[Bin, ...]
    offers: tuple[OfferLevel, ...]
    unseen: Quality | None
    """Offers whose code training did not know, judged by their attributes."""
    importance: tuple[Importance, ...]
    heads: tuple[HeadLevel, ...]


def judge(contacts: Contacts, trained: Trained) -> Judgement:
    """Judge on the test part. Raises ValueError where it has no contact, or only one outcome."""
    test = trained.parts.test[~contacts.silent[trained.parts.test]]
    happened, person = contacts.happened[test], contacts.person[test]
    if len(test) == 0 or happened.all() or not happened.any():
        raise ValueError(
            f"{len(test):,} contacts to judge by, {int(happened.sum()):,} with the outcome: both are needed"
        )
    draws = MOST_DRAWS if len(test) < MANY_ROWS else FEW_DRAWS
    eta = log_odds(contacts, trained, trained.acceptance, test)
    other = trained.yardstick.logit(contacts, trained.encoded, test)
    probability = 1 / (1 + np.exp(-eta))
    fit = trained.parts.fit[~contacts.silent[trained.parts.fit]]
    rate = float(np.average(contacts.happened[fit], weights=trained.weights.values[fit]))
    codes = contacts.codes(trained.encoded.vocabulary)[contacts.offer[test]]
    return Judgement(
        rows=len(test),
        persons=len(np.unique(person)),
        happened=int(happened.sum()),
        model=_quality(eta, happened, person, draws),
        logistic=_quality(other, happened, person, draws),
        difference=metrics.auc_difference(eta, other, happened, person, draws=draws),
        constant_log_loss=metrics.log_loss(np.full(len(test), rate), happened),
        perfect_ece=metrics.ece_of_perfect(probability, draws=min(draws, 200)),
        reliability=metrics.reliability(probability, happened),
        offers=_by_offer(contacts, test, probability),
        unseen=_unseen(eta, happened, person, codes, draws),
        importance=_importance(contacts, trained, test),
        heads=tuple(_heads(contacts, trained)),
    )


def _quality(eta: Floats, happened: np.ndarray, person: Ints, draws: int) -> Quality:
    probability = 1 / (1 + np.exp(-eta))
    return Quality(
        auc=metrics.auc_interval(eta, happened, person, draws=draws),
        log_loss=metrics.log_loss(probability, happened),
        ece=metrics.expected_calibration_error(probability, happened),
        observed_over_expected=metrics.observed_over_expected(probability, happened),
    )


def _unseen(eta: Floats, happened: np.ndarray, person: Ints, codes: Ints, draws: int) -> Quality | None:
    new = codes == 0
    if new.sum() < LEAST_ROWS or happened[new].all() or not happened[new].any():
        return None
    return _quality(eta[new], happened[new], person[new], draws)


def _by_offer(contacts: Contacts, test: Ints, probability: Floats) -> tuple[OfferLevel, ...]:
    names, of_offer = np.unique(np.array(contacts.offer_ids), return_inverse=True)
    of_row = of_offer[contacts.offer[test]]
    rows = np.bincount(of_row, minlength=len(names))
    expected = np.bincount(of_row, probability, len(names))
    observed = np.bincount(of_row, contacts.happened[test], len(names))
    return tuple(
        OfferLevel(str(names[i]), int(rows[i]), float(expected[i]), int(observed[i]))
        for i in np.argsort(-rows, kind="stable")
        if rows[i]
    )


def _importance(contacts: Contacts, trained: Trained, test: Ints) -> tuple[Importance, ...]:
    """Permutation importance (Breiman, 2001) of every raw column and arm, on a sample of the test; most first."""
    rows = test[:: max(1, -(-len(test) // IMPORTANCE_ROWS))]
    happened = contacts.happened[rows]
    if happened.all() or not happened.any():
        return ()
    shuffled = np.random.default_rng(trained.settings.seed).permutation(len(rows))
    p = _Rows.of(contacts, trained, rows)
    whole = metrics.auc(p.eta(trained), happened)
    found = [
        Importance(name, whole - metrics.auc(changed.eta(trained), happened))
        for name, changed in p.shuffled(shuffled, trained)
    ]
    return tuple(sorted(found, key=lambda one: -one.loss))


class _Rows(Struct, frozen=True, eq=False):
    """Raw inputs of some rows, laid open."""

    persons: np.ndarray
    offers: np.ndarray
    codes: Ints
    timing: Ints
    tonality: Ints
    names: tuple[str, ...]
    offer_names: tuple[str, ...]

    @classmethod
    def of(cls, contacts: Contacts, trained: Trained, rows: Ints) -> _Rows:
        offer = contacts.offer[rows]
        spec = trained.spec
        return cls(
            contacts.persons(rows),
            contacts.offers[offer],
            contacts.codes(trained.encoded.vocabulary)[offer],
            contacts.timing[rows],
            contacts.tonality[rows],
            tuple(c.name for c in (*columns_of(spec.profile, "profile"), *columns_of(spec.context, "context"))),
            tuple(c.name for c in columns_of(spec.offer, "offer")),
        )

    def eta(self, trained: Trained) -> Floats:
        encoded = trained.encoded
        offer = (encoded.offers.apply(self.offers), encoded.splines.apply(self.offers), self.codes)
        z = encoded.persons.apply(self.persons)
        return trained.acceptance.log_odds(z, offer, (self.timing, self.tonality))

    def shuffled(self, order: Ints, trained: Trained) -> Iterator[tuple[str, _Rows]]:
        """These rows with one input after the other shuffled."""
        for i, name in enumerate(self.names):
            changed = self.persons.copy()
            changed[:, i] = changed[order, i]
            yield name, replace(self, persons=changed)
        for i, name in enumerate(self.offer_names):
            changed = self.offers.copy()
            changed[:, i] = changed[order, i]
            yield name, replace(self, offers=changed)
        yield "offer (by itself)", replace(self, codes=self.codes[order])
        _, timings, tonalities, _ = trained.acceptance.axes
        if timings > 1:
            yield "timing", replace(self, timing=self.timing[order])
        if tonalities > 1:
            yield "tonality", replace(self, tonality=self.tonality[order])


def _heads(contacts: Contacts, trained: Trained) -> Iterator[HeadLevel]:
    for name, head in trained.heads.items():
        if name == "acceptance":
            continue
        rows, known = examples_of(contacts, name, trained.parts.test), examples(contacts, name)
        outcome = known.happened.astype(np.float64)
        if name == "value":
            rows, outcome = rows[known.happened[rows]], known.reward
        elif name == "reaction" and known.reacted is not None:
            outcome = known.reacted.astype(np.float64)
        if len(rows) == 0:
            continue
        eta = log_odds(known, trained, head, rows)
        expected = head.value(eta)
        figure = None
        if head.link is Link.PROBABILITY and 0 < outcome[rows].sum() < len(rows):
            figure = metrics.auc(eta, outcome[rows] > 0)
        yield HeadLevel(name, len(rows), float(expected.mean()), float(outcome[rows].mean()), figure)


def bars(found: Judgement) -> Mapping[str, tuple[float, str, bool]]:
    """What a model of this kind should keep, beside what it reached: value, bar, met."""
    allowed = max(0.025, round(found.perfect_ece[1], 4))
    ratio = found.model.observed_over_expected
    return {
        "auc_minus_logistic_high": (found.difference.high, ">= 0", found.difference.high >= 0),
        "ece": (found.model.ece, f"<= {allowed}", found.model.ece <= allowed),
        "observed_over_expected": (ratio, "0.8 to 1.25", 0.8 <= ratio <= 1.25),
        "log_loss_minus_constant": (
            found.model.log_loss - found.constant_log_loss,
            "< 0",
            found.model.log_loss < found.constant_log_loss,
        ),
    }
