"""What is written and read of a person, as values."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from takt.domain.person import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from takt.domain.consent import Given, Origin
    from takt.domain.request import Identity, Scalar
    from takt.errors import Violation


class ProfilePut(Struct, frozen=True):
    """One write. What it does not mention stays as it is, or becomes missing with `replace`."""

    profile_id: str = ""
    """Empty: the profile that the first known identity leads to."""
    identities: tuple[Identity, ...] = ()
    features: Mapping[str, Scalar | None] = field(default_factory=dict)
    """None makes a feature missing."""
    consents: Mapping[str, bool] = field(default_factory=dict)
    """Given or withdrawn, by name. Consents that are not mentioned stay in both modes."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """When and where, by name of a consent that is mentioned; what is left out is given now, nobody knows where."""
    time_zone: str = ""
    locale: str = ""
    address: Address | None = None
    """NEUTRAL: no wish; None: not mentioned."""
    replace: bool = False


class PutOutcome(StrEnum):
    """What became of a write."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    REJECTED = "REJECTED"
    """Something is wrong with it; see the violations."""
    BUSY = "BUSY"
    """Others kept writing the same profile; write it again."""


class PutResult(Struct, frozen=True):
    """The answer to one write."""

    profile_id: str
    outcome: PutOutcome
    violations: tuple[Violation, ...] = ()


class KnownProfile(Struct, frozen=True):
    """What is kept about a person."""

    profile_id: str
    anonymous: bool
    """Contacts were counted, but nobody has written a profile."""
    features: Mapping[str, Scalar]
    consents: Mapping[str, bool]
    time_zone: str
    locale: str
    address: Address
    written_us: int
    layout: str
    """Fingerprint, 16 hexadecimal digits, of the layout that the record was written in."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """When and where consents were given or withdrawn, by name, as far as that is known."""
    absorbed: tuple[str, ...] = ()
    """Ids of the profiles that were merged into this one."""
