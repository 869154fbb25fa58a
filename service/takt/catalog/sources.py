"""The files of a workspace, read and joined."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from takt.errors import WorkspaceError
from takt.features.spec import FeatureSpec, load_spec
from takt.yamlmarks import Node, Problems, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from takt.domain.edition import SourceFile

FEATURES: Final = "features.yaml"
MAIN: Final = "catalog.yaml"
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one file."""

SETTINGS: Final = ("name", "time_zone", "locale", "unit", "minimum_gap", "exploration", "arbitration", "ledger")
"""Keys that are given once in all files."""
LISTS: Final = (
    "channels",
    "tonalities",
    "timings",
    "groups",
    "placements",
    "offers",
    "treatment_templates",
    "eligibility",
    "stages",
    "weights",
    "caps",
    "events",
)
"""Keys whose lists are joined over all files."""


def read_directory(directory: Path, problems: Problems) -> dict[str, str]:
    """Text of every YAML file in a directory by name; what cannot be read is noted."""
    texts: dict[str, str] = {}
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        problems.add(str(directory), f"cannot be read: {error.strerror or error}")
        return texts
    for path in paths:
        if path.suffix == ".yml":
            problems.add(path.name, f"is not read; name it {path.stem}.yaml")
        if path.suffix != ".yaml" or not path.is_file():
            continue
        try:
            if path.stat().st_size > LARGEST:
                problems.add(path.name, f"is larger than {LARGEST // 2**20} MiB; split it")
                continue
            texts[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.add(path.name, f"cannot be read as UTF-8 text: {error}")
    return texts


def read_files(files: Sequence[SourceFile], problems: Problems) -> dict[str, str]:
    """Text of every file by name. One that is no part of a workspace is noted: nobody sends it for nothing."""
    texts: dict[str, str] = {}
    for file in files:
        if "/" in file.path:
            problems.add(
                file.path, f"is not read; the files of a catalog lie side by side: {file.path.rsplit('/')[-1]}"
            )
        elif not file.path.endswith(".yaml"):
            problems.add(file.path, f"is not read; name it {file.path.rsplit('.')[0]}.yaml, or leave it out")
        else:
            try:
                texts[file.path] = file.content.decode("utf-8")
            except UnicodeDecodeError as error:
                problems.add(file.path, f"cannot be read as UTF-8 text: {error}")
    return texts


class Sources:
    """A workspace's files. What is wrong with any of them is noted in `problems`."""

    def __init__(self, texts: Mapping[str, str], problems: Problems) -> None:
        """Read `features.yaml`, `catalog.yaml` and every other `*.yaml` beside them, in the order of their names.

        `problems` are those of reading the texts, by name of the file.
        """
        self.problems = problems
        self.spec: FeatureSpec | None = None
        """None if it is missing or wrong; then nothing that depends on it can be checked."""
        self.roots: list[Node] = []
        self._entries: dict[str, list[Node]] = {}
        spec = texts.get(FEATURES)
        if spec is None:
            self.problems.add(FEATURES, "is missing; it declares the features that rules and models read")
        else:
            self._read_spec(spec)
        catalogs = sorted(texts.keys() - {FEATURES}, key=lambda name: (name != MAIN, name))
        for filename in catalogs:
            self._read_catalog(texts[filename], filename)
        if not catalogs:
            self.problems.add(MAIN, "is missing; it declares channels, placements and offers")

    def _read_spec(self, text: str) -> None:
        try:
            self.spec = load_spec(text, FEATURES)
        except WorkspaceError as error:
            self.problems.found.extend(error.violations)

    def _read_catalog(self, text: str, filename: str) -> None:
        try:
            root = load(text, filename, self.problems)
        except WorkspaceError as error:
            self.problems.found[:] = error.violations  # it carries what was noted before as well
            return
        if root.only(*SETTINGS, *LISTS):
            _report_empty(root)
            self.roots.append(root)

    def entries(self, key: str) -> list[Node]:
        """Elements of the lists under `key`, of all files."""
        made = self._entries.get(key)
        if made is None:
            made = self._entries[key] = [element for root in self.roots for element in root.list_at(key)]
        return made

    def setting(self, key: str) -> Node | None:
        """The value of a key that is given once."""
        given = [child for root in self.roots if (child := root.get(key)) is not None]
        for again in given[1:]:
            again.fail(f"is given in {given[0].filename} line {given[0].line} already; keep one")
        return given[0] if given else None

    def digest(self) -> str:
        """16 hex digits of the content of all files, whatever their comments, layout and order of keys."""
        spec = self.spec
        content = [
            None if spec is None else [spec.layout_fingerprint, spec.model_fingerprint, _declared(spec)],
            {key: [node.value for node in self.entries(key)] for key in LISTS},
            {key: None if (node := self.setting(key)) is None else node.value for key in SETTINGS},
        ]
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _report_empty(node: Node) -> None:
    """Report keys without a value: `eligible:` with nothing behind it must not mean that everybody is eligible."""
    keyed = isinstance(node.children, dict)
    for child in node.children.values() if isinstance(node.children, dict) else node.children or ():
        if keyed and child.value is None:
            child.fail("has no value; give one, or remove the key")
        _report_empty(child)


def _declared(spec: FeatureSpec) -> Sequence[object]:
    """What the fingerprints leave out and still changes answers: bounds, defaults, sources."""
    return [
        [
            section.name,
            [[f.name, f.type.value, f.default, f.low, f.high, f.values, f.source.value] for f in section.features],
        ]
        for section in (spec.profile, spec.context, spec.offer)
    ]
