"""The reference model: two towers, one for the person and one for the offer, whose vectors' product is the log-odds.

    logit = main(z) s(kind) + dev(z) [secondary]
            + sum_r U_r(z) V_r(offer) + w sum_j z_j [offer of group j] + level(offer)

z: prepared profile. main: linear plus a small hidden layer. s: how far the main effect carries over to each kind of
offer. dev: by how much the secondary scope's main effect differs. U, V: a learned interaction of low rank. The sum
over j: a person's share of spending in the offer's own group, with one weight for all groups. level: kind,
attributes, group and the offer's code.

Both vectors are small, so that scoring is one matrix product of [batch, width] and [width, offers], the offers' side
computed once. Trained with Adam on all pairs at once; negatives of the secondary scope are thinned out and weighted
up. Seeded throughout.
"""

import os
from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.examples import Bools, Examples, Ints
from takt_training.offer_encoding import OfferEncoding, OfferPlan, fit_encoding
from takt_training.preparation import Floats32, Preparation, Treatment, fit_preparation

Parameters = dict[str, jax.Array]
Floats = npt.NDArray[np.float64]


class Settings(Struct, frozen=True):
    """How the towers are trained. Chosen on forward-chained predictions of the training period."""

    hidden: int = 8
    rank: int = 3
    steps: int = 300
    rate: float = 0.02
    """Adam's step size; falls linearly to 0 over the last 30% of the steps."""
    secondary_weight: float = 0.2
    """Weight of a pair of the secondary scope; a mailing counts 1."""
    negatives_kept: float = 0.15
    """Share of the secondary scope's pairs without acceptance that are learned from."""
    code_dropout: float = 0.3
    """Share of offers whose code is hidden in a step, so that code 0, the unseen offer, is learned."""
    seed: int = 0
    main_penalty: float = 15.0
    deviation_penalty: float = 15.0
    hidden_penalty: float = 100.0
    rank_penalty: float = 100.0
    code_penalty: float = 5.0
    attribute_penalty: float = 10.0
    kind_penalty: float = 0.3


class Towers(Struct, frozen=True):
    """A trained model. Arrays are float32; Z = prepared profile columns, D = encoded offer columns, R = rank."""

    preparation: Preparation
    encoding: OfferEncoding
    affinity: Ints
    """int64 [groups]: the prepared profile column that goes with each group."""
    vocabulary: tuple[str, ...]
    parameters: Mapping[str, Floats32]
    """main [Z], hidden [Z, H], hidden_bias [H], hidden_out [H], deviation [Z], person [Z, R], offer [D, R], code
    [codes, R], code_level [codes], level [D], carry [types], own_group [], base []."""

    def persons(self, profile: Floats32) -> Floats32:
        """Vectors [n, W] of raw profiles [n, P]; W = 3 + R + groups."""
        p, z = self.parameters, self.preparation.apply(profile)
        main = z @ p["main"] + np.tanh(z @ p["hidden"] + p["hidden_bias"]) @ p["hidden_out"]
        ones = np.ones((len(z), 1), np.float32)
        return np.concatenate(
            [main[:, None], (z @ p["deviation"])[:, None], z @ p["person"], z[:, self.affinity], ones], axis=1
        )

    def offers(self, offers: Floats32, codes: Ints) -> Floats32:
        """Vectors [m, W] of raw offers [m, G] with codes int64 [m]; codes beyond the vocabulary count as unseen."""
        p, g = self.parameters, self.encoding.apply(offers)
        codes = np.where((codes >= 0) & (codes <= len(self.vocabulary)), codes, 0)
        secondary = g[:, self.encoding.plan.types : self.encoding.kinds].sum(1, keepdims=True)
        carry = g[:, : self.encoding.kinds] @ np.concatenate([np.ones_like(p["carry"]), p["carry"]])
        groups = g[:, self.encoding.groups_at :] * p["own_group"]
        level = p["base"] + g @ p["level"] + p["code_level"][codes] * secondary[:, 0]
        return np.concatenate(
            [carry[:, None], secondary, g @ p["offer"] + p["code"][codes] * secondary, groups, level[:, None]], axis=1
        )

    def logits(self, examples: Examples, pairs: Ints) -> Floats:
        """Log-odds of some pairs of the examples, by their indices; float64 [n]."""
        rows, of_row = np.unique(examples.row[pairs], return_inverse=True)
        u = self.persons(examples.profile[rows])
        v = self.offers(examples.offers, examples.codes(self.vocabulary))
        logits: Floats = np.einsum("nw,nw->n", u[of_row], v[examples.offer[pairs]], dtype=np.float64)
        return logits


def fit_towers(
    examples: Examples,
    contacts: Bools,
    *,
    profile: Mapping[str, Treatment],
    offers: OfferPlan,
    affinity: tuple[str, ...],
    settings: Settings,
) -> Towers:
    """Train on the pairs of some contacts, bool [N].

    profile: treatments of profile columns. affinity: the profile column that goes with each group of offers, in their
    order.
    """
    on_one_thread()
    chosen = contacts[examples.row]
    used = np.unique(examples.offer[chosen])
    preparation = fit_preparation(examples.profile[contacts], examples.profile_names, profile)
    encoding = fit_encoding(examples.offers[used], examples.offer_names, offers)
    vocabulary = examples.vocabulary(contacts)
    secondary = encoding.kind(examples.offers) >= offers.types
    rng = np.random.default_rng(settings.seed)
    pair_secondary = secondary[examples.offer]
    kept = chosen & (~pair_secondary | examples.accepted | (rng.random(len(chosen)) < settings.negatives_kept))
    weight = np.where(pair_secondary, settings.secondary_weight, 1.0)
    weight = np.where(pair_secondary & ~examples.accepted, weight / settings.negatives_kept, weight)
    rows, of_row = np.unique(examples.row[kept], return_inverse=True)
    column_of_group = np.array([preparation.names.index(name) for name in affinity], np.int64)
    key = jax.random.PRNGKey(settings.seed)
    trained = _train(
        _start(key, _Widths(preparation.width, encoding.width, len(vocabulary) + 1, offers.types), settings),
        _Pairs(
            z=_padded(preparation.apply(examples.profile[rows]), 4096),
            g=jnp.asarray(encoding.apply(examples.offers)),
            code=jnp.asarray(examples.codes(vocabulary)),
            row=_padded(of_row, 16_384),
            offer=_padded(examples.offer[kept], 16_384),
            accepted=_padded(examples.accepted[kept].astype(np.float32), 16_384),
            weight=_padded(weight[kept].astype(np.float32), 16_384),
        ),
        _Layout(
            affinity=tuple(column_of_group.tolist()),
            types=offers.types,
            groups_at=encoding.groups_at,
        ),
        settings,
    )
    return Towers(
        preparation=preparation,
        encoding=encoding,
        affinity=column_of_group,
        vocabulary=vocabulary,
        parameters={name: np.asarray(value, np.float32) for name, value in trained.items()},
    )


def on_one_thread() -> None:
    """Let JAX start with one thread, so that the order of sums, and so the weights, do not depend on the cores.

    Without effect where JAX has been used before in this process.
    """
    given = os.environ.get("NPROC")
    os.environ["NPROC"] = "1"  # XLA sizes its pool by it, once, when its first device is asked for
    try:
        jax.devices()
    finally:
        if given is None:
            del os.environ["NPROC"]
        else:
            os.environ["NPROC"] = given


def _padded(values: npt.NDArray[np.generic], multiple: int) -> jax.Array:
    """Zeros added at the end, up to a multiple of rows: trainings of similar size share one compilation.

    A pair that is added has weight 0, a row that is added is nobody's.
    """
    missing = -len(values) % multiple
    return jnp.asarray(np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)]))


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["z", "g", "code", "row", "offer", "accepted", "weight"],
    meta_fields=[],
)
class _Pairs(Struct, frozen=True):
    """What is trained on: z [n, Z], g [M, D], code [M], and per pair row, offer, accepted, weight [K]."""

    z: jax.Array
    g: jax.Array
    code: jax.Array
    row: jax.Array
    offer: jax.Array
    accepted: jax.Array
    weight: jax.Array


class _Layout(Struct, frozen=True):
    """Where things stand in z and g."""

    affinity: tuple[int, ...]
    types: int
    groups_at: int


class _Widths(Struct, frozen=True):
    """Columns of z and of g, codes with 0, values of the offers' type."""

    profile: int
    offer: int
    codes: int
    types: int


def _start(key: jax.Array, widths: _Widths, settings: Settings) -> Parameters:
    keys = jax.random.split(key, 4)
    profile, offer, codes = widths.profile, widths.offer, widths.codes
    spread = 1 / np.sqrt(profile)
    return {
        "main": jnp.zeros(profile),
        "hidden": jax.random.normal(keys[0], (profile, settings.hidden)) * 0.3 * spread,
        "hidden_bias": jnp.zeros(settings.hidden),
        "hidden_out": jax.random.normal(keys[1], (settings.hidden,)) * 0.1,
        "deviation": jnp.zeros(profile),
        "person": jax.random.normal(keys[2], (profile, settings.rank)) * 0.1 * spread,
        "offer": jax.random.normal(keys[3], (offer, settings.rank)) * 0.1,
        "code": jnp.zeros((codes, settings.rank)),
        "code_level": jnp.zeros(codes),
        "level": jnp.zeros(offer),
        "carry": jnp.full(widths.types, 0.8),
        "own_group": jnp.array(0.3),
        "base": jnp.array(-3.0),
    }


def _logits(p: Parameters, pairs: _Pairs, code: jax.Array, layout: _Layout) -> jax.Array:
    """As `Towers`, differentiable; [K]."""
    z, g, kinds = pairs.z, pairs.g, 2 * layout.types
    main = z @ p["main"] + jnp.tanh(z @ p["hidden"] + p["hidden_bias"]) @ p["hidden_out"]
    secondary = g[:, layout.types : kinds].sum(1)
    carry = g[:, :kinds] @ jnp.concatenate([jnp.ones_like(p["carry"]), p["carry"]])
    level = p["base"] + g @ p["level"] + p["code_level"][code] * secondary
    u = jnp.concatenate(
        [main[:, None], (z @ p["deviation"])[:, None], z @ p["person"], z[:, jnp.array(layout.affinity)]], axis=1
    )
    v = jnp.concatenate(
        [
            carry[:, None],
            secondary[:, None],
            g @ p["offer"] + p["code"][code] * secondary[:, None],
            g[:, layout.groups_at :] * p["own_group"],
        ],
        axis=1,
    )
    return (u[pairs.row] * v[pairs.offer]).sum(1) + level[pairs.offer]


def _penalty(p: Parameters, layout: _Layout, settings: Settings) -> jax.Array:
    def squares(*names: str) -> jax.Array:
        return sum((jnp.sum(p[name] ** 2) for name in names), jnp.array(0.0))

    kinds = 2 * layout.types
    return (
        settings.main_penalty * squares("main")
        + settings.deviation_penalty * squares("deviation")
        + settings.hidden_penalty * squares("hidden", "hidden_out")
        + settings.rank_penalty * squares("person", "offer", "code")
        + settings.code_penalty * squares("code_level")
        + settings.kind_penalty * jnp.sum(p["level"][:kinds] ** 2)
        + settings.attribute_penalty * jnp.sum(p["level"][kinds:] ** 2)
    )


@partial(jax.jit, static_argnames=("layout", "settings"))
def _train(start: Parameters, pairs: _Pairs, layout: _Layout, settings: Settings) -> Parameters:
    """Adam (Kingma and Ba, 2015) with its usual constants on weighted log loss plus penalties."""
    key = jax.random.PRNGKey(settings.seed + 1)

    def loss(p: Parameters, step_key: jax.Array) -> jax.Array:
        hidden = jax.random.uniform(step_key, pairs.code.shape) < settings.code_dropout
        logit = _logits(p, pairs, jnp.where(hidden, 0, pairs.code), layout)
        fit = pairs.weight * (jax.nn.softplus(logit) - pairs.accepted * logit)
        return fit.sum() + _penalty(p, layout, settings)

    def step(
        state: tuple[Parameters, Parameters, Parameters], number: jax.Array
    ) -> tuple[tuple[Parameters, Parameters, Parameters], None]:
        p, first, second = state
        slope = jax.grad(loss)(p, jax.random.fold_in(key, number))
        first = jax.tree.map(lambda m, s: 0.9 * m + 0.1 * s, first, slope)
        second = jax.tree.map(lambda v, s: 0.999 * v + 0.001 * s * s, second, slope)
        rate = settings.rate * jnp.minimum(1.0, (settings.steps - number) / (settings.steps * 0.3))
        undo_first, undo_second = 1 - 0.9 ** (number + 1.0), 1 - 0.999 ** (number + 1.0)
        p = jax.tree.map(
            lambda q, m, v: q - rate * (m / undo_first) / (jnp.sqrt(v / undo_second) + 1e-8), p, first, second
        )
        return (p, first, second), None

    zeros = jax.tree.map(jnp.zeros_like, start)
    (trained, _, _), _ = jax.lax.scan(step, (start, zeros, zeros), jnp.arange(settings.steps))
    return trained
