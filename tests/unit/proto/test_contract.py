"""The contract keeps its shape, and everything that repeats it agrees with it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable

import pytest
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from takt.domain.reasons import Cause, Reason, Status
from takt.domain.request import Explain
from takt.v1 import decision_pb2, types_pb2

FILES = ["catalog", "contact", "decision", "feedback", "log", "model", "profile", "types"]


def enums(contract: list[FileDescriptorProto]) -> list[EnumDescriptorProto]:
    """Every enum of the contract; none is nested in a message."""
    assert [] == [m.name for file in contract for m in file.message_type if m.enum_type]
    return [enum for file in contract for enum in file.enum_type]


def as_generated(file: FileDescriptorProto) -> FileDescriptorProto:
    """A copy without what protoc leaves out of Python modules: comments, and the derived names for JSON."""

    def without_json_names(messages: Iterable[DescriptorProto]) -> None:
        for message in messages:
            for field in message.field:
                field.ClearField("json_name")
            without_json_names(message.nested_type)

    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("source_code_info")
    without_json_names(copy.message_type)
    return copy


def words(enum: EnumDescriptor, prefix: str) -> set[str]:
    """Names of an enum's values without their prefix, UNSPECIFIED left out."""
    return {value.name.removeprefix(prefix) for value in enum.values[1:]}


def test_services_and_their_calls(contract: list[FileDescriptorProto]) -> None:
    """The calls are those that clients know, streaming where they know them to stream."""
    calls = {
        service.name: ["stream " * m.client_streaming + m.name + " stream" * m.server_streaming for m in service.method]
        for file in contract
        for service in file.service
    }

    assert {
        "CatalogService": ["Validate", "Apply", "Get"],
        "ContactService": ["List", "Reset", "Backfill", "Audit stream"],
        "DecisionService": ["Decide", "stream DecideStream stream"],
        "FeedbackService": ["Record"],
        "ModelService": ["stream Push", "List", "Status", "Shadow", "Canary", "Promote", "Rollback"],
        "ProfileService": ["Put", "Get", "Link", "Export stream", "Erase"],
    } == calls


def test_enums_start_unspecified(contract: list[FileDescriptorProto]) -> None:
    """Zero is UNSPECIFIED in every enum, and every value carries the enum's name as its prefix."""
    found = enums(contract)
    assert found
    for enum in found:
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
        assert (f"{prefix}_UNSPECIFIED", 0) == (enum.value[0].name, enum.value[0].number)
        assert [] == [value.name for value in enum.value if not value.name.startswith(f"{prefix}_")]


def test_reason_codes_fit_a_byte_in_the_order_of_judgement() -> None:
    """The decision log keeps a byte per offer, and the highest code is the one that came furthest."""
    numbers = [value.number for value in types_pb2.ReasonCode.DESCRIPTOR.values]

    assert sorted(numbers) == numbers
    assert 255 >= max(numbers)


@pytest.mark.parametrize("name", FILES)
def test_generated_code_says_what_the_contract_says(contract: list[FileDescriptorProto], name: str) -> None:
    """The committed Python module was generated from this very file."""
    (file,) = (file for file in contract if file.name == f"takt/v1/{name}.proto")
    actual = FileDescriptorProto()
    importlib.import_module(f"takt.v1.{name}_pb2").DESCRIPTOR.CopyToProto(actual)

    assert as_generated(file) == actual


def test_files_are_all_known(contract: list[FileDescriptorProto]) -> None:
    """No file of the contract escapes the tests here."""
    assert [f"takt/v1/{name}.proto" for name in FILES] == sorted(file.name for file in contract)


def test_the_domain_uses_the_same_reasons() -> None:
    """Reasons inside the service have the contract's names and numbers."""
    ours = {"UNSPECIFIED" if reason is Reason.NONE else reason.name: reason.value for reason in Reason}
    public = {name.removeprefix("REASON_CODE_"): number for name, number in types_pb2.ReasonCode.items()}

    assert ours == {name: public.get(name) for name in ours}


def test_the_domain_uses_the_same_words() -> None:
    """Causes, statuses and explain levels inside the service are the contract's."""
    assert {cause.name for cause in Cause} == words(types_pb2.DegradationCause.DESCRIPTOR, "DEGRADATION_CAUSE_")
    assert {status.name for status in Status} == words(decision_pb2.PlacementStatus.DESCRIPTOR, "PLACEMENT_STATUS_")
    assert {level.name for level in Explain} == words(decision_pb2.ExplainLevel.DESCRIPTOR, "EXPLAIN_LEVEL_")
