"""The truth of simulated customers: probabilities, people who are the same again, effects that are meant."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from takt_training.simulation import customers as people
from takt_training.simulation import truth
from takt_training.simulation.customers import Customers, Temper, draw, faded, tempers
from takt_training.simulation.optimum import Weeks, always, best, bounds, difference, run


@pytest.fixture(scope="module")
def customers() -> Customers:
    """A small population."""
    return draw(3, 1500)


def known_of(customers: Customers, week: int = 0, pressure: float = 0.0) -> people.Situations:
    """All of them."""
    return customers.at(week, np.arange(len(customers)), np.full(len(customers), pressure))


def test_the_same_seed_draws_the_same_people(customers: Customers) -> None:
    """Another seed draws others."""
    again, others = draw(3, 1500), draw(4, 1500)

    np.testing.assert_array_equal(again.temper, customers.temper)
    np.testing.assert_array_equal(known_of(again, 5).visits, known_of(customers, 5).visits)
    assert not np.array_equal(others.lease_end, customers.lease_end)


def test_every_expectation_is_a_probability(customers: Customers) -> None:
    """Whatever the week and the pressure; a contact never makes its own goal less likely."""
    for week, pressure in ((0, 0.0), (12, 2.0), (25, 6.0)):
        found = truth.expected(known_of(customers, week, pressure))
        for table in (found.booked, found.anyway, found.annoyed):
            assert 0 <= table.min() <= table.max() <= 1
        assert (found.booked >= found.anyway[:, None, None, :]).all()


def test_what_is_expected_of_the_known_is_the_mean_over_tempers(customers: Customers) -> None:
    """The optimum's expectation is the mixture of what is true of each temper."""
    known = known_of(customers, 3, 1.5)
    mix = tempers(known)
    each = [truth.expected(known, np.full(len(known), temper)).annoyed for temper in Temper]

    mixed = sum(mix[:, temper, None, None, None] * each[temper] for temper in Temper)

    np.testing.assert_allclose(mixed, truth.expected(known).annoyed, atol=1e-12)
    np.testing.assert_allclose(1.0, mix.sum(1))


def test_tempers_are_drawn_as_they_are_told(customers: Customers) -> None:
    """Shares of the drawn tempers are those of their probabilities, within four standard errors."""
    mix = tempers(known_of(customers))
    counts = np.bincount(customers.temper, minlength=len(Temper))
    errors = np.sqrt((mix * (1 - mix)).sum(0))

    assert (np.abs(counts - mix.sum(0)) < 4 * errors).all()


def test_reactance_builds_with_contacts_and_fades(customers: Customers) -> None:
    """Pressure raises annoyance and lowers what a contact adds; ten days halve it."""
    calm, pressed = (truth.expected(known_of(customers, 0, pressure)) for pressure in (0.0, 3.0))

    assert pressed.annoyed.mean() > 1.5 * calm.annoyed.mean()
    assert (pressed.booked <= calm.booked).all()
    assert 1.5 == pytest.approx(float(faded(np.array([3.0]), people.HALF_LIFE_DAYS)[0]))


def test_a_due_inspection_is_booked_anyway(customers: Customers) -> None:
    """Around its day it is likely and a contact adds next to nothing; once overdue, a contact helps."""
    known = known_of(customers, 4)
    lift, anyway = truth.lifts(known)[:, truth.INSPECTION], truth.organic(known)[:, truth.INSPECTION]
    due, overdue = np.abs(known.service_days) <= 20, known.service_days < -20

    assert anyway[due].min() >= 0.3
    assert lift[due].max() < 0.01
    assert lift[overdue].min() > 0.1


def test_leases_and_services_recur(customers: Customers) -> None:
    """A lease that has ended goes on with another; a service that was done is due a year later."""
    known = known_of(customers, 60)
    leased = np.isfinite(known.lease_days)

    assert 0 <= known.lease_days[leased].min()
    assert known.service_days.min() > -100
    assert (leased == customers.leased).all()


def test_flat_actions_lead_to_their_cells() -> None:
    """Timing, tonality and offer as a model's axes have them; silence earns nothing."""
    table = np.arange(2 * 3 * 3 * 8, dtype=np.float64).reshape(2, 3, 3, 8)
    actions = truth.flat(np.array([1, 0]), np.array([2, 0]), np.array([5, -1]))

    assert [table[0, 1, 2, 5], 0.0] == truth.chosen(table, actions).tolist()


def test_the_optimum_beats_every_constant_action(customers: Customers) -> None:
    """And its contact cost is better than none or a high one, in the long run."""
    weeks = Weeks(customers, 20, 4, 1200)
    found = bounds(weeks)

    assert found.optimum.value > 2 * max(found.constant.value, 0.0)
    assert found.optimum.value >= run(partial(best, cost=0.0), weeks).value
    assert found.optimum.value > run(partial(best, cost=6.0), weeks).value
    assert difference(found.optimum, found.constant).low > 0
    assert (0.0, 1.0) == (found.share(found.constant), found.share(found.optimum))


def test_silence_earns_nothing_and_annoys_nobody(customers: Customers) -> None:
    """The zero of all values."""
    course = run(partial(always, action=-1), Weeks(customers, 0, 2, 600))

    assert (0.0, 0.0, 0) == (course.value, course.unsubscribes, course.contacts)


def test_a_policy_is_judged_without_noise(customers: Customers) -> None:
    """The same policy comes to the same, to the last bit."""
    weeks = Weeks(customers, 8, 2, 900)
    one, two = (run(partial(best, cost=1.0), weeks) for _ in range(2))

    np.testing.assert_array_equal(one.worth, two.worth)
    assert one.by_offer == two.by_offer
    assert 2 * 900 == one.decisions
