"""`takt profile`: write and read profiles of a running service, over its administrative address."""

from __future__ import annotations

import json
from typing import TextIO

import click

from takt.cli import lines
from takt.cli.client import Client, Door
from takt.cli.messages import identity, profile_plain, profile_write
from takt.cli.options import admin_door, as_json
from takt.cli.show import console, counting, profile_table, tally_and_end


@click.group()
def profile() -> None:
    """Write and read profiles of a running service.

    Profiles are personal data. They are served on the administrative address, which is the machine's own unless the
    service was told otherwise; then it wants a token.
    """


@profile.command()
@click.argument("source", type=click.File(encoding="utf-8"), metavar="FILE")
@as_json
@admin_door
def put(*, door: Door, as_json: bool, source: TextIO) -> None:
    """Write profiles from JSON lines in FILE (- for stdin).

    \b
    Examples:
      takt profile put customers.jsonl
      takt profile get hh-0001 --json | takt profile put -

    A line is one profile. What it does not mention stays as it is, unless it says "mode": "replace".

    \b
      {"profile_id": "c-17", "identities": {"login": "anna"}, "features": {"visits_30d": 3, "segment": "premium"},
       "time_zone": "Europe/Berlin", "locale": "de-DE", "form_of_address": "formal",
       "consents": {"web.personalisation": true}}

    Texts, numbers, true and false, lists of flags and moments like "2026-01-31T12:00:00Z" are values; null makes a
    feature missing. Lines that are wrong are named by line and field and do not stop the others; the command then
    ends with 1.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    with Client(door) as client, counting("profiles", source) as sent:
        tally = lines.send(lines.read(source, profile_write), client.put, sent)
    tally_and_end(tally, name=source.name, as_json=as_json)


@profile.command()
@click.argument("profile_id", default="", metavar="[ID]")
@click.option("--identity", "name", default="", metavar="NAMESPACE=VALUE", help="The customer, by an identity.")
@as_json
@admin_door
def get(*, door: Door, as_json: bool, profile_id: str, name: str) -> None:
    """Show one profile.

    \b
    Examples:
      takt profile get hh-0001
      takt profile get --identity login=anna --json
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if (not profile_id) == (not name):
        raise click.UsageError("give either the profile's ID or --identity")
    with Client(door) as client:
        found = client.get(profile_id, identity=identity(name) if name else None)
    if as_json:
        click.echo(json.dumps(profile_plain(found), ensure_ascii=False))
    else:
        profile_table(console(), profile_plain(found))


@profile.command()
@click.argument("profile_id", default="", metavar="[ID]")
@click.option(
    "--identity", "names", multiple=True, metavar="NAMESPACE=VALUE", help="A name of the same customer; up to eight."
)
@as_json
@admin_door
def link(*, door: Door, as_json: bool, profile_id: str, names: tuple[str, ...]) -> None:
    """State that several names are one customer's.

    \b
    Examples:
      takt profile link hh-0001 --identity cookie=c1
      takt profile link --identity login=anna --identity cookie=c1

    The profiles that the names led to are merged, with their contacts, suppressions and the stricter of their
    consents. This cannot be undone. Linking what is linked already changes nothing.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if not names or bool(profile_id) + len(names) < 2:
        raise click.UsageError("give the profile's ID and --identity, or --identity twice")
    identities = [identity(name, f"identities[{i}]") for i, name in enumerate(names)]
    with Client(door) as client:
        linked = client.link(profile_id, identities)
    merged = list(linked.absorbed_profile_ids)
    if as_json:
        click.echo(json.dumps({"profile_id": linked.profile_id, "absorbed_profile_ids": merged}, ensure_ascii=False))
    else:
        what = f"took in {', '.join(merged)}" if merged else "nothing to merge"
        click.echo(f"{linked.profile_id}: {what}")
