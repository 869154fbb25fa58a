"""Codes in ledgers are found as in a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from takt.engine.codes import codes_of
from takt.engine.ledgers import find

# few values, so that many share their last bits; the largest that a ledger can hold among them
CODES = st.one_of(st.integers(0, 40), st.integers(0, 40).map(lambda n: n * 64), st.just(2**32 - 1))


@given(st.lists(CODES, unique=True, max_size=60), st.lists(CODES))
def test_a_code_is_found_where_the_catalog_has_it(known: list[int], asked: list[int]) -> None:
    """Its index, or -1 for one that the catalog does not know, also where it knows none."""
    table = codes_of(np.array(known, np.int64))
    places = {code: place for place, code in enumerate(known)}
    assert [places.get(code, -1) for code in known + asked] == [find(table, code) for code in known + asked]
