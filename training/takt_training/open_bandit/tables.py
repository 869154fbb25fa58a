"""The CSV files of the Open Bandit data's small sample, as distributed in `obp`, which is never imported.

Saito, Aihara, Matsutani and Narita: Open Bandit Dataset and Pipeline (2021), https://arxiv.org/abs/2008.07146. Two
policies, uniform and Bernoulli Thompson sampling (BTS), filled three positions of a fashion shop's page for a week in
November 2019; every row has the probability with which its item was shown.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from msgspec import Struct

from takt.errors import NotFoundError
from takt_training.offpolicy.draws import Draws

PACKAGE: Final = "obp"
INSTALL: Final = "pip install --no-deps obp==0.4.1"
Campaign = Literal["all", "men", "women"]
Logger = Literal["random", "bts"]
CAMPAIGNS: Final[tuple[Campaign, ...]] = ("all", "men", "women")
POSITIONS: Final = 3
USER: Final = tuple(f"user_feature_{number}" for number in range(4))
ITEM_CODES: Final = tuple(f"item_feature_{number}" for number in (1, 2, 3))


class Logs(Struct, frozen=True, eq=False):
    """One campaign's logs of both policies, over the same items."""

    campaign: Campaign
    random: Draws
    bts: Draws


def directory() -> Path:
    """Where the CSV files lie. Raises NotFoundError, saying how to install them."""
    found = importlib.util.find_spec(PACKAGE)
    for place in (found.submodule_search_locations or []) if found else []:
        path = Path(place) / "dataset" / "obd"
        if path.is_dir():
            return path
    raise NotFoundError(
        f"the Open Bandit data are not installed; {INSTALL} brings them (its CSV files are all that is read)"
    )


def load(campaign: Campaign, root: Path | None = None) -> Logs:
    """Both logs of a campaign. Raises NotFoundError without the files, ValueError for files that are not these."""
    root = directory() if root is None else root
    raw = {logger: _read(root / logger / campaign / f"{campaign}.csv") for logger in ("random", "bts")}
    items = _read(root / "random" / campaign / "item_context.csv")
    count = len(items)
    levels = {name: sorted({*raw["random"][name], *raw["bts"][name]}) for name in USER}

    def draws(logger: Logger) -> Draws:
        table = raw[logger]
        users = [(table[name] == level).to_numpy(np.float32) for name in USER for level in levels[name][1:]]
        affinity = table[[f"user-item_affinity_{item}" for item in range(count)]].to_numpy(np.float32)
        features = np.column_stack([*users, affinity.sum(1), np.log1p(affinity.sum(1))]).astype(np.float32)
        allowed = np.ones((len(table), count + 1), np.bool_)
        allowed[:, 0] = False
        moment = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601").dt.tz_localize(None)
        return Draws(
            action=table["item_id"].to_numpy(np.int64) + 1,
            propensity=table["propensity_score"].to_numpy(np.float64),
            reward=table["click"].to_numpy(np.float64),
            person=np.arange(len(table)),
            slot=table["position"].to_numpy(np.int64) - 1,
            allowed=allowed,
            features=features,
            time_us=moment.to_numpy("datetime64[us]").astype(np.int64),
            names=("silence", *(f"item {item}" for item in items["item_id"])),
        )

    return Logs(campaign, draws("random"), draws("bts"))


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, index_col=0)
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there; {INSTALL} brings it") from None
