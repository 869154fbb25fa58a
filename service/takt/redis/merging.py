"""`takt.ports.Merging` on Redis or Valkey. Frames and cards are laid out in `functions.lua`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from takt.domain.decision import person_address
from takt.domain.ledger import HEADER, WIDTH
from takt.domain.merge import Estate, Merges, MergeStep
from takt.domain.request import Identity
from takt.redis import frames, keys
from takt.redis.calls import Calls, Unit

_SHORT: Final = struct.Struct("<H")
_LENGTH: Final = struct.Struct("<I")
_TIME: Final = struct.Struct("<q")
_STEPS: Final = {
    0: MergeStep.DONE,
    1: MergeStep.ABSORBED,
    2: MergeStep.BUSY,
    3: MergeStep.ELSEWHERE,
    5: MergeStep.CHANGED,
    6: MergeStep.CORRUPT,
}


class RedisMerging:
    """The steps of merging two persons on one server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def read(self, people: Sequence[bytes]) -> list[Merges]:
        """See `takt.ports.Merging`."""
        named = [keys.person_at(address, self._partitions) for address in people]
        cards, _ = self._calls.read("redirect", [(person.partition, person.merges) for person in named])
        return [_card(card) for card in cards]

    def expect(self, winner: str, loser: str) -> MergeStep:
        """See `takt.ports.Merging`."""
        person = self._keys(winner)
        touched = (person.marker, person.ledger, person.merges)
        return self._step("takt_expect_v1", person, touched, _short(winner) + _short(loser))

    def seal(self, loser: str, winner: str) -> tuple[MergeStep, Estate | None]:
        """See `takt.ports.Merging`."""
        person = self._keys(loser)
        touched = (
            *(person.marker, person.log, person.profile, person.ledger, person.ids, person.merges),
            *(person.pools, person.holds, person.consents),
        )
        unit = Unit(person.partition, touched, _short(loser) + _short(winner))
        ((answer, _),) = self._calls.run("merge", "takt_seal_v2", [unit])
        if isinstance(answer, int):
            self._calls.check_marker([answer], [unit])
            return _STEPS[answer], None
        _, consents, record, ledger, count, *rest = answer
        ids = rest[count:]
        estate = Estate(
            record=record,
            ledger=ledger,
            ids=tuple(zip(ids[::2], ids[1::2], strict=True)),
            absorbed=tuple(one.decode() for one in rest[:count]),
            consents=consents,
        )
        return MergeStep.DONE, estate

    def absorb(
        self,
        winner: str,
        loser: str,
        *,
        estate: Estate,
        record: bytes | None,
        expected: bytes | None,
        consents: bytes | None = None,
        changes: Sequence[bytes] = (),
    ) -> MergeStep:
        """See `takt.ports.Merging`."""
        person = self._keys(winner)
        touched = (
            *(person.marker, person.profile, person.ledger, person.ids, person.merges),
            *(person.log, person.consents),
        )
        (left,) = np.frombuffer(estate.ledger, HEADER, 1)
        parts = [
            _LENGTH.pack(int(left["lapsed_before_s"])),
            frames.consenting(consents, changes),
            _short(loser),
            b"\0" if record is None else b"\1",
            _long(expected or b""),
            _long(record or b""),
            _TIME.pack(int(left["trimmed_before_us"])),
            _long(estate.ledger[WIDTH:]),
            _LENGTH.pack(len(estate.absorbed)),
            *(_short(one) for one in estate.absorbed),
            _LENGTH.pack(len(estate.ids)),
            *(name + _long(remembered) for name, remembered in estate.ids),
        ]
        return self._step("takt_absorb_v2", person, touched, b"".join(parts))

    def close(self, loser: str, winner: str) -> None:
        """See `takt.ports.Merging`."""
        person = self._keys(loser)
        touched = (person.marker, person.profile, person.ledger, person.ids, person.merges, person.consents)
        self._step("takt_close_v2", person, touched, winner.encode())

    def forgo(self, winner: str, loser: str) -> None:
        """See `takt.ports.Merging`."""
        person = self._keys(winner)
        touched = (person.marker, person.ledger, person.merges)
        self._step("takt_forgo_v1", person, touched, loser.encode())

    def name(self, identity: Identity, profile_id: str, *, former: str | None) -> bool:
        """See `takt.ports.Merging`."""
        named = keys.identity(identity.namespace, identity.value, self._partitions)
        frame = _short(profile_id) + _short(former or "")
        unit = Unit(named.partition, (named.marker, named.identity), frame)
        (code,) = self._calls.codes("merge", "takt_name_v1", [unit])
        return _STEPS[code] is MergeStep.DONE

    def _step(self, function: str, person: keys.PersonKeys, touched: tuple[bytes, ...], frame: bytes) -> MergeStep:
        (code,) = self._calls.codes("merge", function, [Unit(person.partition, touched, frame)])
        return _STEPS[code]

    def _keys(self, profile_id: str) -> keys.PersonKeys:
        return keys.person_at(person_address(profile_id), self._partitions)

    @property
    def _partitions(self) -> int:
        return self._calls.marker.partitions


def _short(text: str) -> bytes:
    data = text.encode()
    return _SHORT.pack(len(data)) + data


def _long(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _card(data: bytes | None) -> Merges:
    """A card as a value."""
    if data is None:
        return Merges()
    at = 1

    def text() -> str:
        nonlocal at
        (length,) = _SHORT.unpack_from(data, at)
        at += 2 + length
        return data[at - length : at].decode()

    def texts() -> tuple[str, ...]:
        nonlocal at
        (count,) = _LENGTH.unpack_from(data, at)
        at += 4
        return tuple(text() for _ in range(count))

    own, leads_to, pending, absorbed = text(), text(), texts(), texts()
    return Merges(own, leads_to, bool(data[0]), pending, absorbed)
