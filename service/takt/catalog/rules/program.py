"""Rules compiled: text in, program out, or every problem with its place."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from takt.catalog.rules.checker import Checker, Problem
from takt.catalog.rules.expressions import NUMBERS, Expression, Field, Kind, Now, Source, walk
from takt.catalog.rules.grammar import SyntaxProblem, parse

if TYPE_CHECKING:
    from takt.features.spec import FeatureSpec


class Want(StrEnum):
    """What a rule is for, hence what it must yield."""

    CONDITION = "a rule must be true or false"
    NUMBER = "a value must be a number"


class Program(Struct, frozen=True):
    """A checked expression. Programs of one compiler are the same object exactly if their expressions are equal."""

    root: Expression
    reads: frozenset[Source]
    """What it depends on; empty for a constant."""
    features: frozenset[tuple[Source, str]]
    """Features that it reads, `has()` included."""

    @property
    def type(self) -> Kind:
        """What it yields."""
        return self.root.kind


class RuleError(Exception):
    """A rule was refused. The workspace turns each problem into a violation with file, line and column."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems; there is at least one."""
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class RuleCompiler:
    """Compiles the rules of one catalog against its feature spec.

    Equal expressions become one object, whole or in part, so that a batch evaluates each once.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._nodes: dict[Expression, Expression] = {}
        self._programs: dict[Expression, Program] = {}
        self._texts: dict[tuple[str, Want], Program] = {}

    def compile(self, text: str, want: Want = Want.CONDITION) -> Program:
        """The program of a CEL text. Raises `RuleError` with every problem found."""
        known = self._texts.get((text, want))
        if known is None:
            known = self._texts[text, want] = self._compile(text, want)
        return known

    def _compile(self, text: str, want: Want) -> Program:
        try:
            tree = parse(text)
        except SyntaxProblem as problem:
            raise RuleError((Problem(problem.offset, problem.message),)) from problem
        checker = Checker(text, self.spec, self._one)
        root = checker.check(tree)
        if root is not None and not checker.problems:
            fits = root.kind is Kind.BOOL if want is Want.CONDITION else root.kind in NUMBERS
            if fits:
                return self._program(root)
            checker.problems.append(Problem(0, f"yields {root.kind}; {want}"))
        raise RuleError(tuple(checker.problems))

    def _one(self, node: Expression) -> Expression:
        """The first node that was equal to this one."""
        return self._nodes.setdefault(node, node)

    def _program(self, root: Expression) -> Program:
        """The one program of an expression."""
        known = self._programs.get(root)
        if known is None:
            features = frozenset((node.source, node.name) for node in walk(root) if isinstance(node, Field))
            now = {Source.NOW} if any(isinstance(node, Now) for node in walk(root)) else set()
            known = self._programs[root] = Program(root, frozenset({source for source, _ in features} | now), features)
        return known
