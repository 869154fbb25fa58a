"""Names that a workspace declares: unique, well-formed, and each with the code under which a ledger knows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from takt.yamlmarks import Node

ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@+-]{0,127}")
ID_WORDS: Final = "letters, digits and _ . : / @ + -, at most 128, beginning with a letter, digit or _"


class Register:
    """The names of one kind of thing, in the order of their declaration."""

    def __init__(self, kind: str, code_of: Callable[[str], int] | None = None, bits: int = 16) -> None:
        """`kind` as in messages, `code_of` derives a code of `bits` bits from a name, unless a `code` key gives one."""
        self.kind = kind
        self._code_of = code_of
        self._bits = bits
        self._nodes: dict[str, Node] = {}
        self._positions: dict[str, int] = {}
        self._order: list[str] = []
        self._coded: dict[int, str] = {}
        self.codes: dict[str, int] = {}
        """By name."""

    def add(self, node: Node) -> str | None:
        """The `id` of a declaration, if it is a new one; reports what is wrong with it or with its code."""
        name = node.required_text("id")
        return None if name is None else self._enter(name, node, node.get("id") or node)

    def add_name(self, node: Node) -> str | None:
        """A name that stands in a list by itself."""
        name = node.as_text()
        return None if name is None else self._enter(name, node, node)

    def _enter(self, name: str, node: Node, at: Node) -> str | None:
        if not ID.fullmatch(name):
            at.fail(f"{shown(name)} is no name of a {self.kind}; use {ID_WORDS}")
            return None
        first = self._nodes.setdefault(name, node)
        if first is not node:
            there = f"{first.filename} line {first.line}"
            at.fail(f"{self.kind} {name!r} is declared twice, first in {there}; rename or remove one")
            return None
        self._positions[name] = len(self._order)
        self._order.append(name)
        if self._code_of is not None:
            self._enter_code(name, node, at)
        return name

    def _enter_code(self, name: str, node: Node, at: Node) -> None:
        """Give the name its code, unless another has it."""
        high = 2**self._bits - 1
        code = node.integer("code", None, low=1, high=high) if isinstance(node.children, dict) else None
        if code is None and self._code_of is not None:
            code = self._code_of(name)
        if code is None:
            return
        other = self._coded.setdefault(code, name)
        if other != name:
            at.fail(
                f"{self.kind} {name!r} has the same ledger code as {other!r} ({code}); give one of them a key "
                f"`code:` with another number from 1 to {high}, for good"
            )
        self.codes[name] = code

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self._order)

    def name(self, position: int) -> str:
        """The name at a position."""
        return self._order[position]

    def node(self, name: str) -> Node:
        """Where a name is declared."""
        return self._nodes[name]

    def index(self, node: Node | None) -> int | None:
        """Position of the name that a node holds; reports when it is unknown. None where there is none."""
        name = None if node is None else node.as_text()
        if node is None or name is None:
            return None
        if name not in self._nodes:
            node.fail(f"{self.kind} {shown(name)} is unknown; {did_you_mean(name, self._nodes)}")
            return None
        return self._positions[name]

    def indices(self, nodes: Iterable[Node]) -> tuple[int, ...]:
        """Positions of the names in a list; unknown and repeated ones are reported and left out."""
        found: dict[int, None] = {}
        for node in nodes:
            index = self.index(node)
            if index is not None and index in found:
                node.fail(f"{self.kind} {shown(node.value)} is listed twice; keep one")
            elif index is not None:
                found[index] = None
        return tuple(found)
