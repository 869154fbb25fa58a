"""Where and when consents were given, refused or withdrawn: kept beside a person's record, which says what holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import Struct

from takt.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1


class Given(Struct, frozen=True):
    """What a write says of a consent beside whether it is given."""

    given_us: int | None = None
    """Microseconds since the epoch; None: when it is written."""
    source: str = ""
    """A form, a contract, a call. Empty: not known."""


class Origin(Struct, frozen=True):
    """Whence a consent, refusal or withdrawal is."""

    granted: bool
    given_us: int
    source: str = ""


class ConsentChange(Struct, frozen=True):
    """A consent that is another one than before."""

    profile_id: str
    purpose: str
    granted: bool
    given_us: int
    """0: not known."""
    source: str
    changed_us: int
    """When it was written here."""
    merged_from: str = ""
    """Id of the profile that was merged into this one and changed it; empty for a write."""


def pack_origins(origins: Mapping[str, Origin]) -> bytes:
    """Origins by purpose, as a store keeps them; equal for equal ones."""
    plain = {name: [int(one.granted), one.given_us, one.source] for name, one in sorted(origins.items())}
    return json.dumps([VERSION, plain], ensure_ascii=False, separators=(",", ":")).encode()


def parse_origins(data: bytes | None) -> dict[str, Origin]:
    """The inverse of `pack_origins`; nothing is kept of None. Raises `RecordError` where it is something else."""
    if data is None:
        return {}
    try:
        version, plain = json.loads(data)
        made = {name: Origin(bool(granted), int(us), str(source)) for name, (granted, us, source) in plain.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise RecordError(f"what is kept of the origin of consents is damaged: {error}") from error
    if version != VERSION:
        raise RecordError(f"the origin of consents is kept in version {version}; this service reads {VERSION}")
    return made


def holding(origins: Mapping[str, Origin], consents: Mapping[str, bool]) -> dict[str, Origin]:
    """The origins that are of what holds: one that says otherwise than the record is of something older.

    Those of purposes that are declared no more are kept.
    """
    return {name: one for name, one in origins.items() if consents.get(name, one.granted) == one.granted}


def written(
    origins: Mapping[str, Origin], consents: Mapping[str, bool], given: Mapping[str, Given], now_us: int
) -> dict[str, Origin]:
    """Origins after a write of `consents`. What is said again without a date keeps the date that it had."""
    made = dict(origins)
    for name, granted in consents.items():
        said = given.get(name, Given())
        before = origins.get(name)
        if said.given_us is None and before and before.granted == granted and said.source in ("", before.source):
            continue
        made[name] = Origin(granted, now_us if said.given_us is None else said.given_us, said.source)
    return made


def joined_origins(
    winner: Mapping[str, Origin], loser: Mapping[str, Origin], consents: Mapping[str, bool]
) -> dict[str, Origin]:
    """Origins of two people as one, of which `consents` hold: a withdrawal keeps its own, else the winner's counts."""
    return holding({**holding(loser, consents), **holding(winner, consents)}, consents)


def changes(
    profile_id: str,
    before: Mapping[str, Origin],
    after: Mapping[str, Origin],
    *,
    withdrawn: frozenset[str] = frozenset(),
    now_us: int,
    merged_from: str = "",
) -> list[ConsentChange]:
    """What changed from one to the other; `withdrawn` holds no more though nobody knows since when."""
    made = [
        ConsentChange(profile_id, name, one.granted, one.given_us, one.source, now_us, merged_from)
        for name, one in after.items()
        if one != before.get(name)
    ]
    silent = [
        ConsentChange(
            profile_id, name, granted=False, given_us=0, source="", changed_us=now_us, merged_from=merged_from
        )
        for name in sorted(withdrawn - after.keys())
    ]
    return made + silent
