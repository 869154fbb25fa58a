"""The workspace that simulated customers are decided for under, as the text that `takt check` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from takt_training.simulation.customers import SEGMENTS
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES, VALUES

PLACEMENT: Final = "message"
CONSENT: Final = "app.messages"
GOAL: Final = "booked"
REACTION: Final = "unsubscribe"
ZONE: Final = "Europe/Berlin"
LOCALE: Final = "de-DE"

FEATURES: Final[Mapping[str, Any]] = {
    "person": {"time_zones": [ZONE], "locales": [LOCALE], "consents": [CONSENT]},
    "profile": [
        {"name": "urban", "type": "bool"},
        {"name": "informal", "type": "bool", "description": "wants to be addressed informally"},
        {"name": "app", "type": "bool", "description": "uses the app"},
        {"name": "electric", "type": "bool"},
        {"name": "segment", "type": "category", "values": list(SEGMENTS)},
        {"name": "children", "type": "int"},
        {"name": "km_year", "type": "float", "description": "thousands of kilometres a year"},
        {"name": "car_age", "type": "float", "description": "years"},
        {"name": "lease_days", "type": "float", "description": "days until the lease ends; none without a lease"},
        {"name": "service_days", "type": "float", "description": "days until the service is due; below 0: overdue"},
        {"name": "visits_30d", "type": "int"},
        {"name": "car_years", "type": "int", "description": "whole years of the car"},
        {"name": "lease_months", "type": "int", "description": "whole months until the lease ends; 23: or more"},
        {"name": "service_weeks", "type": "int", "description": "whole weeks until the service is due; 23: or more"},
        {"name": "overdue_weeks", "type": "int", "description": "whole weeks since it was"},
        {"name": "pressure", "type": "float", "description": "contacts, each halved every ten days"},
    ],
    "context": [{"name": "channel", "type": "category", "values": ["app"], "source": "service"}],
    "offer": [
        {"name": "worth", "type": "float", "description": "what a booking brings"},
        {"name": "department", "type": "category", "values": ["workshop", "sales", "extras"]},
        {"name": "kind", "type": "category", "values": list(OFFERS), "description": "what it is about"},
    ],
}
BOOLS: Final = ("urban", "informal", "app", "electric")
FLOATS: Final = ("km_year", "car_age", "lease_days", "service_days", "pressure")
INTS: Final = {
    "children": "children",
    "visits_30d": "visits",
    **{name: name for name in ("car_years", "lease_months", "service_weeks", "overdue_weeks")},
}
"""Features of a profile and the columns of `Situations` that they are; names are the same where only one is given.

What matters in steps is told in whole years, months and weeks as well, as somebody would who knows the business.
"""
DEPARTMENTS: Final = ("workshop", "workshop", "sales", "sales", "extras", "extras", "workshop", "extras")
"""Of each offer."""


class Dials(Struct, frozen=True):
    """What one learner's workspace says differently from another's."""

    exploration: Mapping[str, Any] = field(default_factory=lambda: UNIFORM)
    annoyance_cost: float = 0.0
    contact_cost: float = 0.0


UNIFORM: Final[Mapping[str, Any]] = {
    "rule": "epsilon",
    "epsilon": 1.0,
    "silence_floor": 0.0,
    "arms": {"rule": "epsilon", "epsilon": 1.0},
}


def catalog(dials: Dials) -> Mapping[str, Any]:
    """`catalog.yaml`: one channel, one placement, three moments, three tones, both forms of address."""
    return {
        "name": "simulated-cars",
        "time_zone": ZONE,
        "locale": LOCALE,
        "unit": "EUR",
        "channels": [{"id": "app", "consent": CONSENT, "contact_cost": dials.contact_cost}],
        "tonalities": list(TONALITIES),
        "timings": [
            {"id": "now", "for": "30m"},
            {"id": "evening", "from": "18:00", "to": "20:30"},
            {"id": "morning", "from": "07:00", "to": "09:00", "day": 1},
        ],
        "placements": [
            {"id": PLACEMENT, "channel": "app", "max_offers": 1, "timings": list(TIMINGS), "confirms": "decision"}
        ],
        "offers": [
            {
                "id": name,
                "value": float(value),
                "attributes": {"worth": float(value), "department": department, "kind": name},
            }
            for name, value, department in zip(OFFERS, VALUES, DEPARTMENTS, strict=True)
        ],
        "treatment_templates": [
            {
                "channels": ["app"],
                "tonalities": list(TONALITIES),
                "addresses": ["formal", "informal"],
                "locales": [LOCALE],
                "id": "{offer}-{tonality}-{address}",
                "content": "content/{offer}/{tonality}/{address}",
            }
        ],
        "events": [{"id": GOAL, "confirms": "none"}],
        "exploration": dict(dials.exploration),
        "arbitration": {"annoyance_cost": dials.annoyance_cost},
    }


def write(directory: Path, dials: Dials) -> Path:
    """Write the workspace; JSON is YAML. Its folder."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in (("features.yaml", FEATURES), ("catalog.yaml", catalog(dials))):
        (directory / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return directory
