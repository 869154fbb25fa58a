"""An invented log with a known truth, of any size: what the trainer should find, and what it must not."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from takt.clock import DAY_US
from takt.features.section import Feature, FeatureType, Source
from takt.features.spec import FeatureSpec, make_spec
from takt_training.joint.contacts import NONE, Contacts
from takt_training.joint.training import Arms

SPEC: FeatureSpec = make_spec(
    profile=[
        Feature("recency", FeatureType.FLOAT),
        Feature("spend", FeatureType.FLOAT),
        Feature("segment", FeatureType.CATEGORY, values=("budget", "premium", "other")),
        Feature("likes", FeatureType.FLAGS, values=("garden", "kitchen")),
        Feature("joined", FeatureType.TIMESTAMP),
    ],
    context=[
        Feature("hour", FeatureType.INT, source=Source.SERVICE),
        Feature("weekday", FeatureType.INT, source=Source.SERVICE),
    ],
    offer=[
        Feature("price", FeatureType.FLOAT),
        Feature("department", FeatureType.CATEGORY, values=("garden", "kitchen")),
    ],
)
ARMS = Arms(("now", "tonight", "weekend"), ("factual", "warm"))
OFFERS = 8
START_US = 1_760_000_000_000_000


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def truth(contacts: Contacts) -> Any:
    """Acceptance of each row, float64 [n]: a threshold, an interaction, moments and tones for some, a price for all."""
    person = contacts.profile[contacts.row]
    offer = contacts.offers[contacts.offer]
    recency, segment = person[:, 0], person[:, 3]
    likes = np.where(offer[:, 1] == 0, person[:, 4], person[:, 5])
    warm, evening = contacts.tonality == 1, contacts.timing == 1
    eta = (
        -1.5
        + 1.2 * (np.nan_to_num(recency, nan=30.0) < 10)
        + 1.5 * likes
        - 0.02 * offer[:, 0] * np.where(segment == 0, 2.0, 1.0)
        + np.where(segment == 1, 0.8, -0.5) * warm
        + 0.7 * evening * (contacts.context[:, 0] > 12)
    )
    return sigmoid(eta)


def shop(n: int, seed: int = 0, *, silence: float = 0.1, days: int = 120, width: int = 0) -> Contacts:
    """So many decisions at random, with silence; `width` further profile columns mean nothing."""
    rng = np.random.default_rng(seed)
    people = max(n // 5, 1)
    recency = rng.gamma(1.0, 20.0, people)
    recency[rng.random(people) < 0.1] = np.nan
    profile = np.concatenate(
        [
            np.column_stack(
                [
                    recency,
                    rng.lognormal(3, 1, people),
                    rng.uniform(0, 1000, people),
                    rng.integers(0, 3, people),
                    rng.random(people) < 0.4,
                    rng.random(people) < 0.4,
                ]
            ),
            rng.standard_normal((people, width)),
        ],
        axis=1,
    ).astype(np.float32)
    person = rng.integers(0, people, n)
    offers = np.column_stack([np.linspace(5, 75, OFFERS), np.arange(OFFERS) % 2]).astype(np.float32)
    silent = rng.random(n) < silence
    offer = np.where(silent, NONE, rng.integers(0, OFFERS, n))
    contacts = Contacts(
        profile=profile,
        row=person,
        context=np.column_stack([rng.integers(0, 24, n), rng.integers(0, 7, n)]).astype(np.float32),
        offers=offers,
        offer_ids=tuple(f"offer-{i}" for i in range(OFFERS)),
        offer=offer,
        timing=np.where(silent, NONE, rng.integers(0, 3, n)),
        tonality=np.where(silent, NONE, rng.integers(0, 2, n)),
        time_us=START_US + np.sort(rng.integers(0, days * DAY_US, n)),
        person=person,
        happened=np.zeros(n, np.bool_),
        reward=np.zeros(n),
        propensity=np.where(silent, silence, (1 - silence) / OFFERS / 6),
        reacted=np.zeros(n, np.bool_),
    )
    accepted = rng.random(n) < np.where(silent, 0.05, truth(contacts))
    value = np.where(accepted, rng.gamma(2.0, 1.0, n) * (5 + 0.3 * np.where(silent, 0, offers[offer, 0])), 0.0)
    annoyed = rng.random(n) < np.where(silent, 0.0, np.where(contacts.tonality == 1, 0.12, 0.03))
    return replace(contacts, happened=accepted, reward=value, reacted=annoyed)
