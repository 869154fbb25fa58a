"""Which treatment a person gets follows the stated order of fall-back, whatever treatments there are."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from takt.catalog.choice import choose
from takt.catalog.snapshot import Treatment
from takt.domain.person import Address

LOCALES = ("de-DE", "de-AT", "en-GB")
DEFAULT = "en-GB"
CHANNELS, TONALITIES, OFFERS = 2, 2, 2


def _treatments() -> st.SearchStrategy[list[Treatment]]:
    """Any treatments, at most one per offer, channel, tonality, address and locale."""
    cell = st.tuples(
        st.integers(0, OFFERS - 1),
        st.integers(0, CHANNELS - 1),
        st.integers(0, TONALITIES - 1),
        st.sampled_from(Address),
        st.sampled_from([*LOCALES, "de", "en", "fr"]),
    )
    cells = st.lists(cell, unique=True, max_size=12)
    return cells.map(lambda drawn: [Treatment(str(i), *one, content="") for i, one in enumerate(drawn)])


def _expected(treatments: Sequence[Treatment], wish: Address, wanted: str) -> int:
    """The order of fall-back, written as one reads it, for treatments of one channel, tonality and offer."""
    forms = {
        Address.NEUTRAL: [Address.FORMAL, Address.NEUTRAL],
        Address.FORMAL: [Address.FORMAL, Address.NEUTRAL],
        Address.INFORMAL: [Address.INFORMAL, Address.NEUTRAL, Address.FORMAL],
    }[wish]
    for form in forms:
        for locale in (wanted, DEFAULT) if wanted else (DEFAULT,):
            tongue = locale[:2]
            exact = [t for t in treatments if t.address is form and t.locale == locale]
            bare = [t for t in treatments if t.address is form and t.locale == tongue]
            region = [t for t in treatments if t.address is form and t.locale.startswith(f"{tongue}-")]
            for found in (exact, bare, region):
                if found:
                    return int(found[0].id)
    return -1


@given(_treatments())
def test_order_of_fall_back(treatments: list[Treatment]) -> None:
    """Wish before locale; exact locale, its language, then the default; never informal to who wants formal."""
    chosen, blocked = choose(treatments, shape=(CHANNELS, TONALITIES, OFFERS), locales=LOCALES, default_locale=DEFAULT)

    for channel in range(CHANNELS):
        for offer in range(OFFERS):
            there = [t for t in treatments if (t.channel, t.offer) == (channel, offer)]
            for wish in Address:
                only_informal = bool(there) and all(t.address is Address.INFORMAL for t in there)
                assert (only_informal and wish is not Address.INFORMAL) == blocked[channel, wish, offer]
                for position, wanted in enumerate(("", *LOCALES)):
                    for tonality in range(TONALITIES):
                        fitting = [t for t in there if t.tonality == tonality]
                        actual = chosen[channel, wish, position, tonality, offer]
                        assert _expected(fitting, wish, wanted) == actual
