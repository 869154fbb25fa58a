"""A model of another library on real households: fitted by LightGBM, adapted, checked, served, and asked over gRPC."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Final

import lightgbm
import numpy as np
import numpy.typing as npt
from rich.console import Console

from takt.catalog.workspace import load_workspace
from takt.cli.client import Client, Door
from takt.features.matrix import model_columns, model_matrix
from takt.features.spec import FeatureSpec, load_spec
from takt.model.bundle import read_bundle
from takt.v1 import decision_pb2, decision_pb2_grpc
from takt_training.adapt import all_columns
from takt_training.complete_journey import recipe
from takt_training.complete_journey.examples import WINDOW_DAYS, campaign_examples
from takt_training.complete_journey.profiles import Household
from takt_training.complete_journey.tables import load_tables
from takt_training.demo import people
from takt_training.examples import Examples
from takt_training.split import time_split
from tests.integration.rpc.process import Service
from tests.proofs.figures import SHOWN, Figures

ROOT: Final = Path(__file__).parents[2]
WORKSPACE: Final = ROOT / "examples" / "complete_journey"
TREES: Final = 60
FARTHEST: Final = 1e-5
ASKED: Final = 100
"""Households that the service is asked for."""
PLACEMENTS: Final = ("home_hero", "home_tiles", "app_inbox")
PEOPLE: Final = 500
"""Contacts whose estimates are compared, each with every offer that was ever made."""


def adapter(figures: Figures, quick: bool) -> None:
    """The whole way of a data scientist who has a LightGBM model. Not with `--quick`."""
    if quick:
        return
    figures.step("The Complete Journey: a LightGBM model, adapted and served")
    spec = load_spec((WORKSPACE / "features.yaml").read_text(encoding="utf-8"))
    examples = campaign_examples(load_tables(), spec)
    columns = [name for name in all_columns(spec) if not name.startswith("context.")]
    fold = time_split(examples.contacted, window_days=WINDOW_DAYS, boundary=recipe.BOUNDARY, data_end=recipe.DATA_END)
    pairs = np.flatnonzero(fold.train[examples.row])
    rows = np.concatenate([examples.profile[examples.row[pairs]], examples.offers[examples.offer[pairs]]], axis=1)
    model = lightgbm.LGBMClassifier(n_estimators=TREES, num_leaves=15, n_jobs=1, verbose=-1, deterministic=True)
    model.fit(rows, examples.accepted[pairs].astype(int))
    figures.check("adapted_rows", len(rows), SHOWN)
    with tempfile.TemporaryDirectory(prefix="takt-adapt-") as temporary:
        directory = Path(temporary)
        model.booster_.save_model(directory / "model.txt")
        (directory / "adapt.yaml").write_text(_words(columns), encoding="utf-8")
        out = directory / "bundle"
        figures.check("adapt_ended_with", _takt("adapt", directory / "adapt.yaml", out), "== 0")
        figures.check("model_check_ended_with", _takt("model check", out), "== 0")
        figures.check("adapted_farthest_from_lightgbm", _farthest(model, out, examples, spec), f"<= {FARTHEST}")
        _serve(figures, model, out, directory / "data")


def _words(columns: list[str]) -> str:
    return "\n".join(
        (
            "name: journey-gbm",
            "model: model.txt",
            "goal: accept",
            f"window: {WINDOW_DAYS}d",
            "unit: USD",
            "trained_from: 2017-01-29T00:00:00Z",
            f"trained_until: {recipe.BOUNDARY}T00:00:00Z",
            f"columns: [{', '.join(columns)}]",
        )
    )


def _takt(command: str, path: Path, out: Path | None = None) -> int:
    """Run a command of takt on the workspace; its exit code."""
    arguments = [*command.split(), str(path), "--workspace", str(WORKSPACE), *(("--out", str(out)) if out else ())]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("takt")), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode


def _farthest(model: lightgbm.LGBMClassifier, bundle: Path, examples: Examples, spec: FeatureSpec) -> float:
    """The largest difference between the bundle's estimates and LightGBM's own, missing values included."""
    people = np.linspace(0, len(examples.profile) - 1, PEOPLE).astype(np.int64)
    context = np.zeros((PEOPLE, sum(name.startswith("context.") for name in all_columns(spec))), np.float32)
    acceptance: npt.NDArray[np.float32] = recipe.run(
        read_bundle(bundle).model,
        {
            "profile": examples.profile[people],
            "context": context,
            "offers": examples.offers,
            "offer_code": np.zeros(len(examples.offers), np.int64),
        },
    )
    pairs = np.concatenate(
        [
            np.repeat(examples.profile[people], len(examples.offers), axis=0),
            np.tile(examples.offers, (PEOPLE, 1)),
        ],
        axis=1,
    )
    return float(np.abs(acceptance.reshape(-1) - _own(model, pairs)).max())


def _serve(figures: Figures, model: lightgbm.LGBMClassifier, bundle: Path, data: Path) -> None:
    """A service that is started with it tells, of real profiles, what LightGBM itself says of them."""
    catalog = load_workspace(WORKSPACE)
    households = people.known(catalog.spec)
    offers = dict(
        zip(
            (offer.id for offer in catalog.offers),
            model_matrix(catalog.spec.offer, catalog.offer_table, 0),
            strict=True,
        )
    )
    patient = ("--store-timeout-ms", "5000", "--decide-budget-ms", "20000")
    with Service(["--model", str(bundle), "--data-dir", str(data), *patient], WORKSPACE).wait_ready() as service:
        with Client(Door(address=service.line("ready")["admin"], timeout_s=60.0)) as admin:
            tally = people.put(admin, households, catalog.spec, Console(quiet=True))
        figures.check(
            "adapted_profiles_loaded", sum(tally.outcomes.values()) - len(tally.wrong), f"== {len(households)}"
        )
        decide = decision_pb2_grpc.DecisionServiceStub(service.public).Decide
        by, degraded, told = set(), 0, []
        for household in households[:: len(households) // ASKED]:
            request = decision_pb2.DecideRequest(
                request_id=household.profile_id,
                profile_id=household.profile_id,
                explain=decision_pb2.EXPLAIN_LEVEL_FULL,
            )
            for placement in PLACEMENTS:
                request.placements.add(placement=placement)
            answer = decide(request, timeout=60)
            by.add(answer.versions.model)
            degraded += bool(answer.degradations)
            told += [(household, *one) for one in _told(answer)]
        service.end()
    figures.check("adapted_served_as", " ".join(sorted(by)), "== journey-gbm/1.0.0")
    figures.check("adapted_degraded", degraded, "== 0")
    rows = np.array([[*_columns(household, catalog.spec), *offers[offer]] for household, offer, _ in told], np.float32)
    figures.check("adapted_households_scored", len({household.profile_id for household, _, _ in told}), ">= 50")
    figures.check("adapted_answers_compared", len(told), ">= 5000")
    apart = np.abs(np.array([acceptance for _, _, acceptance in told]) - _own(model, rows))
    figures.check("adapted_acceptance_least", round(min(acceptance for _, _, acceptance in told), 6), SHOWN)
    figures.check("adapted_acceptance_most", round(max(acceptance for _, _, acceptance in told), 6), SHOWN)
    figures.check("adapted_answers_farthest_from_lightgbm", float(f"{apart.max():.2g}"), f"<= {FARTHEST}")


def _told(answer: decision_pb2.DecideResponse) -> list[tuple[str, float]]:
    """Every offer that an answer tells a score of, shown or not, with its acceptance."""
    return [
        *((one.offer, one.score.acceptance) for placement in answer.placements for one in placement.offers),
        *((one.offer, one.score.acceptance) for placement in answer.placements for one in placement.candidates),
    ]


def _columns(household: Household, spec: FeatureSpec) -> list[float]:
    """What the model sees of a household, off its features as they were put: nothing of Takt's has packed them."""
    told = [household.row.features.get(name, np.nan) for name in model_columns(spec.profile)]
    numbers = [float(value) for value in told if isinstance(value, int | float)]
    assert len(numbers) == len(told), "a column that is no number has no value of its own"
    return numbers


def _own(model: lightgbm.LGBMClassifier, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """LightGBM's probability of each row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that the columns of an array do not have
        return np.asarray(model.predict_proba(rows))[:, 1]
