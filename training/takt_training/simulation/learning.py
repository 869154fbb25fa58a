"""From the store's log to the next bundle: the real export, the real reading of the log, the real trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from takt.catalog.workspace import load_workspace
from takt.redis.wire import Address
from takt_training.archive.export import drain
from takt_training.archive.source import TIMEOUT_S, open_server
from takt_training.joint import bundle
from takt_training.joint.from_log import arms_of, contacts_of
from takt_training.joint.run import goal_of
from takt_training.joint.settings import Settings, parse_settings
from takt_training.joint.training import train
from takt_training.logged.load import load
from takt_training.simulation.learners import Learner
from takt_training.simulation.truth import WINDOW_DAYS
from takt_training.simulation.workspace import GOAL, REACTION

SEGMENT_ENTRIES: Final = 20_000
SETTINGS: Final = f"""
name: simulated-cars
goal: {GOAL}
window: {WINDOW_DAYS}d
attribution: person
lift: added
reactions: [{REACTION}]
unit: EUR
split: {{by: person, test: 0.05, stop: 0.08, calibrate: 0.07}}
model: {{hidden: 64, rank: 12, batch: 1024, epochs: 80, patience: 3, rate: 0.004, penalty: 10.0,
  code_dropout: 0.02, modesty: 2.0}}
"""
"""How all learners train: chosen on what squarecb logged with seeds 0 to 3, 10 and 11. People are held out, so that the
last weeks are learned from as well."""
MORE: Final = 1.4
"""A learner trains again once it has so many times the decisions that it last trained on."""


def settings(learner: Learner, version: int, seed: int) -> Settings:
    """The settings of one training."""
    told = parse_settings(SETTINGS)
    lift = told.lift if "baseline" in learner.heads else "any"
    return replace(told, heads=learner.heads, lift=lift, version=f"{version}.0.0", seed=seed)


def export(redis_url: str, archive: Path) -> None:
    """Drain the log to the archive."""
    with open_server(Address(redis_url, TIMEOUT_S)) as store:
        drain(store, archive, trim=True, segment_entries=SEGMENT_ENTRIES, console=Console(quiet=True))


def learn(archive: Path, workspace: Path, out: Path, told: Settings) -> Path:
    """Train on all decisions of the archive whose windows have closed; the bundle's folder. Raises ModelError."""
    catalog = load_workspace(workspace)
    goal = goal_of(told)
    logged = load(archive, catalog.spec, goal)
    contacts = contacts_of(logged, catalog, reactions=True, untold="baseline" in told.heads)
    trained = train(contacts, catalog.spec, arms_of(catalog), told)
    bundle.write(trained, contacts, out, metrics={})
    return out


def lessons(rounds: int) -> tuple[int, ...]:
    """After which rounds, counted from 1, there is enough that is new to train again; always after the last."""
    due, last = [], 0.0
    for done in range(1, rounds + 1):
        if done >= MORE * last or done == rounds:
            due.append(done)
            last = done
    return tuple(due)
