"""The tour: real decisions for a few households, printed for people. Everything goes over the public contract."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from takt.catalog.snapshot import Calendar, Cap, Catalog
from takt.cli import show
from takt.cli.client import Client
from takt.cli.exits import CallRefusedError
from takt.cli.messages import Answer, PlacementAnswer, Question, event, new_id
from takt.domain.reasons import Reason
from takt.errors import PreconditionError
from takt_training.demo.survey import CONTEXT, Seen, Survey, survey

SURVEYED = 200
"""Households of the dry run."""
PICKED = 4
NAMED = 2
"""Offers that are named per reason."""
AGAIN = 25
"""Times that the same household is asked for, at most."""


class Tour(Struct, frozen=True):
    """Whom to ask, for whom to print."""

    client: Client
    catalog: Catalog
    out: Console

    def placements(self) -> tuple[str, ...]:
        """All of the catalog, in its order."""
        return tuple(placement.id for placement in self.catalog.placements)

    def ask(self, profile_id: str, placements: tuple[str, ...], **more: Any) -> Answer:
        """A real question, which counts, unless it is a dry run."""
        return self.client.decide(
            Question(profile_id=profile_id, placements=placements, context=CONTEXT, explain="offers", **more)
        )

    def title(self, text: str) -> None:
        """A headline."""
        self.out.print()
        self.out.rule(f"[bold]{escape(text)}[/]", align="left", characters="─")


def guide(tour: Tour, profile_ids: Sequence[str]) -> None:
    """Lead through everything. Raises `PreconditionError` when nobody is offered anything."""
    surveyed = look_around(tour, profile_ids)
    picks = surveyed.varied(PICKED)
    if not picks:
        raise PreconditionError("nobody was offered anything; remove the data directory if earlier runs used it up")
    decide_for(tour, picks)
    say_nothing(tour, surveyed)
    repeat(tour, picks[0])
    until_caps_bite(tour, max(picks, key=lambda pick: pick.best_score))


def look_around(tour: Tour, profile_ids: Sequence[str]) -> Survey:
    """Dry runs over a share of all households: nothing is counted."""
    step = max(1, len(profile_ids) // SURVEYED)
    chosen = profile_ids[::step][:SURVEYED]
    tour.title(f"A dry run for {len(chosen)} households: what would be said? Nothing is counted.")
    begun = time.perf_counter()
    watched = track(chosen, console=tour.out, disable=not tour.out.is_terminal, transient=True, description="asking")
    surveyed = survey(tour.client, watched, tour.placements())
    took = time.perf_counter() - begun
    table = show.plain_table()
    for name in ("placement", "channel"):
        table.add_column(name)
    for name in ("offered", "silence", "fallback", "empty", "different offers"):
        table.add_column(name, justify="right")
    table.add_column("most often")
    for placement in tour.catalog.placements:
        words, offers = surveyed.statuses(placement.id), surveyed.offers(placement.id)
        common = ", ".join(f"{offer} {count}" for offer, count in offers.most_common(3))
        counts = [str(words[word]) for word in ("OFFERED", "SILENCE", "FALLBACK", "EMPTY")]
        channel = tour.catalog.channels[placement.channel].id
        table.add_row(placement.id, channel, *counts, str(len(offers)), f"[dim]{escape(common)}[/]")
    tour.out.print(table)
    stages = ", ".join(f"{escape(stage)} {count}" for stage, count in surveyed.stages.most_common())
    tour.out.print(
        f"Journey stages: {stages}. Each call fills {len(tour.catalog.placements)} placements out of "
        f"{len(tour.catalog.offers)} offers; median {surveyed.median_ms:.1f} ms for a lone caller, {took:.1f} s in all."
    )
    return surveyed


def decide_for(tour: Tour, picks: Sequence[Seen]) -> None:
    """Real decisions for a few households, with every offer that was left out."""
    tour.title("Real decisions, which count as contacts")
    for pick in picks:
        answer = tour.ask(pick.profile_id, tour.placements())
        _print(tour, answer)


def say_nothing(tour: Tour, surveyed: Survey) -> None:
    """A household that is better left alone, if the survey met one."""
    found = next(surveyed.silences(), None)
    if found is None:
        return
    tour.title("Saying nothing is a candidate, too")
    answer = tour.ask(found.profile_id, tour.placements(), dry_run=True)
    _print(tour, answer)
    below = [e.count for p in answer.placements for e in p.exclusions if Reason(e.reason) is Reason.BELOW_SILENCE]
    if below:
        tour.out.print(
            f"{max(below)} offers could be made, and each would cost more in attention than it is expected to earn: "
            "silence is worth 0, they are worth less. Silence is not a contact."
        )


def repeat(tour: Tour, pick: Seen) -> None:
    """The same request id gives the same answer; with another request it is refused."""
    tour.title("A request is decided once")
    request_id = new_id()
    placements = tour.placements()[:1]
    first = tour.ask(pick.profile_id, placements, request_id=request_id)
    again = tour.ask(pick.profile_id, placements, request_id=request_id)
    same = first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    tour.out.print(f"The same request id again: {'the identical answer' if same else '[red]another answer[/]'}.")
    try:
        tour.ask(pick.profile_id, tour.placements()[:2], request_id=request_id)
        tour.out.print("The same id with another request: [red]answered[/].")
    except CallRefusedError as refused:
        tour.out.print(f"The same id with another request: refused, {escape(refused.reason)}.")


def until_caps_bite(tour: Tour, pick: Seen) -> None:
    """Ask for one household again and again; what was shown is confirmed as seen, as a page would do."""
    tour.title(f"{pick.profile_id} comes back again and again, until the caps bite")
    placements = tour.placements()
    bitten: Counter[str] = Counter()
    table = show.plain_table()
    table.add_column("visit", justify="right")
    for placement in placements:
        table.add_column(placement, overflow="fold")
    table.add_column("caps that left offers out", overflow="fold")
    for visit in range(1, AGAIN + 1):
        answer = tour.ask(pick.profile_id, placements)
        _seen(tour, answer)
        caps = _caps(answer)
        bitten.update(caps.keys())
        noted = ", ".join(f"{escape(cap)} ({count})" for cap, count in caps.items())
        table.add_row(str(visit), *(_cell(placement) for placement in answer.placements), noted)
        if all(not placement.offers for placement in answer.placements):
            break
    tour.out.print(table)
    limits = {cap.id: cap for cap in tour.catalog.caps}
    for name in bitten:
        if name in limits:
            tour.out.print(f"  {escape(name)}: {_limit(limits[name])}")
    tour.out.print("A placement whose caps are reached falls back to its neutral content. That is no contact.")


def _seen(tour: Tour, answer: Answer) -> None:
    """Confirm every offer of an answer as seen."""
    shown = [
        event(
            {
                "type": "impression",
                "decision_id": answer.decision_id,
                "profile_id": answer.profile_id,
                "offer": offer.offer,
                "placement": placement.placement,
            }
        )
        for placement in answer.placements
        for offer in placement.offers
    ]
    if shown:
        tour.client.record(shown)


def _caps(answer: Answer) -> Counter[str]:
    """How many offers each cap or gap left out, over all placements."""
    found: Counter[str] = Counter()
    for placement in answer.placements:
        for exclusion in placement.exclusions:
            if Reason.MINIMUM_GAP <= exclusion.reason <= Reason.CAP_TOTAL:
                found[exclusion.rule or Reason(exclusion.reason).name] += exclusion.count
    return found


def _cell(placement: PlacementAnswer) -> str:
    word = show.status(placement)
    if not placement.offers:
        return f"[{show.STATUS_COLOURS.get(word, 'white')}]{word.lower()}[/]"
    return escape(", ".join(offer.offer for offer in placement.offers))


def _limit(cap: Cap) -> str:
    """`at most 5 per profile in 7 days (counts decisions)`."""
    match cap.calendar:
        case Calendar.ROLLING:
            hours = cap.window_us / 3_600_000_000
            window = f"any {hours / 24:g} days" if hours >= 48 else f"any {hours:g} hours"
        case other:
            window = f"a {other.name.lower()}"
    whom = "person" if cap.scope.name == "PROFILE" else cap.scope.name.lower()
    return f"at most {cap.limit} per {whom} in {window}, counted from the {cap.counts.name.lower()}"


def _print(tour: Tour, answer: Answer) -> None:
    """One household's decision: what is shown where, and why the rest is not."""
    tour.out.print()
    tour.out.print(f"[bold]{escape(answer.profile_id)}[/]  stage [bold]{escape(answer.stage)}[/]")
    for cause in show.causes(answer):
        tour.out.print(f"[bold red]degraded: {cause}[/]")
    tour.out.print(show.offers_table(answer.placements, width=tour.out.width))
    for placement in answer.placements:
        if placement.exclusions:
            tour.out.print(
                f"  [dim]{escape(placement.placement)} leaves out:[/] {show.exclusions_line(placement, most=NAMED)}"
            )
