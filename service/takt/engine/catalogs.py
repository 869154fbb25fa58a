"""Catalogs on their way into force: checked, loaded off the request path, announced, and followed by every replica.

What is in force is told by the store. A replica loads what is announced and says so; once all have, it is in force, and
each swaps one reference. Nothing here is done while a request waits.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from takt.catalog.times import shown_duration
from takt.catalog.workspace import check_files
from takt.clock import DAY_US, SECOND_US
from takt.domain.edition import Edition
from takt.domain.reasons import Cause
from takt.domain.request import DecideRequest, PlacementAsk
from takt.errors import (
    CatalogChangedError,
    CatalogNotFoundError,
    CatalogUnusableError,
    InvalidRequestError,
    ModelError,
    StoreError,
    TaktError,
    Violation,
    WindowNotCoveredError,
    WorkspaceError,
)
from takt.features.layout import layout_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from takt.catalog.snapshot import Catalog
    from takt.catalog.workspace import CheckReport
    from takt.domain.edition import Following, SourceFile
    from takt.engine.engine import Engine
    from takt.engine.force import Force
    from takt.ports import Store

ATTEMPTS: Final = 4
"""How often an apply begins anew because somebody else's came first."""
WAIT_S: Final = 0.05
"""Between two looks at whether all have loaded what was announced."""
LOOKS: Final = 1200
"""So often an apply looks, a minute in all: twice the patience that the store has with replicas."""
LATE_LOOKS: Final = 100
"""So often it looks once it is in force, five seconds in all, whether all have turned."""
LEAST_KEPT_US: Final = 35 * DAY_US
"""How long contacts were kept at least by catalogs that never were applied."""
WARM_UP: Final = "takt-warm-up"
WARM_PLACEMENTS: Final = 16
"""As many as a request may have."""
MISFIT: Final = "the model that serves was not trained for this catalog; train one that is, or keep what it reads"
BY_ITSELF: Final = "takt serve"
FIRST: Final = "the first catalog of this store"


class Fit(Protocol):
    """Brings a catalog together with this replica's model."""

    def __call__(self, catalog: Catalog, edition: int, *, strict: bool) -> Force:
        """The two. A model that does not fit is a `ModelError` if `strict`; else a prior stands in, and says so."""
        ...


class Witness(Protocol):
    """What is told of catalogs. Implementations must be quick and never raise."""

    def turned(self, force: Force) -> None:
        """This replica decides by another catalog from now on."""
        ...

    def seen(self, following: Following) -> None:
        """The store said which edition is in force."""
        ...

    def unusable(self, number: int, error: TaktError) -> None:
        """An edition cannot be loaded here: once it is in force, this replica has only fallbacks."""
        ...

    def asked(self, outcome: str) -> None:
        """Somebody wanted a catalog applied: APPLIED, UNCHANGED, INVALID, NOT_COVERED or CHANGED."""
        ...


class Wish(Struct, frozen=True):
    """A catalog that somebody wants in force."""

    files: tuple[SourceFile, ...]
    actor: str
    reason: str
    expected: str = ""
    """The version that has to be in force before; empty for any."""


class Applied(Struct, frozen=True):
    """What is in force after an apply."""

    edition: Edition
    changed: bool
    """False where it was in force already."""
    warnings: tuple[Violation, ...]


class KnownEdition(Struct, frozen=True):
    """An edition with its files, and the history that it stands in."""

    edition: Edition
    in_force: bool
    files: tuple[SourceFile, ...]
    history: tuple[Edition, ...]
    """The newest first."""


def rehearsal(in_force: Force) -> DecideRequest:
    """A dry run over as many placements as a request may have: compiles or loads every kernel, and leaves no trace."""
    placements = tuple(PlacementAsk(p.id) for p in in_force.catalog.placements[:WARM_PLACEMENTS])
    return DecideRequest(WARM_UP, placements, profile_id=WARM_UP, dry_run=True)


def uncovered(report: CheckReport, edition: Edition, now_us: int) -> tuple[Violation, ...]:
    """What of a catalog looks further back than contacts are known, if it came after an edition now."""
    found = []
    for where, span_us in report.lookbacks:
        from_us = edition.covers_from(span_us, now_us)
        if from_us is None:
            found.append(
                Violation(
                    where,
                    f"is {shown_duration(span_us)}, and contacts are kept for {shown_duration(edition.keep_us)} by the "
                    "catalog in force: put one in force first that raises ledger.keep and leaves the rest as it is",
                )
            )
        elif from_us > now_us:
            found.append(
                Violation(
                    where,
                    f"is {shown_duration(span_us)}, and contacts are known since {_shown(edition.covered_us)} only: it "
                    f"can be applied from {_shown(from_us)} on, or once older contacts were added "
                    "(takt contacts backfill --covered-since)",
                )
            )
    return tuple(found)


def _shown(moment_us: int) -> str:
    """A moment, to the second, the next where it is none: what is to be waited for must have come."""
    return datetime.fromtimestamp(-(-moment_us // SECOND_US), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_edition(last: Edition | None, catalog: Catalog, *, actor: str, reason: str, contacts: bool) -> Edition:
    """What comes after an edition that is in force; after none, `contacts` says whether the store may hold some."""
    if last is None:
        # catalogs before it are not known, only that all kept contacts for so long
        return Edition(
            number=1,
            version=catalog.version,
            previous="",
            actor=actor,
            reason=reason,
            keep_us=catalog.keep_us,
            kept_before_us=LEAST_KEPT_US if contacts else 0,
        )
    return Edition(
        number=last.number + 1,
        version=catalog.version,
        previous=last.version,
        actor=actor,
        reason=reason,
        keep_us=catalog.keep_us,
        kept_before_us=last.keep_us,
        covered_before_us=last.covered_us,
        began_us=last.first_us,
    )


class Catalogs:
    """The catalogs of a store, as one replica applies and follows them. Safe to use from any thread."""

    def __init__(
        self, store: Store, *, replica: bytes, fit: Fit, witness: Witness, pause: Callable[[float], None]
    ) -> None:
        """`replica` are 16 bytes of this replica's own; `pause` waits for seconds. Begin with `open`."""
        self._store = store
        self._editions = store.editions
        self._replica = replica
        self._fit = fit
        self._witness = witness
        self._pause = pause
        self._engine: Engine | None = None
        self._told: Force | None = None
        self._unusable = 0
        self._advanced = 0
        self._lock = threading.RLock()

    # Following ------------------------------------------------------------------------------------------------------

    def open(self, report: CheckReport, files: Sequence[SourceFile]) -> Force:
        """What is in force in the store. Where nothing is, the workspace's catalog becomes the first.

        What is in force is often what the workspace holds: then `report`, on these `files`, is taken for it.
        Raises `WorkspaceError` for a first catalog with errors, `CatalogUnusableError` for an edition that cannot be
        loaded, and `StoreError`.
        """
        seen = self._editions.follow(self._replica, 0, 0)
        if not seen.announced:
            catalog = _catalog_of(report)
            contacts = self._editions.has_contacts()
            # somebody else's may have come first; then theirs it is
            self._editions.announce(
                next_edition(None, catalog, actor=BY_ITSELF, reason=FIRST, contacts=contacts), tuple(files)
            )
            seen = self._editions.follow(self._replica, 0, 0)
        number = seen.in_force or seen.announced
        force = self._loaded(number, known=(report, tuple(files)))
        for _ in range(LOOKS):
            seen = self._editions.follow(self._replica, number, 0)
            if seen.in_force >= number:
                break
            self._pause(WAIT_S)
        self._editions.advance(number)
        self._advanced = number
        return force

    def serve(self, engine: Engine) -> None:
        """From now on, keep this engine on what is in force."""
        self._engine = engine
        self._tell(engine)

    def follow(self) -> Following:
        """One step: say how far this replica is, load what was announced, put in force what is."""
        engine = self._serving
        with self._lock:
            seen = self._report(engine)
            # while this replica was away several may have come; what was announced has to wait for its own turn
            missed = max(engine.force.edition, self._unusable) < seen.in_force
            wanted = seen.in_force if missed else seen.announced
            if engine.prepared < wanted and self._unusable < wanted:
                self._prepare(wanted)
                seen = self._report(engine)
            if self._advanced < seen.in_force <= engine.prepared:
                # first the store: what anybody still decides by the old one is refused there, and decided anew. Also
                # where this replica was turned by that itself: whoever began it may be gone
                self._editions.advance(seen.in_force)
                self._advanced = seen.in_force
                if engine.force.edition < seen.in_force == engine.prepared:
                    engine.turn()
                seen = self._report(engine)
            self._tell(engine)
        self._witness.seen(seen)
        return seen

    def _report(self, engine: Engine) -> Following:
        """Say how far this replica is. For one that cannot load an edition nobody needs to wait."""
        return self._editions.follow(
            self._replica, max(engine.prepared, self._unusable), max(engine.force.edition, self._unusable)
        )

    def leave(self) -> None:
        """Say that this replica ends."""
        self._editions.leave(self._replica)

    # Asking ---------------------------------------------------------------------------------------------------------

    def validate(self, files: Sequence[SourceFile]) -> CheckReport:
        """What is to be said of a catalog that would be applied now, this replica's model and contacts considered."""
        report = check_files(files)
        if report.catalog is None:
            return report
        try:
            self._fitting(report.catalog)
        except WorkspaceError as error:
            return replace(report, violations=error.violations, catalog=None)
        now_us = self.follow().now_us
        missing = uncovered(report, next(e for e in self._editions.history() if e.in_force_us), now_us)
        return replace(report, violations=missing, catalog=None) if missing else report

    def apply(self, wish: Wish) -> Applied:
        """Put a catalog in force, in the whole store; returns when nothing can be granted by an earlier one any more.

        Raises `WorkspaceError` with every error, `WindowNotCoveredError`, `CatalogChangedError` where another version
        is in force than the expected one, and `StoreError`: then it may or may not come into force.
        """
        try:
            applied = self._apply(wish)
        except WindowNotCoveredError:
            self._witness.asked("NOT_COVERED")
            raise
        except WorkspaceError:
            self._witness.asked("INVALID")
            raise
        except CatalogChangedError:
            self._witness.asked("CHANGED")
            raise
        self._witness.asked("APPLIED" if applied.changed else "UNCHANGED")
        return applied

    def get(self, version: str = "") -> KnownEdition:
        """The edition in force, or the newest of a version. Raises `CatalogNotFoundError`."""
        history = [edition for edition in self._editions.history() if edition.in_force_us]
        found = next((edition for edition in history if version in ("", edition.version)), None)
        files = None if found is None else self._editions.files(found.number)
        if found is None or files is None:
            kept = f"version {version!r} is not among the {len(history)} that are kept" if version else "there is none"
            raise CatalogNotFoundError(f"{kept}; takt catalog history lists those that can be read")
        return KnownEdition(found, found is history[0], files, tuple(history))

    def cover(self, since_us: int, *, actor: str, reason: str) -> None:
        """Note that all contacts since a moment are known.

        Raises `InvalidRequestError` for a moment that contacts are not kept since, and `CatalogChangedError`.
        """
        seen = self._settled()
        last = self._editions.history()[0]
        kept_us = seen.now_us - last.keep_us
        if not kept_us <= since_us <= seen.now_us:
            raise InvalidRequestError(
                (
                    Violation(
                        "covered_since",
                        f"is {_shown(since_us)}; contacts are kept since {_shown(kept_us)} (ledger.keep), so that a "
                        "moment from then until now can be stated",
                    ),
                )
            )
        if not self._editions.cover(last.number, since_us, actor, reason):
            raise CatalogChangedError("another catalog came into force at the same moment; state it again")

    # Steps ----------------------------------------------------------------------------------------------------------

    @property
    def _serving(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("catalogs are followed before there is an engine to serve them")
        return self._engine

    def _apply(self, wish: Wish) -> Applied:
        report = check_files(wish.files)
        catalog = _catalog_of(report)
        force = self._fitting(catalog)
        for _ in range(ATTEMPTS):
            seen = self._settled()
            last = self._editions.history()[0]
            if last.number != seen.in_force:
                continue
            if wish.expected and last.version != wish.expected:
                raise CatalogChangedError(
                    f"version {last.version} is in force (since {_shown(last.in_force_us)}, by {last.actor}), not "
                    f"{wish.expected}; look at what changed, then apply on top of it"
                )
            if last.version == catalog.version:
                return Applied(last, changed=False, warnings=report.warnings)
            missing = uncovered(report, last, seen.now_us)
            if missing:
                raise WindowNotCoveredError(missing)
            wanted = next_edition(last, catalog, actor=wish.actor, reason=wish.reason, contacts=True)
            with self._lock:
                if self._editions.announce(wanted, wish.files):
                    self._serving.prepare(replace(force, edition=wanted.number))
                    break
        else:
            raise CatalogChangedError("others keep applying catalogs; look at what is in force, and try again")
        self._settled(wanted.number)
        edition = next(e for e in self._editions.history() if e.number == wanted.number)
        return Applied(edition, changed=True, warnings=report.warnings)

    def _settled(self, number: int = 0) -> Following:
        """Wait until an edition or a later one is in force; without `number`, until none is under way.

        And until all replicas decide by it, but not for long: one that does not is refused by the store.
        """
        late = 0
        for _ in range(LOOKS):
            seen = self.follow()
            if seen.in_force >= (number or seen.announced):
                if not number or seen.turned == seen.replicas or late == LATE_LOOKS:
                    return seen
                late += 1
            self._pause(WAIT_S)
        raise StoreError("an announced catalog did not come into force in time; it may still do")

    def _prepare(self, number: int) -> None:
        """Load an edition, and have it ready."""
        try:
            self._serving.prepare(self._loaded(number))
        except CatalogUnusableError as error:
            self._unusable = number
            self._witness.unusable(number, error)

    def _loaded(self, number: int, known: tuple[CheckReport, tuple[SourceFile, ...]] | None = None) -> Force:
        """An edition, with this replica's model. If its files are those `known`, so is what a check of them would find.

        Raises `CatalogUnusableError` or `StoreError`.
        """
        files = self._editions.files(number)
        if files is None:
            raise CatalogUnusableError(
                f"edition {number} of the catalog is announced, and its files are not in the store"
            )
        report = known[0] if known and known[1] == files else check_files(files)
        if report.catalog is None:
            first = report.violations[0]
            raise CatalogUnusableError(
                f"edition {number} of the catalog is in the store and cannot be loaded by this version of the service: "
                f"{first.field}: {first.message}"
            )
        return self._ready(self._fit(report.catalog, number, strict=False))

    def _fitting(self, catalog: Catalog) -> Force:
        """A catalog with this replica's model, if it serves one. Raises `WorkspaceError` where that does not fit."""
        strict = Cause.MODEL not in {cause for cause, _ in self._serving.force.degradations}
        try:
            force = self._fit(catalog, 0, strict=strict)
        except ModelError as error:
            first, *more = str(error).splitlines()
            spec, present = catalog.spec, self._serving.force.catalog.spec
            where = "catalog.yaml" if spec.model_fingerprint == present.model_fingerprint else "features.yaml"
            told = [f"{line.strip()} ({MISFIT})" for line in more or [first]]
            raise WorkspaceError(tuple(Violation(where, line) for line in told)) from error
        return self._ready(force)

    def _ready(self, force: Force) -> Force:
        """Make its layout known to the store, so that records written by it can be read by anybody."""
        spec = force.catalog.spec
        self._store.register_layout(spec.layout_fingerprint, layout_json(spec))
        if self._engine is not None:
            self._engine.rehearse(force, rehearsal(force))
        return force

    def _tell(self, engine: Engine) -> None:
        force = engine.force
        if force is not self._told:
            self._told = force
            self._witness.turned(force)


def _catalog_of(report: CheckReport) -> Catalog:
    """The catalog of a report. Raises `WorkspaceError` with every error."""
    if report.catalog is None:
        raise WorkspaceError(report.violations)
    return report.catalog
