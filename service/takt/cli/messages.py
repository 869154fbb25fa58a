"""What people ask and write down, to messages of the contract and back.

`Question` is one request to decide. Profiles and events are JSON objects, one per line of a file; their keys are the
names of the contract's fields. Reading one finds everything that is wrong with it at once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Struct, field

from takt.cli import values
from takt.cli.values import Plain, refuse
from takt.errors import InvalidRequestError, Violation
from takt.spelling import did_you_mean, shown
from takt.v1 import contact_pb2, decision_pb2, feedback_pb2, profile_pb2, types_pb2

Answer: TypeAlias = decision_pb2.DecideResponse
PlacementAnswer: TypeAlias = decision_pb2.PlacementDecision
"""The answer's messages, for those above the edge who read them."""

EXPLAIN = ("counts", "offers", "full")
ADDRESSES = ("formal", "informal", "neutral")
MODES = ("merge", "replace")

PROFILE_KEYS = (
    "profile_id",
    "identities",
    "features",
    "time_zone",
    "locale",
    "form_of_address",
    "consents",
    "mode",
)
EVENT_KEYS = (
    "event_id",
    "type",
    "decision_id",
    "profile_id",
    "identity",
    "offer",
    "placement",
    "channel",
    "occurred_at",
    "attributes",
    "value",
)
CONTACT_KEYS = ("contact_id", "profile_id", "identity", "counted_at", "channel", "offer", "placement")
READ_ONLY_KEYS = ("anonymous", "written_at", "feature_fingerprint", "absorbed_profile_ids")
"""What reading a profile adds; taken back without a word, so that what was read can be written."""


REJECTED = "rejected"
UNAVAILABLE = "unavailable"
"""The two outcomes of a profile or event that was not taken: the second may be sent again."""


class Taken(Struct, frozen=True):
    """What the service made of one profile or event."""

    id: str
    outcome: str
    """Lower case, such as `created`, `applied` or `rejected`."""
    violations: tuple[Violation, ...] = ()


def new_id() -> str:
    """A fresh request or event id."""
    return str(uuid.uuid4())


class Question(Struct, frozen=True, kw_only=True):
    """One request to decide: who, where, in which context."""

    placements: tuple[str, ...]
    """Names; `name:2` asks for at most two offers there."""
    profile_id: str = ""
    identities: tuple[str, ...] = ()
    """`namespace=value`, strongest first."""
    context: Mapping[str, Plain] = field(default_factory=dict)
    timings: tuple[str, ...] = ()
    dry_run: bool = False
    explain: str = "counts"
    request_id: str = field(default_factory=new_id)
    allow_duplicates: bool = False
    budget: str = ""
    """Such as `80ms`; empty for the service's own."""

    def message(self) -> decision_pb2.DecideRequest:
        """The request of the contract. Raises `InvalidRequestError` for what cannot be written as one."""
        return decision_pb2.DecideRequest(
            request_id=self.request_id,
            profile_id=self.profile_id,
            identities=[identity(text, f"identities[{i}]") for i, text in enumerate(self.identities)],
            placements=[_placement(text, i) for i, text in enumerate(self.placements)],
            context=values.values(self.context, "context"),
            timings=self.timings,
            dry_run=self.dry_run,
            explain=f"EXPLAIN_LEVEL_{self.explain.upper()}",
            allow_duplicates=self.allow_duplicates,
            budget=values.duration(self.budget, "budget") if self.budget else None,
        )


def identity(text: str, where: str = "identity") -> types_pb2.Identity:
    """`login=anna` as an identity."""
    namespace, equals, name = text.partition("=")
    if not (namespace and equals and name):
        raise refuse(where, f"{shown(text)} is no identity; write it like login=anna")
    return types_pb2.Identity(namespace=namespace, value=name)


def profile_write(given: Mapping[str, Any]) -> profile_pb2.ProfileWrite:
    """A profile as JSON has it, as a write. Raises `InvalidRequestError` with everything that is wrong."""
    reading = _Reading(given)
    reading.only((*PROFILE_KEYS, *READ_ONLY_KEYS))
    write = profile_pb2.ProfileWrite(
        profile_id=reading.text("profile_id"),
        identities=reading.identities("identities"),
        features=reading.values("features"),
        time_zone=reading.text("time_zone"),
        locale=reading.text("locale"),
        form_of_address=reading.choice("form_of_address", ADDRESSES, types_pb2.FormOfAddress, "FORM_OF_ADDRESS_"),
        consents=reading.consents("consents"),
        mode=reading.choice("mode", MODES, profile_pb2.ProfileWriteMode, "PROFILE_WRITE_MODE_"),
    )
    if not (write.profile_id or write.identities):
        reading.wrong("profile_id", "a profile_id or at least one of identities has to be given")
    reading.done()
    return write


def profile_plain(profile: profile_pb2.Profile) -> dict[str, Any]:
    """A profile as JSON, in the form that `profile_write` takes."""
    address = types_pb2.FormOfAddress.Name(profile.form_of_address).removeprefix("FORM_OF_ADDRESS_").lower()
    whole = {
        "profile_id": profile.profile_id,
        "anonymous": profile.anonymous,
        "identities": [{"namespace": i.namespace, "value": i.value} for i in profile.identities],
        "features": {name: values.plain(one) for name, one in sorted(profile.features.items())},
        "time_zone": profile.time_zone,
        "locale": profile.locale,
        "form_of_address": "" if address == "unspecified" else address,
        "consents": {consent.purpose: _consent_plain(consent) for consent in profile.consents},
        "written_at": values.written(profile.written_at),
        "feature_fingerprint": profile.feature_fingerprint,
        "absorbed_profile_ids": list(profile.absorbed_profile_ids),
    }
    return {key: kept for key, kept in whole.items() if kept not in ("", [], False) or key == "anonymous"}


def _consent_plain(consent: profile_pb2.Consent) -> bool | dict[str, Any]:
    """Whether it is given, and when and where if that is known."""
    if not consent.HasField("given_at"):
        return consent.granted
    whole = {"granted": consent.granted, "given_at": values.written(consent.given_at)}
    return whole | ({"source": consent.source} if consent.source else {})


def event(given: Mapping[str, Any]) -> feedback_pb2.Event:
    """An event as JSON has it. Without an id it gets a fresh one. Raises `InvalidRequestError` with all violations."""
    reading = _Reading(given)
    reading.only(EVENT_KEYS)
    made = feedback_pb2.Event(
        event_id=reading.text("event_id") or new_id(),
        type=reading.text("type"),
        decision_id=reading.text("decision_id"),
        profile_id=reading.text("profile_id"),
        identity=next(iter(reading.identities("identity")), None),
        offer=reading.text("offer"),
        placement=reading.text("placement"),
        channel=reading.text("channel"),
        attributes=reading.values("attributes"),
        value=reading.number("value"),
    )
    if when := reading.moment("occurred_at"):
        made.occurred_at.CopyFrom(when)
    if not made.type:
        reading.wrong("type", "is missing; give one that the catalog declares, such as click")
    if not (made.decision_id or made.profile_id or made.HasField("identity")):
        reading.wrong("decision_id", "a decision_id, or a profile_id or identity, has to be given")
    reading.done()
    return made


def outside_contact(given: Mapping[str, Any]) -> contact_pb2.BackfillContact:
    """A contact of another system as JSON has it. Raises `InvalidRequestError` with everything that is wrong."""
    reading = _Reading(given)
    reading.only(CONTACT_KEYS)
    made = contact_pb2.BackfillContact(
        contact_id=reading.text("contact_id"),
        channel=reading.text("channel"),
        offer=reading.text("offer"),
        placement=reading.text("placement"),
    )
    profile_id, identities = reading.text("profile_id"), reading.identities("identity")
    if bool(profile_id) == bool(identities):
        reading.wrong("profile_id", "either a profile_id or an identity has to be given")
    else:
        made.profile.CopyFrom(whom(profile_id, next(iter(identities), None)))
    if when := reading.moment("counted_at"):
        made.counted_at.CopyFrom(when)
    for key in ("contact_id", "counted_at", "channel"):
        if not given.get(key):
            reading.wrong(key, "is missing")
    reading.done()
    return made


def whom(profile_id: str, identity: types_pb2.Identity | None) -> types_pb2.ProfileReference:
    """A person, by an identity if there is one."""
    if identity is not None:
        return types_pb2.ProfileReference(identity=identity)
    return types_pb2.ProfileReference(profile_id=profile_id)


def contacts_plain(found: contact_pb2.ContactServiceListResponse) -> dict[str, Any]:
    """A person's contacts and caps as JSON."""
    return {
        "profile_id": found.profile_id,
        "as_of": values.written(found.as_of),
        "contacts": [_contact_plain(contact) for contact in found.contacts],
        "caps": [
            _given(
                cap=cap.cap,
                scope=_word(contact_pb2.CapScope.Name(cap.scope), "CAP_SCOPE_"),
                subject=cap.subject,
                limit=cap.limit,
                counted=cap.counted,
                held=cap.held,
                window_start=values.written(cap.window_start),
                window_end=values.written(cap.window_end),
                next_possible_at=values.written(cap.next_possible_at),
            )
            for cap in found.caps
        ],
        "suppressions": [
            _given(offer=one.offer, group=one.group, since=values.written(one.since), until=values.written(one.until))
            for one in found.suppressions
        ],
    }


def finding_plain(finding: contact_pb2.AuditFinding) -> dict[str, Any]:
    """A difference that an audit found, as JSON."""
    return _given(
        kind=_word(contact_pb2.AuditFindingKind.Name(finding.kind), "AUDIT_FINDING_KIND_"),
        profile_id=finding.profile_id,
        contact=_contact_plain(finding.contact) if finding.HasField("contact") else "",
        cap=finding.cap,
        counted=finding.counted if finding.cap else "",
        logged=finding.logged if finding.cap else "",
        message=finding.message,
    )


def audit_plain(summary: contact_pb2.AuditSummary) -> dict[str, Any]:
    """What an audit compared, as JSON."""
    return _given(
        profiles=summary.profiles,
        contacts=summary.contacts,
        totals=summary.totals,
        findings=summary.findings,
        late=summary.late,
        log_since=values.written(summary.log_since),
    )


def _contact_plain(contact: contact_pb2.Contact) -> dict[str, Any]:
    return _given(
        counted_at=values.written(contact.counted_at),
        state=_word(contact_pb2.ContactState.Name(contact.state), "CONTACT_STATE_"),
        channel=contact.channel,
        placement=contact.placement,
        offer=contact.offer,
        group=contact.group,
        decision_id=contact.decision_id,
        hold_expires_at=values.written(contact.hold_expires_at),
    )


def _given(**fields: Any) -> dict[str, Any]:
    """Fields without those that say nothing."""
    return {name: one for name, one in fields.items() if one != ""}


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def json_line(text: str) -> Mapping[str, Any]:
    """One line of a file of JSON lines. Raises `InvalidRequestError` unless it is an object."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise refuse("", f"is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise refuse("", f"is {type(found).__name__}; one JSON object per line is expected")
    return found


def _placement(text: str, index: int) -> decision_pb2.PlacementRequest:
    name, colon, most = text.partition(":")
    if colon and not most.isdecimal():
        raise refuse(f"placements[{index}]", f"{shown(text)}: after the colon goes a number of offers, as in tiles:2")
    return decision_pb2.PlacementRequest(placement=name, max_offers=int(most) if colon else 0)


class _Reading:
    """Reads a JSON object key by key and keeps everything that is wrong."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.violations: list[Violation] = []

    def wrong(self, where: str, message: str) -> None:
        self.violations.append(Violation(where, message))

    def done(self) -> None:
        if self.violations:
            raise InvalidRequestError(tuple(self.violations))

    def only(self, keys: tuple[str, ...]) -> None:
        for key in self.given:
            if key not in keys:
                self.wrong(key, f"is no field of this; {did_you_mean(key, keys)}")

    def text(self, key: str) -> str:
        found = self.given.get(key)
        if found is None:
            return ""
        if isinstance(found, str):
            return found
        self.wrong(key, f"is {type(found).__name__}; a text is expected")
        return ""

    def number(self, key: str) -> float | None:
        found = self.given.get(key)
        if found is None or (isinstance(found, int | float) and not isinstance(found, bool)):
            return found
        self.wrong(key, f"is {type(found).__name__}; a number is expected")
        return None

    def moment(self, key: str) -> Timestamp | None:
        found = self.text(key)
        try:
            return values.moment(found, key) if found else None
        except InvalidRequestError as error:
            self.violations.extend(error.violations)
            return None

    def mapping(self, key: str) -> Mapping[str, Any]:
        found = self.given.get(key)
        if found is None:
            return {}
        if isinstance(found, Mapping):
            return found
        self.wrong(key, f"is {type(found).__name__}; an object of names and values is expected")
        return {}

    def values(self, key: str) -> dict[str, types_pb2.Value]:
        try:
            return values.values(self.mapping(key), key)
        except InvalidRequestError as error:
            self.violations.extend(error.violations)
            return {}

    def choice(self, key: str, known: tuple[str, ...], enum: Any, prefix: str) -> Any:
        found = self.text(key)
        if not found:
            return enum.Value(f"{prefix}UNSPECIFIED")
        if found.lower() not in known:
            self.wrong(key, f"{shown(found)} is none of {', '.join(known)}; {did_you_mean(found, known)}")
            return enum.Value(f"{prefix}UNSPECIFIED")
        return enum.Value(f"{prefix}{found.upper()}")

    def identities(self, key: str) -> list[types_pb2.Identity]:
        """`{"login": "anna"}`, `{"namespace": "login", "value": "anna"}` or a list of the latter."""
        found = self.given.get(key)
        if found is None:
            return []
        listed = found if isinstance(found, list) else [found]
        made = []
        for i, one in enumerate(listed):
            where = f"{key}[{i}]" if isinstance(found, list) else key
            if not isinstance(one, Mapping) or not all(isinstance(part, str) for part in one.values()):
                self.wrong(where, 'is no identity; write it like {"namespace": "login", "value": "anna"}')
            elif set(one) == {"namespace", "value"}:
                made.append(types_pb2.Identity(namespace=one["namespace"], value=one["value"]))
            else:
                made.extend(types_pb2.Identity(namespace=space, value=name) for space, name in one.items())
        return made

    def consents(self, key: str) -> list[profile_pb2.Consent]:
        """`{"web": true}`, or `{"web": {"granted": true, "given_at": "2026-01-31T12:00:00Z", "source": "form"}}`."""
        made = []
        for purpose, given in self.mapping(key).items():
            where = f'{key}["{purpose}"]'
            if isinstance(given, bool):
                made.append(profile_pb2.Consent(purpose=purpose, granted=given))
            elif isinstance(given, Mapping):
                made.append(self._dated_consent(purpose, given, where))
            else:
                self.wrong(where, f"is {type(given).__name__}; true or false is expected, or granted with given_at")
        return made

    def _dated_consent(self, purpose: str, given: Mapping[str, Any], where: str) -> profile_pb2.Consent:
        reading = _Reading(given)
        reading.only(("granted", "given_at", "source"))
        granted = given.get("granted")
        made = profile_pb2.Consent(purpose=purpose, granted=granted is True, source=reading.text("source"))
        at = reading.moment("given_at")
        if at is not None:
            made.given_at.CopyFrom(at)
        if not isinstance(granted, bool):
            reading.wrong("granted", "true or false is expected")
        for violation in reading.violations:
            self.wrong(f"{where}.{violation.field}", violation.message)
        return made


def profile_taken(result: profile_pb2.ProfileWriteResult) -> Taken:
    """What became of a profile."""
    outcome = profile_pb2.ProfileWriteOutcome.Name(result.outcome).removeprefix("PROFILE_WRITE_OUTCOME_")
    return Taken(result.profile_id, outcome.lower(), _violations(result.violations))


def contact_taken(result: contact_pb2.BackfillResult) -> Taken:
    """What became of a contact of another system."""
    outcome = contact_pb2.BackfillOutcome.Name(result.outcome).removeprefix("BACKFILL_OUTCOME_")
    return Taken(result.contact_id, outcome.lower(), _violations(result.violations))


def event_taken(result: feedback_pb2.EventResult) -> Taken:
    """What became of an event."""
    outcome = feedback_pb2.EventOutcome.Name(result.outcome).removeprefix("EVENT_OUTCOME_")
    return Taken(result.event_id, outcome.lower(), _violations(result.violations))


def _violations(found: Iterable[Any]) -> tuple[Violation, ...]:
    return tuple(Violation(one.field, one.description) for one in found)
