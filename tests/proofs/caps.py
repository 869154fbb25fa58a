"""Checks that no contact cap is ever exceeded: many callers, few customers, servers and stores that are killed.

    python -m tests.proofs.caps [--quick]

Several `takt serve` on one store, processes of callers with many calls in flight, retries, feedback late, twice and out
of order, SIGKILL at random moments. Afterwards every window of every cap is counted again, from what callers were told
and from the ledgers (`tests.proofs.recounting`). Prints as its last line one JSON object of figures with the bar beside
each, and ends with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from takt.catalog.snapshot import Catalog
from takt.catalog.workspace import load_workspace
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt_training.demo.serving import Service
from tests.integration.model.graphs import Recipe, write
from tests.proofs.figures import SHOWN, Figures
from tests.proofs.grounds import alive
from tests.proofs.recounting import compare, from_ledgers, from_told, granted_twice, judge
from tests.proofs.storming import Orders, Told, made

WORKSPACE = Path(__file__).parents[1] / "workspaces" / "caps"
CALLING = 2
"""Processes of callers."""
STAY_S = 60.0
SETTLED_S = 300.0
"""How long callers may take to settle what is open once the calls are made."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does."""

    attempts: int
    processes: int
    kills: int
    store: str
    fsync: Any
    store_kills: int
    callers: int
    customers: int
    seed: int


@dataclass(slots=True)
class Ground:
    """The store and the servers of a run."""

    directory: Path
    plan: Plan
    server: EmbeddedServer
    bundle: Path
    ports: list[int]
    services: list[Service] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    serving: set[int] = field(default_factory=set)
    """Places whose server has begun to serve: only these are killed."""

    def serve(self, place: int) -> Service:
        """One server at its place; again at the same port after it was killed."""
        given = {
            "workspace": str(WORKSPACE),
            "model": str(self.bundle),
            "listen": f"127.0.0.1:{self.ports[2 * place]}",
            "admin_listen": f"127.0.0.1:{self.ports[2 * place + 1]}",
            "metrics_listen": "",
            "redis_url": self.server.url,
            "store_timeout_ms": "2000",
            "decide_budget_ms": "8000",
            "max_waiting": "8192",
        }
        return Service(given, self.directory / f"serve-{place}-{self.killed.total()}.log")

    def kill_server(self, place: int) -> None:
        """SIGKILL, and start it again without waiting for it."""
        self.serving.discard(place)
        self.services[place].kill()
        self.killed["server"] += 1
        self.services[place] = self.serve(place)
        threading.Thread(target=self.await_ready, args=(place,), daemon=True).start()

    def await_ready(self, place: int) -> None:
        """Note when a server serves."""
        self.services[place].await_ready()
        self.serving.add(place)

    def kill_store(self) -> None:
        """SIGKILL, and start it again on its append-only file."""
        pid = self.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while alive(pid):
            time.sleep(0.01)
        self.server.stop()
        self.server.start(120.0)
        self.killed["store"] += 1


def main() -> int:
    """Run it; the exit code."""
    plan = read_plan()
    # forks of a process that speaks gRPC would otherwise be warned about; the children are other programs
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    figures = Figures()
    begun = time.monotonic()
    catalog = load_workspace(WORKSPACE)
    with tempfile.TemporaryDirectory(prefix="takt-caps-") as directory:
        figures.step(
            f"start {plan.processes} takt serve on {plan.store} with appendfsync {plan.fsync}: "
            f"{', '.join(f'{cap.id} (at most {cap.limit})' for cap in catalog.caps)}"
        )
        with ground(Path(directory), plan, catalog) as on:
            told = weather(on, figures)
            figures.step("read all ledgers")
            raw = ledgers_of(on.server)
        check(figures, plan, catalog, told, raw)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


def read_plan() -> Plan:
    """From the command line."""
    parser = argparse.ArgumentParser(prog="prove-caps", description="Check that no contact cap is ever exceeded.")
    parser.add_argument("--quick", action="store_true", help="30,000 attempts, 2 processes, 2 kills")
    parser.add_argument("--attempts", type=int, metavar="N", help="calls of Decide (1,000,000)")
    parser.add_argument("--processes", type=int, metavar="N", help="takt serve processes (4)")
    parser.add_argument("--kills", type=int, metavar="N", help="SIGKILLs of servers (20)")
    parser.add_argument("--store", choices=["valkey", "redis"], default="valkey", help="embedded, or redis-server")
    parser.add_argument("--fsync", choices=["always", "everysec"], default="always")
    parser.add_argument("--store-kills", type=int, metavar="N", help="SIGKILLs of the store (3; with --quick none)")
    parser.add_argument("--callers", type=int, metavar="N", default=256, help="calls in flight at once")
    parser.add_argument("--customers", type=int, metavar="N", default=80, help="customers at any one time")
    parser.add_argument("--seed", type=int, metavar="N", default=1)
    given = parser.parse_args()
    usual = (30_000, 2, 2, 0) if given.quick else (1_000_000, 4, 20, 3)
    asked = (given.attempts, given.processes, given.kills, given.store_kills)
    attempts, processes, kills, store_kills = (u if a is None else a for a, u in zip(asked, usual, strict=True))
    return Plan(
        attempts,
        processes,
        kills,
        given.store,
        given.fsync,
        store_kills,
        given.callers,
        given.customers,
        given.seed,
    )


@contextmanager
def ground(directory: Path, plan: Plan, catalog: Catalog) -> Iterator[Ground]:
    """Store and servers, all serving; all stopped at the end."""
    binary = None
    if plan.store == "redis":
        found = shutil.which("redis-server")
        if found is None:
            sys.exit("prove-caps: --store redis needs redis-server on PATH (Debian's package of that name has it)")
        binary = Path(found)
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer(directory / "store", fsync=plan.fsync, binary=binary))
        embedded_store_id(server)
        offers = tuple(offer.id for offer in catalog.offers)
        timings = tuple(timing.id for timing in catalog.timings)
        recipe = Recipe(
            spec=catalog.spec,
            timings=timings,
            tonalities=catalog.tonalities,
            offers=offers,
            axes=(len(timings), len(catalog.tonalities)),
            codes=len(offers) + 1,
        )
        on = Ground(
            directory, plan, server, write(directory / "tiny" / "1.0.0", recipe), lasting_ports(2 * plan.processes)
        )
        on.services = [on.serve(place) for place in range(plan.processes)]
        stack.callback(lambda: [service.stop() for service in on.services])
        for place in range(plan.processes):
            on.await_ready(place)
        yield on


def lasting_ports(number: int) -> list[int]:
    """Ports that nobody listens on, and that no outgoing connection is given while their server is down."""
    found: list[int] = []
    for port in random.sample(range(15_000, 30_000), 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == number:
            return found
    sys.exit("prove-caps: there are no free ports between 15000 and 30000")


def weather(on: Ground, figures: Figures) -> Told:
    """Let callers storm while servers and store are killed; what they were told."""
    plan = on.plan
    figures.step(
        f"{plan.attempts:,} calls by {plan.callers} callers at once for {plan.customers} customers at a time; "
        f"{plan.kills} SIGKILLs of servers, {plan.store_kills} of the store"
    )
    draw = random.Random(plan.seed)
    orders = [
        Orders(
            name=f"r{plan.seed}-{number}",
            addresses=[service.public.address for service in on.services],
            calls=plan.attempts // CALLING,
            callers=plan.callers // CALLING,
            customers=plan.customers,
            stay_s=STAY_S,
            placements=["hero", "tile", "inbox"],
            told=str(on.directory / f"told-{number}.jsonl"),
            made=str(on.directory / f"made-{number}"),
            seed=plan.seed * 1000 + number,
        )
        for number in range(CALLING)
    ]
    begun = time.monotonic()
    processes = [
        subprocess.Popen([sys.executable, "-m", "tests.proofs.storming", json.dumps(asdict(order))]) for order in orders
    ]
    faults = ["server"] * plan.kills + ["store"] * plan.store_kills
    draw.shuffle(faults)
    moments = sorted(draw.uniform(0.05, 0.95) * plan.attempts for _ in faults)
    try:
        follow(
            on,
            figures,
            processes,
            made_in=[order.made for order in orders],
            faults=list(zip(moments, faults, strict=True)),
            draw=draw,
        )
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    took = time.monotonic() - begun
    figures.check("callers_that_failed", sum(process.returncode != 0 for process in processes), "== 0")
    calls = made([order.made for order in orders])
    figures.check("attempts", calls, f">= {plan.attempts}")
    figures.check("attempts_per_second", round(calls / took), SHOWN)
    figures.check("servers_killed", on.killed["server"], f"== {plan.kills}")
    figures.check("stores_killed", on.killed["store"], f"== {plan.store_kills}")
    return Told(tuple(order.told for order in orders))


def follow(
    on: Ground,
    figures: Figures,
    processes: Sequence[subprocess.Popen[bytes]],
    *,
    made_in: Sequence[str],
    faults: list[tuple[float, str]],
    draw: random.Random,
) -> None:
    """Kill when it is time, and say how far it is, until all callers are done."""
    begun = told_at = time.monotonic()
    done_at = 0.0
    while any(process.poll() is None for process in processes):
        time.sleep(0.05)
        now, calls = time.monotonic(), made(made_in)
        if faults and calls >= faults[0][0] and (faults[0][1] == "store" or on.serving):
            _, what = faults.pop(0)
            if what == "store":
                on.kill_store()
                figures.note(f"{now - begun:6.1f} s: store killed and started again")
            else:
                place = draw.choice(sorted(on.serving))
                on.kill_server(place)
                figures.note(f"{now - begun:6.1f} s: server {place} killed and started again")
        if now - told_at > 10:
            told_at = now
            figures.note(f"{now - begun:6.1f} s: {calls:,} calls")
        if calls >= on.plan.attempts:
            done_at = done_at or now
            if now - done_at > SETTLED_S:
                figures.note("callers do not come to an end")
                return


def ledgers_of(server: EmbeddedServer) -> dict[bytes, bytes]:
    """All ledgers as they lie in the store, by the digest in their key."""
    with redis.Redis(unix_socket_path=str(server.socket), socket_timeout=60) as client:
        keys = list(client.scan_iter(match=b"takt:{*}:l:*", count=1000))
        return {key.split(b":l:", 1)[1]: client.get(key) for key in keys}


def check(figures: Figures, plan: Plan, catalog: Catalog, told: Told, raw: dict[bytes, bytes]) -> None:
    """Recount, compare, and hold all of it against the bars."""
    strict = "== 0" if plan.fsync == "always" or plan.store_kills == 0 else SHOWN
    people = answered(figures, told, strict)
    recounted(figures, catalog, told, raw=raw, people=people, strict=strict)


def answered(figures: Figures, told: Told, strict: str) -> dict[str, str]:
    """What kinds of answers there were; persons by the digest that their decision ids end with."""
    asked, final, contacted = set[str](), set[str](), set[str]()
    causes, lost, outcomes, others = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    answers = 0
    people: dict[str, str] = {}
    for line in told:
        if line["k"] == "f":
            outcomes[line["outcome"] or "lost"] += 1
            continue
        asked.add(line["id"])
        if line["k"] == "l":
            lost[line["code"]] += 1
            continue
        answers += 1
        people[line["decision"][24:]] = line["person"]
        causes.update(line["causes"])
        others.update(line["others"])
        if not line["causes"]:
            final.add(line["id"])
        if line["contacts"]:
            contacted.add(line["id"])
    figures.step("answers")
    figures.check("ids", len(asked), SHOWN)
    figures.check("ids_with_contacts", len(contacted), f">= {len(asked) // 100}")
    figures.check("lost_answers", lost.total(), SHOWN)
    figures.check("ids_never_answered", len(asked - final), "== 0")
    figures.check("contention", causes["CONTENTION"], SHOWN)
    figures.check("contention_share", round(causes["CONTENTION"] / max(1, answers), 6), "< 0.001")
    figures.note(f"degraded answers: {dict(causes)}; lost: {dict(lost)}")
    figures.note(f"feedback: {dict(outcomes)}")
    figures.check("feedback_late", outcomes["LATE"], ">= 1")
    figures.check("feedback_orphaned", outcomes["ORPHAN"], strict)
    figures.check("ids_granted_twice", granted_twice(told), strict)
    figures.check("refusals_for_other_reasons", others.total(), "== 0")
    return people


def recounted(
    figures: Figures,
    catalog: Catalog,
    told: Told,
    *,
    raw: dict[bytes, bytes],
    people: dict[str, str],
    strict: str,
) -> None:
    """Every window of every cap, and every refusal."""
    figures.step("count every window of every cap again, from the answers and from the ledgers")
    from_answers = from_told(catalog, told)
    ledgers = from_ledgers(catalog, raw, people)
    figures.check("customers", len(people), SHOWN)
    figures.check("contacts_told", len(from_answers.contacts), SHOWN)
    figures.check("contacts_in_ledgers", len(ledgers.recount.contacts), SHOWN)
    for name, recount in (("answers", from_answers), ("ledgers", ledgers.recount)):
        surely, open_ones = recount.over_delivered()
        figures.check(f"over_delivered_by_{name}", surely, strict)
        figures.check(f"open_grants_by_{name}", open_ones, SHOWN)
    differences = compare(from_answers, ledgers)
    figures.check("contacts_lost", differences.lost, strict)
    figures.check("contacts_nobody_was_told", differences.untold, strict)
    figures.check("contacts_twice_in_ledgers", ledgers.twice, "== 0")
    figures.check("contacts_that_differ", differences.moved, strict)
    figures.check("confirmations_lost", differences.unconfirmed, strict)

    figures.step("judge every refusal by a cap again, at its moment")
    for key, contact in ledgers.recount.contacts.items():
        from_answers.contacts.setdefault(key, contact)
    from_answers.shelve()
    refusals = judge(from_answers, told)
    figures.note(f"refusals by cap: {dict(refusals.by_cap)}")
    for example in refusals.examples:
        figures.note(f"unjustified: {example}")
    figures.check("refusals", sum(refusals.kinds.values()), SHOWN)
    figures.check("unjustified_refusals", refusals.kinds["unjustified"], strict)
    figures.check("open_refusals_share", round(refusals.kinds["open"] / max(1, sum(refusals.kinds.values())), 5), SHOWN)
    figures.check("caps_that_refused", len(refusals.by_cap), f">= {len(catalog.caps)}")


if __name__ == "__main__":
    sys.exit(main())
