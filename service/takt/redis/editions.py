"""`takt.ports.Editions` on Redis or Valkey: all in partition 0. The layout is told in `functions.lua`."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

from takt.domain.edition import HEARD_WITHIN_US, KEPT_EDITIONS, PATIENCE_US, Edition, Following, SourceFile
from takt.errors import StoreError
from takt.redis import keys
from takt.redis.calls import Calls, Unit

_ANNOUNCE: Final = struct.Struct("<III")
_FOLLOW: Final = struct.Struct("<16sIIqq")
_NUMBER: Final = struct.Struct("<I")
_COVER: Final = struct.Struct("<Iq")
_LENGTHS: Final = struct.Struct("<II")
_MARKER: Final = keys.marker(0)
_TOLD: Final = (
    *("version", "previous", "actor", "reason"),
    *("keep_us", "kept_before_us", "covered_before_us", "began_us"),
)
"""What is kept of an edition as JSON; the rest are fields of their own, by the store's clock."""


class RedisEditions:
    """The catalogs of one store. Safe to use from many threads; every call may raise `StoreError`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def history(self) -> list[Edition]:
        """See `takt.ports.Editions`."""
        (flat,) = self._calls.wire.call("catalog", [("HGETALL", keys.EDITIONS)])
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        last = int(found.get(b"last", 0))
        return [_edition(number, found) for number in range(last, max(0, last - KEPT_EDITIONS), -1)]

    def files(self, number: int) -> tuple[SourceFile, ...] | None:
        """See `takt.ports.Editions`."""
        (packed,) = self._calls.wire.call("catalog", [("GET", keys.edition(number))])
        return None if packed is None else _unpacked(packed)

    def has_contacts(self) -> bool:
        """See `takt.ports.Editions`. A log that was trimmed to nothing is still one."""
        logs = [("EXISTS", keys.log(partition)) for partition in range(self._calls.marker.partitions)]
        return any(self._calls.wire.call("catalog", logs))

    def announce(self, edition: Edition, files: Sequence[SourceFile]) -> bool:
        """See `takt.ports.Editions`."""
        dropped = max(0, edition.number - KEPT_EDITIONS)
        told = json.dumps({name: getattr(edition, name) for name in _TOLD}).encode()
        frame = _ANNOUNCE.pack(edition.number, dropped, len(told)) + told + _packed(files)
        touched = (_MARKER, keys.EDITIONS, keys.edition(edition.number), keys.edition(dropped))
        return self._calls.codes("catalog", "takt_announce_v1", [Unit(0, touched, frame)]) == [0]

    def follow(self, replica: bytes, prepared: int, decides: int) -> Following:
        """See `takt.ports.Editions`."""
        frame = _FOLLOW.pack(replica, prepared, decides, PATIENCE_US, HEARD_WITHIN_US)
        unit = Unit(0, (_MARKER, keys.EDITIONS, keys.REPLICAS), frame)
        ((answer, now_us),) = self._calls.run("catalog", "takt_follow_v1", [unit])
        if isinstance(answer, int):
            self._calls.check_marker([answer], [unit])
        return Following(now_us, *answer)

    def leave(self, replica: bytes) -> None:
        """See `takt.ports.Editions`."""
        self._calls.wire.call("catalog", [("HDEL", keys.REPLICAS, replica)])

    def advance(self, number: int) -> None:
        """See `takt.ports.Editions`."""
        frame = _NUMBER.pack(number)
        units = [Unit(p, (keys.marker(p),), frame) for p in range(self._calls.marker.partitions)]
        self._calls.codes("catalog", "takt_advance_v1", units)

    def cover(self, number: int, since_us: int, actor: str, reason: str) -> bool:
        """See `takt.ports.Editions`."""
        frame = _COVER.pack(number, since_us) + json.dumps({"actor": actor, "reason": reason}).encode()
        return self._calls.codes("catalog", "takt_cover_v1", [Unit(0, (_MARKER, keys.EDITIONS), frame)]) == [0]


def _edition(number: int, found: dict[bytes, Any]) -> Edition:
    """One entry of the history. Raises `StoreError` where it is broken."""
    name = b"%d" % number
    stated = found.get(name + b":c")
    try:
        return Edition(
            number=number,
            **json.loads(found[name]),
            announced_us=int(found[name + b":a"]),
            in_force_us=int(found.get(name + b":s", 0)),
            stated_us=None if stated is None else int(stated.split(b" ", 1)[0]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"edition {number} of the catalog cannot be read in the store: {error!r}") from error


def _packed(files: Sequence[SourceFile]) -> bytes:
    """All files, compressed."""
    parts = []
    for file in files:
        path = file.path.encode()
        parts += [_LENGTHS.pack(len(path), len(file.content)), path, file.content]
    return zlib.compress(b"".join(parts))


def _unpacked(packed: bytes) -> tuple[SourceFile, ...]:
    """The files. Raises `StoreError` where they are broken."""
    try:
        data = zlib.decompress(packed)
        files, at = [], 0
        while at < len(data):
            path, content = _LENGTHS.unpack_from(data, at)
            at += _LENGTHS.size
            files.append(SourceFile(data[at : at + path].decode(), data[at + path : at + path + content]))
            at += path + content
    except (zlib.error, struct.error, UnicodeDecodeError) as error:
        raise StoreError(f"the files of a catalog cannot be read in the store: {error!r}") from error
    return tuple(files)
