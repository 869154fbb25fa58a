"""Draws with the real engine and asks the log whether its probabilities are true.

    python -m tests.proofs.propensities [--quick]

If p is the probability with which an action was drawn, the mean of 1{drawn}/p over all draws that it took part in is 1,
for every action, silence included. Two placements, groups, caps of every scope, a total that is scarce, and another
replica that contacts the same people between read and commit: none of them may bend it. Probabilities and candidates
are read from the log's records as they were encoded.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from takt.catalog.snapshot import Catalog, Exploration
from takt.catalog.workspace import load_workspace
from takt.clock import HOUR_US, ManualClock
from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.reading import DecisionTables, read_decisions
from takt.domain.decision import Decision
from takt.domain.log import START, LogKind
from takt.domain.request import DecideRequest, PlacementAsk
from takt.engine.engine import Engine, Limits
from takt.engine.force import force
from takt.features.record import ProfileRow, pack_profiles
from takt.memory.store import MemoryStore
from takt.model.prior import ConstantScorer
from takt.ports import Group, NullMeter, Outcome, ProfileWrite, Scores
from tests.proofs.figures import SHOWN, Figures

WORKSPACE: Final = Path(__file__).parents[1] / "workspaces" / "draws"
MONDAY_US: Final = 1_795_431_600_000_000
PEOPLE: Final = 720
BATCH: Final = 48
RULES: Final = {
    "greedy": Exploration("greedy", silence_floor=0.2, arm_rule="epsilon", arm_epsilon=0.4),
    "epsilon": Exploration("epsilon", epsilon=0.4, silence_floor=0.05, arm_rule="softmax", arm_temperature=0.5),
    "softmax": Exploration("softmax", temperature=0.5, silence_floor=0.05, arm_rule="epsilon", arm_epsilon=0.4),
    "squarecb": Exploration("squarecb", gamma=4.0, silence_floor=0.05, arm_rule="softmax", arm_temperature=0.5),
}
SEEDS: Final = {name: 11 + at for at, name in enumerate(RULES)}
"""One each: under the same request ids all rules would draw the same numbers, and be wrong together."""
SILENCE: Final = "silence"
TONALITIES: Final = ("factual", "warm")
PLACEMENTS: Final = ("hero", "row")


class FixedScorer:
    """Acceptance by offer and tonality alone, so that whoever reads the log knows which candidate is the best."""

    version = "fixed/1.0.0"

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],  # noqa: ARG002 - the protocol's
        offers: npt.NDArray[np.float32],  # noqa: ARG002 - the protocol's
        offer_code: npt.NDArray[np.int64],
    ) -> Scores:
        """Acceptance `[R, 1, 2, O]`: the warm tone is a little better."""
        base = 0.1 + 0.02 * offer_code.astype(np.float32)
        one = (base * np.array([1.0, 1.2], np.float32)[:, None])[None]
        return Scores(acceptance=np.broadcast_to(one, (len(profile), *one.shape)).copy())

    def offer_codes(self, offers: Sequence[str]) -> npt.NDArray[np.int64]:
        """1, 2, 3, ..."""
        return np.arange(1, len(offers) + 1, dtype=np.int64)


class RacedStore(MemoryStore):
    """A store in memory in which others do something between a read and the commit that follows."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.before_commit: Callable[[], None] | None = None
        self.conflicts = 0

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """Let it happen, once, then compare and append."""
        happens, self.before_commit = self.before_commit, None
        if happens is not None:
            happens()
        outcomes = super().commit(groups)
        self.conflicts += sum(outcome.commit.value == "CONFLICT" for outcome in outcomes)
        return outcomes


class CarelessStore(RacedStore):
    """A store that lets silence skip the check: what the design forbids, to show that it would be seen.

    Where a lost race is given up at once, silence is logged then, and nothing else is.
    """

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        """Compare only where there are contacts."""
        return super().commit([g._replace(compare=False) if _silent(g) else g for g in groups])


def _silent(group: Group) -> bool:
    return not any(entry.contacts for entry in group.entries)


@dataclass(slots=True)
class Ratio:
    """1{drawn}/p over the draws that an action took part in."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    """Of the deviations from 1."""
    drawn: int = 0

    def add(self, value: float) -> None:
        """One draw; 0 if something else was drawn."""
        self.n += 1
        self.total += value
        self.squares += (value - 1.0) ** 2
        self.drawn += value > 0.0

    @property
    def mean(self) -> float:
        """It should be 1."""
        return self.total / self.n

    @property
    def errors(self) -> float:
        """Distance from 1 in standard errors. Deviations are martingale differences, so their squares add up."""
        return (self.mean - 1.0) / (math.sqrt(self.squares) / self.n)


@dataclass(slots=True)
class Account:
    """All actions of one rule."""

    ratios: dict[tuple[str, ...], Ratio] = field(default_factory=dict)
    draws: int = 0
    retried: int = 0
    decisions: int = 0

    def add(self, key: tuple[str, ...], value: float) -> None:
        """One draw of one action."""
        self.ratios.setdefault(key, Ratio()).add(value)

    @property
    def worst(self) -> tuple[tuple[str, ...], float]:
        """The action that is furthest from 1, in standard errors."""
        key = max(self.ratios, key=lambda k: abs(self.ratios[k].errors))
        return key, self.ratios[key].errors


def reckon(account: Account, tables: DecisionTables, catalog: Catalog, best: Callable[[Iterable[str]], str]) -> None:
    """Add what the records say.

    Offers are judged in the first slot of each placement, where candidates are logged; silence in every slot;
    tonalities wherever an offer was drawn.
    """
    greedy = catalog.exploration.rule == "greedy"
    offers = [offer.id for offer in catalog.offers]
    placements, slots = tables.placements, tables.slots
    account.decisions += len(tables.decisions.decision_id)
    account.retried += sum(attempts > 1 for attempts in tables.decisions.attempts)
    at = 0
    for placement, live_bits, count in zip(placements.placement, placements.live_offers, placements.slots, strict=True):
        for k in range(count):
            drawn, p, tonality, arm_p = (
                *(slots.offer[at], slots.offer_propensity[at]),
                *(slots.tonality[at], slots.arm_propensity[at]),
            )
            at += 1
            account.draws += 1
            account.add((placement, f"slot {k}", SILENCE), 1.0 / p if drawn is None else 0.0)
            if k == 0:
                live = [
                    offers[o] for o in range(len(offers)) if o // 8 < len(live_bits) and live_bits[o // 8] >> o % 8 & 1
                ]
                # greedy gives the others nothing, so nothing can be learned of them
                supported = [best(live)] if greedy else live
                for offer, tone in itertools.product(supported, TONALITIES):
                    hit = drawn == offer and tonality == tone
                    account.add((placement, f"slot {k}", offer, tone), 1.0 / (p * arm_p) if hit else 0.0)
            if drawn is not None:
                account.draws += 1
                for tone in TONALITIES:
                    account.add((placement, f"slot {k}", "tone", tone), 1.0 / arm_p if tonality == tone else 0.0)


@dataclass
class Draws:
    """An engine that decides for the same people day after day, and another one that gets in its way."""

    exploration: Exploration
    seed: int = 1
    store_type: type[RacedStore] = RacedStore
    placements: tuple[str, ...] = PLACEMENTS
    limits: Limits = field(default_factory=Limits)
    clock: ManualClock = field(default_factory=lambda: ManualClock(MONDAY_US))

    def __post_init__(self) -> None:
        self.catalog = replace(load_workspace(WORKSPACE), exploration=self.exploration)
        self.store = self.store_type(self.clock)
        self.engine, self.other = self._replica(), self._replica()
        self._chance = random.Random(self.seed)
        self._number = itertools.count()
        self._reached = [START] * self.store.decision_log.partitions
        row = ProfileRow(consents=frozenset({"web.personalisation"}), time_zone="Europe/Berlin", locale="de-DE")
        (record,) = pack_profiles(self.catalog.spec, [row], 0)
        self.store.put([ProfileWrite(f"p{n}", record, (), tightens=False) for n in range(PEOPLE)])

    def _replica(self) -> Engine:
        return Engine(
            force(self.catalog, FixedScorer()),
            self.store,
            ProtobufCodec(self.store.decision_log.partitions),
            prior=ConstantScorer(),
            clock=self.clock,
            meter=NullMeter(),
            service_version="0",
            limits=self.limits,
        )

    def best(self, live: Iterable[str]) -> str:
        """The candidate with the highest total, by the score's own formula; silence if none is worth more than 0."""
        totals = {SILENCE: 0.0}
        wanted = set(live)
        for at, (offer, value) in enumerate(
            zip(self.catalog.offers, self.catalog.value.tolist(), strict=True), start=1
        ):
            if offer.id in wanted:
                acceptance = float(np.float32(np.float32(0.1) + np.float32(0.02) * np.float32(at)) * np.float32(1.2))
                totals[offer.id] = acceptance * value - self.catalog.channels[0].contact_cost
        return max(totals, key=lambda name: totals[name])

    def _ask(self, person: int) -> DecideRequest:
        asks = tuple(PlacementAsk(name) for name in self.placements)
        return DecideRequest(f"{self.seed}-{next(self._number)}", asks, profile_id=f"p{person}")

    def batch(self) -> None:
        """Decide for some people, some of them twice; meanwhile the other replica decides for some of the same."""
        people = [self._chance.randrange(PEOPLE) for _ in range(BATCH)]
        raced = self._chance.sample(people, BATCH // 3)
        self.store.before_commit = lambda: _decided(self.other, [self._ask(person) for person in raced])
        _decided(self.engine, [self._ask(person) for person in people])
        self.clock.advance(2 * HOUR_US)

    def records(self) -> Iterator[bytes]:
        """What was logged since the last time; it is trimmed as soon as ids are forgotten."""
        log = self.store.decision_log
        for partition in range(log.partitions):
            while page := log.read(partition, self._reached[partition], 1_000):
                self._reached[partition] = page[-1].position
                yield from (entry.record for entry in page if entry.kind is LogKind.DECISION)
        log.trim(self._reached)


def _decided(engine: Engine, requests: list[DecideRequest]) -> None:
    for answer in engine.decide(requests):
        assert isinstance(answer, Decision), answer


def careless() -> Draws:
    """One placement on a careless store, by a service that gives up at the first lost race."""
    return Draws(RULES["epsilon"], store_type=CarelessStore, placements=("hero",), limits=Limits(attempts=1))


def run(draws: Draws, wanted: int, tell: Callable[[int], None] = lambda draws: None) -> Account:  # noqa: ARG005
    """Draw at least so often, and reckon."""
    account = Account()
    while account.draws < wanted:
        for _ in range(20):
            draws.batch()
        reckon(account, read_decisions(list(draws.records())), draws.catalog, draws.best)
        tell(account.draws)
    return account


def told(account: Account) -> list[str]:
    """One line per action."""
    return [
        f"{' '.join(key):<28} {ratio.mean:.4f}  {ratio.errors:+.2f} standard errors  ({ratio.drawn:,} of {ratio.n:,})"
        for key, ratio in sorted(account.ratios.items())
        if not key[2].startswith("tone")
    ]


def prove(figures: Figures, wanted: int, rules: Sequence[str]) -> None:
    """Some rules, then what a careless store would do."""
    everything: list[float] = []
    for name in rules:
        figures.step(f"{name}: {wanted:,} draws")
        draws = Draws(RULES[name], seed=SEEDS[name])
        said = time.monotonic()

        def tell(done: int) -> None:
            nonlocal said
            if time.monotonic() - said > 10.0:
                said = time.monotonic()
                figures.note(f"{done:,} draws")

        account = run(draws, wanted, tell)
        for line in told(account):
            figures.note(line)
        key, errors = account.worst
        everything += [ratio.errors for ratio in account.ratios.values()]
        figures.check(f"{name}_draws", account.draws, f">= {wanted}")
        figures.check(f"{name}_actions", len(account.ratios), SHOWN)
        figures.check(f"{name}_lost_races", account.retried, ">= 100")
        figures.check(f"{name}_furthest", " ".join(key), SHOWN)
        figures.check(f"{name}_most_standard_errors", round(abs(errors), 2), "<= 3.0")
    # were all probabilities true, 1 in 20 would lie beyond two
    beyond = sum(abs(errors) > 2.0 for errors in everything) / len(everything)
    figures.check("share_beyond_two_standard_errors", round(beyond, 3), SHOWN)
    figures.step("a store that lets silence skip the check")
    ratio = run(careless(), wanted // 4).ratios["hero", "slot 0", SILENCE]
    figures.check("careless_silence", round(ratio.mean, 3), SHOWN)
    figures.check("careless_standard_errors", round(abs(ratio.errors), 1), ">= 5.0")


def main() -> int:
    """Run all checks; the exit code."""
    parser = argparse.ArgumentParser(prog="prove-propensities", description="Recover logged probabilities by drawing.")
    parser.add_argument("--quick", action="store_true", help="40,000 draws per rule instead of 400,000")
    parser.add_argument("--rule", choices=RULES, action="append", help="only this rule; may be repeated")
    given = parser.parse_args()
    wanted = 40_000 if given.quick else 400_000
    figures = Figures()
    begun = time.monotonic()
    prove(figures, wanted, given.rule or list(RULES))
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
