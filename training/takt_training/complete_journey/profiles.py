"""Households as profiles: the features of `features.yaml`, and what the data lack, simulated and called so."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
from msgspec import Struct

from takt.domain.person import Address
from takt.domain.request import Scalar
from takt.features.record import ProfileRow
from takt.features.section import FeatureType, Section
from takt_training.complete_journey.households import household_features
from takt_training.complete_journey.tables import TIME_ZONE, Tables

LOCALE = "en-US"
CONSENT_SHARES: Mapping[str, float] = {"web.personalisation": 0.95, "app.notifications": 0.65, "email.marketing": 0.6}
"""Simulated: the data hold no consents."""
FORMAL_SHARE, INFORMAL_SHARE = 0.15, 0.25
"""Simulated: the data hold no preference of address; the rest has stated none."""


class Household(Struct, frozen=True):
    """A household as a profile."""

    profile_id: str
    """`hh-0001`, after the data's household id."""
    row: ProfileRow


def households(tables: Tables, section: Section, as_of: date) -> list[Household]:
    """All households as of the beginning of a day, in the order of their ids.

    `section` is the spec's profile section: only what it declares is given, with its types. Consents and form of
    address are simulated from a hash of the id, so they are the same in every run.
    """
    table = household_features(tables, as_of)
    return [
        Household(
            profile_id=f"hh-{household:04d}",
            row=ProfileRow(
                features=features,
                consents=_consents(household),
                time_zone=TIME_ZONE,
                locale=LOCALE,
                address=_address(household),
            ),
        )
        for household, features in zip(table.index.tolist(), rows_of(table, section), strict=True)
    ]


def rows_of(table: pd.DataFrame, section: Section) -> Iterator[dict[str, Scalar]]:
    """Rows of a table as feature values of a section: Python's own types, what is missing left out.

    Raises KeyError for a declared feature without a column.
    """
    columns = [_values(table[feature.name], feature.type) for feature in section.features]
    names = [feature.name for feature in section.features]
    for values in zip(*columns, strict=True):
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _values(column: pd.Series, kind: FeatureType) -> Sequence[Scalar | None]:
    if kind is FeatureType.CATEGORY:
        return [value if isinstance(value, str) else None for value in column.tolist()]
    numbers = column.to_numpy(np.float64)
    known = ~np.isnan(numbers)
    match kind:
        case FeatureType.INT:
            return [
                int(value) if there else None for value, there in zip(numbers.tolist(), known.tolist(), strict=True)
            ]
        case FeatureType.BOOL:
            return [
                value != 0 if there else None for value, there in zip(numbers.tolist(), known.tolist(), strict=True)
            ]
        case _:
            return [value if there else None for value, there in zip(numbers.tolist(), known.tolist(), strict=True)]


def _draw(household: int, what: str) -> float:
    """A number in [0, 1) that depends on nothing but the household and what it is for."""
    digest = hashlib.blake2b(f"{household}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _consents(household: int) -> frozenset[str]:
    return frozenset(name for name, share in CONSENT_SHARES.items() if _draw(household, name) < share)


def _address(household: int) -> Address:
    draw = _draw(household, "address")
    if draw < FORMAL_SHARE:
        return Address.FORMAL
    return Address.INFORMAL if draw < FORMAL_SHARE + INFORMAL_SHARE else Address.NEUTRAL
