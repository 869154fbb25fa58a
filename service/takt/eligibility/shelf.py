"""What rules need of a catalog, prepared once per catalog: it is the same for every batch."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from takt.eligibility.running import Bools, Floats, Ints, Program, Registers, Table
from takt.eligibility.sheet import Sheet
from takt.features.columns import Columns

if TYPE_CHECKING:
    import numpy.typing as npt

    from takt.catalog.rules import Program as Rule
    from takt.catalog.snapshot import Catalog
    from takt.features.section import Section

RULE, VALUE, WEIGHT = range(3)

APPLIED: Final = np.dtype(
    [
        ("what", "<i8"),  # RULE, VALUE or WEIGHT
        ("index", "<i8"),  # position in the catalog's rules; 0 for the others
        ("at", "<i8"),  # its register
        ("step", "<i8"),  # 0 if it is the same for every offer
        ("first", "<i8"),  # its offers, in a list of such lists
        ("count", "<i8"),
        ("times", "<f8"),  # a weight's factor
    ]
)
"""What a program yields for some offers."""

STAGE: Final = np.dtype([("index", "<i8"), ("at", "<i8")])
"""A stage that has a rule, and the register of the rule."""


class Room(threading.local):
    """Registers, once for every thread: a batch leaves its values in them."""

    def __init__(self, sheet: Sheet) -> None:
        self.registers: Registers = sheet.registers()


class Shelf(Struct, frozen=True, eq=False):
    """A catalog's rules over its offers O, for rows of two sections."""

    program: Program
    applied: Table
    """`APPLIED`: eligibility, values, weights, each in the catalog's order."""
    offers: Ints
    """Positions in the catalog, list after list."""
    value: Floats
    """float64 [O]: of offers without an expression."""
    weight: Floats
    """float64 [O]: product of the weights that apply always."""
    valid_from_us: Ints
    valid_until_us: Ints
    stage_program: Program
    stages: Table
    """`STAGE`, in the catalog's order."""
    _room: Room
    _stage_room: Room

    @property
    def registers(self) -> Registers:
        """Where this thread runs `program`."""
        return self._room.registers

    @property
    def stage_registers(self) -> Registers:
        """Where this thread runs `stage_program`."""
        return self._stage_room.registers


_shelves: weakref.WeakKeyDictionary[Catalog, dict[tuple[Section, Section], Shelf]] = weakref.WeakKeyDictionary()


def shelf(catalog: Catalog, profile: Section, context: Section) -> Shelf:
    """The shelf of a catalog for rows of these sections; made on first use, dropped with the catalog.

    The sections are the catalog's own, or those of a log that was written under an older feature spec.
    """
    of_catalog = _shelves.get(catalog)
    if of_catalog is None:
        of_catalog = _shelves[catalog] = {}
    made = of_catalog.get((profile, context))
    if made is None:
        made = of_catalog[profile, context] = _prepare(catalog, profile, context)
    return made


def _prepare(catalog: Catalog, profile: Section, context: Section) -> Shelf:
    """Write all programs out."""
    sheet = Sheet(profile, context, Columns(catalog.spec.offer, catalog.offer_table))
    sets: dict[bytes, tuple[int, int, Ints]] = {}
    """Distinct sets of offers: number, where the list begins, the list."""
    listed = 0
    applied = []

    def apply(what: int, index: int, rule: Rule, chosen: Bools, times: float = 1.0) -> None:
        nonlocal listed
        key = chosen.tobytes()
        if key not in sets:
            sets[key] = len(sets), listed, np.flatnonzero(chosen)
            listed += len(sets[key][2])
        number, first, offers = sets[key]
        register = sheet.write(rule.root, offers, number)
        applied.append((what, index, *register, first, len(offers), times))

    for k, declared in enumerate(catalog.rules):
        apply(RULE, k, declared.program, catalog.rule_offers[k])
    for rule, chosen in _value_rules(catalog):
        apply(VALUE, 0, rule, chosen)
    weight = np.ones(len(catalog.offers))
    for one in catalog.weights:
        if one.rule is None:
            weight[one.offers] *= one.times
        else:
            apply(WEIGHT, 0, one.rule.program, one.offers, one.times)
    for_stages = Sheet(profile, context, None)
    nothing = np.zeros(0, np.int64)
    stages = [
        (j, for_stages.write(stage.rule.program.root, nothing, 0).at)
        for j, stage in enumerate(catalog.stages)
        if stage.rule is not None
    ]
    return Shelf(
        program=sheet.program(),
        applied=np.array(applied, APPLIED),
        offers=np.concatenate([nothing, *(offers for _, _, offers in sets.values())]),
        value=np.array(catalog.value, np.float64),
        weight=weight,
        valid_from_us=np.array(catalog.valid_from_us, np.int64),
        valid_until_us=np.array(catalog.valid_until_us, np.int64),
        stage_program=for_stages.program(),
        stages=np.array(stages, STAGE),
        _room=Room(sheet),
        _stage_room=Room(for_stages),
    )


def _value_rules(catalog: Catalog) -> list[tuple[Rule, npt.NDArray[np.bool_]]]:
    """The programs that give values, each with its offers, bool [O]."""
    given: dict[int, tuple[Rule, npt.NDArray[np.bool_]]] = {}
    for offer, rule in enumerate(catalog.value_rule):
        if rule is not None:
            none = np.zeros(len(catalog.offers), np.bool_)
            given.setdefault(id(rule.program), (rule.program, none))[1][offer] = True
    return list(given.values())
