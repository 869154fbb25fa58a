"""The layer contracts are kept, and would notice if they were not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("service", "training")
KEPT, BROKEN = 0, 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the sources and the contracts to where something can be planted."""
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on a copy of the tree."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(tree / source) for source in SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_contracts_are_kept(tree: Path) -> None:
    """The sources as they are keep every contract."""
    result = lint(tree)

    assert KEPT == result.returncode, result.stdout


@pytest.mark.parametrize(
    ("package", "planted", "contract"),
    [
        ("takt.domain", "import takt.catalog", "Layers import downwards only"),
        ("takt.features", "import takt.catalog", "Layers import downwards only"),
        ("takt.policy", "import takt.arbitration", "Layers import downwards only"),
        ("takt.engine", "import takt.memory", "Layers import downwards only"),
        ("takt.engine", "import takt_training", "The service never imports training"),
        ("takt.engine", "from takt.v1 import decision_pb2", "The wire format stays at the edge"),
        ("takt.engine", "import grpc", "Only the edges speak gRPC"),
        ("takt.policy", "from google.protobuf import timestamp_pb2", "Only the edges speak protobuf"),
        ("takt.memory", "import redis.asyncio", "Only one adapter speaks to Redis"),
        ("takt.rpc", "import onnxruntime", "Only one adapter runs models"),
    ],
)
def test_planted_violation_is_found(tree: Path, package: str, planted: str, contract: str) -> None:
    """One import in the wrong direction breaks the contract that forbids it."""
    (tree / "service" / package.replace(".", "/") / "planted.py").write_text(f"{planted}\n")

    result = lint(tree)

    assert BROKEN == result.returncode, result.stdout
    assert f"{contract} BROKEN" in result.stdout
    assert f"{package}.planted" in result.stdout


def test_package_without_a_layer_is_refused(tree: Path) -> None:
    """A new package has to be given its place among the layers."""
    newcomer = tree / "service" / "takt" / "newcomer"
    newcomer.mkdir()
    (newcomer / "__init__.py").touch()

    result = lint(tree)

    assert BROKEN == result.returncode, result.stdout
    assert "takt.newcomer" in result.stdout
