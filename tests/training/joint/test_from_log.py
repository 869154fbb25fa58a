"""Logged draws as contacts: what was shown and what was kept silent, with the offers as their own catalog had them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from takt.catalog.workspace import load_workspace
from takt.features.matrix import model_columns, model_matrix
from takt_training.joint.contacts import NONE
from takt_training.joint.from_log import arms_of, contacts_of
from takt_training.logged.dataset import Candidates, Logged, Offers, SlotState
from tests.training.logged.building import coded, logged

WORKSPACE = Path(__file__).parents[2] / "workspaces" / "minimal"
CATALOG = load_workspace(WORKSPACE)


def _log() -> Logged:
    """A milk that is a watering can, silence, and a no-show, on the features of the workspace."""
    return logged(
        CATALOG.spec,
        offer=coded(("watering-can", "gone"), "watering-can", None, "gone"),
        timing=coded(("weekend", "now"), "now", None, "weekend"),
        tonality=coded(("warm",), "warm", None, "warm"),
    )


def test_no_shows_are_left_out_and_silence_stays() -> None:
    """Two of the three draws are examples; arms are those of the catalog, in its order."""
    contacts = contacts_of(_log(), CATALOG)
    arms = arms_of(CATALOG)

    assert [0, NONE] == contacts.offer.tolist()
    assert [arms.timings.index("now"), NONE] == contacts.timing.tolist()
    assert [arms.tonalities.index("warm"), NONE] == contacts.tonality.tolist()
    assert [0.25, 0.25] == contacts.propensity.tolist()
    assert [0, 0] == contacts.row.tolist()
    assert (1, len(model_columns(CATALOG.spec.profile))) == contacts.profile.shape


def test_an_offer_is_as_its_catalog_had_it() -> None:
    """The price of the version in force counts, not today's."""
    then = CATALOG.offer_table.copy()
    then["num"][:, 0] = 99.0
    ids = tuple(offer.id for offer in CATALOG.offers)
    log = replace(_log(), offers={"c1": Offers(ids, CATALOG.spec.offer, then)})

    old = contacts_of(log, CATALOG).offers
    new = contacts_of(_log(), CATALOG).offers

    price = model_columns(CATALOG.spec.offer).index("price")
    assert 99.0 == old[0, price]
    today = model_matrix(CATALOG.spec.offer, CATALOG.offer_table, 0)[ids.index("watering-can")]
    np.testing.assert_array_equal(today, new[0])


def test_what_came_anyway_is_told_offer_by_offer() -> None:
    """Bread was bought by somebody to whom nothing was said: it happened for bread, and not for milk."""
    log = logged(
        CATALOG.spec,
        offer=coded(("milk", "bread"), None, "milk", None),
        state=np.array([SlotState.SILENCE, SlotState.SHOWN, SlotState.SILENCE], np.uint8),
        candidates=Candidates(np.array([0, 2, 4, 5]), np.array([0, 1, 0, 1, 0], np.int32)),
        reached=Candidates(np.array([0, 1, 2, 3]), np.array([1, 0, NONE], np.int32)),
        reacted=np.array([False, True, False]),
    )

    contacts = contacts_of(log, CATALOG, reactions=True, untold=True)
    untold = contacts.untold

    assert untold is not None
    assert [0, 0, 2] == untold.row.tolist()
    assert ["milk", "bread", "milk"] == [contacts.offer_ids[i] for i in untold.offer]
    assert [False, True, True] == untold.happened.tolist()  # an event that names no offer may mean each
    assert contacts.reacted is not None
    assert [False, True, False] == contacts.reacted.tolist()
    assert [NONE, contacts.offer_ids.index("milk"), NONE] == contacts.offer.tolist()
    assert contacts_of(log, CATALOG).untold is None
