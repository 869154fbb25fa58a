"""`takt.v1.ProfileService`: writes and reads of what is known about people."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, Final, Protocol

from msgspec.structs import replace

from takt.domain.merge import Linked
from takt.domain.profile import KnownProfile, ProfilePut, PutResult
from takt.domain.request import Identity
from takt.errors import InvalidRequestError, Violation
from takt.rpc.calls import Calls, Context, answering
from takt.rpc.errors import NotServedError, abort, refusal
from takt.rpc.gather import Gather
from takt.v1 import profile_pb2, profile_pb2_grpc
from takt.wire.profile import names, profile, profile_put, reference, write_result
from takt.wire.values import entry

MOST_PROFILES: Final = 1000

Thunk = Callable[[], Any]


class ProfileWork(Protocol):
    """What profiles can be asked, blocking."""

    def put(self, puts: Sequence[ProfilePut]) -> Sequence[PutResult]:
        """Write each; results in order, fields of violations relative to the write."""
        ...

    def get(self, *, profile_id: str = "", identity: Identity | None = None) -> KnownProfile:
        """What is kept. Raises `NotFoundError` or `RecordError`."""
        ...

    def link(self, profile_id: str, identities: Sequence[Identity]) -> Linked:
        """State that names are one person's. Raises `InvalidRequestError`, `PreconditionError` or `RecordError`."""
        ...


class ProfileService(profile_pb2_grpc.ProfileServiceServicer):
    """Writes, reads and links profiles; export and erasure are not served by this version."""

    def __init__(
        self,
        profiles: ProfileWork,
        gather: Gather[Thunk, Any],
        *,
        calls: Calls,
        times: Callable[[], Container[str]],
    ) -> None:
        """`gather` calls what it is asked. `times` gives the profile features that are declared as timestamps."""
        self.calls = calls
        self._profiles = profiles
        self._gather = gather
        self._times = times

    @answering
    async def Put(  # noqa: N802 - the contract's name
        self, request: profile_pb2.ProfileServicePutRequest, _: Context
    ) -> profile_pb2.ProfileServicePutResponse:
        """One result per write, in order. A write that is wrong does not stop the others."""
        if not 1 <= len(request.profiles) <= MOST_PROFILES:
            given = f"{len(request.profiles)} given, from 1 to {MOST_PROFILES} can be written at once"
            raise InvalidRequestError((Violation("profiles", given),))
        times = self._times()
        read = [profile_put(write, f"profiles[{n}]", times) for n, write in enumerate(request.profiles)]
        puts = [put for put in read if isinstance(put, ProfilePut)]
        written = iter(await self._gather.ask(partial(self._profiles.put, puts)) if puts else ())
        results = [
            result if isinstance(result, PutResult) else _placed(next(written), f"profiles[{n}]")
            for n, result in enumerate(read)
        ]
        return profile_pb2.ProfileServicePutResponse(results=[write_result(result) for result in results])

    @answering
    async def Get(  # noqa: N802 - the contract's name
        self, request: profile_pb2.ProfileServiceGetRequest, _: Context
    ) -> profile_pb2.ProfileServiceGetResponse:
        """One profile."""
        found: list[Violation] = []
        profile_id, identity = reference(request, found)
        if found:
            raise InvalidRequestError(tuple(found))
        known = await self._gather.ask(partial(self._profiles.get, profile_id=profile_id, identity=identity))
        return profile_pb2.ProfileServiceGetResponse(profile=profile(known, self._times()))

    @answering
    async def Link(  # noqa: N802 - the contract's name
        self, request: profile_pb2.ProfileServiceLinkRequest, _: Context
    ) -> profile_pb2.ProfileServiceLinkResponse:
        """The person under all names, merged."""
        found: list[Violation] = []
        profile_id, identities = names(request, found)
        if found:
            raise InvalidRequestError(tuple(found))
        linked = await self._gather.ask(partial(self._profiles.link, profile_id, identities))
        return profile_pb2.ProfileServiceLinkResponse(
            profile_id=linked.profile_id, absorbed_profile_ids=linked.absorbed
        )

    async def Export(self, _: Any, context: Context) -> None:  # noqa: N802 - the contract's name
        """Not served yet."""
        await abort(context, refusal(NotServedError("ProfileService.Export")))

    async def Erase(self, _: Any, context: Context) -> None:  # noqa: N802 - the contract's name
        """Not served yet."""
        await abort(context, refusal(NotServedError("ProfileService.Erase")))


def called(thunks: Sequence[Thunk]) -> list[Any]:
    """Work for a `Gather` of calls that are not joined: each is made, one after the other."""
    return [thunk() for thunk in thunks]


def _placed(result: PutResult, path: str) -> PutResult:
    """A result whose violations say where in the request the write stands."""
    if not result.violations:
        return result
    violations = tuple(Violation(f"{path}.{_in_contract(v.field)}", v.message) for v in result.violations)
    return replace(result, violations=violations)


def _in_contract(field: str) -> str:
    """A feature's field as the path of a map's entry."""
    name = field.removeprefix("features.")
    return field if name == field else entry("features", name)
