"""YAML text to nodes."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final, NoReturn

import yaml
from msgspec import Struct, field

from takt.errors import WorkspaceError
from takt.spelling import shown
from takt.yamlmarks.node import Node, Problems, join_path

DEEPEST: Final = 32
"""Levels of nesting; a workspace needs about six."""
LONGEST_NUMBER: Final = 32
"""Characters of a whole number; a longer one is read as a float, since Python refuses to read absurd ones."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes only; in C where libyaml is there, some ten times faster."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_TAG: Final = "tag:yaml.org,2002:"

# First match wins, so integers come before floats.
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))


def load(text: str, filename: str, problems: Problems | None = None) -> Node:
    """Read one YAML document. An empty file is an empty mapping.

    Duplicate keys, keys that are not text, aliases and foreign tags are reported into the result's `problems`. What is
    no YAML at all raises `WorkspaceError` at once, with whatever `problems` held already.
    """
    noted = Problems() if problems is None else problems
    text = text.removeprefix("\ufeff")  # so that YAML counts characters as Python does
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        _refuse(noted, f"{filename}:{line}", f"not readable as YAML: {error.problem or error.context}", error)
    except yaml.YAMLError as error:
        _refuse(noted, f"{filename}:1", f"not readable as YAML: {str(error).splitlines()[0]}", error)
    except RecursionError as error:
        _refuse(noted, f"{filename}:1", f"nested too deeply; at most {DEEPEST} levels are read", error)
    if root is None:
        return Node(filename, 1, 1, "", {}, noted, children={})
    return _Builder(text=text, filename=filename, problems=noted).build(root, "", 0)


class _Builder(Struct):
    """Turns composed nodes into `Node`s."""

    text: str
    filename: str
    problems: Problems
    seen: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node, path: str, depth: int) -> Node:
        """One node with all below it; null where it is refused."""
        start, end = node.start_mark, node.end_mark
        value: Any = None
        raw = ""
        children: dict[str, Node] | list[Node] | None = None
        if id(node) in self.seen:  # an alias is the same node a second time
            self.refuse(node, path, "aliases are not read; write the value out")
        elif depth > DEEPEST:
            self.refuse(node, path, f"nested too deeply; at most {DEEPEST} levels are read")
        elif isinstance(node, yaml.ScalarNode):
            value = self.scalar(node, path)
            raw = self.text[start.index : end.index]
        elif isinstance(node, yaml.SequenceNode):
            self.seen.add(id(node))
            children = [self.build(child, f"{path}[{i}]", depth + 1) for i, child in enumerate(node.value)]
            value = [child.value for child in children]
        else:
            self.seen.add(id(node))
            children = self.mapping(node, path, depth)
            value = {key: child.value for key, child in children.items()}
        self.seen.add(id(node))
        return Node(
            filename=self.filename,
            line=start.line + 1,
            column=start.column + 1,
            path=path,
            value=value,
            problems=self.problems,
            raw=raw,
            children=children,
        )

    def scalar(self, node: yaml.ScalarNode, path: str) -> str | float | bool | None:
        """A scalar's value by its tag."""
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case "int" if _INT.match(text):
                return int(text) if len(text) <= LONGEST_NUMBER else float(text)
            case "float" if _FLOAT.match(text) or _INT.match(text):
                return float(text)
        self.refuse(node, path, f"tag {shown(node.tag)} is not read; write plain text, a number, true or false")
        return None

    def mapping(self, node: yaml.Node, path: str, depth: int) -> dict[str, Node]:
        """The children of a mapping; the first of two equal keys counts."""
        children: dict[str, Node] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
                self.refuse(key, path, "a key must be text; put it in quotes")
                continue
            name: str = key.value
            if name in children:
                first = children[name].line
                self.refuse(key, join_path(path, name), f"the key is given twice, first on line {first}; keep one")
                continue
            children[name] = self.build(child, join_path(path, name), depth + 1)
        return children

    def refuse(self, node: yaml.Node, path: str, message: str) -> None:
        """Report a node that cannot be read."""
        where = f"{self.filename}:{node.start_mark.line + 1}"
        self.problems.add(f"{where}: {path}" if path else where, message)


def _refuse(problems: Problems, where: str, message: str, cause: Exception) -> NoReturn:
    """Raise with what was noted and one more."""
    problems.add(where, message)
    raise WorkspaceError(tuple(problems.found)) from cause
