"""Logged decisions as contacts to learn from, with the offers' attributes as their own catalog had them."""

from __future__ import annotations

import numpy as np

from takt.catalog.snapshot import Catalog
from takt.features.layout import stored_features
from takt.features.matrix import model_columns, model_matrix
from takt_training.joint.contacts import NONE, Bools, Contacts, Ints, Untold
from takt_training.joint.training import Arms
from takt_training.logged.dataset import Coded, Logged
from takt_training.preparation import Floats32

MOST_UNTOLD = 2_000_000
"""Pairs of a silence and an offer that are learned from."""


def arms_of(catalog: Catalog) -> Arms:
    """Timings and tonalities that the catalog declares, in its order."""
    return Arms(tuple(timing.id for timing in catalog.timings), catalog.tonalities)


def contacts_of(logged: Logged, catalog: Catalog, *, reactions: bool = False, untold: bool = False) -> Contacts:
    """What was shown and what was kept silent; holds that expired unseen are left out.

    Offers are taken as the decision's own catalog had them; where that is not known, or declared other features, as
    `catalog` has them. Offers that are gone everywhere are kept by name, without attributes.
    `reactions`: the log's goal declares negative reactions, so that a contact without one is an example as well.
    `untold`: of each silence, tell what came anyway offer by offer; of many, an even share of the pairs.
    """
    kept = np.flatnonzero(logged.example)
    slots = logged.slots
    decision = slots.decision[kept]
    silence, instead, reached = _untold(logged, kept if untold else kept[:0])
    codes = np.concatenate([slots.offer.codes[kept], instead]).astype(np.int64)
    offer, offers, ids = _offers(logged, catalog, np.concatenate([kept, kept[silence]]), codes)
    rows, profile_row = np.unique(decision, return_inverse=True)
    every = logged.take(kept)
    # one profile per decision, by way of one of its slots
    first = np.full(len(logged.decisions), -1, np.int64)
    first[decision[::-1]] = np.arange(len(kept))[::-1]
    return Contacts(
        profile=every.take(first[rows]).profile(),
        row=profile_row.astype(np.int64),
        context=every.context(),
        offers=offers,
        offer_ids=ids,
        offer=offer[: len(kept)],
        timing=_recoded(slots.timing.take(kept), [timing.id for timing in catalog.timings]),
        tonality=_recoded(slots.tonality.take(kept), list(catalog.tonalities)),
        time_us=logged.decisions.time_us[decision],
        person=logged.decisions.person.codes[decision].astype(np.int64),
        happened=slots.happened[kept],
        reward=slots.reward[kept],
        propensity=slots.propensity[kept],
        reacted=slots.reacted[kept] if reactions else None,
        untold=Untold(silence, offer[len(kept) :], reached) if len(silence) else None,
    )


def _recoded(column: Coded, names: list[str]) -> Ints:
    """Indices in `names`, `NONE` for what is not among them."""
    position = {name: i for i, name in enumerate(names)}
    return np.array([*(position.get(name, NONE) for name in column.names), NONE], np.int64)[column.codes]


def _untold(logged: Logged, kept: Ints) -> tuple[Ints, Ints, Bools]:
    """Each silence, by its place in `kept`, with each offer that it was drawn instead of; whether that came anyway."""
    silence = np.flatnonzero(logged.slots.silent[kept])
    chosen = kept[silence]
    live, reached = logged.slots.candidates.take(chosen), logged.slots.reached.take(chosen)
    width = len(logged.slots.offer.names)
    row = np.repeat(np.arange(len(silence)), np.diff(live.first))
    came = np.repeat(np.arange(len(silence)), np.diff(reached.first))
    anything = np.isin(row, came[reached.offer == NONE])
    happened = anything | np.isin(row * width + live.offer, (came * width + reached.offer)[reached.offer >= 0])
    some = slice(None, None, max(1, -(-len(row) // MOST_UNTOLD)))
    return silence[row][some], live.offer.astype(np.int64)[some], happened[some]


def _offers(logged: Logged, catalog: Catalog, of: Ints, codes: Ints) -> tuple[Ints, Floats32, tuple[str, ...]]:
    """Row of each offer, by slot `of` that it was met in and code, the offers' matrix, their ids.

    One row per catalog version and offer in use; `NONE` stays `NONE`.
    """
    spec = logged.spec.offer
    width = len(model_columns(spec))
    now = _table([offer.id for offer in catalog.offers], model_matrix(spec, catalog.offer_table, 0))
    versions = logged.decisions.catalog
    tables = []
    for version in versions.names:
        then = logged.offers.get(version)
        found = now
        if then is not None and stored_features(then.section) == stored_features(spec):
            found = _table(list(then.ids), model_matrix(spec, then.attributes, 0))
        tables.append(found)
    names = logged.slots.offer.names
    of_version = versions.codes[logged.slots.decision[of]].astype(np.int64)
    said = codes >= 0
    pair = of_version * len(names) + codes
    used, of_row = np.unique(pair[said], return_inverse=True)
    offer = np.full(len(codes), NONE, np.int64)
    offer[said] = of_row
    ids = tuple(names[one % len(names)] for one in used.tolist())
    unknown = np.full(width, np.nan, np.float32)
    rows = [
        tables[one // len(names)].get(name, now.get(name, unknown))
        for one, name in zip(used.tolist(), ids, strict=True)
    ]
    return offer, np.array(rows, np.float32).reshape(len(ids), width), ids


def _table(ids: list[str], matrix: Floats32) -> dict[str, Floats32]:
    return dict(zip(ids, matrix, strict=True))
