"""The command `takt simulate`. The rest is imported when it runs, so that its help is quick."""

from __future__ import annotations

import json
from pathlib import Path

import click

ROUNDS, DECISIONS = 20, 5000
QUICK_ROUNDS, QUICK_DECISIONS = 2, 1000
QUICK_LEARNERS = ("squarecb",)
OUT = Path("reports/simulation")


@click.command()
@click.option("--rounds", type=click.IntRange(2, 200), help=f"Weeks that are decided for.  [default: {ROUNDS}]")
@click.option(
    "--decisions", type=click.IntRange(1000, 100_000), help=f"Decisions in each of them.  [default: {DECISIONS}]"
)
@click.option("--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Populations: seeds 0, 1, ...")
@click.option(
    "--learners", default="", metavar="NAME,...", help="Who learns, separated by commas.  [default: all of them]"
)
@click.option(
    "--quick",
    is_flag=True,
    help=f"{QUICK_ROUNDS} rounds of {QUICK_DECISIONS:,} decisions for {' and '.join(QUICK_LEARNERS)}: does it run?",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=OUT,
    show_default=True,
    help="Directory of the report.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object, each with its bar.")
def simulate(
    *, rounds: int | None, decisions: int | None, seeds: int, learners: str, quick: bool, out: Path, as_json: bool
) -> None:
    """Let learners decide for simulated customers whose truth is known, round after round, and tell their regret.

    Every learner goes through the real thing: a service with a store of its own, asked over gRPC, on a clock that runs
    fast; what customers do is reported to it; its log is exported, a model trained on it and deployed. What each could
    have earned at best is known (docs/simulation.md). A round of 5,000 decisions takes some ten seconds, and some
    twenty more where a model is trained. Exits with 1 if a bar is missed, after writing the report.

    \b
    Learners: uniform, constant, greedy, epsilon, softmax, squarecb, squarecb-without-reaction,
    squarecb-without-baseline, squarecb-without-silence

    \b
    Examples:
      takt simulate --quick
      takt simulate --learners uniform,squarecb --rounds 6
      takt simulate --seeds 5 --out reports/five
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if quick and (rounds is not None or decisions is not None or learners):
        raise click.UsageError("--quick says how much is simulated, and for whom; leave the other options out")
    from takt_training.simulation.learners import named  # noqa: PLC0415  jax and gRPC take seconds to import

    chosen = named(QUICK_LEARNERS if quick else tuple(name.strip() for name in learners.split(",") if name.strip()))
    from takt_training.simulation.run import Extent, run  # noqa: PLC0415  the same

    extent = Extent(
        rounds=rounds or (QUICK_ROUNDS if quick else ROUNDS),
        decisions=decisions or (QUICK_DECISIONS if quick else DECISIONS),
        seeds=seeds,
    )
    figures = run(extent, chosen, out=out, quiet=as_json)
    if as_json:
        click.echo(json.dumps({figure.name: figure.told() for figure in figures}))
    if not all(figure.ok for figure in figures):
        raise click.exceptions.Exit(1)
