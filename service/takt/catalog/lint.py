"""What is allowed in a workspace and looks like a slip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from takt.catalog.snapshot import Cap, Counts, Scope
from takt.errors import Violation
from takt.features.section import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from takt.catalog.delivery import Delivery
    from takt.catalog.offers import Offers
    from takt.catalog.snapshot import Bools, Catalog


def lint(catalog: Catalog, delivery: Delivery, offers: Offers) -> tuple[Violation, ...]:
    """Warnings about a catalog; `delivery` and `offers` say where things stand."""
    return tuple(
        warning
        for found in (
            _placements(catalog, delivery),
            _offers(catalog, offers),
            _unused(catalog, delivery, offers),
            _rules(catalog),
            _caps(catalog, delivery),
            _features(catalog),
        )
        for warning in found
    )


def showable(catalog: Catalog) -> Bools:
    """Bool [P, O]: the placement may show the offer, and there is a treatment for its channel and tonalities."""
    treated = np.asarray((catalog.treatment_of >= 0).any(axis=(1, 2)))  # [H, N, O]
    channels = [placement.channel for placement in catalog.placements]
    fits = np.asarray((treated[channels] & catalog.placement_tonalities[:, :, None]).any(axis=1))
    return fits & catalog.placement_offers


def _placements(catalog: Catalog, delivery: Delivery) -> Iterator[Violation]:
    for placement, chosen, shown in zip(catalog.placements, catalog.placement_offers, showable(catalog), strict=True):
        where = delivery.placement_names.node(placement.id).where
        if not chosen.any():
            yield Violation(where, f"placement {placement.id!r} has no offers; its `offers` selects none")
        elif not shown.any():
            yield Violation(
                where, f"placement {placement.id!r} can show nothing; no offer has a treatment for its channel"
            )


def _offers(catalog: Catalog, offers: Offers) -> Iterator[Violation]:
    chosen, shown = (set(np.nonzero(mask)[1].tolist()) for mask in (catalog.placement_offers, showable(catalog)))
    for o, offer in enumerate(catalog.offers):
        where = offers.names.node(offer.id).where
        if o not in chosen:
            yield Violation(where, f"offer {offer.id!r} is for no placement; it will never be shown")
        elif o not in shown:
            placements = np.flatnonzero(catalog.placement_offers[:, o]).tolist()
            channels = {catalog.channels[catalog.placements[p].channel].id for p in placements}
            yield Violation(
                where,
                f"offer {offer.id!r} has no treatment that a placement could show; "
                f"give it one for {' or '.join(sorted(channels))}",
            )


def _unused(catalog: Catalog, delivery: Delivery, offers: Offers) -> Iterator[Violation]:
    """What is declared and nothing refers to."""
    used_channels = {placement.channel for placement in catalog.placements}
    used_tonalities = {treatment.tonality for treatment in catalog.treatments}
    used_timings = set(np.flatnonzero(catalog.placement_timings.any(axis=0)).tolist())
    used_groups = set(catalog.offer_group.tolist())
    for register, used, lack in (
        (delivery.channel_names, used_channels, "placement"),
        (delivery.tonality_names, used_tonalities, "treatment"),
        (delivery.timing_names, used_timings, "placement"),
        (offers.groups, used_groups, "offer"),
    ):
        for position, name in enumerate(register.names()):
            if position not in used:
                yield Violation(register.node(name).where, f"{register.kind} {name!r} has no {lack}")
    asked = {channel.consent for channel in catalog.channels}
    for consent in catalog.spec.person.consents:
        if consent not in asked:
            yield Violation("features.yaml: person.consents", f"no channel asks for the consent {consent!r}")


def _rules(catalog: Catalog) -> Iterator[Violation]:
    for rule, mask in zip(catalog.rules, catalog.rule_offers, strict=True):
        if not rule.program.reads:
            yield Violation(rule.where, f"rule {rule.id!r} reads nothing, so it is always the same")
        if not mask.any():
            yield Violation(rule.where, f"rule {rule.id!r} is for no offer; its `offers` selects none")
    for weight in catalog.weights:
        if not weight.offers.any():
            where = weight.rule.where if weight.rule else "weights"
            yield Violation(where, f"weight {weight.id!r} is for no offer; its `offers` selects none")


def _caps(catalog: Catalog, delivery: Delivery) -> Iterator[Violation]:
    """A cap on an event that a placement's callers never report stops counting when the hold expires."""
    for cap in catalog.caps:
        silent = [
            placement.id
            for p, placement in enumerate(catalog.placements)
            if placement.counted_event < cap.counts and _covers(cap, p, placement.channel)
        ]
        if silent:
            names = ", ".join(map(repr, silent))
            event = Counts(cap.counts).name.lower()
            yield Violation(
                delivery.placement_names.node(silent[0]).where,
                f"cap {cap.id!r} counts {event}s, but callers of {names} do not confirm them, so contacts there count "
                "only until their hold expires",
            )


def _covers(cap: Cap, placement: int, channel: int) -> bool:
    """Whether contacts of a placement may count for a cap."""
    match cap.scope:
        case Scope.PLACEMENT:
            return bool(cap.keys[placement])
        case Scope.CHANNEL:
            return bool(cap.keys[channel])
        case Scope.TOTAL:
            return cap.channels is None or bool(cap.channels[channel])
        case _:
            return True


def _features(catalog: Catalog) -> Iterator[Violation]:
    """Features that no model sees and no rule reads."""
    conditional = [*(stage.rule for stage in catalog.stages), *(weight.rule for weight in catalog.weights)]
    rules = [*catalog.rules, *catalog.value_rule, *conditional]
    read = {(str(source), name) for rule in rules if rule is not None for source, name in rule.program.features}
    for section in (catalog.spec.profile, catalog.spec.context, catalog.spec.offer):
        idle = [
            feature.name
            for feature in section.features
            if not feature.model and feature.source is Source.CALLER and (section.name, feature.name) not in read
        ]
        if idle:
            names = ", ".join(map(repr, idle))
            yield Violation(f"features.yaml: {section.name}", f"hidden from the model and read by no rule: {names}")
