"""`takt log`: what was decided and what came of it, as files."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from takt.cli.options import DIRECTORY, FILE, as_json
from takt.cli.values import duration
from takt.features.spec import FeatureSpec, load_spec
from takt.redis.wire import Address
from takt_training.logged.goal import AGGREGATES, ATTRIBUTIONS, Goal


class Outcome(Struct, frozen=True):
    """What the command line says of outcomes."""

    workspace: Path | None
    events: tuple[str, ...]
    window: str
    aggregate: str
    default: float
    attribution: str

    def read(self) -> tuple[FeatureSpec, Goal]:
        """The feature spec and the goal. Raises `click.UsageError` for what is missing, `WorkspaceError`."""
        if self.workspace is None:
            raise click.UsageError("name the directory that holds features.yaml with --workspace")
        if not self.events:
            raise click.UsageError("name the event that is success with --goal")
        path = self.workspace / "features.yaml"
        spec = load_spec(path.read_text(encoding="utf-8"), str(path))
        window_us = duration(self.window, "--window").ToMicroseconds()
        goal = Goal(
            self.events, window_us, aggregate=self.aggregate, default=self.default, attribution=self.attribution
        )
        return spec, goal


def _with_goal(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of outcomes; it gets them as one argument `outcome`."""

    @functools.wraps(command)
    def opened(
        *,
        workspace: Path | None,
        goal: tuple[str, ...],
        window: str,
        aggregate: str,
        default: float,
        attribute: str,
        **others: Any,
    ) -> Any:
        return command(outcome=Outcome(workspace, goal, window, aggregate, default, attribute), **others)

    for option in reversed(
        (
            click.option("--workspace", type=DIRECTORY, help="Directory whose features.yaml says what is read."),
            click.option("--goal", multiple=True, metavar="EVENT", help="Event that is success; may be repeated."),
            click.option(
                "--window",
                default="7d",
                show_default=True,
                metavar="DURATION",
                help="How long after the contact it counts. Decisions are written once this has passed.",
            ),
            click.option(
                "--aggregate",
                type=click.Choice(AGGREGATES),
                default="max",
                show_default=True,
                help="What several of them come to.",
            ),
            click.option("--default", type=float, default=0.0, show_default=True, help="Outcome where none came."),
            click.option(
                "--attribute",
                type=click.Choice(ATTRIBUTIONS),
                default="decision",
                show_default=True,
                help="Events that name the decision, or also those that name only the person.",
            ),
        )
    ):
        opened = option(opened)
    return opened


@click.group()
def log() -> None:
    """Export the decision log: what was decided, with which probability, and what came of it."""


@log.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory of the archive. Runs of the same store go on where it ends.",
)
@click.option("--redis-url", envvar="TAKT_REDIS_URL", show_envvar=True, metavar="URL", help="The store's server.")
@click.option("--redis-password-file", type=FILE, envvar="TAKT_REDIS_PASSWORD_FILE", help="File with its password.")
@click.option("--redis-ca", type=FILE, envvar="TAKT_REDIS_CA", help="PEM of the authority to trust with rediss://.")
@click.option("--data-dir", type=DIRECTORY, help="Data directory of an embedded store, whether it is served or not.")
@click.option("--trim/--no-trim", default=True, show_default=True, help="Drop from the store what the archive has.")
@click.option(
    "--segment-entries",
    type=click.IntRange(1, 1_000_000),
    default=20_000,
    show_default=True,
    help="Entries that are held in memory before they are written, to a file for each kind and day.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "vw", "obp"]),
    default="parquet",
    show_default=True,
    help="Parquet is the archive. vw (DSJSON) and obp (arrays) are written beside it, with outcomes.",
)
@_with_goal
@as_json
def export(  # noqa: PLR0913 - one argument per option
    *,
    out: Path,
    redis_url: str | None,
    redis_password_file: Path | None,
    redis_ca: Path | None,
    data_dir: Path | None,
    trim: bool,
    segment_entries: int,
    kind: str,
    outcome: Outcome,
    as_json: bool,
) -> None:
    """Drain the log of a store to Parquet, one folder per day, each decision and event exactly once.

    \b
    Examples:
      takt log export --out /var/lib/takt/archive --redis-url rediss://store:6380/0
      takt log export --out archive --data-dir .takt/mine
      takt log export --out archive --format vw --workspace shop --goal purchase --window 7d

    It may run while the service does, be killed at any moment, and be run again: every few minutes is right. Entries
    are dropped from the store once they are on disk here, and no sooner than request ids are forgotten.

    With --format vw or obp, outcomes are joined and the decisions whose window has closed are written. Without a store
    that is done from the archive as it is.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    from rich.console import Console  # noqa: PLC0415  help should not wait for these

    from takt_training.archive.export import drain, show, told  # noqa: PLC0415
    from takt_training.archive.source import TIMEOUT_S, open_data_dir, open_server  # noqa: PLC0415

    opening = None
    if data_dir is not None:
        opening = open_data_dir(data_dir)
    elif redis_url is not None:
        opening = open_server(Address(redis_url, TIMEOUT_S, redis_password_file, redis_ca))
    elif kind == "parquet":
        raise click.UsageError("name the store with --redis-url or --data-dir")
    read = outcome.read() if kind != "parquet" else None
    console = Console(stderr=True)
    said: dict[str, Any] = {}
    if opening is not None:
        begun = time.monotonic()
        with opening as store:
            done = drain(store, out, trim=trim, segment_entries=segment_entries, console=console)
        seconds = time.monotonic() - begun
        said = told(done, out, seconds=seconds)
        if not as_json:
            show(done, out, Console(), seconds=seconds)
    if read is not None:
        from takt_training.logged.writing import write  # noqa: PLC0415

        spec, goal = read
        written = write(out, kind, spec, goal, console)
        said[kind] = written
        if not as_json:
            click.echo("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in written.items()))
    if as_json:
        click.echo(json.dumps(said))
