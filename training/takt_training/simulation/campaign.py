"""One learner over all rounds: serve, ask, react, export, train, deploy, through the real service and its store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from takt.catalog.workspace import load_workspace
from takt.cli.catalog import files_of
from takt.model.onnx import load_scorer
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt_training.simulation import learning, workspace
from takt_training.simulation.bundles import write_constant
from takt_training.simulation.customers import Customers
from takt_training.simulation.learners import Cost, Learner
from takt_training.simulation.optimum import Bounds, Course, Weeks, always, run
from takt_training.simulation.policy import ModelPolicy, chance
from takt_training.simulation.serving import Served, SimulatedClock, served
from takt_training.simulation.world import ASKING_HOUR, Round, World, moment_us

Tell = Callable[[int, str], None]
"""Told how many rounds are done, and what is being done."""
ACTOR: Final = "takt simulate"


class Result(Struct, frozen=True, eq=False):
    """What became of one learner with one seed."""

    learner: Learner
    seed: int
    rounds: tuple[Round, ...]
    course: Course
    """What it has learned by the end, run without noise and without exploration."""
    archive: Path
    workspace: Path
    bundle: Path
    policy: ModelPolicy | None
    """The same, to ask; None for one that does not learn."""


class Plan(Struct, frozen=True):
    """What all learners of one seed have in common."""

    customers: Customers
    rounds: int
    decisions: int
    judged: Weeks
    bounds: Bounds
    costs: dict[Cost, float]
    directory: Path


def go_through(plan: Plan, learner: Learner, tell: Tell) -> Result:
    """All rounds of one learner."""
    seed = plan.customers.seed
    directory = plan.directory / f"{learner.name}-{seed}"
    archive = directory / "archive"
    clock = SimulatedClock(moment_us(0, 0, ASKING_HOUR) - 1)
    world = World(Weeks(plan.customers, 0, plan.rounds, plan.decisions), clock, plan.bounds.cost)
    first = workspace.Dials() if learner.learns else learner.dials(plan.costs)
    place = workspace.write(directory / "workspace-0", first)
    action = plan.bounds.action if learner.name == "constant" else -1
    model = write_constant(directory / "model-0", load_workspace(place), action=action)
    lessons = learning.lessons(plan.rounds) if learner.learns else ()
    rounds: list[Round] = []
    with ExitStack() as closing:
        # what a simulation loses with its machine it computes again
        store = closing.enter_context(EmbeddedServer(directory / "store", fsync="no"))
        embedded_store_id(store)
        service = ExitStack()
        closing.callback(service.close)
        now: Served = service.enter_context(served(place, model, store.url, clock))
        for number in range(plan.rounds):
            tell(number, "asking")
            rounds.append(world.week(number, now))
            tell(number, "exporting")
            learning.export(store.url, archive)
            if number + 1 in lessons:
                tell(number, "training")
                told = learning.settings(learner, number + 1, seed)
                model = learning.learn(archive, place, directory / f"model-{number + 1}", told)
                tell(number, "deploying")
                service.close()
                now = service.enter_context(served(place, model, store.url, clock))
                if len(rounds) == lessons[0]:
                    place = workspace.write(directory / "workspace-1", learner.dials(plan.costs))
                    now.admin.apply(files_of(place), actor=ACTOR, reason="something was learned")
            tell(number + 1, "")
    policy = None
    if learner.learns:
        catalog = load_workspace(place)
        policy = ModelPolicy(load_scorer(model, catalog), catalog)
    chosen = policy or (chance(seed) if learner.name == "uniform" else partial(always, action=action))
    return Result(learner, seed, tuple(rounds), run(chosen, plan.judged), archive, place, model, policy)
