"""`takt.v1.ContactService`: who was contacted when, what still counts, and how to repair it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from msgspec.structs import replace

from takt.domain.audit import AuditSummary, Finding
from takt.domain.contact import BackfillOutcome, BackfillResult, ContactView, OutsideContact, Person, Reset, ResetResult
from takt.errors import InvalidRequestError, Violation
from takt.rpc.calls import Calls, Context, answering, streaming
from takt.rpc.errors import DrainingError
from takt.rpc.gather import Gather
from takt.v1 import contact_pb2, contact_pb2_grpc
from takt.wire.contact import (
    accountable,
    audit_finding,
    audit_summary,
    backfill_result,
    outside_contact,
    person,
    reset,
    reset_response,
    span,
    view,
)
from takt.wire.values import time_us

MOST_CONTACTS: Final = 1000
ADDED: Final = frozenset({BackfillOutcome.ADDED, BackfillOutcome.DUPLICATE})
"""Outcomes of a contact that is in its ledger."""

Thunk = Callable[[], Any]


class ContactWork(Protocol):
    """What contacts can be asked, blocking."""

    def view(self, person: Person, *, since_us: int | None = None, until_us: int | None = None) -> ContactView:
        """A person's contacts and caps. Raises `NotFoundError` or `RecordError`."""
        ...

    def reset(self, reset: Reset) -> ResetResult:
        """Take contacts out of what is counted. Raises what `view` does, and `PreconditionError`."""
        ...

    def backfill(self, contacts: Sequence[OutsideContact], *, actor: str, reason: str) -> Sequence[BackfillResult]:
        """Add contacts; results in order, fields of violations relative to the contact."""
        ...


class AuditUnderWay(Protocol):
    """An audit that goes on step by step, blocking."""

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def step(self) -> Sequence[Finding]:
        """Do a little: what it found. Raises `NotFoundError` where there is nobody to compare."""
        ...

    def summary(self) -> AuditSummary:
        """What was compared until now."""
        ...


class AuditWork(Protocol):
    """What compares contacts with the log."""

    def begin(
        self,
        person: Person | None = None,
        *,
        partitions: Sequence[int] = (),
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> AuditUnderWay:
        """An audit of one person, or of some partitions (none given: all). Raises `InvalidRequestError`."""
        ...


class Coverage(Protocol):
    """What keeps in mind since when contacts are known."""

    def cover(self, since_us: int, *, actor: str, reason: str) -> None:
        """Note it. Raises `InvalidRequestError` for a moment that contacts are not kept since."""
        ...


class ContactService(contact_pb2_grpc.ContactServiceServicer):
    """Lists, resets, backfills and audits contacts; the state of totals is not served by this version."""

    def __init__(
        self,
        contacts: ContactWork,
        gather: Gather[Thunk, Any],
        *,
        calls: Calls,
        coverage: Coverage,
        audits: AuditWork,
    ) -> None:
        """`gather` calls what it is asked."""
        self.calls = calls
        self._audits = audits
        self._coverage = coverage
        self._contacts = contacts
        self._gather = gather

    @answering
    async def List(  # noqa: N802 - the contract's name
        self, request: contact_pb2.ContactServiceListRequest, _: Context
    ) -> contact_pb2.ContactServiceListResponse:
        """One person's contacts and caps."""
        found: list[Violation] = []
        whom = person(request.profile, "profile", found)
        since_us, until_us = span(request, "since", "until", found)
        if request.totals:
            found.append(Violation("totals", "the state of totals is not served by this version; leave it out"))
        _refuse(found)
        asked = partial(self._contacts.view, whom, since_us=since_us, until_us=until_us)
        return view(await self._gather.ask(asked))

    @answering
    async def Reset(  # noqa: N802 - the contract's name
        self, request: contact_pb2.ContactServiceResetRequest, _: Context
    ) -> contact_pb2.ContactServiceResetResponse:
        """Take contacts of one person out of what is counted."""
        found: list[Violation] = []
        wanted = reset(request, found)
        _refuse(found)
        return reset_response(await self._gather.ask(partial(self._contacts.reset, wanted)))

    @answering
    async def Backfill(  # noqa: N802 - the contract's name
        self, request: contact_pb2.ContactServiceBackfillRequest, _: Context
    ) -> contact_pb2.ContactServiceBackfillResponse:
        """One result per contact, in order. A contact that is wrong does not stop the others."""
        found: list[Violation] = []
        actor, reason = accountable(request, found)
        states = request.HasField("covered_since")
        if not 1 - states <= len(request.contacts) <= MOST_CONTACTS:
            given = f"{len(request.contacts)} given, from 1 to {MOST_CONTACTS} can be added at once"
            found.append(Violation("contacts", given))
        since_us = time_us(request.covered_since, "covered_since", found) if states else 0
        _refuse(found)
        read = [outside_contact(contact, f"contacts[{n}]") for n, contact in enumerate(request.contacts)]
        right = [contact for contact in read if isinstance(contact, OutsideContact)]
        work = partial(self._contacts.backfill, right, actor=actor, reason=reason)
        added = iter(await self._gather.ask(work) if right else ())
        results = [
            result if isinstance(result, BackfillResult) else _placed(next(added), f"contacts[{n}]")
            for n, result in enumerate(read)
        ]
        if states and all(result.outcome in ADDED for result in results):
            await self._gather.ask(partial(self._coverage.cover, since_us, actor=actor, reason=reason))
        return contact_pb2.ContactServiceBackfillResponse(results=[backfill_result(result) for result in results])

    @streaming
    async def Audit(  # noqa: N802 - the contract's name
        self, request: contact_pb2.ContactServiceAuditRequest, _: Context
    ) -> AsyncIterator[contact_pb2.ContactServiceAuditResponse]:
        """Every difference between ledgers and log, then a summary. Step by step, so that others get their turn."""
        found: list[Violation] = []
        whom = person(request.profile, "profile", found) if request.HasField("profile") else None
        if whom is not None and request.partitions:
            found.append(Violation("partitions", "a profile says where to look; leave them out"))
        since_us, until_us = span(request, "since", "until", found)
        _refuse(found)
        begin = partial(
            self._audits.begin, whom, partitions=list(request.partitions), since_us=since_us, until_us=until_us
        )
        audit: AuditUnderWay = await self._gather.ask(begin)
        while not audit.done:
            for finding in await self._gather.ask(audit.step):
                yield audit_finding(finding)
            if self.calls.draining:
                raise DrainingError
        yield audit_summary(audit.summary())


def _refuse(found: Sequence[Violation]) -> None:
    if found:
        raise InvalidRequestError(tuple(found))


def _placed(result: BackfillResult, path: str) -> BackfillResult:
    """A result whose violations say where in the request the contact stands."""
    if not result.violations:
        return result
    return replace(result, violations=tuple(Violation(f"{path}.{v.field}", v.message) for v in result.violations))
