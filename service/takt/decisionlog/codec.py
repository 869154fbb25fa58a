"""The decision log's records as protobuf: `takt.v1.DecisionRecord` and `takt.v1.FeedbackRecord`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from takt.decisionlog.record import RECORD_VERSION
from takt.decisionlog.writing import common, write
from takt.domain.contact import ChangeKind
from takt.errors import RecordError
from takt.v1 import decision_pb2, log_pb2
from takt.wire import answer
from takt.wire.asking import asking_of, requests_of
from takt.wire.encoding.texts import texts_of
from takt.wire.feedback import event_message

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.decisionlog.writing import Common
    from takt.domain.consent import ConsentChange
    from takt.domain.contact import LedgerChange
    from takt.domain.decision import Decision, Versions
    from takt.domain.feedback import FeedbackEvent
    from takt.domain.request import DecideRequest
    from takt.engine.asking import Asking
    from takt.engine.codec import Letters
    from takt.engine.compute import Computed
    from takt.engine.force import Force
    from takt.engine.ledgers import Made
    from takt.wire.encoding.texts import Texts

CHANGE: Final[Mapping[ChangeKind, Any]] = {
    ChangeKind.RESET: log_pb2.LEDGER_CHANGE_RESET,
    ChangeKind.BACKFILL: log_pb2.LEDGER_CHANGE_BACKFILL,
}


class ProtobufCodec:
    """Implements `takt.engine.codec.Codec`, `takt.ports.EventCodec` and `takt.ports.ChangeCodec`."""

    def __init__(self, partitions: int) -> None:
        """Encode for a store of so many partitions."""
        self._partitions = partitions
        self._texts: list[tuple[Catalog, Texts]] = []
        self._said: tuple[Any, Common] | None = None

    def read(self, force: Force, requests: Sequence[DecideRequest]) -> Asking:
        """See `takt.engine.codec.Codec`."""
        return asking_of(force, requests)

    def reread(self, force: Force, asking: Asking, indices: Sequence[int]) -> Asking:
        """See `takt.engine.codec.Codec`."""
        return asking_of(force, requests_of(asking, indices))

    def write(self, computed: Computed, made: Made, versions: Versions) -> Letters:
        """See `takt.engine.codec.Codec`."""
        said, texts = self._said_of(computed, versions), self._texts_of(computed.asking.force)
        return write(computed, made, said, texts=texts, partitions=self._partitions)

    def answer_in(self, record: bytes) -> bytes:
        """See `takt.engine.codec.Codec`."""
        try:
            return log_pb2.DecisionRecord.FromString(record).answer
        except DecodeError as error:
            raise RecordError("a record of the decision log is damaged") from error

    def encode(self, decision: Decision) -> bytes:
        """See `takt.engine.codec.Codec`."""
        return answer.response(decision).SerializeToString()

    def encode_alike(self, decision: Decision, names: Sequence[tuple[str, str, str]]) -> list[bytes]:
        """See `takt.engine.codec.Codec`."""
        return answer.named(answer.response(decision).SerializeToString(), names)

    def decode(self, answered: bytes) -> Decision:
        """See `takt.engine.codec.Codec`."""
        return answer.decision(decision_pb2.DecideResponse.FromString(answered))

    def _texts_of(self, force: Force) -> Texts:
        """The names of a catalog as bytes, made once."""
        for catalog, texts in self._texts:
            if catalog is force.catalog:
                return texts
        made = texts_of(force.catalog)
        # one in force, and one that is to come
        self._texts = [*self._texts[-1:], (force.catalog, made)]
        return made

    def _said_of(self, computed: Computed, versions: Versions) -> Common:
        """What a batch's answers say in common, made once for all batches that say the same."""
        declared = computed.asking.force.catalog.exploration
        key = (declared, versions, computed.degradations)
        if self._said is None or self._said[0] != key:
            self._said = (key, common(declared, versions, computed.degradations))
        return self._said[1]

    def encode_event(self, event: FeedbackEvent, profile_id: str, received_at_us: int) -> bytes:
        """One event, recorded for a profile (empty if only its decision is known), without its identity's value."""
        return log_pb2.FeedbackRecord(
            record_version=RECORD_VERSION,
            event=event_message(event, received_at_us),
            profile_id=profile_id,
            received_at_us=received_at_us,
        ).SerializeToString(deterministic=True)

    def encode_consent(self, change: ConsentChange) -> bytes:
        """See `takt.engine.codec.Codec`."""
        return log_pb2.ConsentChangeRecord(
            record_version=RECORD_VERSION,
            profile_id=change.profile_id,
            purpose=change.purpose,
            granted=change.granted,
            given_at_us=change.given_us,
            source=change.source,
            changed_at_us=change.changed_us,
            merged_from=change.merged_from,
        ).SerializeToString(deterministic=True)

    def encode_change(self, change: LedgerChange) -> bytes:
        """One change of a ledger by hand: who asked, when and why, and the entries that went and came."""
        return log_pb2.LedgerChangeRecord(
            record_version=RECORD_VERSION,
            profile_id=change.profile_id,
            change=CHANGE[change.kind],
            actor=change.actor,
            reason=change.reason,
            changed_at_us=change.changed_us,
            removed=change.removed,
            added=change.added,
        ).SerializeToString(deterministic=True)
