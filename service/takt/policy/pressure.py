"""Negative pressure: how likely one more contact annoys, from what the ledger remembers. For models that do not say.

Every recent contact and dismissal adds its weight, halved with each half-life of its distance from the moment judged;
the chance of a negative reaction is `1 - exp(-sum)`, that of a Poisson process to fire at least once.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from takt.domain.ledger import EntryState
from takt.kernel import kernel
from takt.policy.contacts import Contacts

# Kernels take plain numbers as constants.
RELEASED: Final = int(EntryState.RELEASED)
SUPPRESS_OFFER: Final = int(EntryState.SUPPRESS_OFFER)
DISMISSED: Final = int(EntryState.DISMISSED)


@kernel
def was_felt(contacts: Contacts, i: int) -> bool:
    """Whether entry `i` is a contact that may have been seen: one that was given back was none."""
    state = contacts[i]["state"]
    return bool(state < SUPPRESS_OFFER and state != RELEASED)


@kernel
def is_further_offer(contacts: Contacts, first: int, i: int) -> bool:
    """Whether entry `i` is one more offer of an occasion that is counted already. A decision's entries are adjacent."""
    j = i - 1
    while j >= first and contacts[j]["decision"] == contacts[i]["decision"]:
        if (
            was_felt(contacts, j)
            and contacts[j]["time_us"] == contacts[i]["time_us"]
            and contacts[j]["channel"] == contacts[i]["channel"]
        ):
            return True
        j -= 1
    return False


@kernel
def pressure(
    contacts: Contacts,
    first: int,
    end: int,
    channel: int,
    moment_us: int,
    half_life_us: float,
    per_contact: float,
    per_dismissal: float,
) -> float:
    """Chance of a negative reaction to a contact at `moment_us`, from entries `first` to `end` (exclusive).

    Counts occasions, and dismissals (a later one of the same offer takes the earlier one's place in the ledger). With
    `channel` at least 0 only that channel's, and dismissals whose channel is not known.
    """
    felt = 0.0
    for i in range(first, end):
        dismissed = contacts[i]["state"] == DISMISSED
        if not dismissed and not was_felt(contacts, i):
            continue
        if channel >= 0 and contacts[i]["channel"] != channel and not (dismissed and contacts[i]["channel"] < 0):
            continue
        if not dismissed and is_further_offer(contacts, first, i):
            continue
        weight = per_dismissal if dismissed else per_contact
        felt += weight * 0.5 ** (abs(moment_us - contacts[i]["time_us"]) / half_life_us)
    return float(-np.expm1(-felt))
