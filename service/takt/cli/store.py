"""`takt store`: make a server a store."""

from __future__ import annotations

import json
from pathlib import Path

import click

from takt.cli.options import FILE, as_json
from takt.cli.values import duration
from takt.redis.keys import DEFAULT_PARTITIONS, MAX_PARTITIONS
from takt.redis.marker import init_store
from takt.redis.wire import Address


@click.group()
def store() -> None:
    """Prepare a Redis or Valkey server of your own. The embedded store prepares itself."""


@store.command()
@click.option(
    "--redis-url", required=True, envvar="TAKT_REDIS_URL", show_envvar=True, metavar="URL", help="The server."
)
@click.option("--redis-password-file", type=FILE, envvar="TAKT_REDIS_PASSWORD_FILE", help="File with its password.")
@click.option("--redis-ca", type=FILE, envvar="TAKT_REDIS_CA", help="PEM of the authority to trust with rediss://.")
@click.option(
    "--partitions",
    type=click.IntRange(1, MAX_PARTITIONS),
    default=DEFAULT_PARTITIONS,
    show_default=True,
    help="Over how many partitions people are spread. Chosen once: it cannot be changed later.",
)
@click.option(
    "--request-id-retention",
    "retention",
    default="15m",
    show_default=True,
    envvar="TAKT_REQUEST_ID_RETENTION",
    metavar="DURATION",
    help="How long request and event ids are remembered.",
)
@as_json
def init(
    *,
    redis_url: str,
    redis_password_file: Path | None,
    redis_ca: Path | None,
    partitions: int,
    retention: str,
    as_json: bool,
) -> None:
    """Make an empty server a store: write the marker by which Takt knows it again.

    \b
    Examples:
      takt store init --redis-url redis://127.0.0.1:6379/0
      takt store init --redis-url rediss://store:6380/0 --redis-password-file /run/secrets/redis

    Do it once, before the first start. A server that has the marker already is left as it is, and so is one that has a
    part of it: that one lost data. Without its marker a store is not used, because contacts that were forgotten would
    be made again.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    remembered = duration(retention, "--request-id-retention")
    address = Address(redis_url, timeout_s=5.0, password_file=redis_password_file, ca_file=redis_ca)
    marker = init_store(address, partitions=partitions, retention_us=remembered.ToMicroseconds())
    if as_json:
        click.echo(json.dumps({"store_id": marker.store_id, "partitions": marker.partitions}))
    else:
        click.echo(f"{address.shown} is store {marker.store_id}, in {marker.partitions} partitions")
