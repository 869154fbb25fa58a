"""A decided batch as answers and records: gathers what kernels write from, and gives them room."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.decisionlog.record import write_records
from takt.domain.decision import Degradation
from takt.domain.request import Explain
from takt.engine.codec import Letters
from takt.v1 import log_pb2, types_pb2
from takt.wire import answer
from takt.wire.encoding.answer import Sheet
from takt.wire.encoding.exclusions import grounds_for
from takt.wire.encoding.told import ITEM, PIECES, Told

if TYPE_CHECKING:
    from takt.catalog.snapshot import Exploration
    from takt.domain.decision import Versions
    from takt.domain.reasons import Cause
    from takt.engine.compute import Computed
    from takt.engine.ledgers import Made
    from takt.wire.encoding.texts import Texts

RULE: Final[Mapping[str, Any]] = {
    "greedy": types_pb2.EXPLORATION_RULE_GREEDY,
    "epsilon": types_pb2.EXPLORATION_RULE_EPSILON,
    "softmax": types_pb2.EXPLORATION_RULE_SOFTMAX,
    "squarecb": types_pb2.EXPLORATION_RULE_SQUARE_CB,
}
PARAMETER: Final[Mapping[str, tuple[str, ...]]] = {
    "greedy": (),
    "epsilon": ("epsilon",),
    "softmax": ("temperature",),
    "squarecb": ("gamma",),
}
FULL: Final = int(Explain.FULL)  # enums are slow to compare with
NO_CANDIDATES: Final = np.empty(0, np.int64)
USUAL_BYTES: Final = 40_000
"""Room for a record to begin with: the bound that the kernel asks for is some ten times what it writes.

Where it does not do, the kernel says how much would.
"""


class Common(NamedTuple):
    """What every answer and record of a batch says, and of most batches after it."""

    data: npt.NDArray[np.uint8]
    """`takt.v1.Versions`, the log's `Exploration`, and the batch's degradations, serialised."""
    spans: npt.NDArray[np.int64]
    """int64 [2 + degradations, 2]: where each starts, and its length."""


def common(declared: Exploration, versions: Versions, degradations: Sequence[tuple[Cause, str]]) -> Common:
    """What is in force, and what is missing."""
    parts = [
        answer.versions(versions).SerializeToString(),
        exploration(declared).SerializeToString(deterministic=True),
        *(answer.degradation(Degradation(*cause)).SerializeToString() for cause in degradations),
    ]
    lengths = np.array([len(part) for part in parts], np.int64)
    return Common(np.frombuffer(b"".join(parts), np.uint8), np.stack((np.cumsum(lengths) - lengths, lengths), axis=1))


def write(computed: Computed, made: Made, said: Common, *, texts: Texts, partitions: int) -> Letters:
    """Answers and records of a batch, with the contacts that were made; `said` is what all of them say."""
    n_spots, n_offers = computed.picked.cells.shape
    force = computed.asking.force
    sheet = Sheet(
        texts=texts,
        told=told(computed, made, said, partitions),
        asked=computed.asked,
        tables=computed.tables,
        shelf=force.shelf,
        dials=force.dials,
        valued=computed.valued,
        picked=computed.picked,
        contacts=computed.ledgers.contacts,
        first_new=made.first_new,
        grounds=grounds_for(n_offers),
        status=np.zeros(n_spots, np.int64),
    )
    spans = np.empty((len(computed.layout.items), 3), np.int64)
    out = np.empty(USUAL_BYTES * len(spans), np.uint8)
    needed = write_records(out, sheet, spans)
    if needed:
        out = np.empty(needed, np.uint8)
        write_records(out, sheet, spans)
    return Letters(out.data, spans, sheet.status)


def told(computed: Computed, made: Made, said: Common, partitions: int) -> Told:
    """What answers and records say beside what was decided."""
    asking, layout = computed.asking, computed.layout
    pieces: list[bytes] = []
    partition = []
    for item in layout.items:
        profile_id = item.profile_id.encode()
        partition.append(zlib.crc32(profile_id) % partitions)
        pieces += (
            item.decision.hex().encode(),
            item.request_id.encode(),
            profile_id,
            asking.messages[item.index],
            asking.digests[item.index],
            item.record or b"",
            item.ledger,
        )
    n = len(layout.items)
    items, explain, dry_run = np.empty(n, ITEM), asking.explain[layout.index], asking.dry_run[layout.index]
    items["stage"] = computed.stage
    items["attempts"] = [item.attempt for item in layout.items]
    items["attempts"][dry_run] = 0
    items["partition"] = partition
    items["explain"] = explain
    items["dry_run"] = dry_run
    items["anonymous"] = computed.record_status != 0
    items["corrupt"] = computed.corrupt
    candidates, candidates_end = live_candidates(computed, explain)
    contexts = computed.contexts
    return Told(
        pieces=np.frombuffer(b"".join(pieces), np.uint8),
        starts=np.empty((n, PIECES), np.int64),
        lengths=np.array([len(piece) for piece in pieces], np.int64).reshape(n, PIECES),
        items=items,
        common=said.data,
        common_spans=said.spans,
        rule=computed.filtered.rule,
        candidates=candidates,
        candidates_end=candidates_end,
        contexts=contexts.view(np.uint8),
        context_bytes=contexts.dtype.itemsize,
        contacts=np.frombuffer(made.entries, np.uint8),
        first_contact=made.first_contact,
    )


def live_candidates(
    computed: Computed, explain: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Live candidates of the spots that explain in full, best first, int64; and where each spot's end, [S + 1]."""
    first_spot, cells = computed.layout.first_spot, computed.picked.cells
    ends = np.zeros(len(cells) + 1, np.int64)
    full = [i for i, level in enumerate(explain.tolist()) if level == FULL]
    if not full:
        return NO_CANDIDATES, ends
    found = []
    for i in full:
        for s in range(first_spot[i], first_spot[i + 1]):
            totals = cells[s]["total"]
            alive = np.flatnonzero(~np.isnan(totals))
            found.append(alive[np.argsort(-totals[alive], kind="stable")])
            ends[s + 1] = len(alive)
    return np.concatenate(found), np.cumsum(ends)


def exploration(declared: Exploration) -> log_pb2.Exploration:
    """The rules with the parameters that each of them uses."""
    offers = {"epsilon": declared.epsilon, "temperature": declared.temperature, "gamma": declared.gamma}
    arms = {"epsilon": declared.arm_epsilon, "temperature": declared.arm_temperature}
    return log_pb2.Exploration(
        offers=_stage(declared.rule, offers), arms=_stage(declared.arm_rule, arms), silence_floor=declared.silence_floor
    )


def _stage(rule: str, declared: Mapping[str, float]) -> log_pb2.ExplorationStage:
    """One stage's rule with the parameters that it uses."""
    return log_pb2.ExplorationStage(rule=RULE[rule], parameters={name: declared[name] for name in PARAMETER[rule]})
