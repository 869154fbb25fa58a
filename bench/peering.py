"""The peer on a stand: the same store, model, catalog and people, under keys of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np

from bench import servers
from bench.messages import STAMP, Messages
from bench.people import AT_ONCE
from bench.stand import PAGES, Stand
from bench.subjects import Subject
from bench.workspace import PLACEMENTS
from takt.features.record import unpack_rows
from takt.redis.wire import Address, Wire

DATABASE: Final = "?db=1"


@contextmanager
def subject(on: Stand) -> Iterator[Subject]:
    """The peer, with a profile for everybody who is asked for."""
    url = on.server.url + DATABASE
    wire = Wire(Address(url, timeout_s=60.0))
    try:
        _lay_profiles(wire, on)
    finally:
        wire.close()
    requests = Messages.of(list(_questions(on.asked))).write(on.folder / "peer.npz")
    (address,) = servers.free_addresses(1)
    with servers.child("bench.peer", address, str(on.model), url, str(on.workspace)) as pid:
        pids = {"server": pid, "store": on.server.pid or 0}
        yield Subject("peer", address, "/decide", requests, pids, "http1")


def _lay_profiles(wire: Wire, on: Stand) -> None:
    """Profiles as JSON, by the position of their record among those that are known."""
    spec = on.catalog.spec
    rows = unpack_rows(spec, np.frombuffer(b"".join(on.known), spec.profile.dtype))
    told = [json.dumps({**row.features, "consents": sorted(row.consents)}).encode() for row in rows]
    position = {name: n % len(told) for n, name in enumerate(on.profiles)}
    for at in range(0, len(on.asked), AT_ONCE):
        part = on.asked[at : at + AT_ONCE]
        wire.call(
            "bench", [("MSET", *(word for name in part for word in (f"profile:{name}".encode(), told[position[name]])))]
        )


def _questions(names: Sequence[str]) -> Iterator[bytes]:
    for n, name in enumerate(names):
        asked = {
            "request_id": f"bench-{STAMP.decode()}",
            "profile_id": name,
            "placements": PLACEMENTS,
            "context": {"page": PAGES[n % len(PAGES)]},
        }
        yield json.dumps(asked).encode()
