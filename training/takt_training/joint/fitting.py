"""Fitting one head: Adam on minibatches, stopped when later days are no longer predicted better.

Memory is bounded: raw columns are gathered per minibatch, and encoded inside the compiled step. The order of rows, the
hidden codes and the start come from the seed; on one thread the same input gives the same parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.joint.contacts import Bools, Contacts, Floats, Ints
from takt_training.joint.encoding import Encoding
from takt_training.joint.head import Head
from takt_training.joint.monotone import Splines
from takt_training.joint.network import (
    ANYWAY,
    Arrays,
    Link,
    Parameters,
    Shape,
    deviance,
    joint_predictor,
    penalty,
    start,
)
from takt_training.preparation import Floats32

CHUNK = 8192
"""Rows that are predicted at a time."""
MOST_STOPPING = 100_000
"""Rows of the stopping part that are looked at after each epoch, evenly spread."""
LEAST_ADDED = 1e-3
"""What a contact is taken to add before anything is learned, at least."""
_FINER = 2
"""How often the step size is cut when nothing improves, before training ends."""

Progress = Callable[[float], None]


class Descent(Struct, frozen=True):
    """How a head is fitted."""

    batch: int = 2048
    epochs: int = 60
    """At most."""
    patience: int = 2
    """Epochs without improvement before the step size is cut to a third; after the third time training ends."""
    rate: float = 0.005
    penalty: float = 3.0
    code_dropout: float = 0.2
    """Share of rows whose offer's code is hidden."""
    modesty: float = 1.0
    """Of what a contact adds: whoever came anyway counts as so many contacts that added nothing. The more comes anyway,
    the less of what contacts add can be seen."""
    seed: int = 0


class Encoded(Struct, frozen=True, eq=False):
    """What turns contacts into inputs, shared by all heads."""

    persons: Encoding
    """Of profile and context side by side."""
    offers: Encoding
    splines: Splines
    vocabulary: tuple[str, ...]


class Task(Struct, frozen=True, eq=False):
    """What one head learns: `target` and `weight` float32 [n] belong to the rows of the contacts."""

    name: str
    link: Link
    shape: Shape
    target: Floats32
    weight: Floats32
    train: Ints
    """Row numbers to learn from."""
    stop: Ints
    """Row numbers that say when to stop."""
    scale: float = 1.0
    shift: float = 0.0
    anyway: Anyway | None = None
    """Where it is learned above what happens anyway, and together with it."""


class Anyway(Struct, frozen=True, eq=False):
    """What happens without a contact, as part of a task that learns what a contact adds."""

    alone: Bools
    """bool [n]: rows that nothing was said to."""
    begun: Mapping[str, Floats32]
    """Its parameters to begin with, as they were learned from those rows alone: what a contact adds is sought above
    something that is already about right."""


class _Inputs(Struct, frozen=True, eq=False):
    """The offers' side, and how rows are gathered."""

    contacts: Contacts
    encoded: Encoded
    g: Floats32
    m: Floats32
    code: npt.NDArray[np.int64]

    @classmethod
    def of(cls, contacts: Contacts, encoded: Encoded) -> _Inputs:
        g = encoded.offers.apply(contacts.offers)
        m = encoded.splines.apply(contacts.offers)
        # the last row, which NONE = -1 picks, is silence: no attributes, no pieces
        return cls(
            contacts,
            encoded,
            np.concatenate([g, np.zeros((1, g.shape[1]), np.float32)]),
            np.concatenate([m, np.zeros((1, m.shape[1]), np.float32)]),
            np.concatenate([contacts.codes(encoded.vocabulary), [0]]),
        )

    def rows(self, rows: Ints) -> tuple[Any, ...]:
        """Raw persons, offers' rows, codes and arms of some rows."""
        contacts = self.contacts
        offer = contacts.offer[rows]
        return contacts.persons(rows), offer, self.code[offer], contacts.timing[rows], contacts.tonality[rows]


def fit_head(contacts: Contacts, encoded: Encoded, task: Task, descent: Descent, progress: Progress) -> Head:
    """Fit a head; the parameters are those of the epoch that predicted the stopping rows best.

    Raises ValueError without rows to learn from or to stop by.
    """
    if not len(task.train) or not len(task.stop):
        raise ValueError(f"{task.name}: no rows to learn from, or none to stop by")
    inputs = _Inputs.of(contacts, encoded)
    offers_side = (jnp.asarray(inputs.g), jnp.asarray(inputs.m))
    size = min(descent.batch, _power_of_two(len(task.train) / 16))
    stop = task.stop[:: -(-len(task.stop) // MOST_STOPPING)]
    rng = np.random.default_rng(descent.seed)
    p = {name: jnp.asarray(value) for name, value in _start(task, descent.seed).items()}
    alone = np.zeros(len(contacts), np.bool_) if task.anyway is None else task.anyway.alone
    zeros = {name: jnp.zeros_like(value) for name, value in p.items()}
    state = (p, zeros, zeros)
    total = float(task.weight[task.train].sum())
    best, best_loss, waited, cuts, kept, number = _arrays(p), np.inf, 0, 0, 0, 0
    rate = descent.rate
    step = partial(
        _step,
        persons=_Static(encoded.persons),
        link=task.link,
        strength=descent.penalty / max(total, 1.0),
        modesty=descent.modesty,
    )
    batches = -(-len(task.train) // size)
    for epoch in range(descent.epochs):
        order = rng.permutation(task.train)
        for i in range(batches):
            rows = order[i * size : (i + 1) * size]
            missing = size - len(rows)
            weight = np.concatenate([task.weight[rows], np.zeros(missing, np.float32)])
            rows = np.concatenate([rows, np.zeros(missing, np.int64)])
            persons, offer, code, timing, tonality = inputs.rows(rows)
            code = np.where(rng.random(size) < descent.code_dropout, 0, code)
            number += 1
            state = step(
                state,
                (persons, offer, code, timing, tonality, alone[rows], task.target[rows], weight),
                offers_side,
                (np.float32(rate), np.float32(number), np.float32(total / max(batches, 1))),
            )
            if i % 16 == 0:
                progress((epoch + i / batches) / descent.epochs)
        reached = _arrays(state[0])
        loss = _loss(reached, inputs, task, stop)
        if epoch == 0 or loss < best_loss - 1e-5 * abs(best_loss):
            best, best_loss, waited, kept = reached, loss, 0, epoch + 1
        else:
            waited += 1
        if waited >= descent.patience:
            cuts, waited, rate = cuts + 1, 0, rate / 3
            state = ({name: jnp.asarray(value) for name, value in best.items()}, zeros, zeros)
            number = 0
            if cuts > _FINER:
                break
    progress(1.0)
    return Head(task.name, task.link, best, scale=task.scale, shift=task.shift, epochs=kept)


def predictors(contacts: Contacts, encoded: Encoded, head: Head, rows: Ints) -> Floats:
    """Uncalibrated linear predictors of some rows, float64 [k]; silence is judged without an offer."""
    return _predicted(head.parameters, _Inputs.of(contacts, encoded), rows, np.zeros(len(rows), np.bool_))


def _start(task: Task, seed: int) -> Arrays:
    """Parameters to begin with, at what is true on average."""
    if task.anyway is None:
        return start(seed, task.shape, _base(task, task.train))
    alone = task.anyway.alone[task.train]
    untold, told = (_base(task, task.train[rows]) for rows in (alone, ~alone))
    missed, reached = (1 - 1 / (1 + np.exp(-base)) for base in (untold, told))
    added = float(np.clip(1 - reached / missed, LEAST_ADDED, 1 - LEAST_ADDED))
    return {
        **start(seed, task.shape, float(np.log(added / (1 - added)))),
        **{ANYWAY + name: value for name, value in task.anyway.begun.items()},
    }


def _base(task: Task, rows: Ints) -> float:
    """Linear predictor of what is true of some rows on average."""
    weight = task.weight[rows].astype(np.float64)
    mean = float(np.average(task.target[rows], weights=weight)) if weight.sum() > 0 else 0.0
    match task.link:
        case Link.PROBABILITY:
            mean = float(np.clip(mean, 1e-4, 1 - 1e-4))
            return float(np.log(mean / (1 - mean)))
        case Link.POSITIVE:
            return float(np.log(max(mean, 1e-4)))
        case Link.REAL:
            return mean


def _power_of_two(least: float) -> int:
    """The smallest power of two, at least 64, that is not below."""
    return 1 << max(6, int(np.ceil(np.log2(max(least, 1.0)))))


class _Static:
    """An encoding as a static argument of a compiled function: told apart by identity."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding

    def __hash__(self) -> int:
        return id(self.encoding)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and other.encoding is self.encoding


State = tuple[Parameters, Parameters, Parameters]


@partial(jax.jit, static_argnames=("persons", "link"))
def _step(
    state: State,
    rows: tuple[Any, ...],
    offers: tuple[jax.Array, jax.Array],
    pace: tuple[Any, Any, Any],
    *,
    persons: _Static,
    link: Link,
    strength: float,
    modesty: float,
) -> State:
    """One step of Adam (Kingma and Ba, 2015) on the weighted mean loss of a minibatch, plus penalties."""
    raw, offer, code, timing, tonality, alone, target, weight = rows
    rate, number, expected = pace
    z = persons.encoding.apply(raw, jnp)

    def loss(p: Parameters) -> jax.Array:
        side = (offers[0][offer], offers[1][offer], code)
        eta, lift = joint_predictor(p, z, side, (timing, tonality, alone), jnp)
        each = deviance(link, eta, target, jnp) + modesty * alone * target * deviance(link, lift, 0.0, jnp)
        fit: jax.Array = (weight * each).sum() / expected
        return fit + strength * penalty(p)

    p, first, second = state
    slope = jax.grad(loss)(p)
    first = jax.tree.map(lambda m, s: 0.9 * m + 0.1 * s, first, slope)
    second = jax.tree.map(lambda v, s: 0.999 * v + 0.001 * s * s, second, slope)
    undo_first, undo_second = 1 - 0.9**number, 1 - 0.999**number
    p = jax.tree.map(lambda q, m, v: q - rate * (m / undo_first) / (jnp.sqrt(v / undo_second) + 1e-8), p, first, second)
    return p, first, second


def _arrays(p: Parameters) -> Arrays:
    return {name: np.asarray(value, np.float32) for name, value in p.items()}


def _predicted(p: Mapping[str, Floats32], inputs: _Inputs, rows: Ints, alone: Bools) -> Floats:
    result = np.empty(len(rows), np.float64)
    for at in range(0, len(rows), CHUNK):
        persons, offer, code, *arms = inputs.rows(rows[at : at + CHUNK])
        z = inputs.encoded.persons.apply(persons)
        side = (inputs.g[offer], inputs.m[offer], code)
        result[at : at + CHUNK], _ = joint_predictor(p, z, side, (arms[0], arms[1], alone[at : at + CHUNK]))
    return result


def _loss(p: Arrays, inputs: _Inputs, task: Task, rows: Ints) -> float:
    alone = np.zeros(len(rows), np.bool_) if task.anyway is None else task.anyway.alone[rows]
    each = deviance(task.link, _predicted(p, inputs, rows, alone), task.target[rows])
    weight = task.weight[rows].astype(np.float64)
    return float((each * weight).sum() / max(weight.sum(), 1e-12))
