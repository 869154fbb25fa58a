"""What a profile, a contact and a request id cost in the store, as the server itself counts."""

from __future__ import annotations

import numpy as np
import redis

from takt.memory.ledger import Ledger
from takt.redis.store import RedisStore
from tests.contract.building import contact, entry, group, write

PROFILE_BAR, CONTACT_BAR = 416, 40


def test_profile_fits_its_bar(client: redis.Redis, store: RedisStore) -> None:
    """A record of 64 features (344 bytes) costs at most 416 bytes with its key on the server that comes with Takt."""
    record = np.random.default_rng(1).bytes(344)
    store.put([write("someone@example.com with a rather long customer number 0123456789", record, tightens=True)])

    (key,) = [key for key in client.scan_iter(match=b"takt:*") if b":p:" in key]
    bar = PROFILE_BAR if store.server.version.startswith("valkey") else PROFILE_BAR + 40  # jemalloc's size classes

    assert client.memory_usage(key) <= bar


def test_contact_fits_its_bar(client: redis.Redis, store: RedisStore) -> None:
    """Twenty contacts, appended one by one, cost at most 40 bytes each on top of an empty ledger."""
    key = store.keys_of("p").ledger
    store.put([write("p", tightens=True)])
    empty = client.memory_usage(key)
    for i in range(20):
        fetched = store.fetch(["p"])
        ledger = Ledger.parse(fetched.ledgers[0])
        store.commit(
            [
                group(
                    "p",
                    entry(f"r{i}", contact()),
                    gate=ledger.gate,
                    appends=ledger.appends,
                    snapshot_us=fetched.now_us,
                )
            ]
        )

    assert 20 == Ledger.parse(store.fetch(["p"]).ledgers[0]).appends
    assert (client.memory_usage(key) - empty) / 20 <= CONTACT_BAR
