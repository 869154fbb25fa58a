"""`takt decide`: ask a running service what to say to one customer."""

from __future__ import annotations

from typing import Any

import click
from google.protobuf import json_format

from takt.cli import values
from takt.cli.client import Client, Door
from takt.cli.exits import Exit
from takt.cli.messages import EXPLAIN, Question, new_id
from takt.cli.options import as_json, public_door
from takt.cli.show import console, decision


@click.command()
@click.option("--profile", "profile_id", default="", metavar="ID", help="The customer, by profile id.")
@click.option(
    "--identity",
    "identities",
    multiple=True,
    metavar="NAMESPACE=VALUE",
    help="The customer, by an identity; repeat, strongest first.",
)
@click.option(
    "--placement",
    "placements",
    multiple=True,
    required=True,
    metavar="NAME[:N]",
    help="A placement to fill, with at most N offers; repeat, most important first.",
)
@click.option(
    "--context",
    multiple=True,
    metavar="NAME=VALUE",
    help="A context feature; repeat. page=home, basket=12.5, vip=true.",
)
@click.option(
    "--timing", "timings", multiple=True, metavar="NAME", help="A timing you can act on; repeat. Default: all."
)
@click.option("--explain", type=click.Choice(EXPLAIN), default="offers", show_default=True, help="How much to explain.")
@click.option("--dry-run", is_flag=True, help="Count, hold, log and learn nothing.")
@click.option("--allow-duplicates", is_flag=True, help="Let an offer fill more than one of the placements.")
@click.option("--request-id", default=None, metavar="ID", help="Repeat a request under its id. Default: a fresh one.")
@click.option("--budget", default="", metavar="TIME", help="Time the service may take, such as 80ms.")
@as_json
@public_door
def decide(*, door: Door, as_json: bool, context: tuple[str, ...], request_id: str | None, **asked: Any) -> None:
    """Ask what to say to a customer, and show what was decided and why.

    A real request counts: the offers shown are held as contacts. Use --dry-run to look only. The same --request-id with
    the same request gives the same answer; with another request it is refused.

    \b
    Examples:
      takt decide --profile hh-0001 --placement home_hero --context page=home
      takt decide --identity login=anna --placement home_hero --placement home_tiles:2 --dry-run --json

    Ends with 4 when the answer is degraded.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    question = Question(context=values.assignments(context, "context"), request_id=request_id or new_id(), **asked)
    with Client(door) as client:
        answer = client.decide(question)
    if as_json:
        click.echo(json_format.MessageToJson(answer, preserving_proto_field_name=True))
    else:
        decision(console(), answer)
    if answer.degradations:
        raise SystemExit(Exit.DEGRADED)
