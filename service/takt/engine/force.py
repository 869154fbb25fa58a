"""What is in force: one catalog and one model, with the arrays that kernels want made of them once.

A redeployment makes a new `Force` off the request path and swaps one reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.catalog.snapshot import Pressure, Scope
from takt.eligibility.shelf import shelf as rules
from takt.engine.arrays import PLACEMENT, Dials, ScratchRoom, Shelf
from takt.engine.codes import Codes, codes_of
from takt.engine.stacks import Stacks
from takt.exploration.distributions import RULES
from takt.features.matrix import model_matrix
from takt.policy.judging import CAP, Terms, terms
from takt.policy.moments import MomentTables

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.domain.reasons import Cause
    from takt.eligibility.shelf import Shelf as Rules
    from takt.features.section import Section
    from takt.ports import Scorer


class Columns(NamedTuple):
    """Columns of what the service fills in itself: categories, then numbers. None where it is not declared."""

    channel: int | None
    stage: int | None
    hour: int | None
    weekday: int | None


class Force(Struct, frozen=True):
    """A catalog and a model in force."""

    catalog: Catalog
    scorer: Scorer
    shelf: Shelf
    rules: Rules
    """What the catalog's rules need, for rows of its own sections."""
    dials: Dials
    terms: Terms
    stacks: Stacks
    """Moments of the catalog's zones."""
    offers: Codes
    groups: Codes
    channels: Codes
    placements: Codes
    channel_codes: npt.NDArray[np.int64]
    """int64 [H]."""
    placement_channel: npt.NDArray[np.int64]
    """int64 [P]: index of each placement's channel."""
    placement_index: dict[str, int]
    timing_index: dict[str, int]
    channel_category: npt.NDArray[np.uint16]
    """uint16 [H]: each channel as a value of the context feature `channel`; 0 where it is none."""
    stage_category: npt.NDArray[np.uint16]
    """uint16 [stages]: likewise of `stage`."""
    columns: Columns
    """Where they and the local time stand in a context row."""
    consent_bit: npt.NDArray[np.uint64]
    """uint64 [H]: the consent that the channel needs, 0 if none."""
    offer_matrix: npt.NDArray[np.float32]
    """float32 [O, G]: the offers as the model sees them."""
    offer_code: npt.NDArray[np.int64]
    """int64 [O]: the model's codes."""
    scratch: ScratchRoom
    total_caps: npt.NDArray[np.int64]
    """int64 [K]: which of the catalog's caps are totals."""
    total_cover: npt.NDArray[np.bool_]
    """bool [K, H, O]: what each of them covers."""
    degradations: tuple[tuple[Cause, str], ...] = ()
    """What is missing from the start: a prior stands in for a model that was refused."""
    edition: int = 0
    """Number under which the catalog was applied to the store; 0 where none ever was."""


def terms_of(catalog: Catalog) -> Terms:
    """The contact policy as arrays."""
    caps = catalog.caps
    widest = max(1, len(catalog.channels), len(catalog.placements), len(catalog.groups), len(catalog.offers))
    keys = np.zeros((len(caps), widest), np.bool_)
    for c, cap in enumerate(caps):
        if cap.scope != Scope.TOTAL:  # no ledger knows those; the batch's tokens do
            keys[c, : len(cap.keys)] = cap.keys
    return terms(
        caps=np.array([(cap.scope, cap.limit, cap.window_us, cap.counts) for cap in caps], CAP),
        keys=keys,
        gap_us=np.array([channel.gap_us for channel in catalog.channels], np.int64),
        offer_group=catalog.offer_group,
        valid_until_us=catalog.valid_until_us,
        max_entries=catalog.max_entries,
        keep_us=catalog.keep_us,
        lapsed_us=catalog.lapsed_us,
        gap_all_us=catalog.gap_us,
    )


def total_cover(catalog: Catalog) -> npt.NDArray[np.bool_]:
    """Bool [K, H, O]: the contacts that each total cap counts."""
    covers = [
        np.logical_and.outer(cap.channels, cap.keys)
        for cap in catalog.caps
        if cap.scope == Scope.TOTAL and cap.channels is not None
    ]
    return np.array(covers, np.bool_).reshape(len(covers), len(catalog.channels), len(catalog.offers))


def categories(section: Section, name: str, ids: list[str]) -> npt.NDArray[np.uint16]:
    """uint16, as long as `ids`: their codes as values of a category, 0 for what it does not know or is not declared."""
    codes = section.places[name].codes if name in section else {}
    return np.array([codes.get(one, 0) for one in ids], np.uint16)


def force(
    catalog: Catalog, scorer: Scorer, degradations: tuple[tuple[Cause, str], ...] = (), *, edition: int = 0
) -> Force:
    """Put a catalog and a model in force: everything that does not depend on a request is computed here, once."""
    exploration, arbitration = catalog.exploration, catalog.arbitration
    pressure = arbitration.pressure or Pressure(0.0, 0.0, 0)
    channel_codes = np.array([c.code for c in catalog.channels], np.int64)
    bits = {name: np.uint64(1 << i) for i, name in enumerate(catalog.spec.person.consents)}
    shelf = Shelf(
        placements=np.array([(p.channel, p.code, p.hold_us) for p in catalog.placements], PLACEMENT),
        placement_offers=catalog.placement_offers,
        placement_timings=catalog.placement_timings,
        placement_tonalities=catalog.placement_tonalities,
        treatment_of=catalog.treatment_of,
        address_blocked=catalog.address_blocked,
        lever=catalog.lever,
        contact_cost=np.array([c.contact_cost for c in catalog.channels], np.float64),
    )
    section = catalog.spec.context
    return Force(
        catalog=catalog,
        scorer=scorer,
        shelf=shelf,
        rules=rules(catalog, catalog.spec.profile, section),
        dials=Dials(
            exponent=float(arbitration.exponent),
            annoyance_cost=float(arbitration.annoyance_cost),
            rule=int(RULES[exploration.rule]),
            epsilon=float(exploration.epsilon),
            temperature=float(exploration.temperature),
            gamma=float(exploration.gamma),
            silence_floor=float(exploration.silence_floor),
            arm_rule=int(RULES[exploration.arm_rule]),
            arm_epsilon=float(exploration.arm_epsilon),
            arm_temperature=float(exploration.arm_temperature),
            arm_gamma=float(exploration.gamma),
            per_contact=float(pressure.per_contact),
            per_dismissal=float(pressure.per_dismissal),
            half_life_us=float(pressure.half_life_us),
            own_channel=bool(pressure.own_channel),
        ),
        terms=terms_of(catalog),
        stacks=Stacks(MomentTables(catalog), catalog.spec.person.time_zones),
        offers=codes_of(catalog.offer_codes),
        groups=codes_of(catalog.group_codes),
        channels=codes_of(channel_codes),
        placements=codes_of(np.array([p.code for p in catalog.placements], np.int64)),
        channel_codes=channel_codes,
        placement_channel=np.array([p.channel for p in catalog.placements], np.int64),
        placement_index={p.id: i for i, p in enumerate(catalog.placements)},
        timing_index={t.id: i for i, t in enumerate(catalog.timings)},
        channel_category=categories(section, "channel", [c.id for c in catalog.channels]),
        stage_category=categories(section, "stage", [stage.id for stage in catalog.stages]),
        columns=Columns(*[section.places[name].column if name in section else None for name in Columns._fields]),
        scratch=ScratchRoom(shelf, len(catalog.groups)),
        consent_bit=np.array([bits[c.consent] if c.consent else np.uint64(0) for c in catalog.channels], np.uint64),
        offer_matrix=model_matrix(catalog.spec.offer, catalog.offer_table, 0),
        total_caps=np.array([c for c, cap in enumerate(catalog.caps) if cap.scope == Scope.TOTAL], np.int64),
        total_cover=total_cover(catalog),
        offer_code=scorer.offer_codes([offer.id for offer in catalog.offers]),
        degradations=degradations,
        edition=edition,
    )
