"""Held-out quality of a model beside its baselines: what a sceptic would ask for first."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training import metrics
from takt_training.metrics import Bin, Interval

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Quality(Struct, frozen=True):
    """How good one set of estimates is on one set of rows."""

    auc: Interval
    log_loss: float
    ece: float
    """Expected calibration error over ten bins of equally many rows."""
    observed_over_expected: float


class CampaignLevel(Struct, frozen=True):
    """What was expected of one campaign and what was seen."""

    campaign: int
    contacts: int
    expected: float
    observed: int


class Ranking(Struct, frozen=True):
    """The model beside its baselines on rows whose outcome is known for every person."""

    contacts: int
    persons: int
    accepted: int
    model: Quality
    baselines: Mapping[str, Quality]
    differences: Mapping[str, Interval]
    """AUC of the model minus that of each baseline, paired."""
    constant_log_loss: float
    """Log loss of the training period's acceptance rate, the same for everybody."""
    perfect_ece: tuple[float, float]
    """Mean and 95th percentile of the ECE that the same estimates would have if they were exactly right."""
    reliability: tuple[Bin, ...]
    campaigns: tuple[CampaignLevel, ...]


class Choice(Struct, frozen=True):
    """Which offer of a contact's own campaign comes first, and how often that one was accepted.

    Every offer of a campaign has an outcome here, so this needs no weighting; it is observational all the same:
    people had all of the campaign's offers, not only the one.
    """

    contacts: int
    offers: int
    accepted: int
    """Pairs."""
    quality: Quality
    model: Interval
    constant: Interval
    """Everybody gets the offer that was accepted most in training."""
    uniform: Interval
    """One at random."""
    gain: Interval
    """Model minus constant, paired."""
    distinct: int
    """Different offers that the model puts first for somebody."""


def quality(logit: Floats, accepted: Bools, person: Ints) -> Quality:
    """All figures of one set of log-odds [n]."""
    probability = 1 / (1 + np.exp(-logit))
    return Quality(
        auc=metrics.auc_interval(logit, accepted, person),
        log_loss=metrics.log_loss(probability, accepted),
        ece=metrics.expected_calibration_error(probability, accepted),
        observed_over_expected=metrics.observed_over_expected(probability, accepted),
    )


def rank(
    logit: Floats, accepted: Bools, *, person: Ints, campaign: Ints, baselines: Mapping[str, Floats], rate: float
) -> Ranking:
    """Evaluate log-odds [n] beside those of the baselines; `rate`: acceptance rate of the training period."""
    probability = 1 / (1 + np.exp(-logit))
    levels = tuple(
        CampaignLevel(
            campaign=int(number),
            contacts=int(np.count_nonzero(campaign == number)),
            expected=float(probability[campaign == number].sum()),
            observed=int(accepted[campaign == number].sum()),
        )
        for number in np.unique(campaign)
    )
    return Ranking(
        contacts=len(logit),
        persons=len(np.unique(person)),
        accepted=int(accepted.sum()),
        model=quality(logit, accepted, person),
        baselines={name: quality(other, accepted, person) for name, other in baselines.items()},
        differences={name: metrics.auc_difference(logit, other, accepted, person) for name, other in baselines.items()},
        constant_log_loss=metrics.log_loss(np.full(len(logit), rate), accepted),
        perfect_ece=metrics.ece_of_perfect(probability),
        reliability=metrics.reliability(probability, accepted),
        campaigns=levels,
    )


def choose(
    logit: Floats, accepted: Bools, *, row: Ints, person: Ints, offer: npt.NDArray[np.str_], rates: Mapping[str, float]
) -> Choice:
    """Evaluate the choice among the offers of each contact.

    Per pair [k]: log-odds, outcome, contact, person, offer id. rates: acceptance by offer in training; the constant
    policy goes by them. Contacts with a single offer are left out: there is nothing to choose.
    """
    contacts, of_row, counts = np.unique(row, return_inverse=True, return_counts=True)
    several = (counts > 1)[of_row]
    logit_s, accepted_s, of_row = logit[several], accepted[several], of_row[several]
    offer_s = offer[several]
    constant = np.array([rates.get(name, -1.0) for name in offer_s.tolist()])
    by_model, by_constant = _first(of_row, logit_s), _first(of_row, constant)
    person_of = person[several][by_model]
    hit, constant_hit = accepted_s[by_model].astype(np.float64), accepted_s[by_constant].astype(np.float64)
    share = np.bincount(of_row, accepted_s, len(contacts)) / np.maximum(np.bincount(of_row, minlength=len(contacts)), 1)
    uniform = share[of_row[by_model]]

    def mean(values: Floats) -> Interval:
        return metrics.bootstrap(lambda weight: float(weight @ values / weight.sum()), person_of)

    return Choice(
        contacts=len(by_model),
        offers=len(np.unique(offer_s)),
        accepted=int(accepted_s.sum()),
        quality=quality(logit, accepted, person),
        model=mean(hit),
        constant=mean(constant_hit),
        uniform=mean(uniform),
        gain=mean(hit - constant_hit),
        distinct=len(np.unique(offer_s[by_model])),
    )


def _first(of_row: Ints, score: Floats) -> Ints:
    """Index of the best-scored pair of each contact; the earlier one of equals."""
    order: Ints = np.lexsort((np.arange(len(score)), -score, of_row))
    starts = np.concatenate([[True], of_row[order][1:] != of_row[order][:-1]])
    first: Ints = order[starts]
    return first
