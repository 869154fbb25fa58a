"""What is loaded for good is left alone by the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from takt.loading import for_good


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_collected_while_modules_load() -> None:
    """And everything is again afterwards, but for what was there."""
    frozen = gc.get_freeze_count()
    with for_good():
        assert not gc.isenabled()

    assert gc.isenabled()
    assert frozen < gc.get_freeze_count()


def test_a_module_that_is_missing_leaves_the_collector_at_work() -> None:
    """Whoever catches the error goes on as before."""
    with pytest.raises(ModuleNotFoundError), for_good():
        raise ModuleNotFoundError("numba")

    assert gc.isenabled()
