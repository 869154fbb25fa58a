"""Commands that this package adds to `takt`. What they need is imported when they run, so that their help is quick."""

from pathlib import Path

import click

from takt_training.demo import demo
from takt_training.log_commands import log

__all__ = ["demo", "log", "train"]

WORKSPACE = Path("examples/complete_journey")
OUT = Path("models/complete-journey/1.0.0")
OPEN_BANDIT_OUT = Path("reports/open-bandit")


@click.command()
@click.option(
    "--recipe",
    type=click.Choice(["complete-journey", "open-bandit"]),
    default="complete-journey",
    show_default=True,
    help="What to train; open-bandit trains nothing, it judges one policy by the log of another.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where bundle and report go.  [default: models/complete-journey/1.0.0, reports/open-bandit]",
)
@click.option(
    "--workspace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=WORKSPACE,
    show_default=True,
    help="Directory whose features.yaml is trained on.",
)
@click.option("--overwrite", is_flag=True, help="Replace another bundle in the same place.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object, each with its bar.")
def train(*, recipe: str, out: Path | None, workspace: Path, overwrite: bool, as_json: bool) -> None:
    """Train a model, say how good it is, write its bundle and its report.

    The recipe complete-journey learns from campaigns that had closed before October who redeems which coupons, tests
    on those that came later, and takes about a minute. The same data and code give the same bundle, byte for byte.
    The recipe open-bandit writes a report alone: what the log of one policy says of another, beside what is known.
    Exits with 1 if a bar is missed, after writing.

    \b
    Examples:
      takt train
      takt train --out /tmp/bundle --json
      takt train --recipe open-bandit --out /tmp/report
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if recipe == "open-bandit":
        from takt_training.open_bandit import run as open_bandit  # noqa: PLC0415  pandas takes a second to import

        ok = open_bandit.run(out=OPEN_BANDIT_OUT if out is None else out, as_json=as_json)
    else:
        from takt_training.training_run import run  # noqa: PLC0415  jax, pandas and the data take seconds to import

        ok = run(out=OUT if out is None else out, workspace=workspace, overwrite=overwrite, as_json=as_json)
    if not ok:
        raise click.exceptions.Exit(1)
