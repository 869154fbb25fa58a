"""What is proposed: offers with their values, validity, attributes and rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct, field

from takt.catalog.register import Register
from takt.catalog.snapshot import Offer, Rule
from takt.domain.ledger import code16, code32
from takt.features.record import validate
from takt.features.section import FeatureType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.conditions import Conditions, Eligibility
    from takt.catalog.selector import Selectors
    from takt.catalog.treatments import Treatments
    from takt.domain.request import Scalar
    from takt.features.spec import FeatureSpec
    from takt.yamlmarks import Node

ALWAYS: Final = 0
FOREVER: Final = int(np.iinfo(np.int64).max)

KEYS: Final = (
    *("id", "code", "title", "group", "tags", "value", "lever", "valid"),
    *("eligible", "attributes", "treatments"),
)


class Offers(Struct):
    """Offers as declared; positions are those of the register."""

    names: Register = field(default_factory=lambda: Register("offer", code32, 32))
    groups: Register = field(default_factory=lambda: Register("group", code16))
    nodes: list[Node] = field(default_factory=list)
    """By offer."""
    offers: list[Offer] = field(default_factory=list)
    rows: list[dict[str, Scalar]] = field(default_factory=list)
    """Attributes by offer."""
    values: list[float] = field(default_factory=list)
    """NaN where a rule gives the value."""
    rules: list[Rule | None] = field(default_factory=list)
    levers: list[float] = field(default_factory=list)
    valid_from_us: list[int] = field(default_factory=list)
    valid_until_us: list[int] = field(default_factory=list)

    def read_groups(self, nodes: Sequence[Node]) -> None:
        """Groups: names, or `{id, code}` where two names share a ledger code."""
        for node in nodes:
            if isinstance(node.children, dict):
                if node.only("id", "code"):
                    self.groups.add(node)
            else:
                self.groups.add_name(node)

    def read_names(self, nodes: Sequence[Node]) -> None:
        """First pass: which offers there are, so that everything else can name them."""
        for node in nodes:
            if not node.only(*KEYS):
                continue
            name = self.names.add(node)
            if name is not None:
                group = self.groups.index(node.get("group"))
                tags = frozenset(node.names("tags"))
                code = self.names.codes.get(name, 0)
                self.nodes.append(node)
                self.offers.append(Offer(name, code, -1 if group is None else group, tags, node.text("title", name)))

    def select(self, selectors: Selectors) -> None:
        """Tell `selectors` what the offers carry."""
        for position, offer in enumerate(self.offers):
            selectors.add(position, sorted(offer.tags), offer.group)

    def read_details(self, spec: FeatureSpec | None, conditions: Conditions) -> None:
        """Second pass: values, validity and attributes."""
        for node in self.nodes:
            value, rule = _value(node, conditions)
            start, end = _validity(node)
            self.values.append(value)
            self.rules.append(rule)
            self.levers.append(node.number("lever", 1.0, low=0.0))
            self.valid_from_us.append(start)
            self.valid_until_us.append(end)
            self.rows.append({} if spec is None else _attributes(node, spec))

    def read_rules(self, eligibility: Eligibility) -> None:
        """Rules of single offers."""
        for position, node in enumerate(self.nodes):
            own = node.get("eligible")
            if own is not None:
                eligibility.add_own(position, own)

    def read_treatments(self, treatments: Treatments) -> None:
        """Treatments of single offers."""
        for position, node in enumerate(self.nodes):
            for element in node.list_at("treatments"):
                treatments.add(position, element)


def _value(node: Node, conditions: Conditions) -> tuple[float, Rule | None]:
    """What an offer is worth: a number, or a rule that gives one."""
    given = node.required("value", "a number, or a numeric expression")
    if given is None:
        return math.nan, None
    if isinstance(given.value, str):
        return math.nan, conditions.value(given)
    number = given.as_float(low=0.0)
    return math.nan if number is None else number, None


def _validity(node: Node) -> tuple[int, int]:
    """From when until when, half-open, in microseconds."""
    valid = node.get("valid")
    if valid is None or not valid.only("from", "until"):
        return ALWAYS, FOREVER
    start, end = valid.moment("from", ALWAYS), valid.moment("until", FOREVER)
    if end <= start:
        valid.fail_at("until", "is not later than `from`; the offer would never be valid")
    return start, end


def _attributes(node: Node, spec: FeatureSpec) -> dict[str, Scalar]:
    """Features of an offer, checked against the spec's `offer` section."""
    given = node.get("attributes")
    if given is None or not given.is_mapping():
        return {}
    row: dict[str, Scalar] = {}
    wrong: set[str] = set()
    for name, child in given.items():
        value = _attribute(child, spec.offer[name].type if name in spec.offer else None)
        if value is None:
            wrong.add(name)
        else:
            row[name] = value
    for violation in validate(spec.offer, row):
        given.fail_at(violation.field, violation.message)
        wrong.add(violation.field)
    return {name: value for name, value in row.items() if name not in wrong}


def _attribute(node: Node, kind: FeatureType | None) -> Scalar | None:
    """One value as the feature spec has it; None where it is missing or wrong, which is reported."""
    match kind:
        case FeatureType.TIMESTAMP:
            return node.as_moment()
        case FeatureType.FLAGS:
            return node.as_names()
        case _ if node.value is None or isinstance(node.children, list | dict):
            node.fail("is no value; write a number, a text, true or false, or leave the key out")
            return None
        case _:
            value: Scalar = node.value
            return value
