"""`takt model`: may this bundle be served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from takt.catalog.workspace import load_workspace
from takt.cli.exits import Exit
from takt.cli.options import DIRECTORY, as_json
from takt.errors import ModelError
from takt.features.section import Feature, FeatureType
from takt.features.spec import FeatureSpec, make_spec
from takt.model.bundle import read_manifest
from takt.model.check import check_bundle
from takt.model.features import FeatureContract
from takt.model.report import CheckReport, Point


@click.group()
def model() -> None:
    """Check model bundles."""


@model.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--workspace",
    type=DIRECTORY,
    envvar="TAKT_WORKSPACE",
    show_envvar=True,
    help="The workspace to serve it with. Without one, the bundle is held against its own declarations.",
)
@as_json
def check(*, directory: Path, workspace: Path | None, as_json: bool) -> None:
    """Verify that the bundle in DIR keeps the model contract, and print every point.

    \b
    Examples:
      takt model check models/complete-journey/1.0.0
      takt model check models/complete-journey/1.0.0 --workspace examples/complete_journey

    Files and hashes, features and their fingerprint, inputs, outputs, axes, vocabularies, timings and tonalities,
    finite outputs within their range, golden rows, rows that do not influence each other, and the cost per decision.
    Ends with 1 when the bundle is refused; each refusal names what is wrong.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    report = _against(directory, workspace) if workspace else _against_itself(directory)
    if as_json:
        click.echo(json.dumps({**report.to_json(), "workspace": str(workspace) if workspace else None}))
    else:
        verdict = "may be served" if report.ok else f"is refused: {len(report.refusals)} points"
        against = (
            f"workspace {workspace}" if workspace else "its own declarations (give --workspace for those of yours)"
        )
        click.echo(f"bundle {report.bundle or directory}, held against {against}")
        click.echo("\n".join(report.lines()))
        click.echo(f"{report.bundle or directory} {verdict}")
    if not report.ok:
        raise SystemExit(Exit.FAILED)


def _against(directory: Path, workspace: Path) -> CheckReport:
    catalog = load_workspace(workspace)
    return check_bundle(
        directory,
        spec=catalog.spec,
        timings=[timing.id for timing in catalog.timings],
        tonalities=catalog.tonalities,
        offers=[offer.id for offer in catalog.offers],
    )


def _against_itself(directory: Path) -> CheckReport:
    """Hold the bundle against the workspace that its own manifest describes."""
    try:
        metadata = read_manifest(directory).metadata
    except ModelError as error:
        faults = tuple(Point("manifest.json", "readable", "", fault) for fault in str(error).splitlines())
        return CheckReport(directory, "", faults)
    return check_bundle(
        directory,
        spec=_declared(metadata.features),
        timings=metadata.timings,
        tonalities=metadata.tonalities,
        offers=metadata.offers,
    )


def _declared(contract: FeatureContract) -> FeatureSpec:
    """The feature spec that a bundle says it was trained with, so that its fingerprint can be computed again."""
    return make_spec(
        profile=_features(contract, "profile"),
        context=_features(contract, "context"),
        offer=_features(contract, "offer"),
    )


def _features(contract: FeatureContract, section: str) -> list[Feature]:
    """Features of one section, in the order of their columns."""
    order: Mapping[str, int] = {
        # a column of flags is named NAME.VALUE
        f"{section}.{column.partition('.')[0]}": at
        for at, column in reversed(list(enumerate(contract.columns(section))))
    }
    keys = sorted(
        (key for key in contract.features if key.startswith(f"{section}.")),
        key=lambda key: (order.get(key, len(order)), key),
    )
    return [
        Feature(
            name=key.partition(".")[2],
            type=FeatureType(contract.features[key].type),
            default=contract.features[key].default,
            values=contract.vocabularies.get(key, ()),
        )
        for key in keys
    ]
