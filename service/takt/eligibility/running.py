"""Run a program of rules for one row: a short list of steps over registers, so that a new catalog compiles nothing.

A *register* is a value, or one for each offer that a rule is for, with where it is an error. Numbers are in `numbers`;
booleans (0 and 1), moments, durations, category codes and sets of flags are in `wholes`. A boolean is 0 wherever it is
an error, a number is arbitrary there: CEL's three values as `takt.eligibility.evaluation` has them, which is the plain
twin of these kernels. What depends on nothing but the offer stands in its register before the first row.

What a step does is its `op`. `a`, `b` and `c` are where its operands begin in the registers; the `_step` of an operand
is 0 where one value stands for every offer, else 1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from takt.catalog.rules.literals import EXACT, FIRST_US, LAST_US, LONGEST_US
from takt.features.blocks import Blocks
from takt.features.section import MISSING_TIME
from takt.kernel import kernel

Table = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

STEP: Final = np.dtype(
    [
        ("op", "<i8"),
        ("at", "<i8"),  # where its register begins
        ("size", "<i8"),  # 1, or the number of offers that it is for
        ("a", "<i8"),
        ("a_step", "<i8"),
        ("b", "<i8"),
        ("b_step", "<i8"),
        ("c", "<i8"),
        ("c_step", "<i8"),
        ("table", "<i8"),  # where its constants begin
        ("length", "<i8"),  # how many they are
    ]
)

# Features of the person, and of the request from `CONTEXT` on. `a` is the column in the block.
READ_NUMBER, READ_BOOL, READ_TIME, READ_CODE, READ_FLAGS, READ_NOW = range(6)
CONTEXT: Final = 10
# One operand.
HAS, NOT, SIZE, NEGATIVE, NEGATIVE_TIME, TRUNCATE, IN_NUMBERS, IN_TIMES, AMONG, AMONG_WHOLES, LOOK_UP, HAS_FLAG = range(
    20, 32
)
# Two.
AND, OR, SAME, OTHER, NAMES_FLAG, ADD, SUBTRACT, MULTIPLY, MODULO, DIVIDE, ADD_TIMES, SUBTRACT_TIMES = range(40, 52)
# Two that are compared, as numbers and as wholes.
EQUAL, UNEQUAL, LESS, AT_MOST, MORE, AT_LEAST = range(60, 66)
WHOLES: Final = 10
# Three.
CHOOSE_NUMBER, CHOOSE_WHOLE, CHOOSE_BOOL = range(80, 83)


class Registers(NamedTuple):
    """Where a program computes. Arrays are as long as all its registers together."""

    numbers: Floats
    wholes: Ints
    wrong: Bools


class Program(NamedTuple):
    """Steps in the order in which they are taken, and their constants."""

    steps: Table
    """`STEP` [n]."""
    numbers: Floats
    """Constants of `AMONG`."""
    wholes: Ints
    """All other constants."""


@kernel
def read(op: int, column: int, at: int, blocks: Blocks, row: int, to: Registers) -> None:
    """Put a feature of a row in its register."""
    if op <= READ_BOOL:
        number = float(blocks.num[row, column])
        to.wrong[at] = np.isnan(number)
        to.numbers[at] = number
        to.wholes[at] = number == 1.0
    elif op == READ_TIME:
        to.wholes[at] = blocks.ts[row, column]
        to.wrong[at] = to.wholes[at] == MISSING_TIME
    elif op == READ_CODE:
        to.wholes[at] = blocks.cat[row, column]
        to.wrong[at] = to.wholes[at] == 0
    else:
        to.wholes[at] = np.int64(blocks.flags[row, column])


@kernel
def bits_of(flags: int) -> int:
    """How many bits are set."""
    left = np.uint64(flags)
    count = 0
    while left != np.uint64(0):
        left &= left - np.uint64(1)
        count += 1
    return count


@kernel
def take_one(program: Program, step: np.void, i: int, to: Registers) -> None:
    """One operand, for the `i`th offer."""
    op = step["op"]
    a = step["a"] + i * step["a_step"]
    n = step["at"] + i
    wrong = to.wrong[a]
    first, last = step["table"], step["table"] + step["length"]
    if op == HAS:
        to.wholes[n] = not wrong
        wrong = False
    elif op == NOT:
        to.wholes[n] = to.wholes[a] == 0 and not wrong
    elif op == SIZE:
        to.numbers[n] = float(bits_of(to.wholes[a]))
    elif op == NEGATIVE:
        to.numbers[n] = -to.numbers[a]
    elif op == NEGATIVE_TIME:
        to.wholes[n] = -to.wholes[a]
    elif op == TRUNCATE:
        to.numbers[n] = np.trunc(to.numbers[a])
    elif op == IN_NUMBERS:
        to.numbers[n] = to.numbers[a]
        wrong = wrong or not abs(to.numbers[a]) <= EXACT
    elif op == IN_TIMES:
        to.wholes[n] = to.wholes[a]
        wrong = wrong or to.wholes[a] < program.wholes[first] or to.wholes[a] > program.wholes[last - 1]
    elif op == AMONG:
        found = False
        for k in range(first, last):
            found = found or to.numbers[a] == program.numbers[k]
        to.wholes[n] = found and not wrong
    elif op == AMONG_WHOLES:
        found = False
        for k in range(first, last):
            found = found or to.wholes[a] == program.wholes[k]
        to.wholes[n] = found and not wrong
    elif op == LOOK_UP:
        to.wholes[n] = program.wholes[min(first + to.wholes[a], last - 1)]
    else:
        to.wholes[n] = (to.wholes[a] & program.wholes[first]) != 0
    to.wrong[n] = wrong


@kernel
def take_two(program: Program, step: np.void, i: int, to: Registers) -> None:
    """Two operands, for the `i`th offer."""
    op = step["op"]
    a = step["a"] + i * step["a_step"]
    b = step["b"] + i * step["b_step"]
    n = step["at"] + i
    wrong = to.wrong[a] or to.wrong[b]
    if op == AND:
        value = to.wholes[a] != 0 and to.wholes[b] != 0
        wrong = (to.wholes[a] != 0 or to.wrong[a]) and (to.wholes[b] != 0 or to.wrong[b]) and not value
        to.wholes[n] = value
    elif op == OR:
        value = to.wholes[a] != 0 or to.wholes[b] != 0
        wrong = wrong and not value
        to.wholes[n] = value
    elif SAME <= op <= NAMES_FLAG:
        # a category's code, looked up among the constants: the code or the flag that it is on the other side
        other = program.wholes[step["table"] + min(to.wholes[b], step["length"] - 1)]
        shared = (to.wholes[a] & other) != 0
        same = to.wholes[a] == other
        to.wholes[n] = (shared if op == NAMES_FLAG else same == (op == SAME)) and not wrong
    elif op == ADD:
        to.numbers[n] = to.numbers[a] + to.numbers[b]
    elif op == SUBTRACT:
        to.numbers[n] = to.numbers[a] - to.numbers[b]
    elif op == MULTIPLY:
        to.numbers[n] = to.numbers[a] * to.numbers[b]
    elif op == MODULO:
        wrong = wrong or to.numbers[b] == 0.0
        to.numbers[n] = np.fmod(to.numbers[a], to.numbers[b])
    elif op == DIVIDE:
        wrong = wrong or to.numbers[b] == 0.0
        to.numbers[n] = to.numbers[a] / to.numbers[b]
    elif op == ADD_TIMES:
        to.wholes[n] = to.wholes[a] + to.wholes[b]
    else:
        to.wholes[n] = to.wholes[a] - to.wholes[b]
    to.wrong[n] = wrong


@kernel
def compare(step: np.void, i: int, to: Registers) -> None:
    """Two operands of one kind, for the `i`th offer: one lies below, above or at the other, or neither (NaN)."""
    op = step["op"]
    a = step["a"] + i * step["a_step"]
    b = step["b"] + i * step["b_step"]
    n = step["at"] + i
    if op >= EQUAL + WHOLES:
        op -= WHOLES
        below, above = to.wholes[a] < to.wholes[b], to.wholes[a] > to.wholes[b]
        same = to.wholes[a] == to.wholes[b]
    else:
        below, above = to.numbers[a] < to.numbers[b], to.numbers[a] > to.numbers[b]
        same = to.numbers[a] == to.numbers[b]
    if op == EQUAL:
        value = same
    elif op == UNEQUAL:
        value = not same
    elif op == LESS:
        value = below
    elif op == AT_MOST:
        value = below or same
    elif op == MORE:
        value = above
    else:
        value = above or same
    to.wrong[n] = to.wrong[a] or to.wrong[b]
    to.wholes[n] = value and not to.wrong[n]


@kernel
def choose(step: np.void, i: int, to: Registers) -> None:
    """`a ? b : c` for the `i`th offer. Errors of the branch not taken do not count."""
    op = step["op"]
    a = step["a"] + i * step["a_step"]
    taken = step["b"] + i * step["b_step"] if to.wholes[a] != 0 else step["c"] + i * step["c_step"]
    n = step["at"] + i
    wrong = to.wrong[a] or to.wrong[taken]
    if op == CHOOSE_NUMBER:
        to.numbers[n] = to.numbers[taken]
    else:
        to.wholes[n] = to.wholes[taken] if op == CHOOSE_WHOLE or not wrong else 0
    to.wrong[n] = wrong


@kernel
def run(program: Program, profile: Blocks, row: int, context: Blocks, q: int, now_us: int, to: Registers) -> None:
    """Take every step for one row: `row` of the profiles, `q` of the contexts, at `now_us`."""
    for s in range(program.steps.shape[0]):
        step = program.steps[s]
        op = step["op"]
        if op == READ_NOW:
            to.wholes[step["at"]] = now_us
        elif op < CONTEXT:
            read(op, step["a"], step["at"], profile, row, to)
        elif op < HAS:
            read(op - CONTEXT, step["a"], step["at"], context, q, to)
        else:
            for i in range(step["size"]):
                if op < AND:
                    take_one(program, step, i, to)
                elif op < EQUAL:
                    take_two(program, step, i, to)
                elif op < CHOOSE_NUMBER:
                    compare(step, i, to)
                else:
                    choose(step, i, to)


LIMITS: Final = {"timestamp": (FIRST_US, LAST_US), "duration": (-LONGEST_US, LONGEST_US)}
"""Of moments and durations, for `IN_TIMES`."""
