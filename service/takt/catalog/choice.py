"""Which treatment a person gets, for every channel, wish, locale, tonality and offer, worked out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from takt.catalog.treatments import language
from takt.domain.person import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.snapshot import Bools, Ints, Treatment

FALL_BACK: Final = {
    Address.NEUTRAL: (Address.FORMAL, Address.NEUTRAL),
    Address.FORMAL: (Address.FORMAL, Address.NEUTRAL),
    Address.INFORMAL: (Address.INFORMAL, Address.NEUTRAL, Address.FORMAL),
}
"""By wanted address, which forms are used, best first. No stated wish (NEUTRAL) counts as formal."""

NEVER: Final = 99
"""Rank of what a person must not, or cannot, be shown."""


def locale_rank(wanted: str, default: str, offered: str) -> int:
    """How well a treatment's locale fits, 0 best: the exact one, its language, the default, the default's language.

    `wanted` is empty for a person whose locale is not known. A language written alone goes before another region's.
    """
    for first, locale in ((0, wanted), (3, default)):
        if not locale:
            continue
        if offered == locale:
            return first
        if language(offered) == language(locale):
            return first + (1 if offered == language(offered) else 2)
    return NEVER


def choose(
    treatments: Sequence[Treatment],
    *,
    shape: tuple[int, int, int],
    locales: Sequence[str],
    default_locale: str,
) -> tuple[Ints, Bools]:
    """`treatment_of` and `address_blocked` of a catalog, for `shape` = (channels, tonalities, offers)."""
    channels, tonalities, offers = shape
    chosen = np.full((channels, len(Address), len(locales) + 1, tonalities, offers), -1, np.int64)
    blocked = np.zeros((channels, len(Address), offers), np.bool_)
    if not treatments:
        return chosen, blocked
    channel, tonality, offer, address = (
        np.array([getattr(treatment, name) for treatment in treatments], np.int64)
        for name in ("channel", "tonality", "offer", "address")
    )
    names = sorted({treatment.locale for treatment in treatments})
    locale = np.array([names.index(treatment.locale) for treatment in treatments], np.int64)
    for wish, forms in FALL_BACK.items():
        form_rank = np.full(len(Address), NEVER, np.int64)
        form_rank[list(forms)] = range(len(forms))
        form = form_rank[address]
        blocked[channel, wish, offer] = True
        allowed = form < NEVER
        blocked[channel[allowed], wish, offer[allowed]] = False
        for position, wanted in enumerate(("", *locales)):
            rank = np.array([locale_rank(wanted, default_locale, name) for name in names], np.int64)[locale]
            fits = np.flatnonzero(allowed & (rank < NEVER))
            # the best and earliest last, since the last that is written to a cell stays
            order = fits[np.lexsort((-fits, -rank[fits], -form[fits]))]
            chosen[channel[order], wish, position, tonality[order], offer[order]] = order
    return chosen, blocked
