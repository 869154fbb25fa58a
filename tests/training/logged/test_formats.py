"""The log in formats of others: read by Vowpal Wabbit's own parser, and held to what Open Bandit Pipeline expects."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from takt.catalog.snapshot import Exploration
from takt.clock import MINUTE_US
from takt_training.logged.dataset import Logged, SlotState
from takt_training.logged.obp import bandit_feedback
from takt_training.logged.vw import lines
from tests.training.logged.test_load import Shop

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from vowpalwabbit import pyvw

EXPLORING = Exploration("softmax", temperature=5.0, silence_floor=0.3, arm_rule="epsilon", arm_epsilon=0.5)


@pytest.fixture(scope="module")
def shop() -> Shop:
    """Forty people who see a row of offers, or nothing; some buy."""
    made = Shop(EXPLORING)
    for number in range(40):
        decision = made.say(f"p{number}", "home_row", "newsletter")
        made.clock.advance(MINUTE_US)
        if number % 4:
            made.report("impression", decision, placement="home_row")
        if number % 3 == 1:
            made.report("purchase", decision, value=2.5, placement="home_row")
    return made


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where their log is exported to."""
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def logged(shop: Shop, archive: Path) -> Logged:
    """What is learned from it."""
    return shop.learned(archive, days=9)


def parsed(vw: Any, line: str) -> list[Any]:
    """The examples that VW makes of a line: the shared one first, then one per action."""
    examples: list[Any] = vw.parse(line)
    return examples


def test_vw_reads_what_was_logged(logged: Logged) -> None:
    """Its own parser finds as many actions, and the cost and probability of the one that was drawn."""
    vw = pyvw.Workspace("--cb_adf --dsjson --quiet")
    slots = logged.slots
    learned = 0
    for i, line in enumerate(lines(logged)):
        if not logged.example[i]:
            assert json.loads(line)["_skipLearn"]
            continue
        learned += 1
        shared, *actions = parsed(vw, line)
        del shared
        assert 1 + len(slots.candidates.of(i)) == len(actions)
        labelled = [
            (at, costs[0])
            for at, action in enumerate(actions)
            if (costs := action.get_label(pyvw.LabelType.CONTEXTUAL_BANDIT).costs)
        ]
        ((at, cost),) = labelled
        drawn = [-1, *slots.candidates.of(i).tolist()].index(int(slots.offer.codes[i]))
        assert (drawn, pytest.approx(-slots.reward[i]), pytest.approx(slots.offer_propensity[i])) == (
            *(at, cost.cost, cost.probability),
        )
        vw.finish_example([*parsed(vw, line)])
    assert learned > 30
    assert {True, False} == set(logged.example.tolist())
    vw.finish()


def test_vw_learns_from_a_whole_file(logged: Logged, tmp_path: Path) -> None:
    """Read as a file, every draw that counts is one weighted example, at the policy's own loss."""
    path = tmp_path / "log.dsjson"
    path.write_text("".join(f"{line}\n" for line in lines(logged)), encoding="utf-8")
    vw = pyvw.Workspace(f"--cb_explore_adf --dsjson --data {path} --quiet -q po")

    assert int(logged.example.sum()) == int(vw.get_weighted_examples())
    assert vw.get_sum_loss() < 0.0
    vw.finish()


def test_lines_say_what_was_known(logged: Logged) -> None:
    """Features by name, gaps left out, the chosen action first in `a`, and the time of the decision."""
    first = json.loads(next(iter(lines(logged))))

    assert {"recency_days": 10.0, "visits_30d": 5.0, "segment": "premium"}.items() <= first["c"]["Profile"].items()
    assert {"page": "basket", "channel": "web"}.items() <= first["c"]["Context"].items()
    assert "interests.kitchen" not in first["c"]["Profile"]
    silence, *offers = first["c"]["_multi"]
    assert {"Offer": {"id": "silence"}} == silence
    assert all({"id", "price", "department"} <= offer["Offer"].keys() for offer in offers)
    assert (first["_label_Action"], first["_label_probability"]) == (first["a"][0], first["p"][0])
    assert "2026-11-23T11:" in first["Timestamp"]


def test_obp_gets_arrays_without_gaps(logged: Logged) -> None:
    """Shapes, ranges and codes are those of its bandit feedback; what nobody saw is left out."""
    made = bandit_feedback(logged)
    n, actions = int(made["n_rounds"]), int(made["n_actions"])

    assert n == logged.example.sum() == len(made["context"]) == len(made["reward"]) == len(made["position"])
    assert 0 < (logged.slots.state == SlotState.NO_SHOW).sum()
    assert (actions, actions) == (len(made["action_names"]), len(made["action_context"]))
    assert all(np.isfinite(made[name]).all() for name in ("context", "action_context", "reward", "pscore"))
    assert ((made["pscore"] > 0) & (made["pscore"] <= 1)).all()
    assert set(range(len(made["position_names"]))) == set(made["position"].tolist())
    assert len(made["context_names"]) == made["context"].shape[1]
    seen = logged.take(logged.example)
    drawn = [text or "silence" for text in seen.slots.offer.texts()]
    assert drawn == made["action_names"][made["action"]].tolist()
    price = made["action_context"][:, made["action_context_names"].tolist().index("price")]
    assert 35.0 == price[made["action_names"].tolist().index("toy-train")]
    assert 0.0 == price[made["action_names"].tolist().index("silence")]


@pytest.mark.parametrize(("kind", "name"), [("vw", "log.dsjson"), ("obp", "bandit_feedback.npz")])
def test_the_command_writes_them(logged: Logged, archive: Path, kind: str, name: str) -> None:
    """From an archive as it is, without any store."""
    workspace = Path(__file__).parents[2] / "workspaces" / "minimal"
    takt = str(Path(sys.executable).with_name("takt"))
    done = subprocess.run(
        [
            *(takt, "log", "export", "--out", str(archive), "--format", kind, "--workspace", str(workspace)),
            *("--goal", "purchase", "--window", "2d", "--json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    told = json.loads(done.stdout)[kind]
    assert int(logged.example.sum()) == told["examples"]
    assert (archive / kind / name).stat().st_size > 0
    if kind == "vw":
        assert told["slots"] == len((archive / kind / name).read_text(encoding="utf-8").splitlines())
    else:
        assert told["examples"] == int(np.load(archive / kind / name)["n_rounds"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--goal", "purchase"], "name the directory that holds features.yaml with --workspace"),
        (["--workspace", "."], "name the event that is success with --goal"),
    ],
)
def test_what_an_outcome_needs_is_asked_for(tmp_path: Path, options: list[str], message: str) -> None:
    """An outcome is declared, not guessed."""
    takt = str(Path(sys.executable).with_name("takt"))
    command = [takt, "log", "export", "--out", str(tmp_path), "--format", "vw", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (2, True) == (done.returncode, message in done.stderr)
