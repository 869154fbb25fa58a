"""Whoever reads the contract finds every element explained, and every error by its right name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from takt.v1 import types_pb2

Place = tuple[int, ...]
STATUSES = {status.name for status in grpc.StatusCode}
REASONS = {value.name.removeprefix("ERROR_REASON_") for value in types_pb2.ErrorReason.DESCRIPTOR.values[1:]}


def below(place: Place, parent: Any, field: str) -> Iterator[tuple[Place, Any]]:
    """Children of a descriptor in one of its repeated fields, with their places in the source info."""
    number = parent.DESCRIPTOR.fields_by_name[field].number
    for index, child in enumerate(getattr(parent, field)):
        yield (*place, number, index), child


def elements(file: FileDescriptorProto) -> Iterator[tuple[str, Place]]:
    """Name and place of every message, field, oneof, enum, enum value, service and call of a file."""

    def of_enum(place: Place, enum: EnumDescriptorProto, scope: str) -> Iterator[tuple[str, Place]]:
        yield f"{scope}{enum.name}", place
        for value_place, value in below(place, enum, "value"):
            yield f"{scope}{enum.name}.{value.name}", value_place

    def of_message(place: Place, message: DescriptorProto, scope: str) -> Iterator[tuple[str, Place]]:
        if message.options.map_entry:
            return  # made by protoc for a map, not written by anyone
        name = f"{scope}{message.name}"
        yield name, place
        for field_place, field in below(place, message, "field"):
            yield f"{name}.{field.name}", field_place
        optional = {field.oneof_index for field in message.field if field.proto3_optional}
        for index, (oneof_place, oneof) in enumerate(below(place, message, "oneof_decl")):
            if index not in optional:
                yield f"{name}.{oneof.name}", oneof_place
        for nested_place, nested in below(place, message, "nested_type"):
            yield from of_message(nested_place, nested, f"{name}.")
        for enum_place, enum in below(place, message, "enum_type"):
            yield from of_enum(enum_place, enum, f"{name}.")

    for place, message in below((), file, "message_type"):
        yield from of_message(place, message, "")
    for place, enum in below((), file, "enum_type"):
        yield from of_enum(place, enum, "")
    for place, service in below((), file, "service"):
        yield service.name, place
        for call_place, call in below(place, service, "method"):
            yield f"{service.name}.{call.name}", call_place


def comments(file: FileDescriptorProto) -> dict[str, str]:
    """The comment above each element of a file, by the element's name; empty where there is none."""
    written = {tuple(at.path): at.leading_comments.strip() for at in file.source_code_info.location}
    return {name: written.get(place, "") for name, place in elements(file)}


def test_every_element_is_explained(contract: list[FileDescriptorProto]) -> None:
    """No message, field, oneof, enum, value, service or call goes without a comment that ends like a sentence."""
    explained = {name: text for file in contract for name, text in comments(file).items()}

    assert "DecideRequest.request_id" in explained
    assert [] == [name for name, text in explained.items() if not text]
    assert [] == [name for name, text in explained.items() if not text.endswith(".")]


def test_every_file_has_a_header(contract: list[FileDescriptorProto]) -> None:
    """Above the syntax line of each file stands what it is about."""
    syntax = (FileDescriptorProto.DESCRIPTOR.fields_by_name["syntax"].number,)
    headers = {
        file.name: "".join(at.leading_comments for at in file.source_code_info.location if tuple(at.path) == syntax)
        for file in contract
    }

    assert 8 == len(headers)
    assert [] == [name for name, text in headers.items() if not text.strip()]


def test_an_element_without_a_comment_is_found(
    compile_protos: Callable[[Path], list[FileDescriptorProto]], tmp_path: Path
) -> None:
    """What the test above looks for, it sees: at every level, and only where it is missing."""
    (tmp_path / "bare.proto").write_text(
        """
        syntax = "proto3";
        message Bare {
          // Said.
          string said = 1;
          string unsaid = 2;
          optional string chance = 3;
          map<string, string> many = 4;
          oneof one { string first = 5; }
          enum Inner { INNER_UNSPECIFIED = 0; }
        }
        service BareService { rpc Call(Bare) returns (Bare); }
        """
    )
    (file,) = compile_protos(tmp_path)

    expected = {
        "Bare",
        "Bare.unsaid",
        "Bare.chance",
        "Bare.many",
        "Bare.one",
        "Bare.first",
        "Bare.Inner",
        "Bare.Inner.INNER_UNSPECIFIED",
        "BareService",
        "BareService.Call",
    }
    assert expected == {name for name, text in comments(file).items() if not text}


def test_every_call_tells_its_errors(contract: list[FileDescriptorProto]) -> None:
    """The comment of a call, or of its service as a whole, lists errors."""
    for file in contract:
        explained = comments(file)
        for service in file.service:
            common = "Errors of every call:" in explained[service.name]
            silent = [m.name for m in service.method if "Errors" not in explained[f"{service.name}.{m.name}"]]
            assert common or [] == silent


def test_errors_are_called_by_their_names(contract: list[FileDescriptorProto]) -> None:
    """Whatever looks like a status or a reason in the comment of a service or call is one."""
    known = STATUSES | REASONS
    for file in contract:
        explained = comments(file)
        for service in file.service:
            for name in (service.name, *(f"{service.name}.{call.name}" for call in service.method)):
                named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", explained[name]))
                assert set() == named - known


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_a_reason_tells_its_status(contract: list[FileDescriptorProto], reason: str) -> None:
    """The comment of an error's reason begins with the gRPC status that it comes with."""
    (types,) = (file for file in contract if file.name.endswith("/types.proto"))
    status, _, _ = comments(types)[f"ErrorReason.ERROR_REASON_{reason}"].partition(":")

    assert status in STATUSES
