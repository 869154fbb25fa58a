"""A data scientist's way: serve, export the log, train, check, judge beside the champion, serve what came of it."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from takt.catalog.workspace import load_workspace
from takt.cli.messages import profile_write
from takt.v1 import (
    decision_pb2,
    decision_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
    types_pb2,
)
from takt_training.complete_journey.profiles import Household
from takt_training.demo import people
from tests.integration.rpc.process import Service

TOP = Path(__file__).parents[3]
SHOP = TOP / "examples" / "complete_journey"
CHAMPION = TOP / "models" / "complete-journey" / "1.0.0"
PATIENT = ("--store-timeout-ms", "5000", "--decide-budget-ms", "20000")
HOUSEHOLDS, EARLIER = 1_200, 800
WINDOW_S = 2
OFTEN = 10
"""Baskets in 84 days from which a household accepts half of what it is shown; others a twentieth."""
PAGE = {"page": types_pb2.Value(string_value="home")}

pytestmark = pytest.mark.timeout(600)  # kernels and the trainer may have to be compiled


@dataclass(frozen=True)
class Told:
    """What a command printed."""

    code: int
    out: str
    error: str


@dataclass(frozen=True)
class Log:
    """An archive, and a moment in it between two bursts of decisions."""

    archive: Path
    between: datetime


def takt(*arguments: object) -> Told:
    """Run a command of takt."""
    command = [str(Path(sys.executable).with_name("takt")), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    return Told(done.returncode, done.stdout, done.stderr)


def served(service: Service, households: Sequence[Household], model: str) -> None:
    """Profiles, decisions by `model`, and what became of them: who shops often accepts ten times as often."""
    draw = random.Random(7)
    spec = load_workspace(SHOP).spec
    with service.admin as channel:
        put = profile_pb2_grpc.ProfileServiceStub(channel).Put
        rows = [profile_write(people.plain(household, spec)) for household in households]
        for at in range(0, len(rows), 100):
            put(profile_pb2.ProfileServicePutRequest(profiles=rows[at : at + 100]))
    with service.public as channel:
        decide = decision_pb2_grpc.DecisionServiceStub(channel).Decide
        record = feedback_pb2_grpc.FeedbackServiceStub(channel).Record

        def ask(household: Household, request_id: str = "") -> decision_pb2.DecideResponse:
            return decide(
                decision_pb2.DecideRequest(
                    request_id=request_id or f"r-{household.profile_id}",
                    profile_id=household.profile_id,
                    placements=[decision_pb2.PlacementRequest(placement="home_tiles")],
                    context=PAGE,
                )
            )

        def report(kind: str, answers: Sequence[tuple[str, str]]) -> None:
            for at in range(0, len(answers), 200):
                events = [
                    feedback_pb2.Event(
                        event_id=f"{kind}-{decision}-{offer}",
                        type=kind,
                        decision_id=decision,
                        offer=offer,
                        placement="home_tiles",
                    )
                    for decision, offer in answers[at : at + 200]
                ]
                record(feedback_pb2.RecordRequest(events=events))

        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(ask, households))
        assert {model} == {answer.versions.model for answer in answers}
        shown, accepted = [], []
        for household, answer in zip(households, answers, strict=True):
            often = household.row.features["baskets_84d"] > OFTEN
            for offer in answer.placements[0].offers:
                shown.append((answer.decision_id, offer.offer))
                if draw.random() < (0.5 if often else 0.05):
                    accepted.append(shown[-1])
        report("impression", shown)
        report("accept", accepted)
        time.sleep(WINDOW_S + 1)
        ask(household=households[0], request_id=f"last-{len(households)}")  # the log is known until its last record


@pytest.fixture(scope="module")
def households() -> list[Household]:
    """Real ones."""
    return people.known(load_workspace(SHOP).spec)[:HOUSEHOLDS]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, households: list[Household]) -> Log:
    """The log of a service that was asked by all of them, exported."""
    data = tmp_path_factory.mktemp("served")
    with Service(["--data-dir", str(data), "--model", str(CHAMPION), *PATIENT], SHOP) as service:
        served(service.wait_ready(), households[:EARLIER], "complete-journey/1.0.0")
        between = datetime.now(UTC)
        served(service, households[EARLIER:], "complete-journey/1.0.0")
        assert 0 == service.end()
    out = tmp_path_factory.mktemp("log") / "archive"
    exported = takt("log", "export", "--out", out, "--data-dir", data)
    assert 0 == exported.code, exported.error
    return Log(out, between)


def settings(directory: Path, **given: Any) -> Path:
    """A settings file."""
    plain = {"name": "shop", "version": "1.1.0", "goal": "accept", "window": f"{WINDOW_S}s", **given}
    path = directory / "training.yaml"
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, log: Log) -> Path:
    """What was learned from the log."""
    directory = tmp_path_factory.mktemp("trained")
    given = settings(directory, split={"by": "person"})
    trained = takt(
        "train", "--log", log.archive, "--workspace", SHOP, "--settings", given, "--out", directory / "bundle"
    )
    assert trained.code in (0, 1), trained.error  # 1: a bar of its report was missed; it is written all the same
    return directory / "bundle"


def test_what_was_shown_and_accepted_is_learned(bundle: Path) -> None:
    """People of whom nothing was learned are told apart, well beyond chance, and by what they were told apart by."""
    report = json.loads((bundle / "report.json").read_text(encoding="utf-8"))

    judgement = report["judgement"]
    assert judgement["model"]["auc"]["low"] > 0.6
    assert judgement["persons"] < HOUSEHOLDS / 2
    assert judgement["importance"][0]["column"].startswith("profile.")


def test_it_may_be_served_and_says_so(bundle: Path, tmp_path: Path, households: list[Household]) -> None:
    """The check accepts it, and a service that is started with it decides by it."""
    checked = takt("model", "check", bundle, "--workspace", SHOP)
    assert 0 == checked.code, checked.out + checked.error
    with Service(["--data-dir", str(tmp_path), "--model", str(bundle), *PATIENT], SHOP) as service:
        served(service.wait_ready(), households[:40], "shop/1.1.0")
        assert 0 == service.end()


def test_it_is_judged_beside_the_champion(log: Log, bundle: Path, tmp_path: Path) -> None:
    """Every policy has a value with its interval, or the reason why the log cannot tell it."""
    judged = takt(
        *("evaluate", "--log", log.archive, "--bundle", bundle, "--champion", CHAMPION, "--workspace", SHOP),
        *("--goal", "accept", "--window", f"{WINDOW_S}s", "--from", log.between.strftime("%Y-%m-%dT%H:%M:%S")),
        *("--out", tmp_path / "report", "--json"),
    )

    assert judged.code in (0, 1), judged.error
    assert (tmp_path / "report" / "report.html").is_file()
    found = [slot["found"] for slot in json.loads(judged.out)["comparison"]["slots"]]
    assert {"logged", "champion", "candidate"} <= {one["policy"] for one in found}
    assert all(one.get("reasons") or one["dr"]["low"] < one["dr"]["high"] for one in found)


def test_the_report_of_training_says_what_the_model_would_earn(log: Log, tmp_path: Path) -> None:
    """On one page that needs nothing else: split by time, and every policy on what came after the boundary."""
    given = settings(tmp_path, model={"epochs": 3}, split={"by": "time", "test": 0.25})
    out = tmp_path / "bundle"
    trained = takt(
        *("train", "--log", log.archive, "--workspace", SHOP, "--settings", given, "--out", out),
        *("--champion", CHAMPION, "--json"),
    )

    assert trained.out, trained.error
    assert "auc_minus_logistic_high" in json.loads(trained.out)
    told = json.loads((out / "report.json").read_text(encoding="utf-8"))
    policies = {one["policy"]: one for one in told["comparison"]["values"]}
    assert {"logged", "uniform", "champion", "candidate"} <= set(policies)
    assert all(one.get("reasons") or one["dr"]["low"] < one["dr"]["high"] for one in policies.values())
    assert told["comparison"]["boundary_us"] == told["split"]["boundary_us"]
    assert told["comparison"]["rows"][1] >= told["split"]["rows"]["test"]
    page = (out / "report.html").read_text(encoding="utf-8")
    order = ("Before you believe", "Data and split", "Who accepts", "Calibration", "What each policy would earn")
    assert sorted(order, key=page.index) == list(order)
    assert "Where it is worse" in page
    assert not re.search(r"https?:|<script|<img|<link", page)
    assert not list(out.glob("*.md")) + list(out.glob("*.svg"))


def test_a_split_by_person_says_why_no_policy_is_judged(bundle: Path) -> None:
    """Nothing that came later was kept back: the page names the command that judges it."""
    page = (bundle / "report.html").read_text(encoding="utf-8")

    assert "Not judged. Training kept people back, not a part of time" in page
    assert json.loads((bundle / "report.json").read_text(encoding="utf-8"))["comparison"] is None


def test_a_champion_that_cannot_be_used_is_told_before_training(log: Log, tmp_path: Path) -> None:
    """No bundle, or nothing to judge it by: the option is named, and nothing is written."""
    (tmp_path / "empty").mkdir()
    given = settings(tmp_path)
    out = tmp_path / "bundle"
    no_bundle = takt(
        *("train", "--log", log.archive, "--workspace", SHOP, "--settings", given, "--out", out),
        *("--champion", tmp_path / "empty"),
    )
    no_log = takt("train", "--champion", CHAMPION, "--out", out)

    assert 1 == no_bundle.code
    assert str(tmp_path / "empty") in no_bundle.error
    assert "learning" not in no_bundle.error + no_bundle.out
    assert (2, True) == (no_log.code, "--champion belongs to --log" in no_log.error)
    assert not out.exists()


def test_a_log_that_is_too_young_is_refused_with_its_counts(log: Log, tmp_path: Path) -> None:
    """Nothing has closed after a fortnight that has not passed: the message says so."""
    given = settings(tmp_path, window="14d")
    refused = takt(
        "train", "--log", log.archive, "--workspace", SHOP, "--settings", given, "--out", tmp_path / "bundle"
    )

    assert 1 == refused.code
    assert "decisions_whose_window_is_open" in refused.error
    assert not (tmp_path / "bundle").exists()
