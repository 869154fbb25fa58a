"""Rules over batches give what cel-python's evaluator gives row by row, errors included."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from takt.catalog.rules import Kind, Program, RuleCompiler, Want
from takt.eligibility.evaluation import Values, evaluate
from takt.eligibility.filters import rows_of
from takt.eligibility.running import run
from takt.eligibility.sheet import Sheet
from takt.features.columns import Columns
from takt.features.record import pack_section
from tests.unit.eligibility.celpy_rows import NOW_US, SPEC, Reference, Row, decimal, rows, truth, whole

COMPILER = RuleCompiler(SPEC)
PEOPLE, OFFERS = 3, 3
# Shrinking would ask cel-python thousands of times more, and the expressions are short as they are.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]


def _check(text: str, want: Want, people: list[tuple[Row, Row]], offers: list[Row]) -> None:
    """Compare every cell of `[R, O]` with the reference."""
    program = COMPILER.compile(text, want)
    profiles = Columns(SPEC.profile, pack_section(SPEC.profile, [profile for profile, _ in people]))
    contexts = Columns(SPEC.context, pack_section(SPEC.context, [context for _, context in people]))
    offered = Columns(SPEC.offer, pack_section(SPEC.offer, offers))
    values, errors = evaluate(program, profiles, contexts, offered, NOW_US)
    shape = (len(people), len(offers))
    values, errors = np.broadcast_to(values, shape), np.broadcast_to(errors, shape)
    _check_the_program(program, profiles, contexts, offered, (values, errors))
    reference = Reference(text)
    for (i, (profile, context)), (j, offer) in product(enumerate(people), enumerate(offers)):
        expected = reference.evaluate(profile, context, offer)
        actual = None if errors[i, j] else values[i, j].item()
        assert expected == actual, f"{text} for {profile}, {context}, {offer}"


def _check_the_program(
    rule: Program, profiles: Columns, contexts: Columns, offers: Columns, expected: tuple[Values, Values]
) -> None:
    """The kernel over the rule written out gives the same values and errors as numpy, to the bit.

    The rule is written twice, for all offers and for every second one: the registers of one must not disturb the other.
    """
    values, errors = expected
    sheet = Sheet(SPEC.profile, SPEC.context, offers)
    chosen = [np.arange(len(offers)), np.arange(0, len(offers), 2)]
    places = [sheet.write(rule.root, some, number) for number, some in enumerate(chosen)]
    program, registers = sheet.program(), sheet.registers()
    rows = rows_of(profiles, contexts, NOW_US)
    found = registers.wholes if rule.root.kind is Kind.BOOL else registers.numbers
    for q in range(len(profiles)):
        run(program, rows.profile, q, rows.context, q, NOW_US, registers)
        for some, (at, step) in zip(chosen, places, strict=True):
            cells = at + step * np.arange(len(some))
            wrong = errors[q, some]
            assert wrong.tolist() == registers.wrong[cells].tolist()
            assert values[q, some][~wrong].tolist() == found[cells][~wrong].tolist()


PERSON = st.tuples(rows(SPEC.profile), rows(SPEC.context))


@settings(max_examples=200, phases=PHASES)
@given(
    text=truth(3),
    people=st.lists(PERSON, min_size=PEOPLE, max_size=PEOPLE),
    offers=st.lists(rows(SPEC.offer), min_size=OFFERS, max_size=OFFERS),
)
def test_conditions(text: str, people: list[tuple[Row, Row]], offers: list[Row]) -> None:
    """A condition over nine pairs at once is what it is for each pair alone."""
    _check(text, Want.CONDITION, people, offers)


@settings(max_examples=120, phases=PHASES)
@given(
    text=st.one_of(whole(2), decimal(2)),
    people=st.lists(PERSON, min_size=PEOPLE, max_size=PEOPLE),
    offers=st.lists(rows(SPEC.offer), min_size=OFFERS, max_size=OFFERS),
)
def test_numbers(text: str, people: list[tuple[Row, Row]], offers: list[Row]) -> None:
    """A number over nine pairs at once is what it is for each pair alone."""
    _check(text, Want.NUMBER, people, offers)


@pytest.mark.parametrize(
    "text",
    [
        "profile.member && offer.clearance || context.mobile && !profile.opted",
        "!profile.member || !!offer.clearance",
        "profile.visits + 2 * offer.pieces - 1 > context.hour % 3 / 2",
        "-profile.visits - -3 == -(offer.pieces)",
        'profile.segment == "gold" ? offer.price > 1.0 : offer.price / profile.recency > 1.0 || false',
        "profile.visits > 0 ? offer.clearance : profile.visits < -5 ? true : context.mobile",
        "7 / profile.visits == 2 || true",
        "profile.visits % offer.pieces == -1",
        "1 / size(profile.interests) == 1",
        "now - profile.born > duration('1d') // a comment",
        "profile.recency < 1.0 == true",
        "context.page in ['home', 'größe'] == profile.member",
        "profile.visits / 2 == -3 || profile.visits / 2 == 1",
        "offer.department != profile.favourite",
        "offer.department == profile.favourite",
        "offer.department in profile.interests",
        "!('toys' in profile.interests)",
        "profile.segment != 'gold'",
        "int(profile.recency) == 2 && double(profile.visits) < 3.5",
    ],
)
def test_chosen_expressions(text: str) -> None:
    """One of each kind, without parentheses, is read and evaluated as by cel-python."""
    people: list[tuple[Row, Row]] = [
        ({}, {}),
        (
            {"member": True, "visits": -7, "recency": 0.0, "favourite": "toys"},
            {"mobile": False, "hour": 23, "page": "home"},
        ),
        (
            {"member": False, "visits": 3, "recency": 2.5, "segment": "gold", "favourite": "garden"},
            {"mobile": True, "hour": -5},
        ),
        ({"visits": 0, "interests": ("toys",), "born": NOW_US - 1}, {"page": "größe"}),
    ]
    offers: list[Row] = [
        {},
        {"clearance": True, "pieces": 3, "price": 2.5, "department": "toys"},
        {"clearance": False, "pieces": 0, "department": "kitchen"},
    ]
    _check(text, Want.CONDITION, people, offers)
