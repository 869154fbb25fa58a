"""Every store there is, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.harness import Harness, MemoryHarness


@pytest.fixture(params=["memory"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """A fresh store of each kind."""
    yield MemoryHarness()
