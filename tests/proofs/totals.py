"""Checks from outside that a budget across customers is neither overspent nor left lying about when servers are killed.

    python -m tests.proofs.totals [--quick]

Four servers on one embedded store share one total cap; two are killed while callers ask as fast as they can. What was
delivered is counted in the ledgers, by a reader of its own.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import grpc
import redis

from takt.catalog.workspace import load_workspace
from takt.redis.embedded import EmbeddedServer, embedded_store_id
from takt_training.demo import people, places
from takt_training.demo.serving import Service
from tests.proofs.callers import Caller, ask, causes, offers
from tests.proofs.figures import SHOWN, Figures
from tests.proofs.grounds import HERO, TILES, Grounds, load, seconds_until

SERVERS = 4
CALLERS = 16
SPARE = 10
"""Tokens that may still be on their way ten seconds after the last recovery."""
WITHIN_S = 10.0
ENTRY_BYTES = 32


def with_total(directory: Path, limit: int) -> Path:
    """The demo's workspace, its caps replaced by one total."""
    workspace = directory / "workspace"
    shutil.copytree(places.workspace(None), workspace)
    policy = workspace / "policy.yaml"
    text = policy.read_text(encoding="utf-8")
    cap = f"caps:\n  - {{id: budget, scope: total, limit: {limit}, window: month}}\n"
    replaced, found = re.subn(r"(?m)^caps:\n(?: .*\n)+", cap, text)
    assert found == 1, f"{policy}: no caps to replace"
    policy.write_text(replaced, encoding="utf-8")
    return workspace


class Crowd:
    """Callers that ask for random households until they are told to stop, at whichever server answers."""

    def __init__(self, on: Grounds, services: list[Service]) -> None:
        self.told: Counter[str] = Counter()
        self._households = list(on.households)
        self._addresses = [service.public.address for service in services]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CALLERS)]

    def start(self) -> None:
        """All at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """When each has its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        callers = [Caller(address) for address in self._addresses]
        while not self._stop.is_set():
            request = ask(chance.choice(self._households), HERO, TILES)
            at = number
            answer = None
            while answer is None and not self._stop.is_set():
                # a server that is gone: the same request, under the same id, at the next
                try:
                    answer = callers[at % len(callers)].decide(request)
                except grpc.RpcError:
                    at += 1
                    time.sleep(0.02)
            if answer is None:
                break
            with self._lock:
                self.told["answers"] += 1
                self.told["contacts"] += len(offers(answer))
                self.told.update(causes(answer))
        for caller in callers:
            caller.close()


def delivered(client: redis.Redis) -> int:
    """Contacts in all ledgers, read from the store itself."""
    found = list(client.scan_iter(match="takt:*:l:*", count=1000))
    return sum(size // ENTRY_BYTES - 1 for size in (client.strlen(key) for key in found) if size)


def spent(client: redis.Redis) -> int:
    """Tokens spent in all pools, read from the store itself."""
    pools: list[bytes] = []
    for key in client.scan_iter(match="takt:*:t", count=1000):
        pools += cast("list[bytes]", client.hvals(key))
    return sum(int.from_bytes(pool[8:16], "little", signed=True) for pool in pools)


def prove(
    on: Grounds, services: list[Service], *, client: redis.Redis, limit: int, url: str, closing: ExitStack
) -> None:
    """Ask, kill, start anew, and count."""
    figures = on.figures
    crowd = Crowd(on, services)
    figures.step(f"{CALLERS} callers at {SERVERS} servers; one is killed at a half of {limit}, one at nine tenths")
    begun = time.monotonic()
    crowd.start()
    for number, share in ((1, 0.5), (2, 0.9)):
        seconds_until(lambda share=share: spent(client) >= share * limit, at_most_s=600.0)  # type: ignore[misc]
        services[number].kill()
        figures.note(f"server {number} killed after {time.monotonic() - begun:.1f} s at {spent(client)} of {limit}")
    for number in (1, 2):
        fresh = on.service(redis_url=url)
        closing.callback(fresh.stop)
        fresh.await_ready()
        services[number] = fresh
    recovered = time.monotonic()
    figures.note(f"both started anew after {recovered - begun:.1f} s, at {spent(client)}")
    took = seconds_until(lambda: spent(client) >= limit - SPARE, at_most_s=WITHIN_S)
    time.sleep(max(0.0, WITHIN_S - (time.monotonic() - recovered)))
    within = delivered(client)
    crowd.stop()
    in_all = delivered(client)
    figures.check("delivered_within_10_s", within, f">= {limit - SPARE}")
    figures.check("delivered_in_all", in_all, f"<= {limit}")
    figures.check("tokens_without_contact", spent(client) - in_all, "== 0")
    figures.check("told_and_not_delivered", max(0, crowd.told["contacts"] - in_all), "== 0")
    figures.check("seconds_after_recovery", took, SHOWN)
    figures.check("answers", crowd.told["answers"], SHOWN)
    figures.check("contention", crowd.told["CONTENTION"], SHOWN)
    figures.check("degraded_by_store", crowd.told["STORE"], SHOWN)


def main() -> int:
    """Run all checks; the exit code."""
    parser = argparse.ArgumentParser(prog="prove-totals", description="Spend a budget across customers under kills.")
    parser.add_argument("--quick", action="store_true", help="a budget of 1,000 instead of 10,000")
    quick = parser.parse_args().quick
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    limit = 1_000 if quick else 10_000
    figures = Figures()
    begun = time.monotonic()
    with ExitStack() as closing:
        directory = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="takt-proof-")))
        store = closing.enter_context(EmbeddedServer(directory / "store"))
        embedded_store_id(store)
        workspace = with_total(directory, limit)
        on = Grounds(directory, workspace, places.model(None), load_workspace(workspace), figures, quick)
        figures.step(f"start {SERVERS} servers on one embedded store, with a total of {limit}")
        services = [closing.enter_context(on.service(redis_url=store.url)) for _ in range(SERVERS)]
        for service in services:
            service.await_ready()
        load(services[0], on, people.known(on.catalog.spec))
        client = closing.enter_context(redis.Redis.from_url(store.url, protocol=2))
        prove(on, services, client=client, limit=limit, url=store.url, closing=closing)
    figures.check("seconds", round(time.monotonic() - begun, 1), SHOWN)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())
