"""`takt catalog`: the catalog in force, over the administrative address: check, apply, read, go back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace
from rich.table import Table

from takt.cli.client import Client, Door
from takt.cli.exits import CallRefusedError, Exit, UnreachableError
from takt.cli.options import DIRECTORY, admin_door, as_json
from takt.cli.show import console
from takt.v1 import catalog_pb2

APPLY_S = 90.0
"""Replicas get half a minute to load what was announced, and a change that is under way another."""
INVALID = "CATALOG_INVALID"
SEVERITY = {
    catalog_pb2.CATALOG_PROBLEM_SEVERITY_ERROR: "error",
    catalog_pb2.CATALOG_PROBLEM_SEVERITY_WARNING: "warning",
}


@click.group()
def catalog() -> None:
    """See and change the catalog that is in force: offers, placements, rules, contact policy.

    A catalog is applied to the store, and all replicas of that store follow it, without a restart and without a request
    that fails. They keep to it when they are started anew, whatever --workspace says.
    """


@catalog.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option("--strict", is_flag=True, help="Refuse a catalog with warnings, too.")
@as_json
@admin_door
def validate(*, door: Door, as_json: bool, directory: Path, strict: bool) -> None:
    """Check the workspace in DIR as it would be applied now; nothing is changed.

    \b
    Examples:
      takt catalog validate my/workspace
      takt catalog validate my/workspace --strict --json

    More than `takt check`: also whether the model that serves fits, and whether contacts are known for as long as caps
    look back. Ends with 1 when there are errors.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    with Client(door) as client:
        found = client.validate(files_of(directory))
    errors = [p for p in found.problems if p.severity == catalog_pb2.CATALOG_PROBLEM_SEVERITY_ERROR]
    if as_json:
        click.echo(json.dumps({"version": found.version, "problems": _plain(found.problems)}, ensure_ascii=False))
    else:
        _say(found.problems)
        verdict = f"could be applied as version {found.version}" if not errors else "cannot be applied"
        click.echo(f"{directory} {verdict}")
    if errors or (strict and found.problems):
        raise SystemExit(Exit.FAILED)


@catalog.command()
@click.argument("directory", type=DIRECTORY, required=False, metavar="[DIR]")
@click.option("--version", "earlier", default="", metavar="VERSION", help="Instead of DIR: go back to this version.")
@click.option("--expect", default="", metavar="VERSION", help="Refuse unless this version is in force.")
@click.option("--actor", required=True, envvar="TAKT_ACTOR", show_envvar=True, metavar="NAME", help="Who asks.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; both are kept.")
@as_json
@admin_door
def apply(
    *, door: Door, as_json: bool, directory: Path | None, earlier: str, expect: str, actor: str, reason: str
) -> None:
    """Put the workspace in DIR, or an earlier version, in force in the whole store; whole or not at all.

    \b
    Examples:
      takt catalog apply my/workspace --actor anna --reason "spring offers"
      takt catalog apply --version 5f2c9a1e03b7d846 --actor anna --reason "spring offers had the wrong prices"

    Ends when all replicas decide by it: nothing is granted or refused by what was in force before any more, and caps
    count what was before as well. That takes a second or two, and up to half a minute while a replica is busy loading.
    Errors are named with file, line and key, all at once; then nothing was changed. Waits for at least 90 s.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if (directory is None) == (not earlier):
        raise click.UsageError("give either the workspace's DIR or --version")
    with Client(replace(door, timeout_s=max(door.timeout_s, APPLY_S))) as client:
        files = files_of(directory) if directory else list(client.catalog(earlier, include_files=True).files)
        click.echo("Waiting until all replicas have loaded it ...", err=True)
        try:
            done = client.apply(files, actor=actor, reason=reason, expected=expect)
        except CallRefusedError as error:
            if error.reason != INVALID:
                raise
            # an error's details are cut to what fits: ask for all of them
            _say(client.validate(files).problems)
            raise CallRefusedError("the catalog has errors; what was in force stays", reason=error.reason) from error
        except UnreachableError as error:
            advice = "it may still have come into force: see takt catalog get"
            raise UnreachableError(f"{error}; {advice}") from error
    changed = done.previous_version != done.version
    since = done.applied_at.ToJsonString()
    if as_json:
        told = {
            "version": done.version,
            "previous_version": done.previous_version,
            "changed": changed,
            "applied_at": since,
            "problems": _plain(done.problems),
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _say(done.problems)
    if changed:
        click.echo(f"version {done.version} is in force since {since}; before: {done.previous_version or 'none'}")
    else:
        click.echo(f"version {done.version} is in force already, since {since}; nothing was changed")


@catalog.command()
@click.option("--version", default="", metavar="VERSION", help="An earlier one instead of the one in force.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write its files there; must be new.",
)
@as_json
@admin_door
def get(*, door: Door, as_json: bool, version: str, into: Path | None) -> None:
    """Show which catalog is in force, or write its files.

    \b
    Examples:
      takt catalog get
      takt catalog get --version 5f2c9a1e03b7d846 --into /tmp/before
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    with Client(door) as client:
        found = client.catalog(version, include_files=into is not None)
    if into is not None:
        into.mkdir(parents=True)
        for file in found.files:
            (into / file.path).write_bytes(file.content)
    told: dict[str, Any] = {
        "version": found.version,
        "in_force": found.in_force,
        "applied_at": found.applied_at.ToJsonString(),
        "actor": found.actor,
        "reason": found.reason,
        "files": [file.path for file in found.files],
        "covered_since": found.covered_since.ToJsonString() if found.HasField("covered_since") else None,
    }
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    state = "in force since" if found.in_force else "last applied"
    click.echo(f"version {told['version']}, {state} {told['applied_at']}, by {told['actor']}: {told['reason']}")
    click.echo(f"files: {', '.join(told['files'])}" + (f", written to {into}" if into else ""))
    if told["covered_since"]:
        click.echo(f"all contacts since {told['covered_since']} are known")


@catalog.command()
@as_json
@admin_door
def history(*, door: Door, as_json: bool) -> None:
    """List what was put in force, the newest first: at most a hundred, all of which can be read and applied again."""
    with Client(door) as client:
        changes = client.catalog().history
    rows = [
        {
            "edition": change.edition,
            "version": change.version,
            "applied_at": change.applied_at.ToJsonString(),
            "actor": change.actor,
            "reason": change.reason,
        }
        for change in changes
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("edition", "version", "in force since", "by", "why"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console().print(table)


def files_of(directory: Path) -> list[catalog_pb2.CatalogFile]:
    """All YAML files of a workspace; also those with a name that is not read, so that the service says so."""
    paths = sorted(path for path in directory.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())
    return [catalog_pb2.CatalogFile(path=path.name, content=path.read_bytes()) for path in paths]


def _plain(problems: Sequence[catalog_pb2.CatalogProblem]) -> list[dict[str, Any]]:
    return [
        {
            "severity": SEVERITY.get(problem.severity, "error"),
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "field": problem.field,
            "message": problem.message,
        }
        for problem in problems
    ]


def _say(problems: Sequence[catalog_pb2.CatalogProblem]) -> None:
    """Every problem on a line of its own, on standard error."""
    for told in _plain(problems):
        numbers = ":".join(str(number) for number in (told["line"], told["column"]) if number)
        place = ":".join(filter(None, [told["file"], numbers]))
        field = f"{told['field']}: " if told["field"] else ""
        click.echo(f"{place}: {told['severity']}: {field}{told['message']}", err=True)
