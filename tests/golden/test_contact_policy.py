"""docs/contact-policy.md is true: every worked example comes out as it says, in memory and on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.harness import Harness, MemoryHarness, RedisHarness
from tests.golden.playing import Play, compiled, expected
from tests.golden.tables import Example, ExampleError, moment_us, read_page
from tests.servers import valkey_server

__all__ = ["valkey_server"]

BOOK = read_page()


@pytest.fixture(params=["memory", "valkey"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """A fresh store of each kind."""
    if request.param == "memory":
        yield MemoryHarness()
        return
    fresh = RedisHarness(request.getfixturevalue("valkey_server").url, partitions=2)
    yield fresh
    fresh.close()


@pytest.mark.parametrize("example", BOOK.examples, ids=lambda example: example.title)
def test_the_page_is_true(example: Example, harness: Harness, tmp_path: Path) -> None:
    """Each row of the example's table has the answer and the reasons that it says."""
    harness.clock.at_us = example.steps[0].at_us
    play = Play(compiled(BOOK, example, tmp_path / "workspace"), harness.store, harness.clock, example.zone)
    said = [(step.line, *expected(step, example.zone)) for step in example.steps]
    assert said == [(step.line, *play.happen(step)) for step in example.steps]


def test_every_example_has_steps_in_order() -> None:
    """No table was lost on the way, and time runs forward in each."""
    assert len(BOOK.examples) >= 30
    for example in BOOK.examples:
        moments = [step.at_us for step in example.steps]
        assert moments
        assert sorted(moments) == moments, example.title


def test_an_hour_that_comes_twice_needs_its_offset() -> None:
    """A table must not leave open which of two moments it means, nor name one that never comes."""
    zone = BOOK.examples[0].zone
    for text in ("2026-10-25 02:30", "2026-03-29 02:30", "2026-03-29 02:30 +01:00", "2026-10-25 02:30 +03:00"):
        with pytest.raises(ExampleError):
            moment_us(text, zone)
    first, second = (moment_us(f"2026-10-25 02:30 {offset}", zone) for offset in ("+02:00", "+01:00"))
    assert 3_600_000_000 == second - first
