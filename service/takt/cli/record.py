"""`takt record`: tell a running service what became of a decision."""

from __future__ import annotations

from typing import Any, TextIO

import click

from takt.cli import lines, values
from takt.cli.client import Client, Door
from takt.cli.messages import event, identity
from takt.cli.options import as_json, public_door
from takt.cli.show import counting, tally_and_end
from takt.v1 import feedback_pb2


@click.command()
@click.option("--type", "kind", default="", metavar="NAME", help="impression, click, accept, reject, or any declared.")
@click.option("--decision", "decision_id", default="", metavar="ID", help="The decision that it follows.")
@click.option("--profile", "profile_id", default="", metavar="ID", help="The customer, by profile id.")
@click.option("--identity", "name", default="", metavar="NAMESPACE=VALUE", help="The customer, by an identity.")
@click.option("--offer", default="", metavar="ID", help="The offer, where the decision showed several.")
@click.option("--placement", default="", metavar="NAME", help="The placement, where the offer stood at several.")
@click.option("--channel", default="", metavar="NAME", help="The channel, for events about a whole channel.")
@click.option("--value", type=float, default=None, help="What it was worth, in the catalog's unit of value.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="What else is known; repeat.")
@click.option("--at", "occurred_at", default="", metavar="TIME", help="When, like 2026-01-31T12:00:00Z. Default: now.")
@click.option(
    "--event-id", default="", metavar="ID", help="Id of the event; one is applied once. Default: a fresh one."
)
@click.option("--file", "source", type=click.File(encoding="utf-8"), help="Read events from JSON lines; - for stdin.")
@as_json
@public_door
def record(*, door: Door, as_json: bool, source: TextIO | None, **flags: Any) -> None:
    """Record one event, or a file of them.

    \b
    Examples:
      takt record --type click --decision 9f6c... --offer milk
      takt record --type reject --profile hh-0001 --offer milk
      takt record --file events.jsonl

    A line of a file is one event with the fields of the contract:

    \b
      {"type": "click", "decision_id": "9f6c...", "offer": "milk", "value": 2.5}

    Lines that are wrong are named and do not stop the others; the command then ends with 1. If each event has its
    event_id, the file can be sent again without fear: none is applied twice.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    if (source is None) == (not flags["kind"]):
        raise click.UsageError("give either --type (one event) or --file (many)")
    if source is not None and any(flag not in ("", None, ()) for flag in flags.values()):
        raise click.UsageError("with --file, everything about the events stands in the file")
    with Client(door) as client:
        if source is None:
            tally = lines.send([lines.Line(1, _one(**flags))], client.record)
        else:
            with counting("events", source) as sent:
                tally = lines.send(lines.read(source, event), client.record, sent)
    tally_and_end(tally, name=source.name if source is not None else "event", as_json=as_json)


def _one(*, kind: str, name: str, attributes: tuple[str, ...], **fields: Any) -> feedback_pb2.Event:
    given = {"type": kind, "attributes": values.assignments(attributes, "attributes"), **fields}
    if name:
        named = identity(name)
        given["identity"] = {"namespace": named.namespace, "value": named.value}
    return event(given)
