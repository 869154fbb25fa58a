"""What keeps people from being bothered, and what is learned from them: caps, events, exploration, ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec.structs import replace

from takt.catalog.delivery import CONFIRMS
from takt.catalog.register import Register
from takt.catalog.snapshot import Arbitration, Calendar, Cap, Counts, Event, Exploration, Pressure, Scope, Zone
from takt.catalog.times import LONGEST_US, duration_at, duration_us, shown_duration
from takt.clock import DAY_US, MINUTE_US
from takt.spelling import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from takt.catalog.selector import Selectors
    from takt.catalog.snapshot import Bools
    from takt.yamlmarks import Node

SCOPES: Final = {
    "profile": Scope.PROFILE,
    "channel": Scope.CHANNEL,
    "placement": Scope.PLACEMENT,
    "group": Scope.GROUP,
    "offer": Scope.OFFER,
    "total": Scope.TOTAL,
}
CALENDARS: Final = {"day": Calendar.DAY, "week": Calendar.WEEK, "month": Calendar.MONTH}
MOST_CONTACTS: Final = 100_000
"""Limit of a cap on one person."""
MOST_TOTAL: Final = 1_000_000_000
"""Limit of a cap across all customers."""

LEAST_KEPT_US: Final = 35 * DAY_US
"""Contacts are kept for a month and some days, so that any cap of a month can be introduced at once."""
LATE_US: Final = 2 * DAY_US
"""As long as tokens that went back are remembered (`takt.redis.functions.lua`, sweep): after that no late confirmation
would find its own."""
HEAVIEST: Final = 1000.0
"""Weight of a contact or dismissal: far beyond certainty."""
MOST_ENTRIES: Final = 16_384
"""Entries of a ledger: half a megabyte for one person."""

DEFAULT_EVENTS: Final = (
    Event("impression", Counts.IMPRESSION),
    Event("click", Counts.CLICK),
    Event("accept", Counts.CLICK),
    Event("purchase", Counts.CLICK),
    Event("dismiss", None, presses=True),
    Event("reject", None, suppress="offer", suppress_us=30 * DAY_US, presses=True),
    Event("unsubscribe", None),
    Event("ticket_opened", None),
    Event("not_shown", None, releases=True),
)
"""What is declared without being written down. A person who unsubscribes is written as a consent that is gone."""

DEFAULT_EXPLORATION: Final = Exploration(
    "epsilon", epsilon=0.05, silence_floor=0.01, arm_rule="epsilon", arm_epsilon=0.1
)
RULES: Final = {
    "greedy": (),
    "epsilon": ("epsilon",),
    "softmax": ("temperature",),
    "squarecb": ("gamma",),
}
"""Exploration rules and the parameters that each takes."""
ARM_RULES: Final = ("greedy", "epsilon", "softmax")


def read_caps(
    nodes: Sequence[Node], things: Mapping[Scope, Register], selectors: Selectors, keep_us: int
) -> tuple[Cap, ...]:
    """Caps in their order. `things` are what can be capped one by one, `selectors` know the members of groups."""
    names = Register("cap")
    caps: list[Cap] = []
    for node in nodes:
        if not node.only("id", "scope", "limit", "window", "zone", "of", "counts"):
            continue
        name = names.add(node)
        scope = _scope(node)
        node.required("limit", "a number of contacts")
        limit = node.integer("limit", 1, low=1, high=MOST_TOTAL if scope is Scope.TOTAL else MOST_CONTACTS)
        window = _total_window(node) if scope is Scope.TOTAL else _window(node, keep_us)
        counts = CONFIRMS[node.choice("counts", "decision", known=tuple(CONFIRMS), what="event")]
        if scope is None or window is None:
            continue
        calendar, window_us = window
        total = scope is Scope.TOTAL
        zone, zone_name = _total_zone(node, calendar) if total else _zone(node, calendar)
        keys, channels = _covered(node, things, selectors) if total else (_keys(node, scope, things), None)
        if name is not None:
            caps.append(
                Cap(
                    id=name,
                    scope=scope,
                    limit=limit,
                    window_us=window_us,
                    calendar=calendar,
                    zone=zone,
                    zone_name=zone_name,
                    counts=counts,
                    keys=keys,
                    channels=channels,
                )
            )
    return tuple(caps)


def _scope(node: Node) -> Scope | None:
    """What a cap counts by."""
    given = node.required("scope", "one of " + ", ".join(SCOPES))
    name = None if given is None else given.as_choice(tuple(SCOPES), "scope")
    return None if name is None else SCOPES[name]


def _window(node: Node, keep_us: int) -> tuple[Calendar, int] | None:
    """A calendar window, or a rolling one with its length."""
    given = node.required("window", "a duration like 7d, or day, week or month")
    text = None if given is None else given.as_text()
    if given is None or text is None:
        return None
    if text in CALENDARS:
        return CALENDARS[text], 0
    us = duration_us(text)
    if us is None:
        given.fail(f"is {text!r}; a duration like 7d or 90m, or day, week or month is needed")
    elif us > keep_us:
        given.fail(f"is longer than contacts are kept ({shown_duration(keep_us)}); shorten it, or raise ledger.keep")
    else:
        return Calendar.ROLLING, us
    return None


def _zone(node: Node, calendar: Calendar) -> tuple[Zone, str]:
    """Whose zone a calendar window is reckoned in."""
    given = node.get("zone")
    name = None if given is None else given.as_text()
    if given is None or name is None:
        return Zone.CUSTOMER, ""
    if calendar is Calendar.ROLLING:
        given.fail("is for windows of a day, week or month; a rolling window is the same everywhere")
    if name in {"customer", "project"}:
        return Zone[name.upper()], ""
    check_zone(given, name, "customer, project, or ")
    return Zone.NAMED, name


def _total_window(node: Node) -> tuple[Calendar, int] | None:
    """A calendar window, or `ever`."""
    given = node.required("window", "day, week, month or ever")
    text = None if given is None else given.as_text()
    if given is None or text is None:
        return None
    if text in CALENDARS:
        return CALENDARS[text], 0
    if text == "ever":
        return Calendar.EVER, 0
    given.fail(
        f"is {text!r}; a total is for a day, week or month, or ever: a rolling window would have to know the time of "
        "every contact with anybody, in one place"
    )
    return None


def _total_zone(node: Node, calendar: Calendar) -> tuple[Zone, str]:
    """Whose zone a total's window is reckoned in: the project's or a named one, the same for everybody."""
    given = node.get("zone")
    name = None if given is None else given.as_text()
    if given is None or name is None or name == "project":
        return Zone.PROJECT, ""
    if calendar is Calendar.EVER:
        given.fail("is for windows of a day, week or month; ever is the same everywhere")
    elif name == "customer":
        given.fail("is 'customer'; a total is one window for all customers: project, or an IANA time zone is needed")
    else:
        check_zone(given, name, "project, or ")
    return Zone.NAMED, name


def _covered(node: Node, things: Mapping[Scope, Register], selectors: Selectors) -> tuple[Bools, Bools]:
    """What a total covers: bool [O] and bool [H]. Offers and groups add up, on the channels listed."""
    offers = np.ones(len(things[Scope.OFFER]), np.bool_)
    channels = np.ones(len(things[Scope.CHANNEL]), np.bool_)
    given = node.get("of")
    if given is None or not given.only("offers", "groups", "channels"):
        return offers, channels
    listed = [key for key in ("offers", "groups", "channels") if given.get(key) is not None]
    if not all(given.list_at(key) for key in listed) or not listed:
        given.fail("covers nothing; list offers, groups or channels, or leave the key out for all contacts")
    if "offers" in listed or "groups" in listed:
        offers[:] = False
        offers[list(things[Scope.OFFER].indices(given.list_at("offers")))] = True
        for group in things[Scope.GROUP].indices(given.list_at("groups")):
            offers[selectors.members(group)] = True
    if "channels" in listed:
        channels[:] = False
        channels[list(things[Scope.CHANNEL].indices(given.list_at("channels")))] = True
    return offers, channels


def check_zone(node: Node, name: str, others: str = "") -> None:
    """Report a name that is no time zone."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # unknown names, paths, folders
        node.fail(f"is {shown(name)}; {others}an IANA time zone like Europe/Berlin is needed")


def _keys(node: Node, scope: Scope, things: Mapping[Scope, Register]) -> Bools:
    """What a cap covers: all of its scope, or those listed under `of`."""
    given = node.get("of")
    if scope is Scope.PROFILE:
        if given is not None:
            given.fail("is not for the scope profile, which is the person as a whole; remove it")
        return np.ones(1, np.bool_)
    register = things[scope]
    mask = np.full(len(register), given is None, np.bool_)
    if given is not None:
        mask[list(register.indices(given.elements()))] = True
        if given.value == []:
            given.fail(f"is empty; list at least one {register.kind}, or leave the key out for all")
    return mask


def read_events(nodes: Sequence[Node]) -> dict[str, Event]:
    """Declared feedback events by id, on top of those that are there by default."""
    names = Register("event")
    events = {event.id: event for event in DEFAULT_EVENTS}
    for node in nodes:
        if not node.only("id", "confirms", "releases", "suppress", "pressure"):
            continue
        name = names.add(node)
        if name is None:
            continue
        event = events.get(name, Event(name, None))
        if node.get("confirms") is not None:
            word = node.choice("confirms", "none", known=("none", "impression", "click"), what="event")
            event = replace(event, confirms=None if word == "none" else CONFIRMS[word])
        event = replace(event, releases=node.boolean("releases", event.releases))
        if event.releases and event.confirms is not None:
            node.fail(f"event {name!r} cannot both confirm and release a contact; keep one")
        event = replace(event, presses=node.boolean("pressure", event.presses))
        events[name] = _suppression(node, event)
    return events


def _suppression(node: Node, event: Event) -> Event:
    """What an event suppresses, and for how long."""
    given = node.get("suppress")
    if given is None or not given.only("scope", "for"):
        return event
    given.required("scope", "none, offer or group")
    scope = given.choice("scope", "none", known=("none", "offer", "group"), what="scope")
    if scope == "none":
        return replace(event, suppress="", suppress_us=0)
    return replace(event, suppress=scope, suppress_us=duration_at(given, "for", 0, high_us=LONGEST_US))


def read_exploration(node: Node | None) -> Exploration:
    """How selections are drawn."""
    if node is None or not node.only("rule", "epsilon", "temperature", "gamma", "silence_floor", "arms"):
        return DEFAULT_EXPLORATION
    rule = _rule(node, tuple(RULES))
    arms = node.get("arms")
    arm_rule, arm_epsilon, arm_temperature = "epsilon", DEFAULT_EXPLORATION.arm_epsilon, 1.0
    if arms is not None and arms.only("rule", "epsilon", "temperature"):
        arm_rule = _rule(arms, ARM_RULES)
        arm_epsilon = arms.number("epsilon", arm_epsilon, low=0.0, high=1.0)
        arm_temperature = _positive(arms, "temperature", 1.0)
    return Exploration(
        rule=rule,
        epsilon=node.number("epsilon", DEFAULT_EXPLORATION.epsilon, low=0.0, high=1.0),
        temperature=_positive(node, "temperature", 1.0),
        gamma=_positive(node, "gamma", 1.0),
        silence_floor=node.number("silence_floor", DEFAULT_EXPLORATION.silence_floor, low=0.0, high=1.0),
        arm_rule=arm_rule,
        arm_epsilon=arm_epsilon,
        arm_temperature=arm_temperature,
    )


def _rule(node: Node, known: tuple[str, ...]) -> str:
    """The rule under `rule`; reports parameters that it does not take."""
    rule = node.choice("rule", "epsilon", known=known, what="rule")
    for parameter in ("epsilon", "temperature", "gamma"):
        if parameter not in RULES[rule] and node.get(parameter) is not None:
            takes = " and ".join(RULES[rule]) or "nothing"
            node.fail_at(parameter, f"is not for the rule {rule}, which takes {takes}; remove it")
    return rule


def _positive(node: Node, key: str, default: float) -> float:
    """A number above zero under `key`."""
    number = node.number(key, default, low=0.0)
    if number == 0.0:
        node.fail_at(key, "is 0; a number above 0 is needed")
    return number


def read_arbitration(node: Node | None, unit: str) -> Arbitration:
    """Constants of the score."""
    if node is None or not node.only("exponent", "annoyance_cost", "pressure"):
        return Arbitration(unit=unit)
    return Arbitration(
        exponent=_positive(node, "exponent", 1.0),
        annoyance_cost=node.number("annoyance_cost", 0.0, low=0.0),
        unit=unit,
        pressure=_pressure(node),
    )


def _pressure(node: Node) -> Pressure | None:
    """The formula under `pressure`, if it is declared."""
    given = node.get("pressure")
    if given is None or not given.only("per_contact", "per_dismissal", "half_life", "channels"):
        return None
    if node.number("annoyance_cost", 0.0, low=0.0) == 0.0:
        given.fail("costs nothing without an annoyance_cost; give one beside it")
    per_contact = given.number("per_contact", 0.0, low=0.0, high=HEAVIEST)
    per_dismissal = given.number("per_dismissal", 0.0, low=0.0, high=HEAVIEST)
    if per_contact == per_dismissal == 0.0:
        given.fail("weighs nothing; give per_contact, per_dismissal or both a number above 0")
    given.required("half_life", "a duration like 3d")
    return Pressure(
        per_contact=per_contact,
        per_dismissal=per_dismissal,
        half_life_us=duration_at(given, "half_life", DAY_US, low_us=MINUTE_US, high_us=LEAST_KEPT_US),
        own_channel=given.choice("channels", "all", known=("all", "own"), what="word") == "own",
    )


def read_gap(node: Node | None, channels: Sequence[tuple[Node, int]], keep_us: int) -> int:
    """Minimum gap over all channels, in microseconds. It, and each channel's own, must not outlast the ledger."""
    text = None if node is None else node.as_text()
    gap_us = duration_us(text) if text else 0
    if node is not None and gap_us is None:
        node.fail(f"is {text!r}; a duration like 90s, 15m, 12h or 7d is needed")
    for where, us in [*([(node, gap_us or 0)] if node else []), *channels]:
        if us > keep_us:
            where.fail(
                f"is longer than contacts are kept ({shown_duration(keep_us)}); shorten it, or raise ledger.keep"
            )
    return gap_us or 0


def lookbacks(caps: Sequence[Node], gaps: Sequence[Node]) -> list[tuple[str, int]]:
    """Where something is declared that looks back on contacts, and for how many microseconds.

    Calendar windows are left out: none is as long as contacts are kept at least. So are totals, which keep books of
    their own.
    """
    personal = [node for node in caps if (scope := node.get("scope")) is not None and scope.value != "total"]
    windows = [given for node in personal if (given := node.get("window")) is not None]
    spans = [(node.where, duration_us(str(node.value))) for node in (*windows, *gaps)]
    return [(where, us) for where, us in spans if us is not None]


def read_ledger(node: Node | None) -> tuple[int, int, int]:
    """Most entries of a contact ledger; how long contacts are kept, and those that lapsed at least, in microseconds."""
    if node is None or not node.only("max_entries", "keep", "late"):
        return 512, LEAST_KEPT_US, LATE_US
    most = node.integer("max_entries", 512, low=8, high=MOST_ENTRIES)
    keep_us = duration_at(node, "keep", LEAST_KEPT_US, low_us=LEAST_KEPT_US)
    return most, keep_us, duration_at(node, "late", LATE_US, low_us=DAY_US, high_us=LEAST_KEPT_US)
