"""The invented shop, once per run, and the feature spec of the example workspace."""

from pathlib import Path

import pytest

from takt.features.spec import FeatureSpec, load_spec
from takt_training.complete_journey.tables import Tables, tables_from
from tests.training.synthetic import source

WORKSPACE = Path(__file__).parents[2] / "examples" / "complete_journey"


@pytest.fixture(scope="session")
def spec() -> FeatureSpec:
    """The features that the example workspace declares."""
    return load_spec((WORKSPACE / "features.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def shop() -> Tables:
    """The invented shop."""
    return tables_from(source())
