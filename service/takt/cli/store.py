"""`takt store`: make a server a store, and say how much memory one will need."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.cli.options import DIRECTORY, FILE, as_json
from takt.cli.values import duration, refuse
from takt.domain.ledger import WIDTH
from takt.redis.estimate import RECORD_BYTES, SHOWN_BYTES, Part, Population, estimate
from takt.redis.keys import DEFAULT_PARTITIONS, MAX_PARTITIONS
from takt.redis.log import RedisLog
from takt.redis.marker import RETENTION_US, init_store, read_marker
from takt.redis.server import Server, inspect
from takt.redis.sizes import Sizes
from takt.redis.wire import Address, Wire


@click.group()
def store() -> None:
    """Prepare a Redis or Valkey server of your own, and size any. The embedded store prepares itself."""


_password = click.option(
    "--redis-password-file", type=FILE, envvar="TAKT_REDIS_PASSWORD_FILE", help="File with its password."
)
_authority = click.option(
    "--redis-ca", type=FILE, envvar="TAKT_REDIS_CA", help="PEM of the authority to trust with rediss://."
)


@store.command()
@click.option(
    "--redis-url", required=True, envvar="TAKT_REDIS_URL", show_envvar=True, metavar="URL", help="The server."
)
@_password
@_authority
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


@store.command("estimate")
@click.option("--workspace", type=DIRECTORY, required=True, help="Directory of the workspace.")
@click.option("--profiles", type=click.IntRange(1), required=True, help="People, visitors without a profile included.")
@click.option(
    "--contacts-per-profile",
    "contacts",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Contacts that are kept of each, on average, suppressions included.",
)
@click.option(
    "--identities-per-profile",
    "identities",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Logins, cookies and the like that lead to each, on average.",
)
@click.option(
    "--decisions-per-second", "rate", type=click.FloatRange(0), default=0.0, help="How many, and spread over all."
)
@click.option(
    "--log-hours",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Hours of the decision log that are in the store before they are exported and trimmed.",
)
@click.option(
    "--log-record-bytes",
    "record",
    type=click.IntRange(1),
    help="Bytes of a log record. From the log of the store that is named, or from the workspace.",
)
@click.option("--redis-url", envvar="TAKT_REDIS_URL", show_envvar=True, metavar="URL", help="A server to size it for.")
@_password
@_authority
@as_json
def estimated(  # noqa: PLR0913 -- one per option
    *,
    workspace: Path,
    profiles: int,
    contacts: float,
    identities: float,
    rate: float,
    log_hours: float,
    record: int | None,
    redis_url: str | None,
    redis_password_file: Path | None,
    redis_ca: Path | None,
    as_json: bool,
) -> None:
    """Say how much memory a store will need, without looking at a key.

    \b
    Examples:
      takt store estimate --workspace my/workspace --profiles 2000000
      takt store estimate --workspace my/workspace --profiles 2000000 --decisions-per-second 800 --log-hours 0.5
      takt store estimate --workspace my/workspace --profiles 50000 --redis-url redis://127.0.0.1:6379/0 --json

    It is computed from the layout of records and keys and the sizes that the server's allocator hands out: those of the
    embedded Valkey, or of the server that is named. That one is asked for INFO, its marker and a few records of its
    log, and told to be too small if it is. Leave room on top: a snapshot or a rewrite of the append-only file may copy
    what changes meanwhile.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    catalog = load_workspace(workspace)
    if contacts > catalog.max_entries:
        raise refuse(
            "--contacts-per-profile", f"{contacts:g}, but ledger.max_entries of {workspace} is {catalog.max_entries}"
        )
    server, partitions, retention_us, usual = None, DEFAULT_PARTITIONS, RETENTION_US, 0
    if redis_url is not None:
        address = Address(redis_url, timeout_s=5.0, password_file=redis_password_file, ca_file=redis_ca)
        server, partitions, retention_us, usual = _asked(address)
    people = Population(
        profiles=profiles,
        record_bytes=catalog.spec.profile.dtype.itemsize,
        contacts_per_profile=contacts,
        identities_per_profile=identities,
        decisions_per_second=rate,
        retention_s=retention_us / 1_000_000,
        log_hours=log_hours,
        log_record_bytes=record or usual or log_record_bytes(catalog, contacts),
        partitions=partitions,
    )
    sizes = Sizes.of(server)
    parts = estimate(people, sizes)
    total = sum(part.bytes for part in parts)
    room = server.maxmemory if server else 0
    if as_json:
        said = {
            "server": server.version if server else None,
            "computed_for": sizes.shown,
            "used_bytes": server.used_memory if server else None,
            "maxmemory_bytes": room or None,
            "log_record_bytes": people.log_record_bytes,
            "parts": {part.name: {"things": part.things, "bytes": part.bytes} for part in parts},
            "total_bytes": total,
            "fits": total <= room if room else None,
        }
        click.echo(json.dumps(said))
        return
    click.echo(_table(parts, total))
    click.echo(f"computed for {sizes.shown}; log records of {people.log_record_bytes} bytes, one offer shown in each")
    if server:
        limit = f"of {_amount(room)}" if room else "without a limit (maxmemory)"
        click.echo(f"{server.shown}: {server.version}, uses {_amount(server.used_memory)} now, {limit}")
    if room and total > room:
        click.echo(
            f"does not fit: {_amount(total)} of {_amount(room)}; raise maxmemory or export the log sooner", err=True
        )


def log_record_bytes(catalog: Catalog, contacts: float) -> int:
    """Bytes of the log record of a decision that shows one offer, by the workspace alone."""
    read = catalog.spec.profile.dtype.itemsize + catalog.spec.context.dtype.itemsize
    return RECORD_BYTES + SHOWN_BYTES + read + round(WIDTH * (1 + contacts)) + len(catalog.offers)


def _asked(address: Address) -> tuple[Server, int, int, int]:
    """A server, how many partitions its store has, how long ids are kept there, and bytes of its log records."""
    wire = Wire(address)
    try:
        server = inspect(wire)
        marker = read_marker(wire, None)
        return server, marker.partitions, marker.retention_us, RedisLog(wire, marker).usual_bytes()
    finally:
        wire.close()


def _table(parts: Sequence[Part], total: int) -> str:
    rows = [(part.name, f"{part.things:,}", f"{part.each:,.1f}", _amount(part.bytes)) for part in parts]
    rows = [("", "how many", "bytes each", "memory"), *rows, ("total", "", "", _amount(total))]
    return "\n".join(f"{name:<12}{things:>16}{each:>14}{memory:>14}" for name, things, each, memory in rows)


def _amount(count: int) -> str:
    return f"{count / 2**30:,.2f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
