"""The catalog that is measured: as many offers, caps and features as asked for, made from those of the demo.

Offers are the coupons of The Complete Journey; beyond their number they are repeated with other ids, values and
attributes. What is declared is in force: consent, quiet hours, minimum gap, stages, rules, weights, caps of several
scopes, exploration, annoyance. Timings are such that every one of them is open at any hour of the day, and quiet hours
lie on the other side of the clock, so that a run in the evening is the same as one in the morning.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml
from msgspec import Struct

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt_training.complete_journey.tables import TIME_ZONE
from takt_training.demo import places

PLACEMENTS: Final = ("home_top", "home_more")
TIMINGS: Final = ("now", "tomorrow_morning", "tomorrow_noon", "tomorrow_evening", "weekend")
TONALITIES: Final = ("factual", "warm", "playful", "concise")
FEATURES: Final = 64
DERIVED: Final = ("spend_trend", "basket_trend")
"""Features beyond those of the demo: the last four weeks beside the last twelve. 1 is no change."""
CAPS: Final = (
    {"id": "person-week", "scope": "profile", "limit": 14, "window": "7d"},
    {"id": "web-day", "scope": "channel", "limit": 8, "window": "day", "zone": "customer", "of": ["web"]},
    {"id": "top-day", "scope": "placement", "limit": 6, "window": "24h", "of": [PLACEMENTS[0]]},
    {"id": "group-week", "scope": "group", "limit": 9, "window": "7d", "counts": "impression"},
    {"id": "offer-week", "scope": "offer", "limit": 2, "window": "7d", "counts": "impression"},
    {"id": "person-day", "scope": "profile", "limit": 9, "window": "day", "zone": "customer"},
    {"id": "web-week", "scope": "channel", "limit": 13, "window": "7d", "of": ["web"]},
    {"id": "more-week", "scope": "placement", "limit": 13, "window": "week", "of": [PLACEMENTS[1]]},
    {"id": "offer-four-weeks", "scope": "offer", "limit": 4, "window": "28d", "counts": "impression"},
    {"id": "group-day", "scope": "group", "limit": 6, "window": "24h"},
)
"""The first so many are in force. None looks further back than 28 days."""


class Size(Struct, frozen=True):
    """What a catalog is made of."""

    offers: int = 100
    caps: int = 5

    def __str__(self) -> str:
        return f"{self.offers:,} offers, {self.caps} caps"


def write(folder: Path, size: Size) -> Catalog:
    """Write a workspace of this size and load it. Raises `WorkspaceError` if it is not right."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = places.workspace(None)
    features = yaml.safe_load((demo / "features.yaml").read_text(encoding="utf-8"))
    (folder / "features.yaml").write_text(_dump(_features(features)), encoding="utf-8")
    policy = yaml.safe_load((demo / "policy.yaml").read_text(encoding="utf-8"))
    declared = {key: policy[key] for key in ("stages", "eligibility", "weights", "events", "exploration", "ledger")}
    known = yaml.safe_load((demo / "offers.yaml").read_text(encoding="utf-8"))
    catalog = {
        **_channels(datetime.now(UTC)),
        **declared,
        "caps": [dict(cap) for cap in CAPS[: size.caps]],
        "arbitration": {"exponent": 1.0, "annoyance_cost": 0.05},
        "groups": known["groups"],
        "offers": _offers(known["offers"], size.offers),
    }
    (folder / "catalog.yaml").write_text(_dump(catalog), encoding="utf-8")
    return load_workspace(folder)


def _dump(content: Mapping[str, Any]) -> str:
    """YAML without aliases: JSON is some."""
    return json.dumps(content, indent=1, default=str) + "\n"


def _features(declared: dict[str, Any]) -> dict[str, Any]:
    """The demo's features, all seen by the model, and as many more as make 64."""
    profile = [{key: value for key, value in f.items() if key != "model"} for f in declared["profile"]]
    profile += [{"name": name, "type": "float", "min": 0} for name in DERIVED]
    if len(profile) != FEATURES:
        raise ValueError(f"the demo declares {len(profile) - len(DERIVED)} features; {FEATURES} are measured")
    return {**declared, "profile": profile}


def _channels(now: datetime) -> dict[str, Any]:
    """Everything of the catalog but offers and policy."""
    hour = now.astimezone(ZoneInfo(TIME_ZONE)).hour
    quiet = "-".join(f"{(hour + hours) % 24:02}:00" for hours in (10, 14))
    spot = {"channel": "web", "max_offers": 3, "timings": list(TIMINGS), "fallback": "content/neutral", "hold": "30m"}
    every = {"channels": ["web", "email"], "addresses": ["neutral"], "locales": ["en-US"]}
    return {
        "name": "bench",
        "time_zone": TIME_ZONE,
        "locale": "en-US",
        "unit": "USD",
        "channels": [
            {"id": "web", "consent": "web.personalisation", "contact_cost": 0.004},
            {
                "id": "email",
                "consent": "email.marketing",
                "contact_cost": 0.02,
                "minimum_gap": "20h",
                "quiet_hours": quiet,
            },
        ],
        "tonalities": list(TONALITIES),
        "timings": [
            {"id": "now", "for": "15m"},
            {"id": "tomorrow_morning", "from": "08:00", "to": "11:00", "day": 1},
            {"id": "tomorrow_noon", "from": "11:00", "to": "14:00", "day": 1},
            {"id": "tomorrow_evening", "from": "18:00", "to": "21:00", "day": 1},
            {"id": "weekend", "from": "10:00", "to": "18:00", "day": 2},
        ],
        "placements": [
            *({"id": name, **spot, "confirms": "impression"} for name in PLACEMENTS),
            {"id": "newsletter", **spot, "channel": "email", "timings": list(TIMINGS[1:]), "confirms": "impression"},
        ],
        "treatment_templates": [
            {
                **every,
                "tonalities": list(TONALITIES),
                "id": "{offer}-{channel}-{tonality}-{address}-{locale}",
                "content": "content/{offer}/{channel}/{tonality}",
            }
        ],
    }


def _offers(known: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """So many offers: those that are known, then others like them. The same at every call."""
    draw = random.Random(7)  # noqa: S311 - seeded on purpose
    offers = []
    for n in range(count):
        model = known[n % len(known)]
        again = n // len(known)
        offer = {**model, "attributes": dict(model["attributes"])}
        if again:
            offer["id"] = f"{model['id']}-{again}"
            offer["value"] = round(float(model["value"]) * draw.uniform(0.7, 1.3), 2)
            offer["attributes"]["price"] = round(float(model["attributes"]["price"]) * draw.uniform(0.7, 1.3), 2)
        if n % 4 == 0:
            offer["valid"] = {
                "from": "2017-01-01T00:00:00Z",
                "until": f"{datetime.now(UTC) + timedelta(days=365):%Y}-12-31T00:00:00Z",
            }
        offers.append(offer)
    return offers
