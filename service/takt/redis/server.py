"""What kind of server this is, and whether it will keep what it is given."""

from __future__ import annotations

from msgspec import Struct
from redis.exceptions import ResponseError

from takt.errors import StoreError
from takt.redis.wire import Wire, explained


class Server(Struct, frozen=True):
    """What a server says about itself. Empty where it does not let us ask."""

    shown: str
    version: str = ""
    cluster: bool = False
    replica: bool = False
    policy: str = ""
    """`maxmemory-policy`."""
    appends: bool | None = None
    """Whether it keeps an append-only file."""
    allocator: str = ""
    """`mem_allocator`: `libc`, `jemalloc-5.3.0` and the like."""
    used_memory: int = 0
    """Bytes."""
    maxmemory: int = 0
    """Bytes; 0 where there is no limit."""
    refusal: str = ""
    """Why it did not answer."""

    def check(self) -> list[str]:
        """Raise `StoreError` if contacts kept here would be lost by design; give warnings of lesser things."""
        if self.refusal:
            return [f"{self.shown}: may not be asked whether it evicts keys ({self.refusal}); make sure it does not"]
        if self.replica:
            raise StoreError(f"{self.shown}: is a replica and takes no writes; name the primary")
        if self.policy and self.policy != "noeviction":
            raise StoreError(
                f"{self.shown}: has maxmemory-policy {self.policy}: it would throw contacts away when memory runs "
                "short, and caps would be exceeded. Set it to noeviction"
            )
        if self.appends is False:
            return [f"{self.shown}: keeps no append-only file; contacts since its last snapshot are lost if it stops"]
        return []


def inspect(wire: Wire) -> Server:
    """Ask a server about itself. One round trip."""
    (reply,) = wire.attempt("info", [("INFO",)])
    if isinstance(reply, ResponseError):
        return Server(wire.shown, refusal=explained(reply))
    fields = dict(
        line.split(":", 1) for line in reply.decode("utf-8", "replace").splitlines() if ":" in line and line[0] != "#"
    )
    name = "valkey" if "valkey_version" in fields else "redis"
    return Server(
        shown=wire.shown,
        version=f"{name} {fields.get(f'{name}_version', '')}".strip(),
        cluster=fields.get("cluster_enabled") == "1",
        replica=fields.get("role") == "slave",
        policy=fields.get("maxmemory_policy", ""),
        appends=fields["aof_enabled"] == "1" if "aof_enabled" in fields else None,
        allocator=fields.get("mem_allocator", ""),
        used_memory=int(fields.get("used_memory", 0)),
        maxmemory=int(fields.get("maxmemory", 0)),
    )
