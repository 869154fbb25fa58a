"""A parse tree to a checked expression: every name resolved, every operator given operands of its kinds.

Checking goes on after a problem: what depends on something wrong is left alone, everything else is still checked, so
that one reading finds all there is to mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lark import Token, Tree
from msgspec import Struct

from takt.catalog.rules import literals
from takt.catalog.rules.arithmetic import arithmetic, conversion
from takt.catalog.rules.comparison import Comparisons, ListOf, Operand, Text, hint
from takt.catalog.rules.expressions import (
    NUMBERS,
    And,
    Choice,
    Expression,
    Field,
    Has,
    Kind,
    Literal,
    Negative,
    Not,
    Now,
    Or,
    Size,
    Source,
)
from takt.catalog.rules.vocabulary import Vocabularies
from takt.features.section import FeatureType
from takt.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from takt.features.section import Section
    from takt.features.spec import FeatureSpec

DEEPEST: Final = 64
"""Levels of nesting in a rule."""

FUNCTIONS: Final = ("double", "duration", "has", "int", "size", "timestamp")
READS: Final = "rules read profile.NAME, context.NAME, offer.NAME and now"

_OPERATORS: Final = {
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_in": "in",
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}
_KIND_OF: Final = {
    FeatureType.FLOAT: Kind.DOUBLE,
    FeatureType.INT: Kind.INT,
    FeatureType.BOOL: Kind.BOOL,
    FeatureType.CATEGORY: Kind.TEXT,
    FeatureType.FLAGS: Kind.FLAGS,
    FeatureType.TIMESTAMP: Kind.TIMESTAMP,
}
_NO_NULL: Final = "null is not used in rules; write has(profile.x) or !has(profile.x)"


class Problem(Struct, frozen=True):
    """Something wrong at a character of the text."""

    offset: int
    message: str


class _Wrong(Exception):  # noqa: N818 - ends the check of one piece, and never leaves this module
    """A piece is wrong; `problem` is None where its parts have been reported already."""

    def __init__(self, problem: Problem | None) -> None:
        super().__init__(problem)
        self.problem = problem


class Checker:
    """Checks one rule. `problems` has what was found; `make` gives equal nodes one identity."""

    def __init__(self, text: str, spec: FeatureSpec, make: Callable[[Expression], Expression]) -> None:
        self.text = text
        self.sections: dict[Source, Section] = {
            Source.PROFILE: spec.profile,
            Source.CONTEXT: spec.context,
            Source.OFFER: spec.offer,
        }
        self.comparisons = Comparisons(Vocabularies(self.sections))
        self.make = make
        self.problems: list[Problem] = []
        self.depth = 0

    def check(self, tree: Tree[Token]) -> Expression | None:
        """The expression of a whole rule, None if something is wrong with it."""
        try:
            return self._values("a rule compares it with something", tree)[0]
        except _Wrong:
            return None

    # Operands and problems ------------------------------------------------------------------------------------------

    def _wrong(self, at: Tree[Token] | Token, message: str) -> _Wrong:
        """What ends the check of a piece: a problem at its beginning."""
        if isinstance(at, Token):
            return _Wrong(Problem(at.start_pos or 0, message))
        return _Wrong(Problem(0 if at.meta.empty else at.meta.start_pos, message))

    def _source(self, at: Tree[Token]) -> str:
        """The text of a piece, for messages."""
        text = " ".join(self.text[at.meta.start_pos : at.meta.end_pos].split())
        return f"`{text if len(text) <= 40 else text[:37] + '...'}`"

    def _each(self, check: Callable[[Tree[Token]], Operand], trees: Sequence[Tree[Token]]) -> list[Operand]:
        """All `trees` checked, even if one is wrong; then the whole is wrong, and nothing more is said about it."""
        checked: list[Operand] = []
        for tree in trees:
            try:
                checked.append(check(tree))
            except _Wrong as wrong:
                if wrong.problem is not None:
                    self.problems.append(wrong.problem)
        if len(checked) < len(trees):
            raise _Wrong(None)
        return checked

    def _operands(self, *trees: Tree[Token]) -> list[Operand]:
        """Operands of any kind."""
        return self._each(self._check, trees)

    def _values(self, why: str, *trees: Tree[Token]) -> list[Expression]:
        """Operands that mean something by themselves, unlike a bare text or list."""

        def check(tree: Tree[Token]) -> Expression:
            checked = self._check(tree)
            if isinstance(checked, Text | ListOf):
                raise self._wrong(tree, f"{self._source(tree)} is {checked.kind}; {why}")
            return checked

        return [value for value in self._each(check, trees) if not isinstance(value, Text | ListOf)]

    def _conditions(self, operator: str, *trees: Tree[Token]) -> tuple[Expression, ...]:
        """Operands of a logical operator."""
        why = f"`{operator}` needs true or false"

        def check(tree: Tree[Token]) -> Expression:
            value = self._values(why, tree)[0]
            if value.kind is not Kind.BOOL:
                raise self._wrong(tree, f"{self._source(tree)} is {value.kind}; {why}")
            return value

        return tuple(value for value in self._each(check, trees) if not isinstance(value, Text | ListOf))

    def _check(self, tree: Tree[Token]) -> Operand:
        """Any piece of the tree."""
        node = _unwrapped(tree)
        if self.depth >= DEEPEST:
            raise self._wrong(node, f"is nested more than {DEEPEST} levels deep; split the rule or compute a feature")
        self.depth += 1
        try:
            return self._dispatch(node)
        except ValueError as error:
            raise self._wrong(node, str(error)) from error
        finally:
            self.depth -= 1

    def _dispatch(self, node: Tree[Token]) -> Operand:
        """By node of the grammar."""
        match str(node.data):
            case "expr":
                return self._choice(node)
            case "conditionalor":
                return self.make(Or(self._conditions("||", *_chain(node))))
            case "conditionaland":
                return self.make(And(self._conditions("&&", *_chain(node))))
            case "relation":
                return self._relation(node)
            case "addition" | "multiplication":
                return self._arithmetic(node)
            case "unary":
                return self._unary(node)
            case "literal":
                return self._literal(node)
            case "list_lit":
                return self._list(node)
            case "ident":
                return self._ident(node)
            case "member_dot":
                return self._member(node)
            case "ident_arg":
                return self._call(node)
            case _:
                raise self._unsupported(node)

    def _unsupported(self, node: Tree[Token]) -> _Wrong:
        """Parts of CEL that rules do not have."""
        what = {
            "member_dot_arg": "methods and macros",
            "member_index": "brackets behind a value",
            "member_object": "messages",
            "map_lit": "maps",
            "mapinits": "maps",
        }.get(str(node.data), "names that begin with a dot")
        names = ", ".join(f"{name}()" for name in FUNCTIONS)
        return self._wrong(node, f"{self._source(node)}: {what} are not supported; functions are {names}")

    # Logic ----------------------------------------------------------------------------------------------------------

    def _choice(self, node: Tree[Token]) -> Expression:
        why = "`? :` chooses between booleans, numbers or times"

        def check(tree: Tree[Token]) -> Expression:
            if tree is node.children[0]:
                return self._conditions("?", tree)[0]
            value = self._values(why, tree)[0]
            if value.kind in {Kind.TEXT, Kind.FLAGS}:
                raise self._wrong(tree, f"{self._source(tree)} is {value.kind}; {why}")
            return value

        trees = [_tree(node, i) for i in range(3)]
        condition, then, otherwise = (
            value for value in self._each(check, trees) if not isinstance(value, Text | ListOf)
        )
        if then.kind is not otherwise.kind:
            sides = f"{then.kind} and {otherwise.kind}{hint(then, otherwise)}"
            raise self._wrong(node, f"both branches of `? :` need one kind; these are {sides}")
        return self.make(Choice(condition, then, otherwise, then.kind))

    def _unary(self, node: Tree[Token]) -> Expression:
        operand = _tree(node, 1)
        if _tree(node, 0).data == "unary_not":
            return self.make(Not(self._conditions("!", operand)[0]))
        value = self._values("`-` needs a number", operand)[0]
        if value.kind not in NUMBERS:
            raise self._wrong(operand, f"{self._source(operand)} is {value.kind}; `-` needs a number")
        if isinstance(value, Literal):
            return self.make(Literal(-value.value, value.kind))
        return self.make(Negative(value, value.kind))

    # Operators ------------------------------------------------------------------------------------------------------

    def _relation(self, node: Tree[Token]) -> Expression:
        operator = _OPERATORS[str(_tree(node, 0).data)]
        left_tree, right_tree = _tree(_tree(node, 0), 0), _tree(node, 1)
        left, right = self._operands(left_tree, right_tree)
        sides = f"{self._source(left_tree)} is {left.kind}, {self._source(right_tree)} is {right.kind}"
        if operator == "in":
            return self.make(self.comparisons.membership(left, right, sides))
        return self.make(self.comparisons.compare(operator, left, right, sides=sides))

    def _arithmetic(self, node: Tree[Token]) -> Expression:
        operator = _OPERATORS[str(_tree(node, 0).data)]
        left_tree, right_tree = _tree(_tree(node, 0), 0), _tree(node, 1)
        left, right = self._values(f"`{operator}` needs numbers or times", left_tree, right_tree)
        try:
            return self.make(arithmetic(operator, left, right))
        except ValueError as error:
            sides = f"{self._source(left_tree)} is {left.kind}, {self._source(right_tree)} is {right.kind}"
            raise ValueError(f"{error}, but {sides}{hint(left, right)}") from error

    # Names, literals, functions -------------------------------------------------------------------------------------

    def _literal(self, node: Tree[Token]) -> Expression | Text:
        word = _token(node, 0)
        match word.type:
            case "INT_LIT":
                return self.make(Literal(literals.whole_of(word), Kind.INT))
            case "FLOAT_LIT":
                return self.make(Literal(literals.decimal_of(word), Kind.DOUBLE))
            case "BOOL_LIT":
                return self.make(Literal(word == "true", Kind.BOOL))
            case "STRING_LIT" | "MLSTRING_LIT":
                return Text(literals.text_of(word))
            case "NULL_LIT":
                raise ValueError(_NO_NULL)
            case "UINT_LIT":
                raise ValueError(f"`{word}` is unsigned, which no feature is; write {word[:-1]}")
            case _:
                raise ValueError(f"{self._source(node)} is bytes, which no feature is; leave the b away")

    def _list(self, node: Tree[Token]) -> ListOf:
        def check(tree: Tree[Token]) -> Operand:
            element = self._check(tree)
            if not isinstance(element, Text | Literal):
                raise self._wrong(tree, f"{self._source(tree)} is no constant; a list holds constants")
            return element

        elements = self._each(check, _arguments(node))
        return ListOf(tuple(element for element in elements if isinstance(element, Text | Literal)))

    def _ident(self, node: Tree[Token]) -> Expression:
        name = str(_token(node, 0))
        if name in {"true", "false"}:
            return self.make(Literal(name == "true", Kind.BOOL))
        if name == "null":
            raise ValueError(_NO_NULL)
        if name == Source.NOW:
            return self.make(Now())
        if name in self.sections:
            raise ValueError(f"{name} is a section, not a value; write {name}.NAME")
        raise ValueError(f"{shown(name)} is not known; {self._elsewhere(name) or READS}")

    def _member(self, node: Tree[Token]) -> Expression:
        owner, token = _unwrapped(_tree(node, 0)), _token(node, 1)
        source = str(owner.children[0]) if owner.data == "ident" else ""
        if source not in self.sections:
            raise ValueError(f"{self._source(node)} is not known; {READS}")
        section, name = self.sections[Source(source)], str(token)
        if name not in section:
            hint = self._elsewhere(name) or did_you_mean(name, [feature.name for feature in section.features])
            raise self._wrong(token, f"{source} has no feature {shown(name)}; {hint}")
        return self.make(Field(Source(source), name, _KIND_OF[section[name].type]))

    def _elsewhere(self, name: str) -> str:
        """In which sections there is such a feature, as a question; empty where in none."""
        homes = [f"{source}.{name}" for source, section in self.sections.items() if name in section]
        return f"did you mean {' or '.join(homes)}?" if homes else ""

    def _call(self, node: Tree[Token]) -> Expression:
        token = _token(node, 0)
        name, arguments = str(token), _arguments(node)
        if name not in FUNCTIONS:
            raise ValueError(f"{shown(name)} is no function of rules; {did_you_mean(name, FUNCTIONS)}")
        if len(arguments) != 1:
            raise ValueError(f"{name}() takes one argument, not {len(arguments)}")
        argument = arguments[0]
        checked = self._operands(argument)[0]
        match name, checked:
            case "has", Field():
                return self.make(Has(checked))
            case "size", Field(kind=Kind.FLAGS):
                return self.make(Size(checked))
            case "timestamp" | "duration", Text():
                return self.make(self._time(name, argument, checked.value))
            case "double" | "int", _ if not isinstance(checked, Text | ListOf) and checked.kind in NUMBERS:
                return self.make(conversion(Kind(name), checked))
        needs = {
            "has": "a feature, like profile.x",
            "size": "a feature of flags",
            "double": "a number",
            "int": "a number",
        }
        takes = needs.get(name, "a text in quotes")
        raise self._wrong(argument, f"{name}() takes {takes}; {self._source(argument)} is {checked.kind}")

    def _time(self, name: str, argument: Tree[Token], text: str) -> Literal:
        """`timestamp("...")` or `duration("...")`, which are constants."""
        try:
            us = literals.timestamp_of(text) if name == "timestamp" else literals.duration_of(text)
        except ValueError as error:
            raise self._wrong(argument, str(error)) from error
        return Literal(us, Kind(name))


def _unwrapped(tree: Tree[Token]) -> Tree[Token]:
    """Below the levels of precedence and the parentheses that say nothing."""
    while len(tree.children) == 1 and isinstance(tree.children[0], Tree) and tree.data != "list_lit":
        tree = tree.children[0]
    return tree


def _chain(node: Tree[Token]) -> list[Tree[Token]]:
    """The terms of `a && b && c`, which the grammar nests to the left; a loop, since there may be hundreds."""
    trees: list[Tree[Token]] = []
    while node.data in {"conditionalor", "conditionaland"} and len(node.children) == 2:
        trees.append(_tree(node, 1))
        if _tree(node, 0).data != node.data:
            break
        node = _tree(node, 0)
    else:
        return [node, *reversed(trees)]
    return [_tree(node, 0), *reversed(trees)]


def _tree(node: Tree[Token], index: int) -> Tree[Token]:
    child = node.children[index]
    if not isinstance(child, Tree):
        raise TypeError(f"{node.data}: the grammar of cel-python changed")
    return child


def _token(node: Tree[Token], index: int) -> Token:
    child = node.children[index]
    if not isinstance(child, Token):
        raise TypeError(f"{node.data}: the grammar of cel-python changed")
    return child


def _arguments(node: Tree[Token]) -> list[Tree[Token]]:
    """Expressions behind a function's name or in brackets."""
    last = node.children[-1] if node.children else None
    return [_tree(last, i) for i in range(len(last.children))] if isinstance(last, Tree) else []
