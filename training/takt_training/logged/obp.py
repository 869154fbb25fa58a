"""The log as the arrays that Open Bandit Pipeline calls bandit feedback.

| array | shape, dtype | what |
|---|---|---|
| `n_rounds`, `n_actions` | int64 | how many draws n and actions A |
| `context` | `[n, X]` float64 | what a model sees of profile and context; see below for gaps |
| `action` | `[n]` int64 | the offer that was drawn, by its place in `action_names`; the last one is silence |
| `reward` | `[n]` float64 | the outcome |
| `pscore` | `[n]` float64 | P(the offer, or silence), given the picks before it |
| `position` | `[n]` int64 | the slot, by its place in `position_names`: `PLACEMENT/0`, `PLACEMENT/1`, ... |
| `action_context` | `[A, Y]` float64 | attributes of the offers as the last catalog has them; silence is 0 |
| `context_names`, `action_names`, `position_names`, `action_context_names` | text | what columns and codes mean |

Its estimators take no NaN: a gap is 0, and each column that has any is followed up by a column `missing.NAME`.
Draws that nobody saw, or of which nobody knows, are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from takt.features.matrix import model_columns, model_matrix
from takt_training.logged.dataset import NONE, Floats, Logged
from takt_training.logged.vw import SILENCE


def bandit_feedback(logged: Logged) -> dict[str, npt.NDArray[Any]]:
    """The arrays by name, for `numpy.savez`."""
    seen = logged.take(logged.example)
    slots = seen.slots
    offers = slots.offer.names
    names = [*(f"profile.{n}" for n in model_columns(seen.spec.profile))]
    names += [f"context.{n}" for n in model_columns(seen.spec.context)]
    context, names = _without_gaps(np.hstack([seen.profile(), seen.context()]).astype(np.float64), names)
    texts = [f"{p}/{k}" for p, k in zip(slots.placement.texts(), slots.slot.tolist(), strict=True)]
    positions, position = np.unique(np.array(texts, str), return_inverse=True)
    about, about_names = _offers(seen)
    return {
        "n_rounds": np.array(len(slots)),
        "n_actions": np.array(len(offers) + 1),
        "context": context,
        "action": np.where(slots.offer.codes == NONE, len(offers), slots.offer.codes).astype(np.int64),
        "reward": slots.reward,
        "pscore": slots.offer_propensity,
        "position": position.astype(np.int64),
        "action_context": about,
        "context_names": np.array(names, str),
        "action_names": np.array([*offers, SILENCE], str),
        "position_names": positions,
        "action_context_names": np.array(about_names, str),
    }


def _offers(logged: Logged) -> tuple[Floats, list[str]]:
    """Attributes of every offer that was met, under the last catalog that has it."""
    names = logged.slots.offer.names
    columns: dict[str, int] = {}
    found: list[tuple[int, dict[str, float]]] = []
    last = dict.fromkeys(logged.decisions.catalog.texts()[::-1].tolist())
    for version in reversed([v for v in last if v in logged.offers]):
        offers = logged.offers[version]
        made = model_matrix(offers.section, offers.attributes, logged.through_us).astype(np.float64)
        its = model_columns(offers.section)
        for column in its:
            columns.setdefault(column, len(columns))
        place = {offer: at for at, offer in enumerate(offers.ids)}
        found += [
            (code, dict(zip(its, made[place[name]], strict=True))) for code, name in enumerate(names) if name in place
        ]
    about = np.full((len(names) + 1, len(columns)), np.nan)
    for code, values in found:
        about[code] = [values.get(column, np.nan) for column in columns]
    about[-1] = 0.0
    return _without_gaps(about, list(columns))


def _without_gaps(values: Floats, names: list[str]) -> tuple[Floats, list[str]]:
    """Zeros for gaps, and a column that says so for each column that has any."""
    gaps = np.isnan(values)
    holed = np.flatnonzero(gaps.any(axis=0))
    whole = np.hstack([np.nan_to_num(values, nan=0.0), gaps[:, holed].astype(np.float64)])
    return whole, [*names, *(f"missing.{names[column]}" for column in holed)]
