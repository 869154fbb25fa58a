"""The log as draws: every slot whose outcome is known, silence and no-shows included.

A no-show is no example of a refusal, and nothing is learned from it. But a policy's value counts it: whoever shows what
nobody sees earns nothing.
"""

from __future__ import annotations

import numpy as np

from takt_training.logged.dataset import BLOCK_ROWS, NONE, Logged, SlotState
from takt_training.offpolicy.draws import SILENCE, Draws


def known(logged: Logged) -> Logged:
    """The slots of which it is known whether they were seen."""
    return logged.take(np.asarray(logged.slots.state != SlotState.UNKNOWN))


def draws(logged: Logged) -> Draws:
    """Slots as draws among silence and the offers of `logged.slots.offer.names`, in that order.

    What a draw was among is what the log says, and what was drawn. Timing and tonality are left as they were drawn.
    """
    slots = logged.slots
    n = len(slots)
    action = np.where(slots.offer.codes == NONE, SILENCE, slots.offer.codes.astype(np.int64) + 1)
    allowed = np.zeros((n, len(slots.offer.names) + 1), np.bool_)
    allowed[:, SILENCE] = True
    first = slots.candidates.first
    for start in range(0, n, BLOCK_ROWS):  # positions of all at once would be larger than what they say
        end = min(start + BLOCK_ROWS, n)
        rows = np.repeat(np.arange(start, end), np.diff(first[start : end + 1]))
        allowed[rows, slots.candidates.offer[first[start] : first[end]].astype(np.int64) + 1] = True
    allowed[np.arange(n), action] = True
    return Draws(
        action=action,
        propensity=slots.offer_propensity,
        reward=slots.reward,
        person=logged.person.codes.astype(np.int64),
        slot=slots.slot.astype(np.int64),
        allowed=allowed,
        features=np.concatenate([logged.profile(), logged.context()], axis=1),
        time_us=logged.time_us,
        names=("silence", *slots.offer.names),
    )
