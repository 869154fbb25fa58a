"""What the packed parts of a decision record mean under one catalog, as text that is kept beside the log.

A record names its catalog by version only. Its row of context is packed in the layout of the spec's context section,
its candidates and reasons stand in the order of the catalog's offers. The legend says these, what the offers were like,
and what each feedback event does to a contact: enough to read the log without the workspace, long after it changed.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.errors import RecordError
from takt.features.layout import read_features, stored_features
from takt.features.section import Section

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog

FORMAT: Final = 1
RELEASES: Final = "RELEASES"


class Legend(Struct, frozen=True, eq=False):
    """What was in force, as far as records refer to it."""

    context: Section
    """The features carry name, type and vocabulary only; so do the offer's."""
    offer: Section
    offers: tuple[str, ...]
    """Ids [O], in the order of candidates and reasons."""
    attributes: npt.NDArray[np.void]
    """Structured [O] of `offer.dtype`."""
    events: Mapping[str, str]
    """By type of event: `IMPRESSION` or `CLICK` where it confirms a contact as that, `RELEASES` where it gives a hold
    back, else empty."""


def legend(catalog: Catalog) -> str:
    """The legend of a catalog as JSON."""
    return json.dumps(
        {
            "format": FORMAT,
            "context": stored_features(catalog.spec.context),
            "offer": stored_features(catalog.spec.offer),
            "offers": [offer.id for offer in catalog.offers],
            "attributes": base64.b64encode(zlib.compress(catalog.offer_table.tobytes())).decode(),
            "events": {
                event.id: RELEASES if event.releases else event.confirms.name if event.confirms is not None else ""
                for event in catalog.events.values()
            },
        },
        ensure_ascii=True,
        separators=(",", ":"),
    )


def parse_legend(text: str) -> Legend:
    """Read what `legend` wrote. Raises `RecordError` when it is something else."""
    try:
        return _parse(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, zlib.error) as error:
        raise RecordError(f"a registered legend is damaged: {error}") from error


def _parse(read: Any) -> Legend:
    """Build a legend from decoded JSON; any exception means that it is damaged."""
    if read["format"] != FORMAT:
        raise RecordError(f"a registered legend is of format {read['format']!r}; this version reads {FORMAT}")
    offer = Section("offer", read_features(read["offer"]))
    attributes = np.frombuffer(zlib.decompress(base64.b64decode(read["attributes"])), offer.dtype)
    offers = tuple(str(name) for name in read["offers"])
    if len(attributes) != len(offers):
        raise ValueError(f"{len(offers)} offers, and attributes of {len(attributes)}")
    events = {str(name): str(does) for name, does in read["events"].items()}
    return Legend(Section("context", read_features(read["context"])), offer, offers, attributes, events)
