"""`takt contacts`: see and correct who was contacted, over the administrative address."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

import click

from takt.cli import lines, values
from takt.cli.client import Client, Door
from takt.cli.exits import Exit, Failure
from takt.cli.messages import audit_plain, contacts_plain, finding_plain, identity, outside_contact, whom
from takt.cli.options import admin_door, as_json
from takt.cli.show import console, contacts_tables, counting, finding_out, tally_and_end
from takt.v1 import contact_pb2, types_pb2

KNOWN = {"added", "duplicate"}
"""Outcomes of a contact that is in its ledger."""

_who = (
    click.argument("profile_id", default="", metavar="[ID]"),
    click.option("--identity", "name", default="", metavar="NAMESPACE=VALUE", help="The customer, by an identity."),
)
_why = (
    click.option(
        "--actor", required=True, envvar="TAKT_ACTOR", show_envvar=True, metavar="NAME", help="Who asks, for the log."
    ),
    click.option("--reason", required=True, metavar="TEXT", help="Why, for the log; without personal data."),
)


def _with(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command several arguments and options, in this order."""

    def given(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return given


@click.group()
def contacts() -> None:
    """See and correct who was contacted, and what still counts.

    Contacts are personal data. They are served on the administrative address, which is the machine's own unless the
    service was told otherwise; then it wants a token. Every change is logged with who made it and why.
    """


@contacts.command("list")
@_with(*_who)
@click.option("--since", default="", metavar="TIME", help="Only contacts from then on, like 2026-01-31T12:00:00Z.")
@click.option("--until", default="", metavar="TIME", help="Only contacts before then.")
@as_json
@admin_door
def list_contacts(*, door: Door, as_json: bool, profile_id: str, name: str, since: str, until: str) -> None:
    """Show one customer's contacts, and when each cap has room for the next.

    \b
    Examples:
      takt contacts list hh-0001
      takt contacts list --identity login=anna --since 2026-01-01T00:00:00Z --json

    A contact is held, confirmed, late (confirmed after its hold had expired, and counting since), released, expired, or
    backfilled. Without a date under "next possible at", a cap has room now.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    request = contact_pb2.ContactServiceListRequest(
        profile=_named(profile_id, name),
        since=values.moment(since, "--since") if since else None,
        until=values.moment(until, "--until") if until else None,
    )
    with Client(door) as client:
        found = contacts_plain(client.contacts(request))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        contacts_tables(console(), found)


@contacts.command()
@_with(*_who)
@click.option("--channel", default="", metavar="NAME", help="Only contacts on this channel.")
@click.option("--offer", default="", metavar="ID", help="Only contacts with this offer.")
@click.option("--group", default="", metavar="NAME", help="Only contacts with offers of this group.")
@click.option("--since", default="", metavar="TIME", help="Only contacts from then on.")
@click.option("--before", default="", metavar="TIME", help="Only contacts before then.")
@click.option("--all", "everything", is_flag=True, help="All contacts; needed where nothing else narrows it down.")
@_with(*_why)
@as_json
@admin_door
def reset(
    *, door: Door, as_json: bool, profile_id: str, name: str, since: str, before: str, everything: bool, **fields: str
) -> None:
    """Take one customer's contacts out of what is counted.

    \b
    Examples:
      takt contacts reset hh-0001 --offer milk --actor anna --reason "a test went live"
      takt contacts reset hh-0001 --all --actor anna --reason "asked for a fresh start"

    What is given must all hold. The contacts stay in the decision log, suppressions stay in force, and budgets over all
    customers get nothing back.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    narrowed = any((fields["channel"], fields["offer"], fields["group"], since, before))
    if narrowed == everything:
        raise click.UsageError("say which contacts (--channel, --offer, --group, --since, --before) or --all")
    request = contact_pb2.ContactServiceResetRequest(
        profile=_named(profile_id, name),
        since=values.moment(since, "--since") if since else None,
        before=values.moment(before, "--before") if before else None,
        **fields,
    )
    with Client(door) as client:
        removed = client.reset(request)
    told = "1 contact no longer counts" if removed == 1 else f"{removed} contacts no longer count"
    click.echo(json.dumps({"removed": removed}) if as_json else told)


@contacts.command()
@click.argument("source", type=click.File(encoding="utf-8"), metavar="FILE")
@click.option(
    "--covered-since",
    "since",
    default="",
    metavar="TIME",
    help="State that with these all contacts since then are known, so that caps may look back so far.",
)
@_with(*_why)
@as_json
@admin_door
def backfill(*, door: Door, as_json: bool, source: TextIO, since: str, actor: str, reason: str) -> None:
    """Add contacts of other systems from JSON lines in FILE (- for stdin), so that they count.

    \b
    Example:
      takt contacts backfill sent.jsonl --actor crm --reason "letters of January"

    A line is one contact. Its id makes it known again, so that a file can be sent twice without harm.

    \b
      {"contact_id": "crm-1", "profile_id": "c-17", "counted_at": "2026-01-31T12:00:00Z", "channel": "email",
       "offer": "milk"}

    Instead of profile_id, "identity": {"login": "anna"} may stand; offer and placement are left out where they are none
    of the catalog's. Lines that are wrong are named and do not stop the others; the command then ends with 1, and
    --covered-since is not stated.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    covered = values.moment(since, "--covered-since") if since else None
    with Client(door) as client:
        with counting("contacts", source) as sent:
            call = partial(client.backfill, actor=actor, reason=reason)
            tally = lines.send(lines.read(source, outside_contact), call, sent)
        if covered is not None and not tally.outcomes.keys() - KNOWN:
            client.cover(covered, actor=actor, reason=reason)
            click.echo(f"noted that all contacts since {covered.ToJsonString()} are known", err=True)
    tally_and_end(tally, name=source.name, as_json=as_json)


@contacts.command()
@_with(*_who)
@click.option(
    "--partition", "partitions", type=int, multiple=True, metavar="N", help="Only this partition; repeatable."
)
@click.option("--since", default="", metavar="TIME", help="Only contacts from then on.")
@click.option("--until", default="", metavar="TIME", help="Only contacts before then.")
@as_json
@admin_door
def audit(
    *, door: Door, as_json: bool, profile_id: str, name: str, partitions: tuple[int, ...], since: str, until: str
) -> None:
    """Compare what is counted with the decision log, and name every difference; of everybody, or of one customer.

    \b
    Examples:
      takt contacts audit
      takt contacts audit hh-0001
      takt contacts audit --partition 0 --partition 1 --since 2026-01-01T00:00:00Z --json

    A line is one difference: the customer, the offer, when it counts, its decision, and what is wrong. Late
    confirmations are told and are none. With --json, every line is one object, and the last is the summary. Ends with 1
    if something differs. Reads only, in small steps; --timeout does not matter here.
    """  # noqa: D301 - the \b are click's: keep these lines as they are
    request = contact_pb2.ContactServiceAuditRequest(
        profile=_named(profile_id, name) if profile_id or name else None,
        partitions=partitions,
        since=values.moment(since, "--since") if since else None,
        until=values.moment(until, "--until") if until else None,
    )
    summary = None
    with Client(door) as client, finding_out() as tell:
        for answer in client.audit(request):
            if answer.HasField("summary"):
                summary = answer.summary
            else:
                tell(_line(answer.finding, as_json=as_json))
    if summary is None:
        raise Failure("the audit ended without a summary: what was found is not all")
    click.echo(json.dumps(audit_plain(summary)) if as_json else _told(summary))
    if summary.findings:
        raise SystemExit(Exit.FAILED)


def _line(finding: contact_pb2.AuditFinding, *, as_json: bool) -> str:
    """A finding as a line of its own."""
    plain = finding_plain(finding)
    if as_json:
        return json.dumps(plain, ensure_ascii=False)
    return f"{plain['kind']}: {': '.join(filter(None, [finding.profile_id, finding.message]))}"


def _told(summary: contact_pb2.AuditSummary) -> str:
    """What an audit compared, in one line."""
    since = f"; the log begins at {values.written(summary.log_since)}" if summary.HasField("log_since") else ""
    compared = f"{summary.profiles} customers, {summary.contacts} contacts and {summary.totals} totals compared{since}"
    return f"{compared}: differences {summary.findings}, late confirmations {summary.late}"


def _named(profile_id: str, name: str) -> types_pb2.ProfileReference:
    """Whom the command line names."""
    if (not profile_id) == (not name):
        raise click.UsageError("give either the profile's ID or --identity")
    return whom(profile_id, identity(name) if name else None)
