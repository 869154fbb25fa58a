"""Which rows are learned from, which say when to stop, which calibrate, and which are judged by; never at random."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from msgspec import Struct

from takt.catalog.times import shown_duration
from takt.errors import PreconditionError
from takt_training.joint.contacts import Bools, Contacts, Floats, Ints
from takt_training.joint.settings import Settings

_PURPOSES = ("to learn from", "to stop by", "to calibrate with", "to judge by")


class Parts(Struct, frozen=True, eq=False):
    """Row numbers of each part, int64, in the order of the rows; no row is in two."""

    fit: Ints
    stop: Ints
    calibrate: Ints
    test: Ints
    boundary_us: int
    """Where the test begins, by time; the end of the data where people are held out."""
    embargo_us: int
    embargoed: int
    """Rows that are in no part: their outcome was still open at the boundary."""
    by: str

    def _all(self) -> tuple[Ints, Ints, Ints, Ints]:
        return self.fit, self.stop, self.calibrate, self.test

    def told(self) -> str:
        """One sentence for the report."""
        kept = (f"{len(part):,} {what}" for part, what in zip(self._all(), _PURPOSES, strict=True))
        at, embargo = moment(self.boundary_us), shown_duration(self.embargo_us)
        what = {
            "time": f"by time at {at}, embargo {embargo}",
            "person": "by person",
            "both": f"by time at {at} and by person, embargo {embargo}",
        }[self.by]
        return f"Rows: {', '.join(kept)}; split {what}; {self.embargoed:,} left out by the embargo"


def moment(time_us: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def divide(contacts: Contacts, settings: Settings) -> Parts:
    """Divide the rows as the settings say. Raises PreconditionError if a part would be empty."""
    split = settings.split
    embargo = settings.window_us if split.embargo_us is None else split.embargo_us
    time = contacts.time_us
    if len(time) == 0:
        raise PreconditionError("there are no rows to train on")
    late, open_ = np.zeros(len(time), np.bool_), np.zeros(len(time), np.bool_)
    boundary = int(time.max()) + 1
    if split.by != "person":
        boundary = int(np.quantile(time, 1 - split.test, method="higher"))
        late = time >= boundary
        open_ = ~late & (time + embargo >= boundary)
    else:
        embargo = 0
    place = _place(contacts.person)
    of_test_people = place < split.test
    if split.by == "time":
        test, rest = late, ~late & ~open_
    elif split.by == "person":
        test, rest = of_test_people, ~of_test_people
    else:
        test, rest = late & of_test_people, ~late & ~open_ & ~of_test_people
    stop, calibrate = split.stop / (1 - split.test), split.calibrate / (1 - split.test)
    if not rest.any():
        raise PreconditionError(
            f"nothing is left to learn from before {moment(boundary)}: every outcome window "
            f"({shown_duration(embargo)}) was still open then; a longer log is needed, or a shorter window (or "
            "split.embargo)"
        )
    if split.by == "person":
        level = (place - split.test) / (1 - split.test)
        fit, stopping = rest & (level >= stop + calibrate), rest & (level < stop)
        calibrating = rest & (level >= stop) & (level < stop + calibrate)
    else:
        first, second = (
            int(np.quantile(time[rest], share, method="higher")) for share in (1 - stop - calibrate, 1 - calibrate)
        )
        fit, stopping = rest & (time < first), rest & (time >= first) & (time < second)
        calibrating = rest & (time >= second)
    parts = Parts(
        fit=np.flatnonzero(fit),
        stop=np.flatnonzero(stopping),
        calibrate=np.flatnonzero(calibrating),
        test=np.flatnonzero(test),
        boundary_us=boundary,
        embargo_us=embargo,
        embargoed=int(open_.sum()),
        by=split.by,
    )
    for name in ("fit", "stop", "calibrate", "test"):
        if not len(getattr(parts, name)):
            raise PreconditionError(
                f"split: no row is left for the part {name!r} of {len(time):,} rows between {moment(int(time.min()))} "
                f"and {moment(int(time.max()))}; more moments or people are needed, or other shares"
            )
    return parts


def _place(person: Ints) -> Floats:
    """A fixed place in [0, 1) for everybody, by Fibonacci hashing of the person's number and some stirring."""
    mixed = person.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2**53)


class Weights(Struct, frozen=True, eq=False):
    """What rows count in training, mean 1."""

    values: Floats
    """float64 [n]."""
    clip: float
    clipped: int
    largest_share: float
    """Largest weight over the sum."""
    effective: float
    """Effective sample size, (sum)^2 / sum of squares."""
    uneven: bool
    """Whether some rows were more than twice as likely as others, or nothing is known of it."""


def weigh(contacts: Contacts, clip: float) -> Weights:
    """1 / propensity, at most `clip`, scaled to a mean of 1; all 1 where clip is 0."""
    propensity = contacts.propensity
    of_contacts = propensity[~contacts.silent]
    uneven = bool((of_contacts == 1).all() or of_contacts.max() > 2 * of_contacts.min())
    if clip == 0:
        n = len(propensity)
        return Weights(np.ones(n), 0.0, 0, 1 / max(n, 1), float(n), uneven)
    raw = 1 / propensity
    weight = np.minimum(raw, clip)
    clipped: Bools = raw > clip
    total = weight.sum()
    return Weights(
        weight / weight.mean(),
        clip,
        int(clipped.sum()),
        float(weight.max() / total),
        float(total**2 / (weight**2).sum()),
        uneven,
    )
