"""Printing for people: decisions, profiles, tallies, progress. Scripts get JSON from the commands themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from takt.cli import values
from takt.cli.exits import Exit
from takt.cli.lines import Tally
from takt.cli.messages import Answer, PlacementAnswer
from takt.v1 import decision_pb2, types_pb2

WIDTH = 130
"""Columns when the output is no terminal and nobody says otherwise."""
ROOM = 110
"""Columns that the table of offers needs to show everything."""
LISTED = 20
"""Wrong lines that are named; the rest is counted."""
NAMED = 6
"""Offers that are named per reason."""

STATUS_COLOURS = {"OFFERED": "green", "SILENCE": "cyan", "FALLBACK": "yellow", "EMPTY": "yellow"}


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; wide enough for tables where there is none."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH
    return made


def status(placement: PlacementAnswer) -> str:
    """`OFFERED`, `SILENCE`, ..."""
    return decision_pb2.PlacementStatus.Name(placement.status).removeprefix("PLACEMENT_STATUS_")


def causes(answer: Answer) -> list[str]:
    """Causes of degradation, such as `STORE`."""
    return [types_pb2.DegradationCause.Name(d.cause).removeprefix("DEGRADATION_CAUSE_") for d in answer.degradations]


def reason(exclusion: decision_pb2.Exclusion) -> str:
    """The reason and, where there is one, the rule or cap: `CAP_OFFER offer-week`."""
    code = types_pb2.ReasonCode.Name(exclusion.reason).removeprefix("REASON_CODE_")
    return f"{code} {exclusion.rule}".rstrip()


def address(form: types_pb2.FormOfAddress) -> str:
    """`formal`, `informal` or `neutral`."""
    return types_pb2.FormOfAddress.Name(form).removeprefix("FORM_OF_ADDRESS_").lower()


def decision(out: Console, answer: Answer) -> None:
    """A whole answer: what is shown where, what each offer scored, and why the others were left out."""
    who = escape(answer.profile_id) or "nobody that could be found"
    known = "  (nothing is known about this person)" if answer.anonymous else ""
    stage = f", in stage [bold]{escape(answer.stage)}[/]" if answer.stage else ""
    out.print(f"[bold]{who}[/]{stage}{known}")
    for cause, degradation in zip(causes(answer), answer.degradations, strict=True):
        out.print(f"[bold red]degraded: {cause}[/]  {escape(degradation.message)}")
    out.print(offers_table(answer.placements, width=out.width))
    for placement in answer.placements:
        _beside(out, placement)
    versions = answer.versions
    noted = "dry run, nothing was counted" if answer.dry_run else f"attempts {answer.attempts}"
    out.print(
        f"[dim]decision {answer.decision_id}  request {escape(answer.request_id)}  {noted}\n"
        f"catalog {versions.catalog}  model {escape(versions.model)}  features {versions.features}[/]"
    )


def offers_table(placements: Iterable[PlacementAnswer], *, width: int = WIDTH) -> Table:
    """One row per offer, one for each placement without any; with fewer columns where there is little room."""
    wide = width >= ROOM
    table = plain_table()
    for name in ("placement", "status", "offer", *(("timing", "tonality", "address") if wide else ("how",))):
        table.add_column(name, overflow="fold", no_wrap=name == "status")
    for name in ("acceptance", *(("value",) if wide else ()), "score", *(("propensity",) if wide else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for placement in placements:
        word = status(placement)
        shown = f"[{STATUS_COLOURS.get(word, 'white')}]{word}[/]"
        if not placement.offers:
            content = f"[dim]{escape(placement.fallback)}[/]" if placement.fallback else "[dim]nothing[/]"
            table.add_row(escape(placement.placement), shown, content)
        for offer in placement.offers:
            first = offer.rank == 1
            how = (escape(offer.timing.slot), escape(offer.tonality), address(offer.form_of_address))
            score = offer.score
            table.add_row(
                escape(placement.placement) if first else "",
                shown if first else "",
                f"[bold]{escape(offer.offer)}[/]",
                *(how if wide else (", ".join(how),)),
                f"{score.acceptance:.2%}",
                *((f"{score.value:.2f}",) if wide else ()),
                f"{score.total:+.4f}",
                *((f"{offer.propensity:.3g}",) if wide else ()),
            )
    return table


def plain_table() -> Table:
    """A table without lines."""
    return Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))


def exclusions_line(placement: PlacementAnswer, *, most: int = NAMED) -> str:
    """Why offers were left out, in one line of markup, `most` named: `12 CAP_OFFER offer-week (milk, tea, ...)`."""
    parts = []
    for exclusion in placement.exclusions:
        named = ", ".join(exclusion.offers[:most]) + (", ..." if len(exclusion.offers) > most else "")
        parts.append(
            f"{exclusion.count} {escape(reason(exclusion))}" + (f" [dim]({escape(named)})[/]" if named else "")
        )
    return "; ".join(parts)


def _beside(out: Console, placement: PlacementAnswer) -> None:
    """Left-out offers, better moments and candidates of one placement."""
    if placement.exclusions:
        out.print(f"[dim]left out of[/] {escape(placement.placement)}[dim]:[/] {exclusions_line(placement)}")
    if placement.HasField("next_moment"):
        better = placement.next_moment
        out.print(
            f"[dim]better moment:[/] {escape(better.offer)} by {escape(better.channel)}, {escape(better.timing.slot)}"
            f" (from {values.written(better.timing.not_before)}, score {better.score:+.4f})"
        )
    if placement.candidates:
        table = plain_table()
        table.add_column(f"candidates of {placement.placement}")
        for name in ("timing", "tonality"):
            table.add_column(name)
        factors = ("acceptance", "baseline", "value", "context_weight", "lever", "annoyance_cost", "reaction")
        for name in (*factors, "contact_cost", "total"):
            table.add_column(name.replace("_", " "), justify="right")
        for candidate in sorted(placement.candidates, key=lambda c: -c.score.total):
            numbers = [f"{getattr(candidate.score, name):.4g}" for name in (*factors, "contact_cost", "total")]
            table.add_row(escape(candidate.offer), escape(candidate.timing), escape(candidate.tonality), *numbers)
        out.print(table)


def profile_table(out: Console, profile: Mapping[str, Any]) -> None:
    """A profile, as `takt.cli.messages.profile_plain` gives it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for key, one in profile.items():
        if isinstance(one, Mapping):
            table.add_row(f"[bold]{key}[/]", "")
            for name, inner in one.items():
                table.add_row(f"  {escape(name)}", escape(_written(inner)))
        elif key == "identities":
            table.add_row(f"[bold]{key}[/]", escape(", ".join(f"{i['namespace']}={i['value']}" for i in one)))
        else:
            table.add_row(f"[bold]{key}[/]", escape(_written(one)))
    out.print(table)


def contacts_tables(out: Console, found: Mapping[str, Any]) -> None:
    """Contacts, caps and suppressions, as `takt.cli.messages.contacts_plain` gives them."""
    out.print(f"[bold]{escape(found['profile_id'])}[/] as of {found['as_of']}")
    columns = {
        "contacts": ("counted_at", "state", "channel", "placement", "offer", "hold_expires_at", "decision_id"),
        "caps": ("cap", "scope", "subject", "limit", "counted", "held", "window_start", "next_possible_at"),
        "suppressions": ("offer", "group", "since", "until"),
    }
    for what, names in columns.items():
        if not found[what]:
            out.print(f"\n[bold]no {what}[/]")
            continue
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=f"\n{what}", title_justify="left")
        for name in names:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in found[what]:
            table.add_row(*(escape(str(row.get(name, ""))) for name in names))
        out.print(table)


def _written(one: Any) -> str:
    if isinstance(one, list):
        return ", ".join(map(str, one)) or "(none)"
    return one if isinstance(one, str) else json.dumps(one)


@contextmanager
def counting(what: str, source: TextIO) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr over the lines of `source`; call what it yields with each number that was done.

    On a terminal only. How many lines there are is known for files that can be read twice.
    """
    out = console(stderr=True)
    total = None
    if out.is_terminal and source.seekable():
        total = sum(1 for line in source if line.strip())
        source.seek(0)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(f"sending {what}", total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def finding_out() -> Iterator[Callable[[str], None]]:
    """A line on stderr, on a terminal only, of how long it has taken and how much was found.

    Call what it yields with each line that was found: it goes to stdout.
    """
    out = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("comparing, {task.completed:.0f} found"), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(line: str) -> None:
            click.echo(line)
            progress.advance(task)

        yield tell


def tally_and_end(tally: Tally, *, name: str, as_json: bool) -> None:
    """Print what became of a file, and end with 1 if some of it was not taken."""
    if as_json:
        wrong = [one for line in tally.wrong for one in line.plain()]
        click.echo(json.dumps({"outcomes": dict(sorted(tally.outcomes.items())), "wrong": wrong}, ensure_ascii=False))
    else:
        for line in tally.wrong[:LISTED]:
            for text in line.told(name):
                click.echo(text, err=True)
        if len(tally.wrong) > LISTED:
            click.echo(f"... and {len(tally.wrong) - LISTED} more lines", err=True)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
        click.echo(counts or f"{name} is empty: nothing was sent")
    if tally.wrong:
        raise SystemExit(Exit.FAILED)
