"""`takt.v1.ProfileWrite` to values, and what is known of a person to `takt.v1.Profile`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final

from takt.domain.consent import Given, Origin
from takt.domain.person import Address
from takt.domain.profile import KnownProfile, ProfilePut, PutOutcome, PutResult
from takt.domain.request import Identity, Scalar
from takt.errors import Violation
from takt.v1 import profile_pb2, types_pb2
from takt.wire.values import (
    LONGEST_ID,
    LONGEST_PROFILE_ID,
    MOST_IDENTITIES,
    identity,
    length,
    scalars,
    time_us,
    timestamp,
    value_message,
)
from takt.wire.violations import field_violations

MOST_FEATURES: Final = 1024
MOST_CONSENTS: Final = 64
ADDRESS: Final[Mapping[int, Address]] = {
    types_pb2.FORM_OF_ADDRESS_FORMAL: Address.FORMAL,
    types_pb2.FORM_OF_ADDRESS_INFORMAL: Address.INFORMAL,
    types_pb2.FORM_OF_ADDRESS_NEUTRAL: Address.NEUTRAL,
}
FORM_OF_ADDRESS: Final[Mapping[Address, Any]] = {address: number for number, address in ADDRESS.items()}
REPLACES: Final[Mapping[int, bool]] = {
    profile_pb2.PROFILE_WRITE_MODE_UNSPECIFIED: False,
    profile_pb2.PROFILE_WRITE_MODE_MERGE: False,
    profile_pb2.PROFILE_WRITE_MODE_REPLACE: True,
}
_ID: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def profile_put(message: profile_pb2.ProfileWrite, path: str, times: Container[str]) -> ProfilePut | PutResult:
    """One write as a value, or its rejection with everything that is wrong with it, fields below `path`.

    `times` are the profile features that are declared as timestamps.
    """
    found: list[Violation] = []
    if not message.profile_id and not message.identities:
        found.append(Violation(f"{path}.profile_id", "give a profile_id or an identity"))
    if not _ID.issuperset(message.profile_id):
        found.append(Violation(f"{path}.profile_id", 'may have A-Z, a-z, 0-9, ".", "_" and "-" only'))
    identities: tuple[Identity, ...] = ()
    if len(message.identities) > MOST_IDENTITIES:
        found.append(Violation(f"{path}.identities", f"{len(message.identities)} given, at most {MOST_IDENTITIES}"))
    else:
        identities = tuple(identity(i, f"{path}.identities[{n}]", found) for n, i in enumerate(message.identities))
    if message.form_of_address and message.form_of_address not in ADDRESS:
        found.append(Violation(f"{path}.form_of_address", "must be FORMAL, INFORMAL or NEUTRAL"))
    if message.mode not in REPLACES:
        found.append(Violation(f"{path}.mode", "must be MERGE or REPLACE"))
    values = scalars(message.features, f"{path}.features", found, most=MOST_FEATURES, times=times)
    features: dict[str, Scalar | None] = dict(values)
    if len(message.features) <= MOST_FEATURES:
        features |= {name: None for name, value in message.features.items() if value.WhichOneof("kind") is None}
    consents, given = _consents(message, path, found)
    put = ProfilePut(
        profile_id=length(message.profile_id, f"{path}.profile_id", found, most=LONGEST_PROFILE_ID),
        identities=identities,
        features=features,
        consents=consents,
        given=given,
        time_zone=length(message.time_zone, f"{path}.time_zone", found),
        locale=length(message.locale, f"{path}.locale", found),
        address=ADDRESS.get(message.form_of_address),
        replace=REPLACES.get(message.mode, False),
    )
    return PutResult(put.profile_id[:LONGEST_PROFILE_ID], PutOutcome.REJECTED, tuple(found)) if found else put


def _consents(
    message: profile_pb2.ProfileWrite, path: str, found: list[Violation]
) -> tuple[dict[str, bool], dict[str, Given]]:
    """What is consented to and not, by purpose, and when and where.

    Of several for one purpose, the latest: one without a time is now.
    """
    if len(message.consents) > MOST_CONSENTS:
        found.append(Violation(f"{path}.consents", f"{len(message.consents)} given, at most {MOST_CONSENTS}"))
        return {}, {}
    said: list[tuple[float, str, bool, Given]] = []
    for n, consent in enumerate(message.consents):
        at = f"{path}.consents[{n}]"
        purpose = length(consent.purpose, f"{at}.purpose", found, least=1)
        source = length(consent.source, f"{at}.source", found, most=LONGEST_ID)
        when = time_us(consent.given_at, f"{at}.given_at", found) if consent.HasField("given_at") else None
        said.append((float("inf") if when is None else when, purpose, consent.granted, Given(when, source)))
    said.sort(key=lambda one: one[0])
    consents = {purpose: granted for _, purpose, granted, _ in said}
    return consents, {purpose: given for _, purpose, _, given in said}


def reference(message: profile_pb2.ProfileServiceGetRequest, found: list[Violation]) -> tuple[str, Identity | None]:
    """Profile id or identity of whom is asked for."""
    match message.profile.WhichOneof("reference"):
        case "profile_id":
            named = message.profile.profile_id
            return length(named, "profile.profile_id", found, least=1, most=LONGEST_PROFILE_ID), None
        case "identity":
            return "", identity(message.profile.identity, "profile.identity", found)
        case _:
            found.append(Violation("profile", "give the profile_id or the identity of a person"))
            return "", None


def names(message: profile_pb2.ProfileServiceLinkRequest, found: list[Violation]) -> tuple[str, tuple[Identity, ...]]:
    """Profile id and identities of whom is linked."""
    if not _ID.issuperset(message.profile_id):
        found.append(Violation("profile_id", 'may have A-Z, a-z, 0-9, ".", "_" and "-" only'))
    profile_id = length(message.profile_id, "profile_id", found, most=LONGEST_PROFILE_ID)
    if len(message.identities) > MOST_IDENTITIES:
        found.append(Violation("identities", f"{len(message.identities)} given, at most {MOST_IDENTITIES}"))
        return profile_id, ()
    return profile_id, tuple(identity(i, f"identities[{n}]", found) for n, i in enumerate(message.identities))


def profile(known: KnownProfile, times: Container[str]) -> profile_pb2.Profile:
    """What is kept about a person, as a message. Identities are kept as digests and cannot be told."""
    return profile_pb2.Profile(
        profile_id=known.profile_id,
        anonymous=known.anonymous,
        features={name: value_message(value, time=name in times) for name, value in known.features.items()},
        time_zone=known.time_zone,
        locale=known.locale,
        form_of_address=FORM_OF_ADDRESS[known.address],
        consents=[_consent(name, granted, known.origins.get(name)) for name, granted in known.consents.items()],
        written_at=timestamp(known.written_us),
        feature_fingerprint=known.layout,
        absorbed_profile_ids=known.absorbed,
    )


def _consent(purpose: str, granted: bool, origin: Origin | None) -> profile_pb2.Consent:
    made = profile_pb2.Consent(purpose=purpose, granted=granted)
    if origin is not None:
        made.source = origin.source
        made.given_at.CopyFrom(timestamp(origin.given_us))
    return made


OUTCOME: Final[Mapping[PutOutcome, Any]] = {
    PutOutcome.CREATED: profile_pb2.PROFILE_WRITE_OUTCOME_CREATED,
    PutOutcome.UPDATED: profile_pb2.PROFILE_WRITE_OUTCOME_UPDATED,
    PutOutcome.REJECTED: profile_pb2.PROFILE_WRITE_OUTCOME_REJECTED,
    PutOutcome.BUSY: profile_pb2.PROFILE_WRITE_OUTCOME_UNAVAILABLE,
}


def write_result(result: PutResult) -> profile_pb2.ProfileWriteResult:
    """What became of a write, as a message."""
    return profile_pb2.ProfileWriteResult(
        profile_id=result.profile_id,
        outcome=OUTCOME[result.outcome],
        violations=field_violations(result.violations),
    )
