"""The log as columns."""

from __future__ import annotations

import numpy as np

from tests.training.logged.building import logged


def test_propensity_is_that_of_offer_and_arm() -> None:
    """The probability of the whole action is the product of the two stages."""
    assert [0.25, 0.25, 0.8] == logged().slots.propensity.tolist()


def test_no_show_is_no_example() -> None:
    """Silence and what was seen is learned from; what nobody saw is not."""
    assert [True, True, False] == logged().example.tolist()


def test_context_is_on_the_channel_of_the_placement() -> None:
    """Two placements of one decision can be on two channels; the logged row has the first one's."""
    assert [[10.0, 0.0], [10.0, 0.0], [20.0, 1.0]] == logged().context().tolist()


def test_profile_is_repeated_for_every_slot() -> None:
    """Each draw of a decision was made on the same profile."""
    assert [[1.0], [1.0], [2.0]] == logged().profile().tolist()


def test_taken_rows_keep_their_candidates() -> None:
    """A split takes whole rows, ragged columns included."""
    taken = logged().take(np.array([True, False, True]))

    assert [[0, 1], [1]] == [taken.slots.candidates.of(i).tolist() for i in range(2)]
    assert ["milk", "bread"] == taken.slots.offer.texts().tolist()
    assert [0, 1] == taken.slots.decision.tolist()


def test_rows_can_be_taken_in_any_order_and_twice() -> None:
    """A bootstrap draws rows with repetition."""
    taken = logged().take(np.array([2, 0, 0]))

    assert [[1], [0, 1], [0, 1]] == [taken.slots.candidates.of(i).tolist() for i in range(3)]
    assert ["bob", "ann", "ann"] == taken.person.texts().tolist()
