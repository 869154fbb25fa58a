"""`takt evaluate` on the log of a simulated service, beside what the simulator knows to be true.

    python -m tests.proofs.simulated_log [--quick]

Customers are decided for by chance through the real service, and its log is exported. On the first half a model is
trained; on the second, `takt evaluate` says what chance, the best constant action, one offer for everybody and that
model would earn. The simulator knows how likely each booking was: for each decision that was judged, and each offer.

Bookings that come anyway name no decision, so that by decision a draw earns 1 with P(booked) - P(booked anyway), in the
moment and tone that the log drew by chance, and silence nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from takt.catalog.workspace import load_workspace
from takt.clock import DAY_US
from takt.model.onnx import load_scorer
from takt_training.joint import bundle
from takt_training.joint.from_log import arms_of, contacts_of
from takt_training.joint.settings import parse_settings
from takt_training.joint.training import train
from takt_training.logged.dataset import Logged
from takt_training.logged.goal import Goal
from takt_training.logged.load import load
from takt_training.simulation import workspace
from takt_training.simulation.bundles import write_constant
from takt_training.simulation.campaign import go_through
from takt_training.simulation.customers import WEEK_DAYS, Customers, Floats, Ints, Situations
from takt_training.simulation.learners import CONSTANT, LEARNERS
from takt_training.simulation.policy import ModelPolicy
from takt_training.simulation.run import Extent, plan
from takt_training.simulation.truth import INSPECTION, OFFERS, WINDOW_DAYS, expected, flat
from takt_training.simulation.world import BEGINNING_US, moment_us
from tests.proofs.figures import SHOWN, Figures

EXTENT: Final = Extent(rounds=2, decisions=4000, seeds=5)
SETTINGS: Final = f"""
name: simulated-cars
goal: {workspace.GOAL}
window: {WINDOW_DAYS}d
split: {{by: person, test: 0.05, stop: 0.1, calibrate: 0.1}}
model: {{hidden: 32, epochs: 20}}
"""
ONE_OFFER: Final = INSPECTION
"""What the champion says to everybody."""
COVERED: Final = 0.8
"""Of the 95% intervals: policies of one log share its luck, so that two in a row may miss."""
FARTHEST: Final = 3.3
"""Standard errors that chance makes once in a thousand intervals."""
POLICIES: Final = ("logged", "uniform", "best constant", "champion", "candidate")


@dataclass(frozen=True, slots=True)
class Compared:
    """One estimate of one policy beside the truth."""

    policy: str
    estimate: str
    value: float
    low: float
    high: float
    truth: float

    @property
    def covers(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= self.truth <= self.high

    @property
    def errors(self) -> float:
        """Distance from the truth in standard errors."""
        return (self.value - self.truth) / ((self.high - self.low) / (2 * 1.96))

    def __str__(self) -> str:
        return (
            f"{self.policy}, {self.estimate}: {self.value:.4f} [{self.low:.4f}, {self.high:.4f}], true is "
            f"{self.truth:.4f}"
        )


def simulated_log(figures: Figures, quick: bool) -> None:
    """Five policies on each of some logs: how often their intervals hold what is true. With `--quick`, one log."""
    extent = EXTENT
    seeds = 1 if quick else extent.seeds
    figures.step(f"takt evaluate on {seeds} simulated logs of {extent.rounds} x {extent.decisions:,} decisions")
    found: list[Compared] = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory(prefix="takt-proof-") as directory:
            found += compared(extent, seed, Path(directory))
        for one in found[-2 * len(POLICIES) :]:
            figures.note(f"seed {seed}, {one}{'' if one.covers else ', MISSED'}")
    for estimate in ("dr", "ips"):
        told = [one for one in found if one.estimate == estimate]
        figures.check(f"simulated_{estimate}_intervals", len(told), f"== {len(POLICIES) * seeds}")
        cover = sum(one.covers for one in told) / len(told)
        figures.check(f"simulated_{estimate}_intervals_that_cover", round(cover, 3), f">= {COVERED}")
        most = max(abs(one.errors) for one in told)
        figures.check(f"simulated_{estimate}_most_standard_errors", round(most, 2), f"<= {FARTHEST}")
    apart = max(one.truth for one in found) / max(min(one.truth for one in found), 1e-9)
    figures.check("simulated_best_policy_over_worst", round(apart, 1), SHOWN)


def compared(extent: Extent, seed: int, directory: Path) -> list[Compared]:
    """Simulate, train on the first half of the weeks, let `takt evaluate` judge by the second; each beside the truth.

    Raises AssertionError with what the command said where it does not judge, or refuses a policy.
    """
    made = plan(extent, seed, directory)
    log = go_through(made, LEARNERS["uniform"], lambda *_: None)
    boundary_us = moment_us(extent.rounds // 2, 0, 0)
    place = workspace.write(directory / "judged-by", workspace.Dials(exploration=CONSTANT))
    catalog = load_workspace(place)
    champion = write_constant(directory / "champion", catalog, action=int(flat(*_one(ONE_OFFER))[0]))
    candidate = _trained(log.archive, place, directory / "candidate", boundary_us)
    comparison = _evaluated(log.archive, candidate, champion, place, boundary_us=boundary_us, out=directory / "report")
    judged = load(log.archive, catalog.spec, Goal((workspace.GOAL,), WINDOW_DAYS * DAY_US))
    judged = judged.take(judged.time_us >= boundary_us)
    assert comparison["rows"][1] == len(judged.slots), (comparison["rows"], len(judged.slots))
    earned, chosen = _truth(made.customers, judged, ModelPolicy(load_scorer(candidate, catalog), catalog))
    offers = np.array([OFFERS.index(name) if name else -1 for name in judged.slots.offer.texts()])
    rows = np.arange(len(offers))
    best = OFFERS.index(comparison["chosen"]["name"])
    truth = {
        "logged": np.where(offers < 0, 0.0, earned[rows, offers]),
        "uniform": earned.sum(1) / (len(OFFERS) + 1),
        "best constant": earned[:, best],
        "champion": earned[:, ONE_OFFER],
        "candidate": np.where(chosen < 0, 0.0, earned[rows, chosen]),
    }
    found = {one["policy"]: one for one in comparison["values"]}
    assert not [one["reasons"] for one in found.values() if "reasons" in one], found
    return [
        Compared(name, estimate, told["value"], told["low"], told["high"], float(truth[name].mean()))
        for name in POLICIES
        for estimate, told in ((estimate, found[name][estimate]) for estimate in ("ips", "dr"))
    ]


def _one(offer: int) -> tuple[Ints, Ints, Ints]:
    return np.zeros(1, np.int64), np.zeros(1, np.int64), np.full(1, offer)


def _trained(archive: Path, place: Path, out: Path, until_us: int) -> Path:
    """A bundle that knows of nothing that came after `until_us`."""
    settings, catalog = parse_settings(SETTINGS), load_workspace(place)
    logged = load(archive, catalog.spec, Goal((settings.goal,), settings.window_us), until_us=until_us)
    contacts = contacts_of(logged, catalog)
    bundle.write(train(contacts, catalog.spec, arms_of(catalog), settings), contacts, out, metrics={})
    return out


def _evaluated(
    archive: Path, candidate: Path, champion: Path, place: Path, *, boundary_us: int, out: Path
) -> dict[str, Any]:
    """What `takt evaluate` finds, as anyone runs it."""
    since = datetime.fromtimestamp(boundary_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    command = [
        *(str(Path(sys.executable).with_name("takt")), "evaluate", "--log", str(archive), "--bundle", str(candidate)),
        *("--champion", str(champion), "--workspace", str(place), "--goal", workspace.GOAL),
        *("--window", f"{WINDOW_DAYS}d", "--from", since, "--out", str(out), "--json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["comparison"]
    return found


def _truth(customers: Customers, judged: Logged, policy: ModelPolicy) -> tuple[Floats, Ints]:
    """By draw: what each offer would earn `[n, O]`, and which the model would choose `[n]`, -1 for silence."""
    days = (judged.time_us - BEGINNING_US) // DAY_US
    weeks = days // WEEK_DAYS
    people = np.array([int(name[1:6]) for name in judged.person.texts()])
    pressure = judged.decisions.profile[judged.slots.decision]
    earned = np.zeros((len(people), len(OFFERS)))
    chosen = np.zeros(len(people), np.int64)
    for week in np.unique(weeks).tolist():
        rows = np.flatnonzero(weeks == week)
        known = customers.at(week, people[rows], _pressure(judged, pressure[rows]))
        truth = expected(known, customers.temper[people[rows]])
        earned[rows] = truth.booked.mean((1, 2)) - truth.anyway
        chosen[rows] = _choice(policy, known)
    return earned, chosen


def _pressure(judged: Logged, profile: Any) -> Floats:
    """What was known of recent contacts at each decision."""
    place = judged.spec.profile.places["pressure"]
    return np.asarray(profile[place.field][:, place.column], np.float64)


def _choice(policy: ModelPolicy, known: Situations) -> Ints:
    """The offer whose best arm scores most; silence where none is above 0."""
    best = policy.totals(known).max((1, 2))
    offer = best.argmax(1)
    return np.where(best[np.arange(len(best)), offer] > 0, offer, -1)


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(
        prog="prove-simulated-log", description="Hold takt evaluate against what a simulator knows to be true."
    )
    parser.add_argument("--quick", action="store_true", help="one log instead of five")
    figures = Figures()
    simulated_log(figures, parser.parse_args().quick)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
