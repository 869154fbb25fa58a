"""Commands that this package adds to `takt`. What they need is imported when they run, so that their help is quick."""

from pathlib import Path

import click

from takt_training.demo import demo
from takt_training.log_commands import log

__all__ = ["adapt", "demo", "log", "train"]

WORKSPACE = Path("examples/complete_journey")
OUT = Path("models/complete-journey/1.0.0")
OPEN_BANDIT_OUT = Path("reports/open-bandit")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--recipe",
    type=click.Choice(["complete-journey", "open-bandit"]),
    default="complete-journey",
    show_default=True,
    help="What to train; open-bandit trains nothing, it judges one policy by the log of another.",
)
@click.option(
    "--log",
    "archive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Train on logged decisions instead: an archive of takt log export.",
)
@click.option("--table", type=_FILE, help="Train on a CSV file of contacts instead, one per row.")
@click.option("--mapping", type=_FILE, help="With --table: which of its columns is what, as YAML.")
@click.option(
    "--champion",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="With --log: the bundle that the new one has to beat, in the report.",
)
@click.option("--settings", type=_FILE, help="How to train, as YAML; needed with --log, sensible without for --table.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where bundle and report go.  [default: models/NAME/VERSION, reports/open-bandit]",
)
@click.option(
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory whose features.yaml is trained on; with --table it is written where there is none.  "
    "[default: examples/complete_journey, or workspaces/NAME with --table]",
)
@click.option("--overwrite", is_flag=True, help="Replace another bundle in the same place.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object, each with its bar.")
def train(  # noqa: PLR0913 - one argument per option
    *,
    recipe: str,
    archive: Path | None,
    table: Path | None,
    mapping: Path | None,
    champion: Path | None,
    settings: Path | None,
    out: Path | None,
    workspace: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a model, say how good it is, write its bundle and its report.

    The recipe complete-journey learns from campaigns that had closed before October who redeems which coupons, tests
    on those that came later, and takes some minutes. The same data and code give the same bundle, byte for byte.
    The recipe open-bandit writes a report alone: what the log of one policy says of another, beside what is known.
    A log and a table of your own are described in docs/training.md; of a log, the report also says what the new model
    would earn, on decisions that it has not seen.
    Exits with 1 if a bar is missed, after writing.

    \b
    Examples:
      takt train
      takt train --out /tmp/bundle --json
      takt train --recipe open-bandit --out /tmp/report
      takt train --table examples/table/contacts.csv --mapping examples/table/mapping.yaml
      takt train --log archive --workspace my/workspace --settings training.yaml
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if archive is not None and table is not None:
        raise click.UsageError("--log and --table are two things to train on; give one")
    if mapping is not None and table is None:
        raise click.UsageError("--mapping belongs to --table")
    if champion is not None and archive is None:
        raise click.UsageError("--champion belongs to --log")
    if settings is not None and table is None and archive is None:
        raise click.UsageError("--settings belongs to --log or --table")
    if table is not None:
        if mapping is None:
            raise click.UsageError("--table needs --mapping, which says what its columns are")
        from takt_training.joint.run import from_table  # noqa: PLC0415  jax and pandas take seconds to import

        ok = from_table(
            table,
            mapping,
            settings_file=settings,
            workspace=workspace,
            out=out,
            overwrite=overwrite,
            as_json=as_json,
        )
    elif archive is not None:
        if settings is None or workspace is None:
            raise click.UsageError("--log needs --settings and --workspace")
        ok = _train_on_log(
            archive, champion, settings, workspace=workspace, out=out, overwrite=overwrite, as_json=as_json
        )
    elif recipe == "open-bandit":
        from takt_training.open_bandit import run as open_bandit  # noqa: PLC0415  pandas takes a second to import

        ok = open_bandit.run(out=OPEN_BANDIT_OUT if out is None else out, as_json=as_json)
    else:
        from takt_training.training_run import run  # noqa: PLC0415  jax, pandas and the data take seconds to import

        ok = run(
            out=OUT if out is None else out,
            workspace=WORKSPACE if workspace is None else workspace,
            overwrite=overwrite,
            as_json=as_json,
        )
    if not ok:
        raise click.exceptions.Exit(1)


def _train_on_log(
    archive: Path,
    champion: Path | None,
    settings_file: Path,
    *,
    workspace: Path,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> bool:
    """Train, then judge by the later part of the log what the new bundle would earn, all in one report."""
    from rich.console import Console  # noqa: PLC0415  help should not wait for these

    from takt.catalog.workspace import load_workspace  # noqa: PLC0415
    from takt.model.onnx import load_scorer  # noqa: PLC0415
    from takt_training.joint.run import from_archive, goal_of  # noqa: PLC0415
    from takt_training.joint.settings import load_settings  # noqa: PLC0415
    from takt_training.offpolicy.after_training import judge_policies  # noqa: PLC0415

    settings = load_settings(settings_file)
    out = Path("models") / settings.name / settings.version if out is None else out
    if champion is not None:
        load_scorer(champion, load_workspace(workspace))  # one that cannot be used is told before hours of training
    ok = from_archive(
        archive, settings_file=settings_file, workspace=workspace, out=out, overwrite=overwrite, as_json=as_json
    )
    judge_policies(archive, out, champion, workspace=workspace, goal=goal_of(settings), console=Console(stderr=as_json))
    return ok


@click.command()
@click.argument("file", type=_FILE, metavar="ADAPT.YAML")
@click.option(
    "--workspace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The workspace that the bundle is for: its features are the model's columns.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the bundle goes.  [default: models/NAME/VERSION]",
)
@click.option("--overwrite", is_flag=True, help="Replace another bundle in the same place.")
def adapt(*, file: Path, workspace: Path, out: Path | None, overwrite: bool) -> None:
    """Make a bundle of a fitted row-wise classifier, through the ONNX converter of its own library.

    ADAPT.YAML names the model's file, its columns in order, goal, window and training period (docs/training.md). The
    file is LightGBM's text (.txt), XGBoost's (.json, .ubj), ONNX, or a pickled scikit-learn model (.joblib, .pkl): that
    runs what it holds, so open only your own. The bundle is held against the workspace as by `takt model check`.

    \b
    Examples:
      takt adapt adapt.yaml --workspace my/workspace
      takt model check models/my-model/1.0.0 --workspace my/workspace
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    from takt.catalog.workspace import load_workspace  # noqa: PLC0415  help should not wait for these
    from takt_training import adapt_run  # noqa: PLC0415
    from takt_training.adapt import all_columns  # noqa: PLC0415

    adaptation, catalog = adapt_run.read_adaptation(file), load_workspace(workspace)
    columns = adaptation.columns or all_columns(catalog.spec)
    click.echo(f"converting {adaptation.model} ({len(columns)} columns)", err=True)
    row = adapt_run.open_model(adaptation.model, len(columns))
    out = Path("models") / adaptation.name / adaptation.version if out is None else out
    click.echo("writing the bundle and holding it against the contract", err=True)
    manifest = adapt_run.adapt(adaptation, row, catalog, out, overwrite=overwrite)
    click.echo(f"{manifest.bundle} is in {out}; serve it with")
    click.echo(f"  takt serve --workspace {workspace} --model {out}")
