"""Files of JSON lines: batches, errors, what was done before it broke."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from takt.cli import lines
from takt.cli.exits import UnreachableError
from takt.cli.messages import Taken, profile_write
from takt.errors import Violation
from takt.v1 import profile_pb2

Write = profile_pb2.ProfileWrite


def written(count: int) -> list[lines.Line[Write]]:
    """Lines 1 to `count`."""
    return [lines.Line(n, Write(profile_id=f"p{n:04}")) for n in range(1, count + 1)]


def test_batches_are_bounded_by_rows() -> None:
    """No call carries more messages than the service takes well."""
    assert [500, 500, 1] == [len(batch) for batch in lines.batches(written(1001))]


def test_batches_are_bounded_by_bytes() -> None:
    """No call is larger than wanted, unless a single message is."""
    size = Write(profile_id="p0001").ByteSize()
    assert [2, 2, 1] == [len(batch) for batch in lines.batches(written(5), size=2 * size)]
    assert [1, 1] == [len(batch) for batch in lines.batches(written(2), size=1)]


def test_no_lines_make_no_batch() -> None:
    """An empty file sends nothing."""
    assert [] == list(lines.batches([]))


def test_blank_lines_count_but_are_not_sent() -> None:
    """Line numbers are those that an editor shows."""
    read = list(lines.read(["\n", '{"profile_id": "a"}\n', "  \n", "{\n"], profile_write))
    assert [2, 4] == [line.number for line in read]
    assert isinstance(read[1], lines.WrongLine)


def test_wrong_lines_do_not_stop_the_others() -> None:
    """What is wrong here and what the service refuses are both kept with line and field; the rest is done."""
    source = ['{"profile_id": "a"}', "nonsense", '{"profile_id": "b"}', '{"profile_id": "c"}']

    def call(writes: Sequence[Write]) -> list[Taken]:
        wrong = (Violation('profiles[1].features["age"]', "is unknown"),)
        verdicts = {"a": Taken("", "created"), "b": Taken("", "rejected", wrong), "c": Taken("", "unavailable")}
        return [verdicts[write.profile_id] for write in writes]

    tally = lines.send(lines.read(source, profile_write), call)
    assert {"created": 1, "rejected": 2, "unavailable": 1} == dict(tally.outcomes)
    told = [text for line in tally.wrong for text in line.told("people.jsonl")]
    assert told[0].startswith("people.jsonl:2: is no JSON: ")
    assert 'people.jsonl:3: features["age"]: is unknown' == told[1]
    assert "people.jsonl:4: unavailable: not written, nothing is wrong with it; send it again" == told[2]


def test_a_break_says_what_was_done() -> None:
    """When the service goes away in the middle, the message says which lines it has."""
    calls = iter([Taken("", "created")])

    def call(writes: Sequence[Write]) -> list[Taken]:
        try:
            taken = next(calls)
        except StopIteration:
            raise UnreachableError("gone") from None
        return [taken for _ in writes]

    with pytest.raises(UnreachableError, match="gone; lines up to 500 were sent, none after"):
        lines.send(written(501), call)
    with pytest.raises(UnreachableError, match="gone; nothing was sent"):
        lines.send(written(1), call)


def test_progress_is_told_after_each_batch() -> None:
    """Whoever waits sees how far it is."""
    seen: list[int] = []
    lines.send(written(501), lambda writes: [Taken("", "created") for _ in writes], seen.append)
    assert [500, 1] == seen
