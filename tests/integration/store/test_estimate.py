"""The estimate of memory, held against what servers really take."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np
import pytest
import redis
from click.testing import CliRunner

from takt.cli.exits import Exit
from takt.cli.main import main
from takt.domain.ledger import EMPTY
from takt.domain.request import Identity
from takt.redis.embedded import EmbeddedServer
from takt.redis.estimate import PROFILE_ID_BYTES, Population, estimate
from takt.redis.server import inspect
from takt.redis.sizes import Sizes
from takt.redis.store import RedisStore
from tests.contract.building import contact, entry, group, write

MINIMAL = Path(__file__).parents[2] / "workspaces" / "minimal"
TOLERANCE = 0.05
AT_ONCE = 500
REQUESTS = 6
"""Of each person on average, all remembered."""


@pytest.mark.parametrize(
    ("profiles", "record", "contacts", "log_record"),
    [(6_000, 344, 2, 100), (3_000, 64, 60, 100), (3_000, 700, 8, 1_000), (5_000, 100, 1, 50)],
)
def test_growth_is_as_estimated(
    *, client: redis.Redis, store: RedisStore, profiles: int, record: int, contacts: int, log_record: int
) -> None:
    """Profiles, contacts, identities, ids and log, through the store, take what was said, within a twentieth."""
    random = np.random.default_rng(profiles)
    people = [f"{i:0{PROFILE_ID_BYTES}}" for i in range(profiles)]
    asked = random.poisson(REQUESTS, profiles)
    store.commit([group("warm", entry("up"), snapshot_us=store.fetch(["warm"]).now_us)])
    before = _used(client)

    for at in range(0, profiles, AT_ONCE):
        some = people[at : at + AT_ONCE]
        store.put([write(one, random.bytes(record), identities=(Identity("login", one),)) for one in some])
        now = store.fetch(["anybody"]).now_us
        entries = {
            one: [
                entry(
                    secrets.token_hex(8),
                    *([] if i else [contact()] * contacts),
                    record=random.bytes(int(random.integers(log_record * 9 // 10, log_record * 11 // 10))),
                )
                for i in range(count)
            ]
            for one, count in zip(some, asked[at : at + AT_ONCE].tolist(), strict=True)
        }
        store.commit([group(one, *made, snapshot_us=now) for one, made in entries.items() if made])
    _lapse(client)
    grown = _used(client) - before

    retention_s = store.marker.retention_us / 1_000_000
    population = Population(
        profiles=profiles,
        record_bytes=record,
        contacts_per_profile=contacts,
        identities_per_profile=1,
        partitions=store.marker.partitions,
        decisions_per_second=profiles * REQUESTS / retention_s,
        retention_s=retention_s,
        log_hours=retention_s / 3600,
        log_record_bytes=log_record,
    )
    parts = {part.name: part for part in estimate(population, Sizes.of(inspect(store.wire)))}
    said = sum(part.bytes for part in parts.values()) - parts["request id"].bytes / 2  # there is one generation yet

    assert grown == pytest.approx(said, rel=TOLERANCE)


def test_command_asks_the_server(server: EmbeddedServer, store: RedisStore) -> None:
    """The store that is named is sized by what it is, its retention and the records in its log."""
    store.commit([group("p", entry("r", record=b"x" * 777), snapshot_us=store.fetch(["p"]).now_us)])

    arguments = ["--workspace", str(MINIMAL), "--profiles", "1000", "--decisions-per-second", "5"]
    result = CliRunner().invoke(main, ["store", "estimate", *arguments, "--redis-url", server.url, "--json"])

    assert Exit.OK == result.exit_code, result.output
    said = json.loads(result.stdout)
    assert store.server.version == said["server"]
    assert 777 == said["log_record_bytes"]
    assert 5 * 3600 == said["parts"]["log record"]["things"]
    assert said["used_bytes"] > 0
    assert said["fits"] is None


def test_too_small_a_server_is_named(client: redis.Redis, server: EmbeddedServer, store: RedisStore) -> None:
    """Where `maxmemory` is less than what is needed, the command says so."""
    assert EMPTY == store.fetch(["p"]).ledgers[0]
    client.config_set("maxmemory", 64 * 2**20)
    try:
        arguments = ["--workspace", str(MINIMAL), "--profiles", "10000000", "--redis-url", server.url]
        result = CliRunner().invoke(main, ["store", "estimate", *arguments])
    finally:
        client.config_set("maxmemory", 0)

    assert Exit.OK == result.exit_code, result.output
    assert "does not fit" in result.stderr
    assert "64.0 MiB" in result.stderr


def _used(client: redis.Redis) -> int:
    """Memory in use, once what lies behind a FLUSHALL has been given back."""
    while client.info("memory").get("lazyfree_pending_objects", 0):
        pass
    return int(client.info("memory")["used_memory"])


def _lapse(client: redis.Redis) -> None:
    """Drop the ledgers without entries that lapse within a minute: those of identities that were claimed."""
    lapsing = [key for key in client.scan_iter(match=b"takt:*:l:*", count=1000) if client.pttl(key) > 0]
    for at in range(0, len(lapsing), AT_ONCE):
        client.delete(*lapsing[at : at + AT_ONCE])
