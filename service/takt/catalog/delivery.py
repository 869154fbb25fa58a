"""Where and when something can be said: channels, tonalities, timings, placements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct, field

from takt.catalog.register import Register
from takt.catalog.snapshot import Channel, Counts, Placement, Timing
from takt.catalog.times import clock_at, duration_at, span_at
from takt.clock import DAY_US, MINUTE_US
from takt.domain.ledger import code16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.selector import Selectors
    from takt.catalog.snapshot import Bools
    from takt.features.spec import FeatureSpec
    from takt.yamlmarks import Node

NOW: Final = "now"
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CONFIRMS: Final = {"decision": Counts.DECISION, "impression": Counts.IMPRESSION, "click": Counts.CLICK}
MOST_OFFERS: Final = 100
"""Offers of one placement."""
MOST_DAYS: Final = 30
"""Days ahead of a timing."""


class Delivery(Struct):
    """Channels, tonalities, timings and placements as declared; positions are those of the registers."""

    channel_names: Register = field(default_factory=lambda: Register("channel", code16))
    timing_names: Register = field(default_factory=lambda: Register("timing"))
    tonality_names: Register = field(default_factory=lambda: Register("tonality"))
    placement_names: Register = field(default_factory=lambda: Register("placement", code16))
    channels: list[Channel] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    offers: list[Bools] = field(default_factory=list)
    """Per placement, bool [O]."""
    placement_timings: list[Bools] = field(default_factory=list)
    placement_tonalities: list[Bools] = field(default_factory=list)

    def read_channels(self, nodes: Sequence[Node], spec: FeatureSpec | None) -> None:
        """Ways to reach a person."""
        for node in nodes:
            if not node.only("id", "code", "consent", "contact_cost", "minimum_gap", "quiet_hours"):
                continue
            name = self.channel_names.add(node)
            consent = "" if spec is None else node.choice("consent", "", known=spec.person.consents, what="consent")
            quiet = span_at(node, "quiet_hours") or (-1, -1)
            gap = duration_at(node, "minimum_gap", 0)
            cost = node.number("contact_cost", 0.0, low=0.0)
            if name is not None:
                code = self.channel_names.codes.get(name, 0)
                self.channels.append(Channel(name, code, consent, cost, gap, *quiet))

    def gaps(self) -> list[tuple[Channel, Node]]:
        """Channels that keep a minimum gap, and where it stands."""
        found = [(channel, self.channel_names.node(channel.id).get("minimum_gap")) for channel in self.channels]
        return [(channel, node) for channel, node in found if node is not None]

    def read_tonalities(self, nodes: Sequence[Node]) -> None:
        """Tones."""
        for node in nodes:
            self.tonality_names.add_name(node)

    def read_timings(self, nodes: Sequence[Node]) -> None:
        """Named slots."""
        for node in nodes:
            if not node.only("id", "for", "from", "to", "day", "weekdays"):
                continue
            name = self.timing_names.add(node)
            if name is None:
                continue
            timing = _now(node) if name == NOW else _slot(node, name)
            if timing is not None:
                self.timings.append(timing)

    def read_placements(self, nodes: Sequence[Node], selectors: Selectors) -> None:
        """Spots that can be filled. Channels, timings, tonalities and offers are known by now."""
        for node in nodes:
            if not node.only(
                *("id", "code", "channel", "max_offers", "timings", "tonalities"),
                *("offers", "fallback", "hold", "confirms"),
            ):
                continue
            name = self.placement_names.add(node)
            channel = self.channel_names.index(node.required("channel", "a channel's id"))
            timings = self._timings(node)
            tonalities = self._tonalities(node)
            offers = selectors.mask(node)
            placement = Placement(
                id=name or "",
                code=self.placement_names.codes.get(name or "", 0),
                channel=-1 if channel is None else channel,
                max_offers=node.integer("max_offers", 1, low=1, high=MOST_OFFERS),
                fallback=node.text("fallback", ""),
                hold_us=duration_at(node, "hold", 30 * MINUTE_US),
                counted_event=CONFIRMS[node.choice("confirms", "impression", known=tuple(CONFIRMS), what="event")],
            )
            if name is not None:
                self.placements.append(placement)
                self.offers.append(offers)
                self.placement_timings.append(timings)
                self.placement_tonalities.append(tonalities)

    def _timings(self, node: Node) -> Bools:
        """Bool [T]: what a placement can deliver."""
        mask = np.zeros(len(self.timing_names), np.bool_)
        given = node.required("timings", "a list of timings that it can deliver")
        if given is not None:
            mask[list(self.timing_names.indices(given.elements()))] = True
            if given.value == []:
                given.fail("is empty; list at least one timing")
        return mask

    def _tonalities(self, node: Node) -> Bools:
        """Bool [N]: the tones of a placement; all where none is given."""
        given = node.get("tonalities")
        mask = np.full(len(self.tonality_names), given is None, np.bool_)
        if given is not None:
            mask[list(self.tonality_names.indices(given.elements()))] = True
            if given.value == []:
                given.fail("is empty; list at least one tonality, or leave the key out for all")
        return mask


def _now(node: Node) -> Timing:
    """The slot `now`: this very moment, for a while."""
    for key in ("from", "to", "day", "weekdays"):
        if node.get(key) is not None:
            node.fail_at(
                key, "is not for the timing `now`, which is this very moment; give `for:`, or rename the timing"
            )
    return Timing(NOW, 0, -1, -1, (), duration_at(node, "for", 15 * MINUTE_US, high_us=DAY_US))


def _slot(node: Node, name: str) -> Timing | None:
    """A slot of a day to come, in the customer's zone."""
    if node.get("for") is not None:
        node.fail_at("for", "is for the timing `now` only; give `from:` and `to:`")
    node.required("from", 'a time like "18:00"')
    node.required("to", 'a time like "21:00"')
    start, end = clock_at(node, "from"), clock_at(node, "to")
    if start is not None and end is not None and end <= start:
        node.fail_at(
            "to", "is not later than `from`; a slot ends on the day on which it begins, at 24:00 at the latest"
        )
        return None
    day = node.integer("day", 0, low=0, high=MOST_DAYS)
    weekdays = [element.as_choice(WEEKDAYS, "weekday") for element in node.list_at("weekdays")]
    if start is None or end is None:
        return None
    return Timing(name, day, start, end, tuple(sorted({WEEKDAYS.index(day) for day in weekdays if day is not None})))
