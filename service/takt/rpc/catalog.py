"""`takt.v1.CatalogService`: checks, applies and reads catalogs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from takt.catalog.workspace import CheckReport
from takt.domain.edition import SourceFile
from takt.engine.catalogs import Applied, KnownEdition, Wish
from takt.errors import InvalidRequestError, Violation
from takt.rpc.calls import Calls, Context, answering
from takt.rpc.gather import Gather
from takt.v1 import catalog_pb2, catalog_pb2_grpc
from takt.wire.catalog import applied, known, source_files, validated
from takt.wire.contact import accountable

Thunk = Callable[[], Any]


class CatalogWork(Protocol):
    """What can be asked of catalogs, blocking, for up to a minute."""

    def validate(self, files: Sequence[SourceFile]) -> CheckReport:
        """What is to be said of a catalog."""
        ...

    def apply(self, wish: Wish) -> Applied:
        """Put it in force. Raises `WorkspaceError`, `WindowNotCoveredError` or `CatalogChangedError`."""
        ...

    def get(self, version: str = "") -> KnownEdition:
        """One that was applied. Raises `CatalogNotFoundError`."""
        ...


class CatalogService(catalog_pb2_grpc.CatalogServiceServicer):
    """Checks, applies and reads catalogs, one call after the other."""

    def __init__(self, catalogs: CatalogWork, gather: Gather[Thunk, Any], *, calls: Calls) -> None:
        """`gather` calls what it is asked; its thread is for this alone, because loading a catalog takes a while."""
        self.calls = calls
        self._catalogs = catalogs
        self._gather = gather

    @answering
    async def Validate(  # noqa: N802 - the contract's name
        self, request: catalog_pb2.CatalogServiceValidateRequest, _: Context
    ) -> catalog_pb2.CatalogServiceValidateResponse:
        """Every problem, by file and line."""
        found: list[Violation] = []
        files = source_files(request.files, found)
        _refuse(found)
        report: CheckReport = await self._gather.ask(partial(self._catalogs.validate, files))
        return validated(report.violations, report.warnings, report.catalog.version if report.catalog else "")

    @answering
    async def Apply(  # noqa: N802 - the contract's name
        self, request: catalog_pb2.CatalogServiceApplyRequest, _: Context
    ) -> catalog_pb2.CatalogServiceApplyResponse:
        """A catalog in force, whole or not at all."""
        found: list[Violation] = []
        files = source_files(request.files, found)
        actor, reason = accountable(request, found)
        _refuse(found)
        wish = Wish(files, actor, reason, request.expected_version)
        done: Applied = await self._gather.ask(partial(self._catalogs.apply, wish))
        return applied(done.edition, done.warnings, changed=done.changed)

    @answering
    async def Get(  # noqa: N802 - the contract's name
        self, request: catalog_pb2.CatalogServiceGetRequest, _: Context
    ) -> catalog_pb2.CatalogServiceGetResponse:
        """The catalog in force, or an earlier one."""
        found: KnownEdition = await self._gather.ask(partial(self._catalogs.get, request.version))
        return known(
            found.edition, found.files, found.history, in_force=found.in_force, include_files=request.include_files
        )


def _refuse(found: Sequence[Violation]) -> None:
    if found:
        raise InvalidRequestError(tuple(found))
