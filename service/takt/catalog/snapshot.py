"""A catalog in force: what `takt check` accepted, as values and as arrays. Immutable; one reference is swapped.

Index conventions, used everywhere below: offers O, channels H, placements P, timings T, tonalities N, locales L,
groups G, rules K, caps C, stages J. An index array holds -1 for «none».
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.clock import DAY_US
from takt.domain.person import Address

if TYPE_CHECKING:
    from takt.catalog.rules import Program
    from takt.features.spec import FeatureSpec

__all__ = [
    "Address",
    "Arbitration",
    "Calendar",
    "Cap",
    "Catalog",
    "Channel",
    "Counts",
    "Event",
    "Exploration",
    "Offer",
    "Placement",
    "Pressure",
    "Rule",
    "Scope",
    "Stage",
    "Timing",
    "Treatment",
    "Weight",
    "Zone",
]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Scope(IntEnum):
    """What a cap counts by."""

    PROFILE = 0
    CHANNEL = 1
    PLACEMENT = 2
    GROUP = 3
    OFFER = 4
    TOTAL = 5
    """All contacts with whomever: one budget over everything that the cap covers."""


class Counts(IntEnum):
    """Which event a cap counts."""

    DECISION = 0
    IMPRESSION = 1
    CLICK = 2


class Calendar(IntEnum):
    """Calendar windows. A week starts on Monday."""

    ROLLING = 0
    DAY = 1
    WEEK = 2
    MONTH = 3
    EVER = 4
    """No end; for totals."""


SPAN_US: Final = {Calendar.DAY: 2 * DAY_US, Calendar.WEEK: 8 * DAY_US, Calendar.MONTH: 32 * DAY_US}
"""More than any such window lasts, in whatever zone."""


class Zone(IntEnum):
    """Whose zone a calendar window or a slot is reckoned in."""

    CUSTOMER = 0
    PROJECT = 1
    NAMED = 2


class Channel(Struct, frozen=True):
    """A way to reach a person."""

    id: str
    code: int
    consent: str = ""
    """Name of the consent (features.yaml `person.consents`) that must be given; empty if none is needed."""
    contact_cost: float = 0.0
    """Shadow price of one contact, in the unit of value."""
    gap_us: int = 0
    """Minimum gap between two contacts on this channel; 0 = none."""
    quiet_from_minute: int = -1
    """Quiet hours in the customer's zone, minutes of the local day; they may run past midnight. -1 = none."""
    quiet_to_minute: int = -1


class Placement(Struct, frozen=True):
    """A spot that can be filled."""

    id: str
    code: int
    channel: int
    """Index of its channel."""
    max_offers: int
    fallback: str
    """Content reference of the neutral content; empty = none (status EMPTY)."""
    hold_us: int
    """How long a contact stays held after its not-before when it is not confirmed."""
    counted_event: Counts
    """What the placement's callers confirm; informs the answer."""


class Timing(Struct, frozen=True):
    """A named slot. `now` has day_offset 0 and from_minute -1: it is this very moment."""

    id: str
    day_offset: int
    """Days after today in the customer's zone; for a weekday slot, the least offset considered."""
    from_minute: int
    to_minute: int
    weekdays: tuple[int, ...] = ()
    """If given (Monday = 0), the first such day at or after today + day_offset."""
    valid_us: int = 0
    """For `now`: how long the moment lasts (not-after)."""


class Treatment(Struct, frozen=True):
    """How an offer is shown."""

    id: str
    offer: int
    channel: int
    tonality: int
    address: Address
    locale: str
    content: str


class Offer(Struct, frozen=True):
    """What is proposed."""

    id: str
    code: int
    group: int
    tags: frozenset[str]
    title: str


class Rule(Struct, frozen=True):
    """A compiled CEL expression and where it stands."""

    id: str
    text: str
    where: str
    program: Program


class Stage(Struct, frozen=True):
    """A journey stage; the first whose rule holds is the customer's. The last has no rule and always holds."""

    id: str
    rule: Rule | None


class Weight(Struct, frozen=True):
    """A context weight: multiplies the score of some offers where a rule holds. `offers` is bool [O]."""

    id: str
    rule: Rule | None
    offers: Bools
    times: float


class Cap(Struct, frozen=True):
    """At most `limit` contacts per window. `keys` says which channels, placements, offers or groups it covers."""

    id: str
    scope: Scope
    limit: int
    window_us: int
    """Length of a rolling window; 0 for a calendar window."""
    calendar: Calendar
    zone: Zone
    zone_name: str
    counts: Counts
    keys: Bools
    """Bool over the scope's things ([H], [P], [G] or [O]; [1] for PROFILE): each is counted for itself. For TOTAL bool
    [O]: the offers that it covers, all in one count."""
    channels: Bools | None = None
    """For TOTAL: bool [H], the channels that it covers."""


class Exploration(Struct, frozen=True):
    """How the selection is drawn. `rule` is `greedy`, `epsilon`, `softmax` or `squarecb`."""

    rule: str
    epsilon: float = 0.0
    temperature: float = 1.0
    gamma: float = 0.0
    silence_floor: float = 0.01
    arm_rule: str = "epsilon"
    arm_epsilon: float = 0.0
    arm_temperature: float = 1.0


class Event(Struct, frozen=True):
    """A declared feedback event type: what it does to a contact and whether it suppresses."""

    id: str
    confirms: Counts | None
    """IMPRESSION or CLICK: the contact is confirmed as that; None: it only informs."""
    releases: bool = False
    suppress: str = ""
    """'' | 'offer' | 'group'."""
    suppress_us: int = 0
    """For how long; 0 with `suppress` set = for good."""
    presses: bool = False
    """A dismissal, remembered where `arbitration.pressure` is declared."""


class Pressure(Struct, frozen=True):
    """How recent contacts and dismissals add up to a chance of a negative reaction (`takt.policy.pressure`)."""

    per_contact: float
    per_dismissal: float
    half_life_us: int
    own_channel: bool = False
    """Only those on the same channel count."""


class Arbitration(Struct, frozen=True):
    """Constants of the score (see `takt.domain.decision.Score`)."""

    exponent: float = 1.0
    annoyance_cost: float = 0.0
    unit: str = ""
    pressure: Pressure | None = None
    """Stands in for the reaction of a model that has none."""


class Catalog(Struct, frozen=True, eq=False, weakref=True):
    """One version of everything that CRM people write, checked and compiled.

    A catalog is equal to itself only; compare `version` to see whether two say the same.
    """

    version: str
    """Hex digest of the workspace's text."""
    name: str
    spec: FeatureSpec
    project_zone: str
    default_locale: str
    channels: tuple[Channel, ...]
    placements: tuple[Placement, ...]
    timings: tuple[Timing, ...]
    tonalities: tuple[str, ...]
    locales: tuple[str, ...]
    """Locales of the feature spec's persons, in its order; index 0 of `treatment_of` is an unknown locale."""
    groups: tuple[str, ...]
    group_codes: Ints
    """int64 [G]."""
    offers: tuple[Offer, ...]
    treatments: tuple[Treatment, ...]
    stages: tuple[Stage, ...]
    rules: tuple[Rule, ...]
    weights: tuple[Weight, ...]
    caps: tuple[Cap, ...]
    events: dict[str, Event]
    exploration: Exploration
    arbitration: Arbitration
    max_entries: int
    """Entries that a contact ledger may hold; more is refused (`LEDGER_FULL`)."""
    keep_us: int
    """How long contacts are kept at least; no cap's window and no minimum gap is longer."""
    late_us: int
    """How long after the end of its hold a contact can still be confirmed in any case, however full the ledger."""
    gap_us: int
    """Minimum gap between two contacts on whatever channels; 0 = none."""
    offer_table: npt.NDArray[np.void]
    """Structured [O]: the offers' features in the layout of `spec.offer`."""
    offer_codes: Ints
    """int64 [O]."""
    offer_group: Ints
    """int64 [O], index of the group or -1."""
    valid_from_us: Ints
    valid_until_us: Ints
    """int64 [O], half-open [from, until); 0 and the largest int64 where not limited."""
    value: Floats
    """float64 [O]: constant value, NaN where `value_rule` gives it."""
    value_rule: tuple[Rule | None, ...]
    """Per offer: a numeric CEL expression over profile, context and offer, or None. Equal texts are one Rule object."""
    lever: Floats
    """float64 [O]."""
    rule_offers: Bools
    """bool [K, O]: rule k must hold for offer o."""
    placement_offers: Bools
    """bool [P, O]: the placement may show the offer."""
    placement_timings: Bools
    """bool [P, T]: the placement can deliver the slot."""
    placement_tonalities: Bools
    """bool [P, N]."""
    treatment_of: Ints
    """int64 [H, 3, L + 1, N, O]: treatment for channel, wanted address (Address), locale (0 = unknown, else 1 + index),
    tonality, offer; -1 where none fits. Order of fall-back: wanted address exactly, then neutral, then (informal wanted
    only) formal; within each the exact locale, its language, the default locale, the default's language. A person
    without a stated wish counts as formal. Never informal to someone who wants formal."""
    address_blocked: Bools
    """bool [H, 3, O]: a treatment exists on the channel, but only in a form of address this person must not get."""

    @property
    def lapsed_us(self) -> int:
        """How long a contact is kept at least after its hold ended unconfirmed, whatever the ledger's state.

        As long as it can matter: to a late confirmation, a cap on decisions or a minimum gap, with a day to spare.
        Declared pressure feels contacts for as long as they are kept.
        """
        pressure = self.arbitration.pressure
        if pressure is not None and pressure.per_contact > 0:
            return self.keep_us
        counting = [c for c in self.caps if c.counts == Counts.DECISION and c.scope != Scope.TOTAL]
        spans = [cap.window_us or SPAN_US[cap.calendar] for cap in counting]
        gaps = [self.gap_us, *(channel.gap_us for channel in self.channels)]
        reach_us = max([*spans, *gaps])
        return min(self.keep_us, max(self.late_us, reach_us + DAY_US if reach_us else 0))
