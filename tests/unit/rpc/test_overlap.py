"""Where many wait, batches overlap; where few do, they do not."""

from __future__ import annotations

import pytest

from takt.engine.steps import Pause, Steps
from takt.rpc.overlap import COMPANY, LEAST_SHARE, MOST_ON_THE_WAY, Overlap


def work(name: str, pauses: int, taken: list[str]) -> Steps[str]:
    """Work that writes down each of its steps, the last of which is a commit."""
    for n in range(pauses):
        taken.append(f"{name}{n}")
        yield Pause.COMMIT if n + 1 == pauses else Pause.READ
    taken.append(f"{name}{pauses}")
    return name.upper()


def test_whoever_has_waited_longest_is_next() -> None:
    """Steps of batches on the way are taken in turns, and each batch comes back with its own answers."""
    taken: list[str] = []
    overlap: Overlap[str, str] = Overlap(128)

    assert [None, None] == [overlap.begin(name, work(name, 2, taken)) for name in ("a", "b")]
    assert [None, None, ("a", "A")] == [overlap.advance() for _ in range(3)]
    assert overlap.begin("c", work("c", 1, taken)) is None
    assert [("b", "B"), ("c", "C")] == [overlap.advance() for _ in range(2)]

    assert ["a0", "b0", "a1", "b1", "a2", "c0", "b2", "c1"] == taken
    assert not overlap


def test_what_need_not_wait_is_done_at_once() -> None:
    """A batch that asks the store nothing has its answers when it is begun."""
    overlap: Overlap[str, str] = Overlap(128)

    assert ("a", "A") == overlap.begin("a", work("a", 0, []))
    assert not overlap


@pytest.mark.parametrize(
    ("on_the_way", "waiting", "at_work", "wanted"),
    [
        (0, 1, 0, LEAST_SHARE),  # alone: whatever waits, at once
        (0, 3 * LEAST_SHARE, 0, LEAST_SHARE),
        (0, 3 * LEAST_SHARE + 1, 0, LEAST_SHARE + 1),  # so that three batches are alike
        (1, COMPANY - 1, 1, 0),  # a few wait until nothing is on the way
        (1, COMPANY, 1, COMPANY),
        (1, 16, 16, 20),  # somewhat more than a half, as long as that is not too much
        (1, 15, 49, 0),  # and not before there are half as many
        (1, 16, 48, LEAST_SHARE),
        (1, 16, 240, 86),
        (2, 60, 180, 80),
        (2, 1_000, 256, 128),  # and none is too large
        (MOST_ON_THE_WAY, 1_000, 384, 0),
    ],
)
def test_another_is_begun_where_it_is_worth_it(on_the_way: int, waiting: int, at_work: int, wanted: int) -> None:
    """How many calls the next batch takes, by how many wait and are on the way."""
    overlap: Overlap[int, str] = Overlap(128)
    for n in range(on_the_way):
        overlap.begin(n, work("x", 1, []))

    assert wanted == overlap.wanted(waiting, at_work)


def test_batches_are_not_all_at_the_same_point() -> None:
    """While two are being read for no third is begun; once one is decided there is one, and so it goes on."""
    overlap: Overlap[int, str] = Overlap(128)
    begun, decided, order = 0, 0, []
    while decided < 6:
        if overlap.wanted(1_000, 0):
            done = overlap.begin(begun, work("x", 2, []))
            order.append(f"begin {begun}")
            begun += 1
        else:
            done = overlap.advance()
            order.append(f"done {done[0]}" if done else "decide")
        decided += done is not None

    assert ["begin 0", "begin 1", "decide", "begin 2", "decide"] == order[:5]
    assert ["done", "begin", "decide"] * 5 == [step.partition(" ")[0] for step in order[5:20]]
