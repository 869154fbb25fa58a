"""A bundle is written whole or not at all, and read only if every byte is right."""

import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from takt.errors import ModelError
from takt.model.bundle import read_bundle, write_bundle
from takt.model.golden import Golden
from takt.model.manifest import Manifest
from tests.unit.model.test_golden import golden
from tests.unit.model.test_manifest import MANIFEST

MODEL = b"a graph, as far as the disk is concerned"
BARE = replace(MANIFEST, files={})


def write(directory: Path, *, manifest: Manifest = BARE, model: bytes = MODEL, overwrite: bool = False) -> Manifest:
    """Write a bundle."""
    return write_bundle(directory, manifest=manifest, model=model, golden=golden(), overwrite=overwrite)


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Model, manifest and golden rows come back, sizes and hashes filled in."""
    written = write(tmp_path / "models" / "tiny" / "1.0.0")

    bundle = read_bundle(tmp_path / "models" / "tiny" / "1.0.0")

    assert MODEL == bundle.model
    assert written == bundle.manifest
    assert len(MODEL) == bundle.manifest.files["model.onnx"].size
    np.testing.assert_array_equal(golden().inputs["profile"], bundle.golden.inputs["profile"])


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing depends on when or where it was written."""
    write(tmp_path / "a")
    write(tmp_path / "b")

    assert {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()} == {
        file.name: file.read_bytes() for file in (tmp_path / "b").iterdir()
    }


def test_only_the_bundle_is_left_behind(tmp_path: Path) -> None:
    """No drafts stay."""
    write(tmp_path / "a")

    assert {"golden.npz", "manifest.json", "model.onnx"} == {file.name for file in (tmp_path / "a").iterdir()}


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """Training once more with the same result is no new version."""
    write(tmp_path / "a")
    before = (tmp_path / "a" / "manifest.json").stat().st_mtime_ns

    write(tmp_path / "a")

    assert before == (tmp_path / "a" / "manifest.json").stat().st_mtime_ns


def test_a_versions_content_never_changes(tmp_path: Path) -> None:
    """Another model under a version that exists is refused, and what stands there stays."""
    write(tmp_path / "a")

    with pytest.raises(ModelError, match="holds another bundle already; choose a new version"):
        write(tmp_path / "a", model=b"another")

    assert MODEL == read_bundle(tmp_path / "a").model


def test_overwriting_on_purpose(tmp_path: Path) -> None:
    """Whoever insists gets the new content whole."""
    write(tmp_path / "a")

    write(tmp_path / "a", model=b"another", overwrite=True)

    assert b"another" == read_bundle(tmp_path / "a").model


def test_a_damaged_bundle_is_mended_by_writing_it_again(tmp_path: Path) -> None:
    """The same manifest beside damaged files is not taken for the bundle."""
    write(tmp_path / "a")
    (tmp_path / "a" / "model.onnx").write_bytes(b"damaged")

    with pytest.raises(ModelError, match="holds another bundle"):
        write(tmp_path / "a")
    write(tmp_path / "a", overwrite=True)

    assert MODEL == read_bundle(tmp_path / "a").model


def test_no_manifest_stands_beside_mixed_content(tmp_path: Path) -> None:
    """When writing breaks off half-way, what is left is no bundle rather than a wrong one."""
    write(tmp_path / "a")
    (tmp_path / "a" / ".golden.npz.part").mkdir()  # the second file cannot be written

    with pytest.raises(OSError, match="golden"):
        write(tmp_path / "a", model=b"another", overwrite=True)

    with pytest.raises(ModelError, match=r"manifest\.json: missing in .*; it is written last"):
        read_bundle(tmp_path / "a")


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    """A manifest with a fault is refused before anything is on disk."""
    with pytest.raises(ModelError, match="semantic version"):
        write(tmp_path / "a", manifest=replace(BARE, version="latest"))

    assert not (tmp_path / "a").exists()


def test_golden_rows_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    """The trainer hears of faulty golden rows, not the person who deploys them."""
    faulty = Golden(inputs=golden().inputs, outputs={})

    with pytest.raises(ModelError, match="array 'acceptance' is missing"):
        write_bundle(tmp_path / "a", manifest=BARE, model=MODEL, golden=faulty)

    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("file", ["model.onnx", "golden.npz"])
def test_damage_names_the_file(tmp_path: Path, file: str) -> None:
    """One other byte is found, at the same size."""
    write(tmp_path / "a")
    path = tmp_path / "a" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)

    with pytest.raises(ModelError, match=f"{file}: damaged: SHA-256 is "):
        read_bundle(tmp_path / "a")


def test_truncation_names_both_sizes(tmp_path: Path) -> None:
    """Half a copy is told by its size."""
    write(tmp_path / "a")
    (tmp_path / "a" / "model.onnx").write_bytes(MODEL[:7])

    with pytest.raises(ModelError, match=rf"model\.onnx: damaged: 7 bytes, manifest\.json says {len(MODEL)}"):
        read_bundle(tmp_path / "a")


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that the manifest names and the directory lacks."""
    write(tmp_path / "a")
    (tmp_path / "a" / "golden.npz").unlink()

    with pytest.raises(ModelError, match=r"golden\.npz: missing in "):
        read_bundle(tmp_path / "a")


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere says what was expected."""
    with pytest.raises(ModelError, match="not a directory; expected one with model"):
        read_bundle(tmp_path / "nowhere")


def test_binary_manifest_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text give an error of ours."""
    write(tmp_path / "a")
    (tmp_path / "a" / "manifest.json").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ModelError, match=r"manifest\.json: cannot be read"):
        read_bundle(tmp_path / "a")


def test_manifest_edited_by_hand_is_read_strictly(tmp_path: Path) -> None:
    """A key that nobody knows is named."""
    write(tmp_path / "a")
    path = tmp_path / "a" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "licence": "x"}), encoding="utf-8")

    with pytest.raises(ModelError, match=r"manifest\.json: unknown key 'licence'; did you mean 'license'\?"):
        read_bundle(tmp_path / "a")
