"""`takt check`: may this workspace be put in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import check_workspace
from takt.cli.exits import Exit
from takt.cli.options import as_json
from takt.errors import Violation


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--strict", is_flag=True, help="Refuse a workspace with warnings, too.")
@as_json
def check(*, directory: Path, strict: bool, as_json: bool) -> None:
    """Check the workspace in DIR as a whole: features, catalog, rules, treatments, caps.

    \b
    Examples:
      takt check examples/complete_journey
      takt check my/workspace --strict --json

    Every error is named with file, line and key, all at once. Warnings are what is allowed and looks like a slip. Ends
    with 1 when there are errors.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    report = check_workspace(directory)
    refused = not report.ok or (strict and bool(report.warnings))
    if as_json:
        verdict = {
            "ok": not refused,
            "directory": str(directory),
            "version": report.catalog.version if report.catalog else None,
            "contains": _contents(report.catalog) if report.catalog else {},
            "errors": _plain(report.violations),
            "warnings": _plain(report.warnings),
        }
        click.echo(json.dumps(verdict, ensure_ascii=False))
    else:
        for kind, found in (("error", report.violations), ("warning", report.warnings)):
            for violation in found:
                click.echo(f"{violation.field}: {kind}: {violation.message}", err=True)
        click.echo(_summary(directory, report.catalog, len(report.violations), len(report.warnings)))
    if refused:
        raise SystemExit(Exit.FAILED)


def _summary(directory: Path, catalog: Catalog | None, errors: int, warnings: int) -> str:
    noted = ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    )
    if catalog is None:
        return f"{directory} cannot be used: {noted}"
    contents = ", ".join(f"{count} {name}" for name, count in _contents(catalog).items())
    return f"{directory} is version {catalog.version}: {contents}" + (f"; {noted}" if noted else "")


def _contents(catalog: Catalog) -> dict[str, int]:
    """How many of each thing there are."""
    return {
        "profile features": len(catalog.spec.profile.features),
        "context features": len(catalog.spec.context.features),
        "offer features": len(catalog.spec.offer.features),
        "channels": len(catalog.channels),
        "placements": len(catalog.placements),
        "timings": len(catalog.timings),
        "tonalities": len(catalog.tonalities),
        "offers": len(catalog.offers),
        "treatments": len(catalog.treatments),
        "stages": len(catalog.stages),
        "rules": len(catalog.rules),
        "caps": len(catalog.caps),
    }


def _plain(violations: Sequence[Violation]) -> list[dict[str, str]]:
    return [{"where": violation.field, "message": violation.message} for violation in violations]
