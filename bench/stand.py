"""A test stand: one catalog with its model, one store with its people, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct, field

from bench import bundle, people, servers, workspace
from bench.messages import STAMP, Messages
from bench.people import CONTACTS, Past
from bench.workspace import PLACEMENTS, Size
from takt.catalog.snapshot import Catalog
from takt.redis.embedded import EmbeddedServer
from takt.redis.store import RedisStore
from takt.v1 import decision_pb2, types_pb2
from takt.wire.answer import varint

ASKED: Final = 20_000
"""People that a run asks for; every one once before any comes again."""
PATIENT_S: Final = 10
"""Budget of a request where throughput is measured: what is slow shall be slow, not degraded."""
REWRITTEN_AT: Final = 128 * 1024 * 1024
"""Bytes of ledgers laid down after which the store's file is written anew between runs."""
PAGES: Final = ("home", "recipes", "store_finder")


class Stand(Struct):
    """Everything behind the front ends of one scene."""

    folder: Path
    size: Size
    catalog: Catalog
    model: Path
    server: EmbeddedServer
    store: RedisStore
    known: list[bytes]
    """Records of the households."""
    profiles: list[str] = field(default_factory=list)
    """Who has a profile."""
    asked: list[str] = field(default_factory=list)
    """Whom the requests are for."""
    messages: Path = Path()
    hasty: Path = Path()
    """The same requests with the service's own budget."""
    streamed: Path = Path()
    """The same requests as messages of a stream."""
    _ledgers: list[bytes] = field(default_factory=list)
    _laid: int = 0
    """Bytes of ledgers that were laid down since the store has written its file anew."""

    @property
    def workspace(self) -> Path:
        """Where the catalog's files are."""
        return self.folder / "workspace"

    def populate(self, profiles: int, *, asked: int = ASKED) -> int:
        """Give so many people a profile, and choose whom to ask for; bytes of the store's memory they took."""
        before = servers.used_memory(self.store)
        names = people.ids(profiles)
        people.lay_profiles(self.store, names[len(self.profiles) :], self.known)
        grown = servers.used_memory(self.store) - before
        self.profiles = names
        people.forget_ledgers(self.store, self.asked)
        self.asked = people.sample(names, min(asked, profiles))
        requests = list(questions(self.asked, PATIENT_S))
        self.messages = Messages.of(requests).write(self.folder / "messages.npz")
        self.hasty = Messages.of(list(questions(self.asked, 0))).write(self.folder / "hasty.npz")
        streamed = [b"\x0a" + varint(len(request)) + request for request in requests]
        self.streamed = Messages.of(_aligned(streamed)).write(self.folder / "streamed.npz")
        return grown

    def contacted(self, contacts: int = CONTACTS) -> None:
        """Give everybody who is asked for a past of so many contacts, and lay it down."""
        self._ledgers = Past(self.catalog).ledgers(len(self.asked), contacts)
        self.lay()

    def lay(self) -> None:
        """Put every ledger back to what it was before the first run, and empty the log.

        What is written here makes the store write its file anew sooner than decisions would. That is then done here as
        well, so that no run pays for it; runs pay for what decisions write.
        """
        people.lay_ledgers(self.store, self.asked, self._ledgers)
        people.clear_log(self.store)
        self._laid += sum(map(len, self._ledgers))
        if self._laid > REWRITTEN_AT:
            self._laid = 0
            servers.rewrite(self.store)

    @contextmanager
    def serve(self, transport: str, workers: int = 1) -> Iterator[servers.Serving]:
        """The service on this stand's store."""
        given = self._settings(transport) | ({"workers": str(workers)} if workers > 1 else {})
        with servers.serving(self.folder, given) as serving:
            yield serving

    def imported(self) -> list[str]:
        """Modules that the service on this stand's store has loaded once it is ready, but its own, in order."""
        return servers.imported(self._settings("native"))

    def _settings(self, transport: str) -> dict[str, str]:
        return servers.settings_for(workspace=self.workspace, model=self.model, store=self.server, transport=transport)


@contextmanager
def stand(folder: Path, size: Size = Size()) -> Iterator[Stand]:  # noqa: B008 - a frozen value
    """A stand of this size without people."""
    catalog = workspace.write(folder / "workspace", size)
    known = people.records(catalog.spec)
    model = bundle.write(folder / "model", catalog, np.frombuffer(b"".join(known), catalog.spec.profile.dtype))
    with servers.kept(folder / "store") as (server, store):
        yield Stand(folder, size, catalog, model, server, store, known)


def questions(names: Sequence[str], budget_s: int) -> Iterator[bytes]:
    """A request for everybody: two placements of three offers each, on one page or another."""
    for n, name in enumerate(names):
        request = decision_pb2.DecideRequest(
            request_id=f"bench-{STAMP.decode()}",
            profile_id=name,
            placements=[decision_pb2.PlacementRequest(placement=placement) for placement in PLACEMENTS],
            context={"page": types_pb2.Value(string_value=PAGES[n % len(PAGES)])},
        )
        if budget_s:
            request.budget.seconds = budget_s
        yield request.SerializeToString(deterministic=True)


def _aligned(requests: list[bytes]) -> list[bytes]:
    """Those whose stamp is where most have it: a length of two bytes moves it by one."""
    usual = max(requests, key=len).find(STAMP)
    return [request for request in requests if request.find(STAMP) == usual]
