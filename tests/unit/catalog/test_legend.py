"""What the packed parts of records mean, kept as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from takt.catalog.legend import legend, parse_legend
from takt.catalog.workspace import load_workspace
from takt.errors import RecordError
from takt.features.section import Block

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"


def test_a_legend_says_how_records_are_packed() -> None:
    """Context rows, offers with their attributes, and what events do can be read back."""
    catalog = load_workspace(MINIMAL)

    read = parse_legend(legend(catalog))

    assert catalog.spec.context.dtype == read.context.dtype
    stored = [feature.name for block in Block for feature in catalog.spec.context.blocks[block]]
    assert stored == [feature.name for feature in read.context.features]
    assert tuple(offer.id for offer in catalog.offers) == read.offers
    assert catalog.offer_table.tobytes() == read.attributes.tobytes()
    assert ("IMPRESSION", "CLICK", "RELEASES", "") == tuple(
        read.events[name] for name in ("impression", "purchase", "not_shown", "dismiss")
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": 2}, "is of format 2; this version reads 1"),
        ({"offers": ["one"]}, "1 offers, and attributes of 6"),
        ({"attributes": "AAAA"}, "damaged"),
        ({"context": [["x", "colour"]]}, "damaged: 'colour' is not a valid FeatureType"),
        ({"context": [["n", "float"], ["t", "timestamp"]]}, "out of order"),
        ({"events": []}, "damaged"),
    ],
)
def test_what_is_no_legend_is_refused(changed: dict[str, object], message: str) -> None:
    """A text that does not say it all is not guessed at."""
    text = json.dumps(json.loads(legend(load_workspace(MINIMAL))) | changed)

    with pytest.raises(RecordError, match=message):
        parse_legend(text)


def test_what_is_no_json_is_refused() -> None:
    """Neither is one that is cut short."""
    with pytest.raises(RecordError, match="damaged"):
        parse_legend("{")
