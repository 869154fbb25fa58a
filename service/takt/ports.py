"""What the engine needs from outside, as Protocols. Adapters implement them; one contract suite tests every store.

All calls are for a batch and block until answered; each is one round trip. They raise `takt.errors.StoreError` when the
store cannot be reached within its time budget: then nothing is known about what was written.

What decisions need can be begun, so that other work is done while the store is at it: see `Begun`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.catalog.snapshot import Catalog
    from takt.domain.audit import Deed, Unreadable
    from takt.domain.contact import LedgerChange
    from takt.domain.decision import Decision
    from takt.domain.edition import Edition, Following, SourceFile
    from takt.domain.feedback import FeedbackEvent
    from takt.domain.log import LogEntry, LogExtent, LogPosition
    from takt.domain.merge import Estate, Merges, MergeStep
    from takt.domain.reasons import Cause
    from takt.domain.request import Identity
    from takt.domain.totals import Book, CountedEvent, Pool, Transfer

Answer_co = TypeVar("Answer_co", covariant=True)

SNAPSHOT_LIMIT_US: Final = 60_000_000
"""No store commits on a snapshot older than this, whatever `max_age_us` says. So a mark that only warns those who have
read before it (the gate of a ledger without entries, a sealed anonymous ledger) need not be kept for longer."""


class Fetched(Struct, frozen=True):
    """One consistent read for a batch of n persons."""

    now_us: int
    """The store's time. Policy knows no other."""
    records: list[bytes | None]
    """Packed profile records, None where unknown."""
    ledgers: list[bytes]
    """Header and entries (`takt.domain.ledger`); `EMPTY` where never written."""
    partitions: list[int] = field(default_factory=list)
    """Of n persons, where each one's totals are held; empty unless totals were asked for."""
    pools: list[Mapping[bytes, Pool]] = field(default_factory=list)
    """Of n persons, the pools of that partition; those of one partition are one object. As `partitions`."""


class Hold(Struct, frozen=True):
    """A token that comes back unless its contact is confirmed."""

    expires_us: int
    decision: int
    offer: int
    """Codes, as in the ledger entry."""
    placement: int


class Spend(Struct, frozen=True):
    """What a group takes from one pool."""

    field: bytes
    limit: int
    """As the catalog has it; a pool that is in line with another limit is a conflict."""
    need: int
    """Tokens that were assigned to the group before the draw. So many must be left, whatever was drawn."""
    units: int
    """Tokens that the contacts take, at most `need`."""
    counts: CountedEvent
    holds: tuple[Hold, ...] = ()
    """One per unit, unless the decision itself is counted."""


class Entry(NamedTuple):
    """One decided request, to be remembered and logged, with the contacts it makes."""

    request_id: str
    request_digest: bytes
    """16 bytes."""
    contacts: bytes
    """Zero or more ledger entries."""
    record: bytes | memoryview
    """The decision log's record; given back as it is when the request is repeated."""


class Group(NamedTuple):
    """All that a batch decided for one person, on one chained ledger, with one compare."""

    profile_id: str
    compare: bool
    """False where nothing could be drawn: then nothing is compared."""
    gate: int
    """As read."""
    appends: int
    """As read."""
    slack: int
    """How many contacts others may have appended since, at most."""
    snapshot_us: int
    max_age_us: int
    """Refused as STALE when the store's time is past `snapshot_us + max_age_us`."""
    max_entries: int
    """The ledger's declared maximum; more is refused as LEDGER_FULL."""
    trim_before_us: int
    """Entries that ended (time and expiry) before this may be dropped when the ledger is rewritten."""
    entries: tuple[Entry, ...]
    spends: tuple[Spend, ...] = ()
    """From the pools of the person's partition, each at most once."""
    edition: int = 0
    """Number of the catalog's edition that it was decided under; 0 where none was ever applied. Under an older one than
    is in force it is refused as CATALOG; a partition that is behind is brought along."""
    lapsed_before_us: int = 0
    """Contacts whose hold ended before this without a confirmation may be dropped where there is no room otherwise."""


class Commit(StrEnum):
    """What became of a group."""

    DONE = "DONE"
    KNOWN = "KNOWN"
    """Some of its request ids are remembered; nothing was written. Decide the rest again."""
    CONFLICT = "CONFLICT"
    """The ledger changed by more than the slack, or its gate moved; nothing was written."""
    STALE = "STALE"
    """The snapshot is too old; nothing was written."""
    MARKER = "MARKER"
    """The partition's marker is missing or another's; nothing was written. Fail closed."""
    LEDGER_FULL = "LEDGER_FULL"
    """Nothing was written."""
    CORRUPT = "CORRUPT"
    """What the store holds for this person is not a ledger; nothing was written. Fail closed."""
    CATALOG = "CATALOG"
    """Decided under an edition of the catalog that is out of force; nothing was written. Decide anew under the one that
    is in force."""


class Remembered(Struct, frozen=True):
    """What a store knows of a request id."""

    request_digest: bytes
    record: bytes | None
    """None if the log was trimmed before the id was forgotten."""


class Outcome(Struct, frozen=True):
    """Answer to one group. On KNOWN, CONFLICT and STALE it carries a fresh read, so that no further fetch is needed."""

    commit: Commit
    now_us: int
    known: Mapping[str, Remembered]
    """By request id; only with KNOWN."""
    profile: bytes | None = None
    ledger: bytes = b""
    pools: Mapping[bytes, Pool] | None = None
    """With a fresh read, if the group would spend from any."""


class MarkKind(StrEnum):
    """What a feedback event does to the contacts of its decision."""

    NONE = "NONE"
    SHOWN = "SHOWN"
    CLICKED = "CLICKED"
    RELEASED = "RELEASED"


class Mark(Struct, frozen=True):
    """One feedback event."""

    event_id: str
    person: bytes
    """`takt.domain.decision.person_address` of whom it concerns: a decision id alone leads to it."""
    decision: int
    """`takt.domain.decision.ledger_code` of the decision id; 0 if the event names none."""
    offer: int
    """Code of the offer, 0 = all of the decision."""
    kind: MarkKind
    suppression: bytes
    """Ledger entries to append (suppressions, dismissals), or empty. Appending one moves the gate.

    One that differs from an entry that stands already in nothing but its time and what caused it takes its place if it
    lasts longer.
    """
    record: bytes
    """The event, for the log."""


class MarkOutcome(StrEnum):
    """What became of an event."""

    APPLIED = "APPLIED"
    LATE = "LATE"
    """The hold had expired: it counts from now on, and the gate moved."""
    DUPLICATE = "DUPLICATE"
    ORPHAN = "ORPHAN"
    """No contact of that decision is in the ledger. Kept in the log and counted."""
    MERGING = "MERGING"
    """The person is being merged or was; nothing was written. See to that (`Merging`), and mark again."""


class ProfileWrite(Struct, frozen=True):
    """One profile to put."""

    profile_id: str
    record: bytes
    identities: tuple[Identity, ...]
    tightens: bool
    """Consent, zone or the like may have changed: the ledger's gate moves in the same step."""
    expected: bytes | None = None
    """The record that this one was made from, empty if there was none; None: whatever stands there."""
    consents: bytes | None = None
    """What is kept of their origin (`takt.domain.consent`); None: it stays as it is."""
    changes: tuple[bytes, ...] = ()
    """Log records of consents that changed, written in the same step."""


class ProfileOutcome(StrEnum):
    """What became of a profile write."""

    WRITTEN = "WRITTEN"
    IDENTITY_TAKEN = "IDENTITY_TAKEN"
    """An identity names another profile; nothing of this profile was written. `Link` merges."""
    IDENTITY_HAS_CONTACTS = "IDENTITY_HAS_CONTACTS"
    """An identity has an anonymous ledger with contacts; nothing of this profile was written. `Link` merges."""
    CHANGED = "CHANGED"
    """The record is not the expected one; nothing of this profile was written. Make it anew and repeat."""
    MERGED = "MERGED"
    """The profile was merged into another (`Merging.read`); nothing of it was written."""


class Rewrite(Struct, frozen=True):
    """Other entries in place of all that one person's ledger has: a reset, or contacts from outside. Moves the gate."""

    profile_id: str
    ledger: bytes
    """As it was read, header included. Nothing is written where it is another by now."""
    entries: bytes
    """All entries from now on."""
    appended: int
    """How many of them are new."""
    dropped: bytes
    """Contacts that go. Tokens that they hold are spent for good: what was said cannot be unsaid."""
    record: bytes
    """What is done, for the log: who, when, why."""
    lapsed_before_s: int = 0
    """The second before which contacts that lapsed are left out of `entries`, since the epoch; 0: none is."""


class RewriteOutcome(StrEnum):
    """What became of a rewrite."""

    DONE = "DONE"
    CHANGED = "CHANGED"
    """The ledger is not the one that was read; nothing was written. Read it and make the change anew."""
    CLOSED = "CLOSED"
    """The person is being merged or was, or belongs to a profile by now; nothing was written."""
    CORRUPT = "CORRUPT"
    """What the store holds is not a ledger; nothing was written."""


class Merging(Protocol):
    """The steps of merging two persons. Each is one round trip, touches one person, and does no harm when repeated.

    Anybody may take the next step of a merge, at any time. All raise `StoreMarkerError` where the marker is missing.
    """

    def read(self, people: Sequence[bytes]) -> list[Merges]:
        """What is known of the merges of the persons at n addresses (`takt.domain.decision.person_address`)."""
        ...

    def expect(self, winner: str, loser: str) -> MergeStep:
        """First: no contact of `winner` is made until `loser` is absorbed. The ids are different.

        DONE, ABSORBED, BUSY, ELSEWHERE (the winner was merged itself) or CORRUPT.
        """
        ...

    def seal(self, loser: str, winner: str) -> tuple[MergeStep, Estate | None]:
        """Second: freeze an expected loser, so that it leads to its winner; gives what it leaves, with DONE.

        Otherwise ABSORBED, BUSY, ELSEWHERE or CORRUPT.
        """
        ...

    def absorb(
        self,
        winner: str,
        loser: str,
        *,
        estate: Estate,
        record: bytes | None,
        expected: bytes | None,
        consents: bytes | None = None,
        changes: Sequence[bytes] = (),
    ) -> MergeStep:
        """Third: the winner takes over contacts, suppressions and ids of a sealed loser, once.

        `record` is the profile record of both, made from the winner's `expected` one; None: it stays as it is.
        `consents` and `changes` are as in a `ProfileWrite`. DONE, CHANGED or CORRUPT.
        """
        ...

    def close(self, loser: str, winner: str) -> None:
        """Last: nothing is left of an absorbed loser but where it leads."""
        ...

    def forgo(self, winner: str, loser: str) -> None:
        """Give up a merge whose loser was sealed for somebody else."""
        ...

    def name(self, identity: Identity, profile_id: str, *, former: str | None) -> bool:
        """Let an identity lead to a profile; False, and nothing is done, if it no longer leads to `former`."""
        ...


class Allotment(Struct, frozen=True):
    """Bring one partition in line with a total cap's limit.

    At the cap's home the pool is made, or gains the difference. Elsewhere what is left goes back home.
    """

    partition: int
    field: bytes
    limit: int
    ends_us: int


class Gift(Struct, frozen=True):
    """Send tokens to another partition: as many as are left, at most `units`. Nothing goes under another limit."""

    field: bytes
    origin: int
    target: int
    units: int
    limit: int
    ends_us: int


class Totals(Protocol):
    """The pools of total caps. Every call is one round trip, counted as `transfer` (`sweep`: as `sweep`)."""

    @property
    def partitions(self) -> int:
        """How many hold totals."""
        ...

    def read(self) -> list[Book]:
        """All there is, by partition."""
        ...

    def allot(self, allotments: Sequence[Allotment]) -> list[Transfer]:
        """Bring pools in line; what goes back home is to be taken in there. Repeating changes nothing."""
        ...

    def give(self, gifts: Sequence[Gift]) -> list[Transfer]:
        """Take tokens out of pools and record where they go, each to be taken in by anybody, at any time."""
        ...

    def receive(self, transfers: Sequence[Transfer]) -> int:
        """Take in what was given. Repeating changes nothing. Returns how many tokens came in."""
        ...

    def sweep(self, most: int = 1000) -> int:
        """Give back the tokens of holds that have expired, at most so many per partition; forget windows long ended.

        Returns how many tokens were given back.
        """
        ...


class DecisionLog(Protocol):
    """The log, partition by partition: read in pages, trimmed once it is kept elsewhere."""

    @property
    def store_id(self) -> str:
        """Whose log this is: positions mean nothing in another store."""
        ...

    @property
    def partitions(self) -> int:
        """How many there are."""
        ...

    def extents(self) -> list[LogExtent]:
        """How much there is, by partition. One round trip."""
        ...

    def read(self, partition: int, after: LogPosition, most: int) -> list[LogEntry]:
        """The oldest entries behind a position, at most so many, in order. One round trip."""
        ...

    def trim(self, up_to: Sequence[LogPosition]) -> int:
        """Drop entries up to a position of each partition, that one included; returns how many went.

        Entries that a remembered id may still lead to stay, whatever is asked: those younger than twice the retention.
        """
        ...

    def legends(self) -> dict[str, str]:
        """What the packed parts of records mean (`takt.catalog.legend`), by version of the catalog."""
        ...

    def register_legend(self, catalog: str, legend: str) -> None:
        """Keep what records mean that are written under a catalog. The first text stands."""
        ...


class Editions(Protocol):
    """The catalog in force, and those before it. No call is made while a request waits.

    All raise `StoreMarkerError` where the marker is missing.
    """

    def history(self) -> list[Edition]:
        """The newest editions, the newest first."""
        ...

    def files(self, number: int) -> tuple[SourceFile, ...] | None:
        """The files of an edition; None where they are no longer kept."""
        ...

    def has_contacts(self) -> bool:
        """Whether anything was ever logged: only then can there be contacts."""
        ...

    def announce(self, edition: Edition, files: Sequence[SourceFile]) -> bool:
        """Put an edition up for all replicas to load.

        False, and nothing is done, unless the edition before it, by its number, is the newest, and in force.
        """
        ...

    def follow(self, replica: bytes, prepared: int, decides: int) -> Following:
        """Say which edition a replica (16 bytes) has loaded and which it decides by; learn which one is in force.

        The newest comes into force here once every replica that was heard of lately has loaded it, or its time is up.
        """
        ...

    def leave(self, replica: bytes) -> None:
        """Say that a replica ends: nobody waits for it any more."""
        ...

    def advance(self, number: int) -> None:
        """Bring every partition to an edition that is in force: then nothing is committed under earlier ones."""
        ...

    def cover(self, number: int, since_us: int, actor: str, reason: str) -> bool:
        """Note that all contacts since then are known; False if that edition is not the newest any more."""
        ...


class Begun(Protocol[Answer_co]):
    """A call of the store that is under way. Calling it, once, waits for the answer; it raises what the call would.

    A commit is carried out, or not, whether or not anybody waits for it.
    """

    def __call__(self) -> Answer_co:
        """Wait for the answer, if it is not there yet, and give it."""
        ...


class Store(Protocol):
    """Profiles, ledgers, request ids, identities and the decision log."""

    @property
    def merging(self) -> Merging:
        """The steps of merging two persons."""
        ...

    @property
    def totals(self) -> Totals:
        """The pools of total caps."""
        ...

    @property
    def decision_log(self) -> DecisionLog:
        """What was decided and what came of it."""
        ...

    @property
    def editions(self) -> Editions:
        """The catalog in force, and those before it."""
        ...

    def check_marker(self) -> None:
        """Raise `StoreMarkerError` unless every partition bears the marker this store was opened with."""
        ...

    def resolve(self, identities: Sequence[Identity]) -> list[str | None]:
        """Profile ids of n identities, None where unknown. One round trip."""
        ...

    def begin_resolve(self, identities: Sequence[Identity]) -> Begun[list[str | None]]:
        """`resolve`, under way."""
        ...

    def fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Fetched:
        """Time, records and ledgers of n persons, and the pools of their partitions if wanted. One round trip."""
        ...

    def begin_fetch(self, profile_ids: Sequence[str], *, totals: bool = False) -> Begun[Fetched]:
        """`fetch`, under way."""
        ...

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """Compare and append, group by group, in the order given. One round trip.

        Per group, in this order: request ids known? marker? edition? age? gate and appends? room? totals? Only then the
        first write.
        """
        ...

    def begin_commit(self, groups: Sequence[Group]) -> Begun[list[Outcome]]:
        """`commit`, under way."""
        ...

    def mark(self, marks: Sequence[Mark]) -> list[MarkOutcome]:
        """Apply feedback once per event id. One round trip."""
        ...

    def consents(self, profile_ids: Sequence[str]) -> list[bytes | None]:
        """What is kept of the origin of people's consents; None where nothing is. One round trip. Not for decisions."""
        ...

    def put(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """Write profiles and their identities. At most three round trips, whatever the batch."""
        ...

    def rewrite(self, rewrites: Sequence[Rewrite]) -> list[RewriteOutcome]:
        """Replace the entries of ledgers, and log each change. One round trip."""
        ...

    def layouts(self) -> dict[int, str]:
        """Registered record layouts: fingerprint to JSON."""
        ...

    def register_layout(self, fingerprint: int, layout: str) -> None:
        """Keep a layout so that records written in it stay readable. Idempotent."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class Scores(Struct, frozen=True):
    """A model's answer for R rows and O offers; every axis but the first may be 1 and broadcasts.

    Arrays are float32 `[R, T, N, O]`, axes of size 1 standing for every index.
    """

    acceptance: npt.NDArray[np.float32]
    baseline: npt.NDArray[np.float32] | None = None
    value: npt.NDArray[np.float32] | None = None
    reaction: npt.NDArray[np.float32] | None = None
    uncertainty: npt.NDArray[np.float32] | None = None


class EventCodec(Protocol):
    """The encoding of feedback in the log."""

    def encode_event(self, event: FeedbackEvent, profile_id: str, received_at_us: int) -> bytes:
        """One record. The profile id is empty where the event names nobody: its decision id then says who it was."""
        ...


class ChangeCodec(Protocol):
    """The encoding of changes by hand in the log."""

    def encode_change(self, change: LedgerChange) -> bytes:
        """One record."""
        ...


class DeedReader(Protocol):
    """The reading of what the log tells of contacts."""

    def deeds(self, entries: Sequence[LogEntry]) -> Sequence[Deed | Unreadable]:
        """One for each entry, in their order."""
        ...


class Scorer(Protocol):
    """A model in force."""

    @property
    def version(self) -> str:
        """`name/version`."""
        ...

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],
        offers: npt.NDArray[np.float32],
        offer_code: npt.NDArray[np.int64],
    ) -> Scores:
        """Score `[R, P]` and `[R, C]` against `[O, G]` in one run. Raises `ModelError` on unusable output."""
        ...

    def offer_codes(self, offers: Sequence[str]) -> npt.NDArray[np.int64]:
        """int64 [n]: the codes the model was trained with, 0 for an offer it never saw."""
        ...


class Counted(NamedTuple):
    """What became of some requests of a batch, for the metrics. Placements P, channels H."""

    catalog: Catalog
    decisions: Mapping[tuple[bool, bool], int]
    """By whether they are degraded and whether they are dry runs."""
    attempts: Mapping[int, int]
    """By number of attempts, without dry runs."""
    causes: Sequence[Cause]
    """What each degraded answer lacks, one after the other."""
    statuses: npt.NDArray[np.int64]
    """int64 [P, 5]: placements by what they got, 1 to 4 in the order of `Status`."""
    reasons: npt.NDArray[np.int64]
    """int64 [reasons]: offers left out, by `Reason`."""
    offers: npt.NDArray[np.int64]
    """int64 [H]: offers given."""


class Meter(Protocol):
    """What the engine tells of its own work. Implementations must be quick and never raise."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a batch took this long."""
        ...

    def batch(self, size: int) -> None:
        """A batch of this many requests was taken up."""
        ...

    def settled(self, counted: Counted) -> None:
        """Requests of a batch were answered as they were decided."""
        ...

    def repeated(self) -> None:
        """A request that was decided before was given the same answer."""
        ...

    def decided(self, decision: Decision, amount: int = 1) -> None:
        """So many requests were answered with these fallbacks."""
        ...

    def refused(self, reason: str) -> None:
        """A request was wrong; `reason` is the error's class."""
        ...

    def races(self, outcomes: Sequence[Outcome]) -> None:
        """What became of the groups of one commit."""
        ...


class NullMeter:
    """Tells nobody."""

    def stage(self, name: str, seconds: float) -> None:
        """Forget it."""

    def batch(self, size: int) -> None:
        """Forget it."""

    def settled(self, counted: Counted) -> None:
        """Forget it."""

    def repeated(self) -> None:
        """Forget it."""

    def decided(self, decision: Decision, amount: int = 1) -> None:
        """Forget it."""

    def refused(self, reason: str) -> None:
        """Forget it."""

    def races(self, outcomes: Sequence[Outcome]) -> None:
        """Forget it."""
