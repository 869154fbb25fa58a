"""The one tree of errors. No transport codes here: `takt.rpc` maps each class to a status, once."""

from __future__ import annotations

from msgspec import Struct


class Violation(Struct, frozen=True):
    """One thing wrong with an input: where it stands and what would be right."""

    field: str
    """Path of the field in the request (`placements[2].placement`) or, for a file, `FILE:LINE: key.path`."""
    message: str
    """What was wrong and what would be right, as a sentence without a final stop."""


class TaktError(Exception):
    """Anything Takt refuses or cannot do. Catch this to catch them all."""


class InvalidRequestError(TaktError):
    """The caller's request cannot mean anything. Carries every violation found, not only the first."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        """Keep the violations; the message joins them."""
        super().__init__("; ".join(f"{v.field}: {v.message}" for v in violations))
        self.violations = violations


class RequestIdReusedError(InvalidRequestError):
    """A request id was used before for another request, and is still remembered."""

    def __init__(self, request_id: str) -> None:
        """Name the field; ids are the caller's own and may be shown."""
        super().__init__(
            (
                Violation(
                    "request_id",
                    f"{request_id!r} was used for another request; repeat that one unchanged or choose a new id",
                ),
            )
        )


class NotFoundError(TaktError):
    """What was asked for does not exist."""


class PreconditionError(TaktError):
    """The request is well formed, and the present state forbids it."""


class StoreError(TaktError):
    """The store could not be reached, was too slow, or is not the store that it was (marker missing)."""


class StoreMarkerError(StoreError):
    """The store lacks the marker of a partition: it is new, or it lost its data. Nobody is contacted from it."""


class ModelError(TaktError):
    """A bundle was refused, or a loaded model gave an unusable answer."""


class WorkspaceError(TaktError):
    """A workspace was refused whole. Carries every error with file, line and key."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        """Keep the violations; the message has one per line."""
        super().__init__("\n".join(f"{v.field}: {v.message}" for v in violations))
        self.violations = violations


class WindowNotCoveredError(WorkspaceError):
    """A catalog looks further back than contacts are known. Carries every such place."""


class CatalogChangedError(TaktError):
    """Another catalog is in force than the one that was to be replaced."""


class CatalogUnusableError(TaktError):
    """A catalog that stands in the store cannot be loaded by this version of the service."""


class CatalogNotFoundError(NotFoundError):
    """No catalog was applied yet, or the version is no longer kept."""


class RecordError(TaktError):
    """A packed record does not fit any registered layout."""
