"""CEL text to a parse tree, by the grammar that cel-python ships.

Only the grammar file is read: importing `celpy` itself would bring its evaluator, a date library and a regular
expression engine into the service, none of which are needed to read a rule.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from takt.kernel import CACHED, cache_directory

TABLES: Final = "cel.lark.pickle"
"""Of the grammar, as Lark keeps them; it makes them anew for another grammar, other options, or another Lark."""
LONGEST: Final = 4_000
"""Characters of a rule. A longer one belongs into a feature."""

_MEANT: Final = {
    "=": "==",
    "&": "&&",
    "|": "||",
    "and": "&&",
    "or": "||",
    "not": "!",
    "AND": "&&",
    "OR": "||",
    "NOT": "!",
}


class SyntaxProblem(Exception):  # noqa: N818 - a value on its way to a violation, never raised out of this package
    """The text is no CEL expression. `offset` is the character where that shows."""

    def __init__(self, offset: int, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.offset = offset
        self.message = message


def parse(text: str) -> Tree[Token]:
    """The parse tree of a CEL expression, with positions. Raises `SyntaxProblem`."""
    if len(text) > LONGEST:
        raise SyntaxProblem(0, f"has {len(text)} characters; a rule has at most {LONGEST}")
    if not text.strip():
        raise SyntaxProblem(0, "is empty; an expression is needed")
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        raise SyntaxProblem(*_explained(error, text)) from error


@functools.cache
def _parser() -> Lark:
    """The parser, built when a first rule is read: some 0.2 s, so its tables are kept beside the compiled kernels."""
    found = find_spec("celpy")
    if found is None or not found.submodule_search_locations:
        raise ImportError("cel-python is not installed; its grammar reads the rules")
    grammar = Path(found.submodule_search_locations[0], "cel.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        start="expr",
        priority="invert",  # as the grammar was written for: its lower numbers go first
        maybe_placeholders=False,
        propagate_positions=True,
        cache=str(cache_directory() / TABLES) if CACHED else False,
    )


def _explained(error: UnexpectedInput, text: str) -> tuple[int, str]:
    """Where and what went wrong, in words."""
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return len(text.rstrip()), "is not readable as CEL: it ends too early"
    offset: int = getattr(error, "pos_in_stream", None) or 0
    found = str(error.token) if isinstance(error, UnexpectedToken) else text[offset]
    if isinstance(error, UnexpectedCharacters) and found in "\"'":
        return offset, "is not readable as CEL: this text is not closed with the same quote"
    hint = f"; did you mean `{_MEANT[found]}`?" if found in _MEANT else ""
    return offset, f"is not readable as CEL: {found!r} is not expected here{hint}"
