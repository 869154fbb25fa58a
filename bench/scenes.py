"""What is measured against what.

Every scene alternates its subjects in rounds, so that a machine that speeds up or slows down does so for all of them,
and takes each ratio within one round.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace
from rich.console import Console

from bench import peering
from bench.figures import Notes
from bench.load import Generator, Job, Load
from bench.people import CONTACTS
from bench.servers import DECIDE_STREAM, import_s
from bench.stand import ASKED, Stand, stand
from bench.subjects import Subject, decider, references
from bench.workspace import Size

BUSY: Final = (64, 256)
"""Callers at which the highest load is looked for."""
SWEEP: Final = (8, 32, 128)
"""Further callers, for the plot."""
SIDE_BY_SIDE: Final = 64
"""Callers at which costs are compared."""
MOST_PER_PERSON: Final = 4
"""Decisions that one person gets in a run, where people are few: caps would fill up."""
OFFERED: Final = 0.95
"""Of the calls that an overload asks for, so many must really be made."""
OFFERS_TOLERANCE: Final = 0.15
"""Offers per decision may differ by so much between the first round and the last."""


class Bench(Struct):
    """One run of the bench."""

    generator: Generator
    scratch: Path
    out: Console
    rounds: int
    seconds: float
    only: frozenset[str]
    """Subjects that are measured; empty: all."""
    notes: Notes = field(default_factory=Notes)
    workers: int = 1
    quick: bool = False
    part: bool = False
    """Only some scenes or subjects."""
    _folders: Iterator[int] = field(default_factory=itertools.count)

    def wants(self, *names: str) -> bool:
        """Whether any of these was asked for."""
        return not self.only or bool(self.only.intersection(names))

    def folder(self) -> Path:
        """A new folder."""
        made = self.scratch / str(next(self._folders))
        made.mkdir()
        return made

    def ask(self, subject: Subject, *, callers: int = 0, rate: float = 0.0, seconds: float = 0.0, **more: int) -> Load:
        """One run of load; notes what it showed as `<subject>_<what>_<callers>`."""
        job = Job(
            address=subject.address,
            method=subject.method,
            messages=str(subject.messages),
            seconds=seconds or self.seconds,
            callers=callers,
            rate=rate,
            protocol=subject.protocol,
            watch=subject.pids,
            **more,
        )
        before = subject.serving.stages() if subject.serving else {}
        load = self.generator.run(job)
        at = f"{subject.name}_{{}}_{callers}" if callers else f"{subject.name}_{{}}_open"
        self.notes.add(at.format("per_s"), load.per_second)
        if rate:
            self.notes.add(at.format("offered_per_s"), load.offered_per_second)
        if load.p50_ms == load.p50_ms:  # NaN where times are not taken
            self.notes.add(at.format("p50_ms"), load.p50_ms)
            self.notes.add(at.format("p99_ms"), load.p99_ms)
        for name, cores in load.cores.items():
            self.notes.add(at.format(f"{name}_cpu_us"), cores / load.per_second * 1e6)
        if load.offers:
            self.notes.add(at.format("offers"), load.offers)
        if load.failed:
            self.notes.add(at.format("failed"), load.failed)
        if subject.serving:
            self._note_stages(at.format("stages"), before, subject.serving.stages())
        return load

    def _note_stages(
        self, name: str, before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
    ) -> None:
        decided, batches = (after["batch"][at] - before.get("batch", (0.0, 0.0))[at] for at in (0, 1))
        if not decided:
            return
        self.notes.add(name.replace("stages", "batch"), decided / max(1.0, batches))
        for stage, (seconds, _) in after.items():
            spent = seconds - before.get(stage, (0.0, 0.0))[0]
            if stage != "batch" and spent:
                self.notes.add(f"{name} {stage} us", spent / decided * 1e6)

    def say(self, text: str) -> None:
        """Tell how far it is."""
        self.out.print(text, highlight=False)


def front_ends(bench: Bench, on: Stand) -> None:
    """Empty calls, decisions and the peer: alone, and at the highest load."""
    notes = bench.notes
    with ExitStack() as stack:
        subjects = dict(stack.enter_context(references(bench.folder())))
        for transport in ("grpcio", "native"):
            if bench.wants(transport):
                serving = stack.enter_context(on.serve(transport, bench.workers))
                subjects[f"decide_{transport}"] = decider(f"decide_{transport}", serving, on)
        if bench.wants("peer"):
            subjects["peer"] = stack.enter_context(peering.subject(on))
        if not bench.wants("native"):
            del subjects["empty_native"]
        levels = (1, SIDE_BY_SIDE) if bench.quick else (1, *BUSY)
        first_offers: dict[str, float] = {}
        last_offers: dict[str, float] = {}
        for n in range(bench.rounds):
            bench.say(f"front ends: round {n + 1} of {bench.rounds}")
            best: dict[str, float] = {}
            lone: dict[str, float] = {}
            order = list(subjects.values())
            for subject in (*order[n % len(order) :], *order[: n % len(order)]):
                on.lay()
                for callers in levels:
                    if subject.name == "peer" and callers > SIDE_BY_SIDE:
                        continue
                    load = bench.ask(subject, callers=callers)
                    if callers == 1:
                        lone[subject.name] = load.p50_ms
                    else:
                        best[subject.name] = max(best.get(subject.name, 0.0), load.per_second)
                    if callers == SIDE_BY_SIDE and load.offers:
                        first_offers.setdefault(subject.name, load.offers)
                        last_offers[subject.name] = load.offers
            for name, per_second in best.items():
                notes.add(f"{name}_highest_per_s", per_second)
                if name.startswith("decide") and "empty_grpcio" in best:
                    notes.add(f"{name}_over_empty_grpcio", per_second / best["empty_grpcio"])
            if "decide_native" in best and "peer" in best:
                notes.add("decide_native_over_peer", best["decide_native"] / best["peer"])
            if "decide_native" in lone:
                notes.add("lone_p50_over_empty_grpcio", lone["decide_native"] / lone["empty_grpcio"])
            if "decide_grpcio" in lone:
                notes.add("lone_p50_grpcio_over_empty_grpcio", lone["decide_grpcio"] / lone["empty_grpcio"])
        _same_offers(first_offers, last_offers)
        if not bench.quick:
            _sweep(bench, on, subjects)
        for name in ("decide_native", "decide_grpcio"):
            if name in subjects and (served := subjects[name].serving):
                notes.add("rss_mb" if name == "decide_native" else "rss_grpcio_mb", served.resident_mb())


def _same_offers(first: dict[str, float], last: dict[str, float]) -> None:
    """Raise `SystemExit` if decisions became poorer from the first round to the last."""
    for name, offers in first.items():
        if abs(last[name] - offers) > OFFERS_TOLERANCE * offers:
            raise SystemExit(f"{name}: {offers:.2f} offers per decision at the start, {last[name]:.2f} at the end")


def _sweep(bench: Bench, on: Stand, subjects: dict[str, Subject]) -> None:
    """Further points of latency over load, for the plot."""
    for n in range(min(bench.rounds, 2)):
        bench.say(f"load: round {n + 1} of {min(bench.rounds, 2)}")
        for subject in subjects.values():
            on.lay()
            for callers in SWEEP:
                if subject.name != "peer" or callers <= SIDE_BY_SIDE:
                    bench.ask(subject, callers=callers)


@contextmanager
def _pushed(bench: Bench, on: Stand) -> Iterator[dict[str, Subject]]:
    """The empty call and the service on both front ends, with the highest rate of each known."""
    with ExitStack() as stack:
        subjects = {"empty_grpcio": stack.enter_context(references(bench.folder()))["empty_grpcio"]}
        for transport in ("native", "grpcio"):
            if bench.wants(transport):
                serving = stack.enter_context(on.serve(transport, bench.workers))
                subjects[f"decide_{transport}"] = decider(f"decide_{transport}", serving, on)
        for name, subject in subjects.items():
            if f"{name}_highest_per_s" not in bench.notes.rounds:
                on.lay()
                best = max(bench.ask(subject, callers=callers).per_second for callers in BUSY)
                bench.notes.add(f"{name}_highest_per_s", best)
        yield subjects


def half_load(bench: Bench, on: Stand) -> None:
    """p99 of calls that come at half of the rate that each can take at most."""
    with _pushed(bench, on) as subjects:
        _half_load(bench, on, subjects)
        _bytes_per_contact(bench, on)


def overload(bench: Bench, on: Stand) -> None:
    """Decisions in time when three times as many come as can be made; the budget is the service's own."""
    with _pushed(bench, on) as subjects:
        _overload(bench, on, subjects)


def workers(bench: Bench, on: Stand) -> None:
    """Two processes of the service beside one, each at the better of its loads."""
    with on.serve("native") as one, on.serve("native", 2) as two:
        for n in range(bench.rounds):
            bench.say(f"workers: round {n + 1} of {bench.rounds}")
            best = []
            for name, serving in (("decide_one_worker", one), ("decide_two_workers", two)):
                on.lay()
                subject = decider(name, serving, on)
                best.append(max(bench.ask(subject, callers=callers).per_second for callers in BUSY))
            bench.notes.add("two_workers_over_one", best[1] / best[0])


def _half_load(bench: Bench, on: Stand, subjects: dict[str, Subject]) -> None:
    for n in range(bench.rounds):
        bench.say(f"half load: round {n + 1} of {bench.rounds}")
        p99 = {}
        for name in ("empty_grpcio", "decide_native", "decide_grpcio"):
            if name in subjects:
                on.lay()
                rate = bench.notes.median(f"{name}_highest_per_s") / 2
                load = bench.ask(replace(subjects[name], name=f"{name}_half"), rate=rate, seconds=2 * bench.seconds)
                p99[name] = load.p99_ms
        for name, figure in (
            ("decide_native", "p99_half_load_over_empty_grpcio"),
            ("decide_grpcio", "p99_half_load_grpcio_over_empty_grpcio"),
        ):
            if name in p99:
                bench.notes.add(figure, p99[name] / p99["empty_grpcio"])


def _overload(bench: Bench, on: Stand, subjects: dict[str, Subject]) -> None:
    for name in ("decide_native", "decide_grpcio"):
        if name not in subjects:
            continue
        highest = bench.notes.median(f"{name}_highest_per_s")
        hasty = replace(subjects[name], name=f"{name}_overload", messages=on.hasty)
        for n in range(bench.rounds):
            bench.say(f"overload of {name}: round {n + 1} of {bench.rounds}")
            on.lay()
            load = bench.ask(hasty, rate=3 * highest, seconds=2 * bench.seconds)
            figure = "goodput_at_3x" if name == "decide_native" else "goodput_at_3x_grpcio"
            if load.offered_per_second < OFFERED * 3 * highest:
                bench.notes.missing[figure] = (
                    f"{load.offered_per_second:,.0f} calls per second were taken of {3 * highest:,.0f} to be made"
                )
            else:
                bench.notes.add(figure, load.on_time_per_second / highest)


def _bytes_per_contact(bench: Bench, on: Stand) -> None:
    """What ledgers weigh after the service appended to them, per contact."""
    contacts = dict(zip(on.asked, (len(ledger) // 32 - 1 for ledger in on.store.fetch(on.asked).ledgers), strict=True))
    appended = [name for name, count in contacts.items() if count > CONTACTS]
    if not appended:
        bench.notes.missing["bytes_per_contact"] = "no ledger was appended to"
        return
    usage = on.store.wire.call("bench", [("MEMORY", "USAGE", on.store.keys_of(name).ledger) for name in appended])
    bench.notes.add("bytes_per_contact", sum(usage) / sum(contacts[name] for name in appended))
    bench.notes.add("contacts_per_ledger", sum(contacts[name] for name in appended) / len(appended))


def stream(bench: Bench, on: Stand) -> None:
    """One caller's stream beside unary calls, on grpcio: one connection, as many requests in flight."""
    with on.serve("grpcio") as serving:
        unary = decider("unary_grpcio", serving, on)
        streamed = decider("stream_grpcio", serving, on, DECIDE_STREAM)
        for n in range(bench.rounds):
            bench.say(f"stream: round {n + 1} of {bench.rounds}")
            rates = []
            for subject in (unary, streamed):
                on.lay()
                load = bench.ask(subject, callers=SIDE_BY_SIDE, connections=1)
                rates.append(load.per_second)
            on.lay()
            lone = bench.ask(unary, callers=1)
            bench.notes.add("stream_over_unary", rates[1] / rates[0])
            bench.notes.add("stream_over_lone_unary", rates[1] / lone.per_second)


def side_by_side(
    bench: Bench,
    pairs: Sequence[tuple[str, Subject, Callable[[], None]]],
    *,
    seconds: float = 0.0,
    scene: str,
) -> list[dict[str, float]]:
    """Seconds per decision of each subject in every round, at 64 callers; each is prepared before its turn."""
    costs = []
    for n in range(bench.rounds):
        bench.say(f"{scene}: round {n + 1} of {bench.rounds}")
        cost = {}
        for name, subject, prepare in pairs:
            prepare()
            cost[name] = 1.0 / bench.ask(subject, callers=SIDE_BY_SIDE, seconds=seconds).per_second
        costs.append(cost)
    return costs


def sizes(bench: Bench, on: Stand, others: dict[str, Size]) -> None:
    """Cost of a decision with other catalogs than the usual one."""
    with ExitStack() as stack:
        serving = stack.enter_context(on.serve("native"))
        pairs = [("usual", decider("usual", serving, on), on.lay)]
        for name, size in others.items():
            bench.say(f"{size}: a workspace, a model and a store of their own")
            other = stack.enter_context(stand(bench.folder(), size))
            other.populate(len(on.profiles))
            other.contacted()
            begun = stack.enter_context(other.serve("native"))
            bench.notes.add(f"{name}_ready_s", begun.ready_s)
            pairs.append((name, decider(name, begun, other), other.lay))
        for cost in side_by_side(bench, pairs, scene=", ".join(others)):
            for name in others:
                bench.notes.add(f"{name}_over_usual", cost[name] / cost["usual"])
            if "offers_1000" in cost:
                bench.notes.add("offers_1000_over_100", cost["offers_1000"] / cost["usual"])
            if "caps_10" in cost and "caps_1" in cost:
                bench.notes.add("caps_10_over_1", cost["caps_10"] / cost["caps_1"])


def ledgers(bench: Bench, on: Stand, contacts: Sequence[int] = (0, 20, 200)) -> None:
    """Cost of a decision by the length of the ledger."""
    with on.serve("native") as serving:
        pairs = [
            (str(count), decider(f"ledger_{count}", serving, on), lambda count=count: on.contacted(count))
            for count in contacts
        ]
        for cost in side_by_side(bench, pairs, scene="ledgers"):
            bench.notes.add("ledger_200_over_0", cost["200"] / cost["0"])
    on.contacted()


def profiles(bench: Bench, most: int) -> None:
    """Cost of a decision by how many profiles the store holds; as many people are asked for in both."""
    few = 1_000
    with ExitStack() as stack:
        small = stack.enter_context(stand(bench.folder()))
        large = stack.enter_context(stand(bench.folder()))
        bench.say(f"{most:,} profiles: loading")
        grown = large.populate(most, asked=few)
        bench.notes.add("bytes_per_profile", grown / most)
        small.populate(few)
        pairs = []
        for name, one in (("profiles_1k", small), ("profiles_1m", large)):
            one.contacted()
            pairs.append((name, decider(name, stack.enter_context(one.serve("native")), one), one.lay))
        trial = bench.ask(replace(pairs[0][1], name="profiles_trial"), callers=SIDE_BY_SIDE)
        seconds = min(bench.seconds, max(0.3, MOST_PER_PERSON * few / trial.per_second))
        for cost in side_by_side(bench, pairs, seconds=seconds, scene="profiles"):
            bench.notes.add("profiles_1m_over_1k", cost["profiles_1m"] / cost["profiles_1k"])


def start(bench: Bench, on: Stand) -> None:
    """From the start of the process until it serves, beside one that only imports what it has loaded then."""
    names = on.imported()
    import_s(names)
    for n in range(5):
        bench.say(f"start: {n + 1} of 5")
        with on.serve("native") as serving:
            ready_s = serving.ready_s
        merely_s = import_s(names)
        bench.notes.add("ready_s", ready_s)
        bench.notes.add("import_s", merely_s)
        bench.notes.add("ready_over_imports", ready_s / merely_s)


def disk(bench: Bench) -> None:
    """The usual stand with its store's files on this machine's disk, where a commit waits for it."""
    folder = Path(tempfile.mkdtemp(prefix="takt-bench-disk-"))
    try:
        with stand(folder) as on:
            on.populate(ASKED)
            on.contacted()
            with on.serve("native") as serving:
                subject = decider("disk", serving, on)
                for n in range(bench.rounds):
                    bench.say(f"on disk: round {n + 1} of {bench.rounds}")
                    on.lay()
                    for callers in (1, SIDE_BY_SIDE):
                        bench.ask(subject, callers=callers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
