"""One head of the model: two towers with arms, as a function of its parameters, and how it is penalised.

    phi    = [z, tanh(z W + c)]                                    the person, encoded, with a hidden layer
    logit  = base + phi main                                       what the person does anyway
           + phi U . (g V + C[code])                               which offers suit whom, of low rank
           + g level + code_level[code]                            how good an offer is, by attributes and by itself
           - softplus(phi S + s) . m                               attributes that only lower it (or + : only raise it)
           + (phi Pt + g Ot)[timing] + (phi Pk + g Ok)[tonality]   which moment, which tone, for whom and for what
           + J[timing, tonality]                                   the two together

z: encoded profile and context [Z], g: encoded offer [D] without its monotone columns, m: their rising splines [Q], in
[0, 1]. Code 0 is an offer that training has not seen: codes are hidden at random while training, so that it is learned.
Parts are there or not by which parameters there are: a head without arms has no Pt.

An acceptance that is learned above what happens anyway has two such predictors, of the lift and, named with `ANYWAY` in
front, of the baseline: P(accepted) = 1 - (1 - baseline) (1 - lift). Whoever would have come anyway comes, and a contact
adds some of the others, so that a tone that doubles a small lift leaves the baseline alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import ModuleType
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from msgspec import Struct

from takt_training.preparation import Floats32

ANYWAY: Final = "anyway."
"""In front of the names of the parameters that say what happens anyway."""
Parameters = dict[str, jax.Array]
Arrays = dict[str, Floats32]


class Link(StrEnum):
    """What a head's output is of its linear predictor."""

    PROBABILITY = "probability"
    """Its sigmoid; fitted by log loss."""
    POSITIVE = "positive"
    """Its exponential, an expectation of what is never negative; fitted by Poisson deviance."""
    REAL = "real"
    """Itself; fitted by squared error."""


class Shape(Struct, frozen=True):
    """Sizes of a head. 0 timings or tonalities: it does not tell them apart; no codes: it does not know offers."""

    person: int
    offer: int
    codes: int
    """Offers and the unseen one."""
    monotone: int
    timings: int
    tonalities: int
    hidden: int
    rank: int


PENALTIES: Mapping[str, float] = {
    "hidden": 0.3,
    "main": 1.0,
    "person": 1.0,
    "offer": 1.0,
    "code": 1.0,
    "level": 0.3,
    "code_level": 1.0,
    "slope": 1.0,
    "person_timing": 2.0,
    "person_tonality": 2.0,
    "offer_timing": 2.0,
    "offer_tonality": 2.0,
    "joint": 1.0,
}
"""Strength of the squared penalty of each part, relative to the setting `penalty`."""


def start(seed: int, shape: Shape, base: float) -> Arrays:
    """Parameters to begin with; everything that needs no symmetry broken is zero."""
    rng = np.random.default_rng(seed)
    width = shape.person + shape.hidden

    def drawn(deviation: float, *sizes: int) -> Floats32:
        return (rng.standard_normal(sizes) * deviation).astype(np.float32)

    def zeros(*sizes: int) -> Floats32:
        return np.zeros(sizes, np.float32)

    p = {
        "base": np.array(base, np.float32),
        "hidden": drawn(1 / np.sqrt(max(shape.person, 1)), shape.person, shape.hidden),
        "hidden_bias": zeros(shape.hidden),
        "main": zeros(width),
    }
    if shape.codes:
        p |= {
            "person": drawn(0.1 / np.sqrt(width), width, shape.rank),
            "offer": drawn(0.3, shape.offer, shape.rank),
            "code": drawn(0.1, shape.codes, shape.rank),
            "level": zeros(shape.offer),
            "code_level": zeros(shape.codes),
        }
        if shape.monotone:
            p |= {"slope": zeros(width, shape.monotone), "slope_base": np.full(shape.monotone, -2.0, np.float32)}
    for name, size in (("timing", shape.timings), ("tonality", shape.tonalities)):
        if size:
            p |= {f"person_{name}": zeros(width, size), f"{name}_level": zeros(size)}
            if shape.codes:
                p[f"offer_{name}"] = zeros(shape.offer, size)
    if shape.timings and shape.tonalities:
        p["joint"] = zeros(shape.timings, shape.tonalities)
    return p


def predictor(
    p: Mapping[str, Any], z: Any, offer: tuple[Any, Any, Any], arms: tuple[Any, Any], xp: ModuleType = np
) -> Any:
    """Linear predictor of rows [n], in numpy or in JAX (`xp`).

    z [n, Z]; offer = (g [n, D], m [n, Q] with its sign, code [n]); arms = (timing [n], tonality [n]), -1 where none.
    """
    g, m, code = offer
    phi = xp.concatenate([z, xp.tanh(z @ p["hidden"] + p["hidden_bias"])], axis=1)
    eta = p["base"] + phi @ p["main"]
    if "person" in p:
        eta = eta + ((phi @ p["person"]) * (g @ p["offer"] + p["code"][code])).sum(1)
        eta = eta + g @ p["level"] + p["code_level"][code]
    if "slope" in p:
        eta = eta + (xp.logaddexp(phi @ p["slope"] + p["slope_base"], np.float32(0)) * m).sum(1)
    chosen = {}
    for name, at in zip(("timing", "tonality"), arms, strict=True):
        if f"person_{name}" in p:
            chosen[name] = (at[:, None] == np.arange(p[f"{name}_level"].shape[0])).astype(np.float32)
            of_arm = phi @ p[f"person_{name}"] + p[f"{name}_level"]
            if "person" in p:
                of_arm = of_arm + g @ p[f"offer_{name}"]
            eta = eta + (of_arm * chosen[name]).sum(1)
    if "joint" in p:
        eta = eta + ((chosen["timing"] @ p["joint"]) * chosen["tonality"]).sum(1)
    return eta


def either(one: Any, other: Any, xp: ModuleType = np) -> Any:
    """Log-odds that at least one of two independent things happens, from the log-odds of each."""
    neither = xp.logaddexp(one, np.float32(0)) + xp.logaddexp(other, np.float32(0))  # -log P(neither)
    return neither + xp.log(-xp.expm1(-neither))


def joint_predictor(
    p: Mapping[str, Any], z: Any, offer: tuple[Any, Any, Any], arms: tuple[Any, Any, Any], xp: ModuleType = np
) -> tuple[Any, Any]:
    """`predictor`, twice; where `p` says what happens anyway too, that of either or of it alone, and that of the lift.

    arms = (timing [n], tonality [n], alone bool [n]: nothing was said).
    """
    eta = predictor(p, z, offer, arms[:2], xp)
    below = {name.removeprefix(ANYWAY): value for name, value in p.items() if name.startswith(ANYWAY)}
    if not below:
        return eta, eta
    anyway = predictor(below, z, offer, arms[:2], xp)
    return xp.where(arms[2], anyway, either(anyway, eta, xp)), eta


def deviance(link: Link, eta: Any, target: Any, xp: ModuleType = np) -> Any:
    """Loss of each row [n], up to a constant; its expectation is least at the expectation of the target."""
    match link:
        case Link.PROBABILITY:
            return xp.logaddexp(eta, np.float32(0)) - target * eta
        case Link.POSITIVE:
            return xp.exp(eta) - target * eta
        case Link.REAL:
            return 0.5 * (eta - target) ** 2


def penalty(p: Parameters) -> jax.Array:
    """Sum of squares, weighted by `PENALTIES`."""
    weighted = ((PENALTIES.get(name.removeprefix(ANYWAY), 0.0), p[name]) for name in sorted(p))
    return sum((weight * jnp.sum(value**2) for weight, value in weighted if weight), jnp.array(0.0))
