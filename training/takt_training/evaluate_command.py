"""`takt evaluate`: what a bundle would have earned on a log, before anybody sees it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from takt.cli.options import DIRECTORY
from takt.cli.values import duration
from takt_training.logged.goal import AGGREGATES, ATTRIBUTIONS, Goal

OUT = Path("reports/evaluation")


@click.command()
@click.option(
    "--log", "archive", type=DIRECTORY, required=True, help="Archive of a log, as `takt log export` writes it."
)
@click.option("--bundle", type=DIRECTORY, required=True, help="The candidate: a model bundle.")
@click.option("--champion", type=DIRECTORY, help="The bundle that it has to beat.")
@click.option("--workspace", type=DIRECTORY, required=True, help="Workspace: offers, values and exploration in force.")
@click.option("--goal", multiple=True, required=True, metavar="EVENT", help="Event that is success; may be repeated.")
@click.option(
    "--window", default="7d", show_default=True, metavar="DURATION", help="How long after the contact it counts."
)
@click.option(
    "--aggregate", type=click.Choice(AGGREGATES), default="max", show_default=True, help="What several of them come to."
)
@click.option("--default", type=float, default=0.0, show_default=True, help="Reward where none came.")
@click.option(
    "--attribute",
    type=click.Choice(ATTRIBUTIONS),
    default="decision",
    show_default=True,
    help="Events that name the decision, or also those that name only the person.",
)
@click.option(
    "--from",
    "since",
    type=click.DateTime(),
    help="Judge what was decided from this moment on, UTC.  [default: the later of half of the log and the end "
    "of training]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=OUT,
    show_default=True,
    help="Directory of the report.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what report.json holds.")
def evaluate(  # noqa: PLR0913  one argument for each option
    *,
    archive: Path,
    bundle: Path,
    champion: Path | None,
    workspace: Path,
    goal: tuple[str, ...],
    window: str,
    aggregate: str,
    default: float,
    attribute: str,
    since: datetime | None,
    out: Path,
    as_json: bool,
) -> None:
    """Judge a bundle by a log: beside what was done, chance, the best constant action and the champion.

    A value is refused, with the reason, where the log cannot tell it. What each number means is in docs/evaluation.md.

    \b
    Examples:
      takt evaluate --log archive --bundle models/shop/1.1.0 --champion models/shop/1.0.0 --workspace shop --goal accept
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    from takt_training.offpolicy.run import run  # noqa: PLC0415  pandas and ONNX Runtime take a second to import

    declared = Goal(
        goal, duration(window, "--window").ToMicroseconds(), aggregate=aggregate, default=default, attribution=attribute
    )
    run(archive, bundle, champion, workspace=workspace, goal=declared, since=since, out=out, as_json=as_json)
