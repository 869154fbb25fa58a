"""A bundle on disk: read with every byte verified, written so that half a bundle is never taken for a whole one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from takt.errors import ModelError
from takt.model.golden import MAX_BYTES, Golden, golden_bytes, parse_golden
from takt.model.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    FileFacts,
    Manifest,
    manifest_json,
    parse_manifest,
)

MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
MAX_MODEL_BYTES: Final = 1024 * 1024 * 1024


class Bundle(Struct, frozen=True):
    """A bundle whose files are those that its manifest names."""

    directory: Path
    manifest: Manifest
    model: bytes
    """The ONNX file. What was verified is what is loaded: the file is not read a second time."""
    golden: Golden


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle and verify sizes and hashes. Raises `ModelError` naming the file and what is wrong with it."""
    manifest = read_manifest(directory)
    model = read_file(directory, MODEL_FILE, manifest.files[MODEL_FILE], at_most=MAX_MODEL_BYTES)
    golden = read_file(directory, GOLDEN_FILE, manifest.files[GOLDEN_FILE], at_most=MAX_BYTES)
    return Bundle(directory=directory, manifest=manifest, model=model, golden=parse_golden(golden))


def read_manifest(directory: Path) -> Manifest:
    """Read `manifest.json` alone. Raises `ModelError`."""
    path = directory / MANIFEST_FILE
    if not directory.is_dir():
        raise ModelError(
            f"{directory}: not a directory; expected one with {MODEL_FILE}, {GOLDEN_FILE}, {MANIFEST_FILE}"
        )
    try:
        size = path.stat().st_size
        if size > MAX_MANIFEST_BYTES:
            raise ModelError(f"{MANIFEST_FILE}: {size} bytes; at most {MAX_MANIFEST_BYTES} are read")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelError(
            f"{MANIFEST_FILE}: missing in {directory}; it is written last, so the bundle is incomplete or none at all"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{MANIFEST_FILE}: cannot be read: {error}") from error
    return parse_manifest(text)


def read_file(directory: Path, name: str, facts: FileFacts, *, at_most: int) -> bytes:
    """The content of one file of the bundle. Raises `ModelError` unless size and hash are those of the manifest."""
    path = directory / name
    try:
        size = path.stat().st_size
        if size != facts.size:
            raise ModelError(f"{name}: damaged: {size} bytes, {MANIFEST_FILE} says {facts.size}")
        if size > at_most:
            raise ModelError(f"{name}: {size} bytes; at most {at_most} are read")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{name}: missing in {directory}, though {MANIFEST_FILE} names it") from None
    except OSError as error:
        raise ModelError(f"{name}: cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != facts.sha256:
        raise ModelError(f"{name}: damaged: SHA-256 is {found}, {MANIFEST_FILE} says {facts.sha256}")
    return content


def write_bundle(
    directory: Path, *, manifest: Manifest, model: bytes, golden: Golden, overwrite: bool = False
) -> Manifest:
    """Write a bundle and return its manifest with the files' sizes and hashes.

    `model` is the serialised graph with its `metadata_props` set. The manifest goes first out and last in, so that the
    directory is at no moment a bundle of mixed content; every file appears by rename. Equal content is left as it is.

    Raises `ModelError` if the directory holds another bundle, unless `overwrite`: a version's content never changes.
    """
    contents = {MODEL_FILE: model, GOLDEN_FILE: golden_bytes(golden)}
    complete = replace(
        manifest,
        files={
            name: FileFacts(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
            for name, content in contents.items()
        },
    )
    text = manifest_json(complete)
    parse_manifest(text)  # never write what could not be read
    parse_golden(contents[GOLDEN_FILE])
    path = directory / MANIFEST_FILE
    if path.exists() and not overwrite:
        if path.read_text(encoding="utf-8") == text and _holds(directory, contents):
            return complete
        raise ModelError(f"{directory}: holds another bundle already; choose a new version, or overwrite on purpose")
    directory.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    _sync(directory)
    for name, content in contents.items():
        _put(directory / name, content)
    _sync(directory)
    _put(path, text.encode())
    _sync(directory)
    return complete


def _holds(directory: Path, contents: Mapping[str, bytes]) -> bool:
    return all((directory / name).is_file() and (directory / name).read_bytes() == contents[name] for name in contents)


def _put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _sync(directory: Path) -> None:
    """Make renames and removals durable in the order in which they were made."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
