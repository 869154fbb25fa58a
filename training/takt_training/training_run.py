"""`takt train` from start to end: load, train, check, write, show."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from takt.errors import ModelError, NotFoundError
from takt.features.spec import FeatureSpec, load_spec
from takt.model.check import check_bundle
from takt_training.complete_journey import recipe
from takt_training.complete_journey.report import LOG_SCALED, figures, write_report
from takt_training.complete_journey.tables import load_tables
from takt_training.complete_journey.timings import MOMENTS
from takt_training.progress import Steps


def run(*, out: Path, workspace: Path, overwrite: bool, as_json: bool) -> bool:
    """Train the recipe and write bundle and report to `out`; whether every bar was met.

    Raises NotFoundError without a feature spec, WorkspaceError for a wrong one, ModelError if `out` holds another
    bundle or the new one breaks the contract.
    """
    console = Console(stderr=as_json)
    spec = _spec(workspace)
    with Steps(console) as steps:
        steps.show("reading the data", 0)
        tables = load_tables()
        steps.show("reading the data", 1)
        trained, examples = recipe.train(tables, spec, step=steps.show)
        steps.show("writing the bundle", 0)
        recipe.write(trained, examples, spec, out, overwrite=overwrite)
        write_report(trained, examples, out)
        checked = check_bundle(
            out,
            spec=spec,
            timings=[moment.name for moment in MOMENTS],
            tonalities=recipe.TONALITIES,
            offers=trained.towers.vocabulary,
        )
        steps.show("writing the bundle", 1)
    if not checked.ok:
        raise ModelError("the bundle that was written breaks the contract:\n" + "\n".join(checked.refusals))
    found = figures(trained)
    if as_json:
        print(json.dumps(found))  # noqa: T201  what --json is for
    else:
        _show(console, trained, out)
    return all(figure["ok"] for figure in found.values())


def _spec(workspace: Path) -> FeatureSpec:
    path = workspace / "features.yaml"
    try:
        return load_spec(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise NotFoundError(
            f"{path} is not there; name the directory that holds features.yaml with --workspace"
        ) from None


def _show(console: Console, trained: recipe.Trained, out: Path) -> None:
    mailings, coupons = trained.mailings, trained.coupons
    table = Table(
        title=f"Held out: {mailings.contacts:,} contacts from {recipe.BOUNDARY} on, {mailings.accepted} redeemed"
    )
    for column in ("", "AUC [95% over households]", "log loss", "ECE", "observed / expected"):
        table.add_column(column, justify="left" if not column else "right")
    for name, quality in (("two towers", mailings.model), *mailings.baselines.items()):
        cells = (f"{quality.log_loss:.4f}", f"{quality.ece:.4f}", f"{quality.observed_over_expected:.3f}")
        table.add_row(name, str(quality.auc), *cells)
    table.add_row("one rate for everybody", "0.5", f"{mailings.constant_log_loss:.4f}", "", "")
    console.print(table)
    console.print(f"two towers minus {LOG_SCALED}: {mailings.differences[LOG_SCALED]} (paired)", highlight=False)
    mean, most = mailings.perfect_ece
    console.print(f"ECE if the estimates were exactly right: {mean:.4f}, 95% below {most:.4f}")
    choices = Table(title="First choice among the coupons of the same campaign: redeemed")
    choices.add_column("")
    choices.add_column("share [95% over households]", justify="right")
    for name, share in (
        ("two towers", coupons.model),
        ("best constant offer", coupons.constant),
        ("one at random", coupons.uniform),
        ("two towers minus best constant", coupons.gain),
    ):
        choices.add_row(name, str(share))
    console.print(choices)
    for name, figure in figures(trained).items():
        verdict = "[green]met[/]" if figure["ok"] else "[red]missed[/]"
        console.print(f"{name} {figure['value']} (bar {figure['bar']}): {verdict}", highlight=False)
    console.print(f"Bundle and report are in {out}")
