"""What was drawn, with which probability, on which features, and what came of it: the log as columns.

One row of `Slots` is one draw: an offer with its arm, or silence. Slots point to the decision that they belong to, so
that what was read for a decision is kept once. Everything is as it was logged at the decision; only what begins
with `state` was learned afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field
from msgspec.structs import replace

from takt.features.matrix import model_matrix
from takt.features.record import put_column
from takt.features.section import Section
from takt.features.spec import FeatureSpec

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.void]

SCORE: Final = np.dtype(
    [
        (name, "<f8")
        for name in (
            *("acceptance", "baseline", "value", "context_weight", "lever"),
            *("annoyance_cost", "reaction", "contact_cost", "total"),
        )
    ]
)
"""The factors of `takt.domain.decision.Score`, NaN for silence."""
BLOCK_ROWS: Final = 16_384
"""Rows whose candidates are copied together."""
NONE: Final = -1
"""Code where there is no name: the offer of silence."""


class SlotState(IntEnum):
    """What is known of whether the customer saw it."""

    SILENCE = 0
    """Nothing was said, and that was drawn."""
    SHOWN = 1
    """It counted at the decision, or its impression, click or goal was reported."""
    NO_SHOW = 2
    """Its hold expired, or was released, and nothing was ever reported: not seen, so no negative example."""
    UNKNOWN = 3
    """Its hold had not expired when the log was exported."""


class Coded(Struct, frozen=True, eq=False):
    """A column of names: int32 `[n]` indices in `names`, `NONE` where there is none."""

    codes: Codes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: npt.NDArray[np.intp] | Bools) -> Coded:
        """Some rows, of the same names."""
        return Coded(self.codes[rows], self.names)

    def texts(self) -> npt.NDArray[np.object_]:
        """The names `[n]`, None where there is none."""
        return np.array([*self.names, None], object)[self.codes]


class Candidates(Struct, frozen=True, eq=False):
    """Offers per row, any number: those of row i are `offer[first[i]:first[i + 1]]`."""

    first: Ints
    """int64 `[n + 1]`."""
    offer: npt.NDArray[np.signedinteger[Any]]
    """Codes of `Slots.offer.names`: int16 where so few names allow it, else int32."""

    def of(self, row: int) -> npt.NDArray[np.signedinteger[Any]]:
        """The offers of one row."""
        return self.offer[self.first[row] : self.first[row + 1]]

    def take(self, rows: npt.NDArray[np.intp] | Bools) -> Candidates:
        """Some rows."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        sizes = np.diff(self.first)[chosen]
        first = np.concatenate(([0], np.cumsum(sizes)))
        offers = np.empty(first[-1], self.offer.dtype)
        for start in range(0, len(chosen), BLOCK_ROWS):  # positions of all at once would be larger than what is taken
            end = min(start + BLOCK_ROWS, len(chosen))
            shift = self.first[chosen[start:end]] - first[start:end]
            at = np.repeat(shift, sizes[start:end]) + np.arange(first[start], first[end])
            offers[first[start] : first[end]] = self.offer[at]
        return Candidates(first, offers)


class Offers(Struct, frozen=True, eq=False):
    """The offers of one catalog as they were."""

    ids: tuple[str, ...]
    section: Section
    """What the attributes were declared as; name, type and vocabulary only."""
    attributes: Rows
    """Structured `[O]` of `section.dtype`, in the order of `ids`."""


class Decisions(Struct, frozen=True, eq=False):
    """d decisions in the order of their moments; each id stands once."""

    id: npt.NDArray[np.bytes_]
    """`S48` `[d]`, hexadecimal."""
    time_us: Ints
    """int64 `[d]`: when it was decided, microseconds since the epoch, by the store's clock."""
    person: Coded
    """Profile ids, after merges: what folds and bootstraps keep together."""
    catalog: Coded
    model: Coded
    """Versions in force."""
    stage: Coded
    exploration: Coded
    """Rules with their parameters, as one text each: `epsilon(epsilon=0.05) floor=0.01 arms=softmax(temperature=1)`."""
    attempts: npt.NDArray[np.int16]
    """int16 `[d]`, at least 1."""
    profile: Rows
    """Structured `[d]` of `spec.profile.dtype`: what the record that was read said, defaults where there was none."""
    known: Bools
    """bool `[d]`: there was a profile record."""
    context: Rows
    """Structured `[d]` of `spec.context.dtype`, on the channel of the first placement; see `Logged.context`."""

    def __len__(self) -> int:
        return len(self.id)


class Slots(Struct, frozen=True, eq=False):
    """n draws, by decision, then in the order in which they were made."""

    decision: Ints
    """int64 `[n]`: row of `Decisions`."""
    placement: Coded
    channel: Coded
    slot: npt.NDArray[np.int16]
    """int16 `[n]`: place within the placement, from 0."""
    offer: Coded
    """`NONE` is silence; then timing, tonality, form of address and treatment are `NONE` too."""
    timing: Coded
    tonality: Coded
    form_of_address: Coded
    treatment: Coded
    offer_propensity: Floats
    """float64 `[n]`: P(this offer, or silence), given the picks before it."""
    arm_propensity: Floats
    """float64 `[n]`: P(this timing and tonality), given the offer; 1 for silence."""
    candidates: Candidates
    """Offers that the draw was among, silence not listed. Exact for slot 0. For later slots those of slot 0 without
    the earlier picks: a cap that an earlier pick filled may have shut out more."""
    score: Rows
    """Structured `[n]` of `SCORE`: what the service reckoned for what was drawn."""
    opens_us: Ints
    """int64 `[n]`: from when on outcomes count: the impression if one was reported, else the not-before of the timing;
    the decision's moment for silence."""
    state: npt.NDArray[np.uint8]
    """uint8 `[n]`, `SlotState`."""
    happened: Bools
    """bool `[n]`: the goal was reported within the window."""
    reward: Floats
    """float64 `[n]`: the goal's values within the window, aggregated as declared; the declared default where none."""
    reached: Candidates
    """Offers that the goal was reported of within the window, whatever was shown: of silence, what came anyway.
    `NONE` where an event named no offer, and may mean each."""
    reacted: Bools
    """bool `[n]`: a negative reaction, as the goal declares them, was reported within the window."""

    def __len__(self) -> int:
        return len(self.decision)

    @property
    def propensity(self) -> Floats:
        """P(what was drawn: offer, timing and tonality, or silence), given the picks before it: float64 `[n]`."""
        return self.offer_propensity * self.arm_propensity

    @property
    def silent(self) -> Bools:
        """Where silence was drawn: bool `[n]`."""
        return np.asarray(self.offer.codes == NONE)


class Logged(Struct, frozen=True, eq=False):
    """The log of decisions whose outcome windows have closed, with their outcomes."""

    spec: FeatureSpec
    """What `decisions.profile` and `decisions.context` are laid out by."""
    decisions: Decisions
    slots: Slots
    counts: dict[str, int] = field(default_factory=dict)
    """What was met on the way and is not, or not simply, in the columns: see `docs/training.md`."""
    offers: Mapping[str, Offers] = field(default_factory=dict)
    """By version of the catalog, as in `decisions.catalog`."""
    through_us: int = 0
    """The log is known up to here, microseconds."""

    @property
    def example(self) -> Bools:
        """Slots to learn from, bool `[n]`: silence, and what was shown."""
        return np.isin(self.slots.state, (SlotState.SILENCE, SlotState.SHOWN))

    @property
    def time_us(self) -> Ints:
        """int64 `[n]`: moment of each slot's decision."""
        return self.decisions.time_us[self.slots.decision]

    @property
    def person(self) -> Coded:
        """Person of each slot."""
        return self.decisions.person.take(self.slots.decision)

    def profile(self) -> npt.NDArray[np.float32]:
        """float32 `[n, P]`: what a model sees of the profile at each slot; columns of `model_columns(spec.profile)`."""
        made = model_matrix(self.spec.profile, self.decisions.profile, self.decisions.time_us[:, None])
        return made[self.slots.decision]

    def context(self) -> npt.NDArray[np.float32]:
        """float32 `[n, C]`: what a model sees of the context; `channel`, where declared, is that of the placement."""
        rows = self.decisions.context[self.slots.decision]
        place = self.spec.context.places.get("channel")
        if place is not None:
            codes = np.array([*(place.codes.get(name, 0) for name in self.slots.channel.names), 0], np.uint16)
            put_column(self.spec.context, rows, "channel", codes[self.slots.channel.codes])
        return model_matrix(self.spec.context, rows, self.time_us[:, None])

    def take(self, rows: Bools | npt.NDArray[np.intp]) -> Logged:
        """Some slots, with all decisions: for splits."""
        slots = self.slots
        return replace(
            self, slots=Slots(**{name: taken(getattr(slots, name), rows) for name in Slots.__struct_fields__})
        )


def taken(column: Any, rows: Bools | npt.NDArray[np.intp]) -> Any:
    """Some rows of a column of any kind."""
    return column.take(rows) if isinstance(column, Coded | Candidates) else column[rows]
