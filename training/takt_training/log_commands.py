"""`takt log`: what was decided and what came of it, as files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from takt.cli.options import DIRECTORY, FILE, as_json
from takt.redis.wire import Address


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
@as_json
def export(
    *,
    out: Path,
    redis_url: str | None,
    redis_password_file: Path | None,
    redis_ca: Path | None,
    data_dir: Path | None,
    trim: bool,
    segment_entries: int,
    as_json: bool,
) -> None:
    """Drain the log of a store to Parquet, one folder per day, each decision and event exactly once.

    \b
    Examples:
      takt log export --out /var/lib/takt/archive --redis-url rediss://store:6380/0
      takt log export --out archive --data-dir .takt/mine

    It may run while the service does, be killed at any moment, and be run again: every few minutes is right. Entries
    are dropped from the store once they are on disk here, and no sooner than request ids are forgotten.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    from rich.console import Console  # noqa: PLC0415  help should not wait for these

    from takt_training.archive.export import drain, show, told  # noqa: PLC0415
    from takt_training.archive.source import TIMEOUT_S, open_data_dir, open_server  # noqa: PLC0415

    if data_dir is not None:
        opening = open_data_dir(data_dir)
    elif redis_url is not None:
        opening = open_server(Address(redis_url, TIMEOUT_S, redis_password_file, redis_ca))
    else:
        raise click.UsageError("name the store with --redis-url or --data-dir")
    begun = time.monotonic()
    console = Console(stderr=True)
    with opening as store:
        done = drain(store, out, trim=trim, segment_entries=segment_entries, console=console)
    seconds = time.monotonic() - begun
    if as_json:
        click.echo(json.dumps(told(done, out, seconds=seconds)))
    else:
        show(done, out, Console(), seconds=seconds)
