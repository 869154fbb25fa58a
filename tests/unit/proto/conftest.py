"""The contract as protoc understands it, with its comments."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PROTO = Path(__file__).parents[3] / "proto"

Compile = Callable[[Path], list[FileDescriptorProto]]


@pytest.fixture(scope="session")
def compile_protos(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """A function from a proto root to the descriptors of every file below it, comments included."""

    def compiled(root: Path) -> list[FileDescriptorProto]:
        image = tmp_path_factory.mktemp("image") / "image.binpb"
        files = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={root}",
                f"--proto_path={sysconfig.get_path('purelib')}",
                f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
                "--include_source_info",
                f"--descriptor_set_out={image}",
                *files,
            ]
        )
        assert 0 == status
        return list(FileDescriptorSet.FromString(image.read_bytes()).file)

    return compiled


@pytest.fixture(scope="session")
def contract(compile_protos: Compile) -> list[FileDescriptorProto]:
    """Descriptors of `proto/takt/v1`, comments included."""
    return compile_protos(PROTO)
