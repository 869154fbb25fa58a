"""Messages of `takt.v1.CatalogService` to values, and what is known of catalogs to messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from takt.domain.edition import Edition, SourceFile
from takt.errors import Violation
from takt.v1 import catalog_pb2
from takt.wire.values import timestamp

MOST_FILES: Final = 1000
LONGEST_PATH: Final = 256
_PLACE: Final = re.compile(r"(?P<file>[^:]*)(?::(?P<line>\d+))?(?::(?P<column>\d+))?(?:: (?P<field>.*))?")


def source_files(messages: Sequence[catalog_pb2.CatalogFile], found: list[Violation]) -> tuple[SourceFile, ...]:
    """The files of a catalog; what is wrong with their number or paths is added to `found`."""
    if not 1 <= len(messages) <= MOST_FILES:
        found.append(Violation("files", f"{len(messages)} given, from 1 to {MOST_FILES} make a catalog"))
    seen: set[str] = set()
    for n, message in enumerate(messages):
        path, where = message.path, f"files[{n}].path"
        parts = PurePosixPath(path).parts
        if not 1 <= len(path) <= LONGEST_PATH:
            found.append(Violation(where, f"has {len(path)} characters, from 1 to {LONGEST_PATH} are allowed"))
        elif path.startswith("/") or ".." in parts or str(PurePosixPath(path)) != path or "\0" in path:
            found.append(Violation(where, f"{path!r} is not a path below the catalog's directory, such as offers.yaml"))
        elif path in seen:
            found.append(Violation(where, f"{path!r} is given twice"))
        seen.add(path)
    return tuple(SourceFile(message.path, message.content) for message in messages)


def problems(violations: Iterable[Violation], severity: Any) -> list[catalog_pb2.CatalogProblem]:
    """What is to be said of a catalog, with each place taken apart."""
    return [_problem(violation, severity) for violation in violations]


def validated(
    violations: Sequence[Violation], warnings: Sequence[Violation], version: str
) -> catalog_pb2.CatalogServiceValidateResponse:
    """What a check found."""
    return catalog_pb2.CatalogServiceValidateResponse(problems=_both(violations, warnings), version=version)


def applied(
    edition: Edition, warnings: Sequence[Violation], *, changed: bool
) -> catalog_pb2.CatalogServiceApplyResponse:
    """What is in force after an apply; of one that changed nothing the version before is the same."""
    return catalog_pb2.CatalogServiceApplyResponse(
        version=edition.version,
        previous_version=edition.previous if changed else edition.version,
        applied_at=timestamp(edition.in_force_us),
        problems=_both((), warnings),
    )


def known(
    edition: Edition,
    files: Sequence[SourceFile],
    history: Sequence[Edition],
    *,
    in_force: bool,
    include_files: bool,
) -> catalog_pb2.CatalogServiceGetResponse:
    """A catalog as it was applied."""
    return catalog_pb2.CatalogServiceGetResponse(
        version=edition.version,
        in_force=in_force,
        applied_at=timestamp(edition.in_force_us),
        actor=edition.actor,
        reason=edition.reason,
        files=[
            catalog_pb2.CatalogFile(path=file.path, content=file.content if include_files else b"") for file in files
        ],
        history=[
            catalog_pb2.CatalogChange(
                edition=past.number,
                version=past.version,
                applied_at=timestamp(past.in_force_us),
                actor=past.actor,
                reason=past.reason,
            )
            for past in history
        ],
        covered_since=timestamp(edition.covered_us) if in_force and edition.covered_us else None,
    )


def _both(violations: Sequence[Violation], warnings: Sequence[Violation]) -> list[catalog_pb2.CatalogProblem]:
    return [
        *problems(violations, catalog_pb2.CATALOG_PROBLEM_SEVERITY_ERROR),
        *problems(warnings, catalog_pb2.CATALOG_PROBLEM_SEVERITY_WARNING),
    ]


def _problem(violation: Violation, severity: Any) -> catalog_pb2.CatalogProblem:
    """`FILE:LINE:COLUMN: key.path` taken apart; all but the file may be missing."""
    place = _PLACE.fullmatch(violation.field)
    parts = place.groupdict("") if place else {"file": violation.field, "line": "", "column": "", "field": ""}
    return catalog_pb2.CatalogProblem(
        severity=severity,
        file=parts["file"],
        line=int(parts["line"] or 0),
        column=int(parts["column"] or 0),
        field=parts["field"],
        message=violation.message,
    )
