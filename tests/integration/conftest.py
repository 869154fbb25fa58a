"""What services of several folders are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from takt.catalog.workspace import load_workspace
from tests.integration.model.graphs import Recipe, write
from tests.integration.rpc.process import WORKSPACE


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that fits the workspace."""
    catalog = load_workspace(WORKSPACE)
    timings = tuple(timing.id for timing in catalog.timings)
    offers = tuple(offer.id for offer in catalog.offers)
    recipe = Recipe(
        spec=catalog.spec,
        timings=timings,
        tonalities=catalog.tonalities,
        offers=offers,
        axes=(len(timings), len(catalog.tonalities)),
        codes=len(offers) + 1,
    )
    return write(tmp_path_factory.mktemp("models") / "tiny" / "1.0.0", recipe)
