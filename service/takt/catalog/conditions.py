"""Rules of a workspace: eligibility, stages, values and context weights, compiled, with problems at their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from takt.catalog.register import Register
from takt.catalog.rules import RuleCompiler, RuleError, Source, Want
from takt.catalog.snapshot import Rule, Stage, Weight
from takt.features.section import Source as FilledBy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.rules import Program
    from takt.catalog.selector import Selectors
    from takt.catalog.snapshot import Bools
    from takt.features.spec import FeatureSpec
    from takt.yamlmarks import Node

DEFAULT_STAGE: Final = "any"
"""The only stage of a catalog that declares none."""
MOST_RULES: Final = 2**15 - 1
"""Exclusions name a rule by int16."""


class Conditions:
    """Compiles rules and reports what is wrong with them."""

    def __init__(self, spec: FeatureSpec | None) -> None:
        """Without a spec nothing can be checked, and every rule is None."""
        self._spec = spec
        self._compiler = None if spec is None else RuleCompiler(spec)
        self._values: dict[Program, Rule] = {}

    def rule(self, node: Node | None, name: str = "", want: Want = Want.CONDITION) -> Rule | None:
        """The rule that a node holds, called `name` or by its own text."""
        text = None if node is None else node.as_text()
        if node is None or text is None or self._compiler is None:
            return None
        try:
            program = self._compiler.compile(text, want)
        except RuleError as error:
            for problem in error.problems:
                line, column = node.position(problem.offset)
                node.problems.add(f"{node.filename}:{line}:{column}: {node.path}", problem.message)
            return None
        shown = " ".join(text.split())
        return Rule(name or shown, shown, f"{node.filename}:{node.line}", program)

    def value(self, node: Node) -> Rule | None:
        """The rule of a value; equal expressions give one object."""
        rule = self.rule(node, want=Want.NUMBER)
        return None if rule is None else self._values.setdefault(rule.program, rule)

    def stages(self, nodes: Sequence[Node]) -> tuple[Stage, ...]:
        """Journey stages in their order; the last, and it alone, has no rule."""
        names = Register("stage")
        stages: list[Stage] = []
        for position, node in enumerate(nodes):
            if not node.only("id", "when"):
                continue
            name = names.add(node)
            when, last = node.get("when"), position == len(nodes) - 1
            if last and when is not None:
                when.fail("the last stage takes everybody that is left; remove this, or add a stage without `when`")
            if not last and when is None:
                node.fail_at("when", "is missing; only the last stage has no rule")
            rule = self.rule(when, name or "")
            if rule is not None and when is not None:
                self._check_stage(rule, when)
            if name is not None:
                stages.append(Stage(name, rule))
        return tuple(stages) or (Stage(DEFAULT_STAGE, None),)

    def _check_stage(self, rule: Rule, when: Node) -> None:
        """A stage is told before the offers and before what the service fills in."""
        for source, name in sorted(rule.program.features):
            filled = (
                source is Source.CONTEXT
                and self._spec is not None
                and self._spec.context[name].source is FilledBy.SERVICE
            )
            if source is Source.OFFER or filled:
                why = "no offer has been looked at" if source is Source.OFFER else "the service has not filled it"
                when.fail(
                    f"reads {source}.{name}, but {why} when the stage is told; use profile. and caller's context."
                )

    def weights(self, nodes: Sequence[Node], selectors: Selectors) -> tuple[Weight, ...]:
        """Context weights in their order."""
        names = Register("weight")
        weights: list[Weight] = []
        for node in nodes:
            if not node.only("id", "when", "offers", "times"):
                continue
            name, offers = names.add(node), selectors.mask(node)
            node.required("times", "a number")
            times = node.number("times", 1.0, low=0.0)
            when = node.get("when")
            rule = self.rule(when, name or "")
            if name is not None:
                weights.append(Weight(name, rule, offers, times))
        return tuple(weights)


class Eligibility:
    """All rules with the offers that they are for. Equal rules of offers are one."""

    def __init__(self, conditions: Conditions, n_offers: int) -> None:
        """Start without rules."""
        self._conditions = conditions
        self._n_offers = n_offers
        self._rules: list[Rule] = []
        self._masks: list[Bools] = []
        self._own: dict[Program, int] = {}

    def declare(self, nodes: Sequence[Node], selectors: Selectors) -> None:
        """Add rules for many offers, each under its id."""
        names = Register("rule")
        for node in nodes:
            if not node.only("id", "when", "offers"):
                continue
            name, offers = names.add(node), selectors.mask(node)
            rule = self._conditions.rule(node.required("when", "a rule"), name or "")
            if rule is not None:
                self._add(rule, offers, node)

    def add_own(self, offer: int, node: Node) -> None:
        """Add the rules of one offer: a text or a list of them. They are named by their text."""
        if node.value == []:
            node.fail("is empty; list at least one rule, or remove the key")
        for element in node.children if isinstance(node.children, list) else [node]:
            rule = self._conditions.rule(element)
            if rule is None:
                continue
            known = self._own.get(rule.program)
            if known is not None:
                self._masks[known][offer] = True
                continue
            self._own[rule.program] = len(self._rules)
            offers = np.zeros(self._n_offers, np.bool_)
            offers[offer] = True
            self._add(rule, offers, element)

    def _add(self, rule: Rule, offers: Bools, at: Node) -> None:
        if len(self._rules) == MOST_RULES:
            at.fail(f"is one rule too many; a catalog has at most {MOST_RULES} different ones")
        self._rules.append(rule)
        self._masks.append(offers)

    def rules(self) -> tuple[Rule, ...]:
        """All rules, in the order in which they are reported."""
        return tuple(self._rules)

    def offers(self) -> Bools:
        """Bool [K, O]: rule k must hold for offer o."""
        return np.array(self._masks, np.bool_).reshape(len(self._masks), self._n_offers)
