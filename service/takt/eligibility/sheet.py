"""Rules written out as a program for `takt.eligibility.running`: once per catalog, at load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from takt.catalog.rules.expressions import (
    AmongNames,
    AmongNumbers,
    And,
    Arithmetic,
    Choice,
    Compare,
    Convert,
    Expression,
    Field,
    Has,
    HasFlag,
    Kind,
    Literal,
    NamesFlag,
    Negative,
    Not,
    Now,
    Or,
    SameName,
    Size,
    Source,
    parts,
)
from takt.eligibility import running as do
from takt.eligibility.evaluation import Evaluation, Ints
from takt.features.columns import Columns
from takt.features.section import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from takt.features.section import Section

READS: Final = {Block.TS: do.READ_TIME, Block.CAT: do.READ_CODE, Block.FLAGS: do.READ_FLAGS}
COMPARISONS: Final = {
    "==": do.EQUAL,
    "!=": do.UNEQUAL,
    "<": do.LESS,
    "<=": do.AT_MOST,
    ">": do.MORE,
    ">=": do.AT_LEAST,
}
ARITHMETIC: Final = {
    "+": do.ADD,
    "-": do.SUBTRACT,
    "*": do.MULTIPLY,
    "%": do.MODULO,
    "/": do.DIVIDE,
}
NUMBERS: Final = frozenset({Kind.INT, Kind.DOUBLE})


class Register(NamedTuple):
    """Where a value is kept."""

    at: int
    step: int
    """0 where one value stands for every offer, else 1."""


class Sheet:
    """A program as it is written. What equal expressions yield is worked out once for all rules of the same offers."""

    def __init__(self, profile: Section | None, context: Section | None, offers: Columns | None) -> None:
        """`profile` and `context` are the sections that rows come from, `offers` has the features of all offers."""
        self._sections = {Source.PROFILE: profile, Source.CONTEXT: context}
        self._offers = offers
        self._kept: list[Expression] = []  # their ids are keys below
        self._once: dict[tuple[int, int], Register] = {}
        self._steps: list[tuple[int, ...]] = []
        self._numbers: list[float] = []
        self._wholes: list[int] = []
        self._size = 0
        self._set: list[tuple[Register, npt.NDArray[np.generic], npt.NDArray[np.bool_] | bool]] = []
        self._alone: dict[int, Evaluation] = {}

    def write(self, expression: Expression, offers: Ints, which: int) -> Register:
        """Add an expression for some offers, int64 `[o]`; `which` is a number for this set of offers, from 0."""
        narrow = not _reads_offers(expression)
        key = (id(expression), -1 if narrow else which)
        found = self._once.get(key)
        if found is None:
            self._kept.append(expression)
            if isinstance(expression, Literal) or _is_constant(expression):
                found = self._constant(expression, offers, -1 if narrow else which)
            else:
                found = self._step(expression, offers, which, size=1 if narrow else len(offers))
            self._once[key] = found
        return found

    def program(self) -> do.Program:
        """All that was written."""
        return do.Program(
            np.array(self._steps, do.STEP),
            np.array(self._numbers, np.float64),
            np.array(self._wholes, np.uint64).view(np.int64),
        )

    def registers(self) -> do.Registers:
        """Room to run it in, with the constants in their places."""
        made = do.Registers(np.zeros(self._size), np.zeros(self._size, np.int64), np.zeros(self._size, np.bool_))
        for register, values, wrong in self._set:
            place = slice(register.at, register.at + (np.size(values) if register.step else 1))
            into = made.numbers if values.dtype == np.float64 else made.wholes
            into[place] = values.astype(into.dtype)
            made.wrong[place] = wrong
        return made

    def _constant(self, expression: Expression, offers: Ints, which: int) -> Register:
        """What depends on nothing but the offer is known now."""
        alone = self._alone.get(which)
        if alone is None:
            chosen = self._offers
            if chosen is not None and which >= 0:
                chosen = Columns(chosen.section, chosen.array[offers])
            alone = self._alone[which] = Evaluation(offers=chosen)
        with np.errstate(all="ignore"):
            values, wrong = alone.result(expression)
        count = 1 if which < 0 else len(offers)
        values = np.broadcast_to(values, (1, count))[0]
        register = self._room(count, wide=which >= 0)
        self._set.append((register, values, False if wrong is None else np.broadcast_to(wrong, (1, count))[0]))
        return register

    def _room(self, size: int, *, wide: bool) -> Register:
        """A register of its own."""
        self._size += size
        return Register(self._size - size, int(wide))

    def _add(self, op: int, size: int, operands: Sequence[Register], table: tuple[int, int] = (0, 0)) -> Register:
        """One step. It is as wide as its widest operand."""
        to = self._room(size, wide=any(one.step for one in operands))
        places = [number for one in operands for number in one] + [0] * (6 - 2 * len(operands))
        self._steps.append((op, to.at, size, *places, *table))
        return to

    def _table(self, numbers: Sequence[float]) -> tuple[int, int]:
        """Constants among the numbers."""
        self._numbers.extend(numbers)
        return len(self._numbers) - len(numbers), len(numbers)

    def _whole_table(self, wholes: Sequence[int]) -> tuple[int, int]:
        """Constants among the wholes, as the 64 bits that they are."""
        self._wholes.extend(int(whole) % 2**64 for whole in wholes)
        return len(self._wholes) - len(wholes), len(wholes)

    def _read(self, field: Field) -> Register:
        """A feature of the person or of the request."""
        section = self._sections[field.source]
        if section is None:
            raise KeyError(f"{field.source}.{field.name} was not given")
        place = section.places[field.name]
        op = READS.get(place.block, do.READ_BOOL if field.kind is Kind.BOOL else do.READ_NUMBER)
        to = self._room(1, wide=False)
        self._steps.append(
            (op + (do.CONTEXT if field.source is Source.CONTEXT else 0), to.at, 1, place.column, *[0] * 7)
        )
        return to

    def _step(self, expression: Expression, offers: Ints, which: int, *, size: int) -> Register:
        """What depends on the person, the request or the moment."""
        if isinstance(expression, Field):
            return self._read(expression)
        if isinstance(expression, Now):
            to = self._room(1, wide=False)
            self._steps.append((do.READ_NOW, to.at, 1, *[0] * 8))
            return to
        of = [self.write(part, offers, which) for part in parts(expression)]
        match expression:
            case And() | Or():
                made = of[0]
                for other in of[1:]:
                    wide = made.step or other.step
                    made = self._add(
                        do.AND if isinstance(expression, And) else do.OR, size if wide else 1, (made, other)
                    )
                return made
            case Has():
                return self._add(do.HAS, size, of)
            case Not():
                return self._add(do.NOT, size, of)
            case Size():
                return self._add(do.SIZE, size, of)
            case Negative():
                return self._add(do.NEGATIVE if expression.kind in NUMBERS else do.NEGATIVE_TIME, size, of)
            case AmongNumbers():
                if expression.operand.kind in NUMBERS:
                    return self._add(do.AMONG, size, of, self._table(expression.values))
                return self._add(do.AMONG_WHOLES, size, of, self._whole_table([int(v) for v in expression.values]))
            case AmongNames():
                return self._add(do.LOOK_UP, size, of, self._whole_table(expression.table))
            case HasFlag():
                return self._add(do.HAS_FLAG, size, of, self._whole_table((1 << expression.bit,)))
            case SameName():
                op = do.OTHER if expression.negated else do.SAME
                return self._add(op, size, of, self._whole_table(expression.table))
            case NamesFlag():
                return self._add(do.NAMES_FLAG, size, of, self._whole_table(expression.masks))
            case Compare():
                of_wholes = 0 if expression.left.kind in NUMBERS else do.WHOLES
                return self._add(COMPARISONS[expression.operator] + of_wholes, size, of)
            case Choice():
                op = do.CHOOSE_NUMBER if expression.kind in NUMBERS else do.CHOOSE_WHOLE
                return self._add(do.CHOOSE_BOOL if expression.kind is Kind.BOOL else op, size, of)
            case Convert():
                if expression.kind is Kind.DOUBLE:
                    return of[0]
                return self._add(do.IN_NUMBERS, size, (self._add(do.TRUNCATE, size, of),))
            case Arithmetic():
                return self._arithmetic(expression, size, of)
        raise TypeError(f"no step for {type(expression).__name__}")

    def _arithmetic(self, node: Arithmetic, size: int, of: Sequence[Register]) -> Register:
        """Reckoned, cut where whole numbers divide, and checked where it can leave the range of its kind."""
        if node.kind in NUMBERS:
            made = self._add(ARITHMETIC[node.operator], size, of)
            if node.operator == "/" and node.kind is Kind.INT:
                made = self._add(do.TRUNCATE, size, (made,))
            return self._add(do.IN_NUMBERS, size, (made,)) if node.checked else made
        made = self._add(do.ADD_TIMES if node.operator == "+" else do.SUBTRACT_TIMES, size, of)
        if not node.checked:
            return made
        return self._add(do.IN_TIMES, size, (made,), self._whole_table(do.LIMITS[str(node.kind)]))


def _reads_offers(expression: Expression) -> bool:
    """Whether it depends on the offer."""
    if isinstance(expression, Field):
        return expression.source is Source.OFFER
    return any(_reads_offers(part) for part in parts(expression))


def _is_constant(expression: Expression) -> bool:
    """Whether it depends on nothing but the offer."""
    match expression:
        case Field():
            return expression.source is Source.OFFER
        case Now():
            return False
        case _:
            return all(_is_constant(part) for part in parts(expression))
