"""Structure: swings named against those before, and the breaks of their levels.

The active level of a side is its last confirmed swing until a break consumes it. The first break,
and every break with the bias, is a BOS; a break against the bias is a CHoCH; either sets the bias.
With `bos_origin` a reversal must break the swing that the last break of structure started from: the
last one before it, also when its confirmation came later.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.events import (
    BOS,
    CHOCH,
    HH,
    HL,
    LH,
    LL,
    STRONG,
    SUPERSEDED,
    SWING,
    WEAK,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import inlined, kernel

NONE = -1
# Columns of `swing` and `level_of`: event id, own bar number, base bar, whether it is strong and
# (of `swing`) whether a break has passed it.
ID_, BAR_, LABEL_, STRONG_, PASSED_ = range(5)
# Columns of `breaks`: event id, own bar of the broken swing, own bar of the break.
BREAK_ID, PIVOT_BAR, BREAK_BAR = range(3)
# `alternating`: side and id of the last point of the alternating stream.
ALT_SIDE, ALT_ID = range(2)


class Structure(NamedTuple):
    """Row 0 is lows, row 1 highs."""

    level: FloatArray  # [2]: the level to break times its sign; inf when there is none
    level_of: IntArray  # [2, 5]: the swing that made it
    price: FloatArray  # [2, 2]: the last confirmed swing's price and the one before; NaN for none
    swing: IntArray  # [2, 5]: the last confirmed swing
    alternating: IntArray  # [2]
    alternating_price: FloatArray  # [1]
    breaks: IntArray  # [2, 3]: the last break of a side


def new_structure() -> Structure:
    """No swing on either side."""
    return Structure(
        np.full(2, np.inf),
        np.full((2, 5), NONE),
        np.full((2, 2), np.nan),
        np.full((2, 5), NONE),
        np.array([0, NONE]),
        np.zeros(1),
        np.full((2, 3), NONE),
    )


@kernel
def activate(structure: Structure, row: int) -> None:
    """Make the last confirmed swing of a side its level to break."""
    structure.level[row] = (2 * row - 1) * structure.price[row, 0]
    for column in range(5):
        structure.level_of[row, column] = structure.swing[row, column]


@inlined
def name_swing(
    structure: Structure, events: EventBuffer, side: int, now: int,
    label: int, price: float, swing: int,
) -> None:  # fmt: skip
    """HH, LH, HL or LL against the previous swing of the side, and SUPERSEDED."""
    row = (side + 1) >> 1
    before = structure.price[row, 0]
    if before == before:  # not NaN: there is one
        higher = HH if price > before else LH
        lower = LL if price < before else HL
        kind = higher if side > 0 else lower
        emit(
            events, kind, side, label, now, label, swing, 2, price,
            min(price, before), max(price, before),
        )  # fmt: skip
    last = structure.alternating_price[0]
    if structure.alternating[ALT_SIDE] == side and side * price > side * last:
        emit(
            events, SUPERSEDED, side, label, now, label, structure.alternating[ALT_ID],
            2, price, min(price, last), max(price, last),
        )  # fmt: skip


@inlined
def add_swing(
    structure: Structure, events: EventBuffer, side: int, now: int,
    bar: int, label: int, price: float, labels: bool, reversal_fixed: bool,
) -> bool:  # fmt: skip
    """Take a confirmed swing in; whether it is the new end of the alternating stream.

    `reversal_fixed` keeps the level to break where it is: the origin of the last break.
    """
    row = (side + 1) >> 1
    swing = emit(events, SWING, side, label, now, label, NONE, 1, price, price, price)
    if labels:
        name_swing(structure, events, side, now, label, price, swing)
    structure.price[row, 1] = structure.price[row, 0]
    structure.price[row, 0] = price
    structure.swing[row, ID_] = swing
    structure.swing[row, BAR_] = bar
    structure.swing[row, LABEL_] = label
    structure.swing[row, STRONG_] = 0
    structure.swing[row, PASSED_] = 0
    if not reversal_fixed or structure.level_of[row, ID_] == NONE:
        activate(structure, row)
    last = structure.alternating_price[0]
    if structure.alternating[ALT_SIDE] == side and side * price <= side * last:
        return False
    structure.alternating[ALT_SIDE] = side
    structure.alternating[ALT_ID] = swing
    structure.alternating_price[0] = price
    return True


@kernel
def break_level(
    structure: Structure, events: EventBuffer, side: int, now: int,
    bias: int, beyond: float, bos_origin: bool, strength: bool,
) -> int:  # fmt: skip
    """The active level of `side` is broken by the price `beyond`: the event's id."""
    row = (side + 1) >> 1
    level = side * structure.level[row]
    swing = structure.level_of[row, ID_]
    label = structure.level_of[row, LABEL_]
    kind = CHOCH if bias == -side else BOS
    identity = emit(
        events, kind, side, now, now, label, swing, 1, level,
        min(level, beyond), max(level, beyond),
    )  # fmt: skip
    if strength:
        mark_strength(structure, events, side, now, level)
    structure.level[row] = np.inf
    structure.level_of[row, ID_] = NONE
    if bos_origin:
        if side * structure.price[row, 0] < side * beyond:
            structure.swing[row, PASSED_] = 1
        opposite = 1 - row
        if structure.swing[opposite, PASSED_] == 0:
            activate(structure, opposite)
        else:
            structure.level[opposite] = np.inf
            structure.level_of[opposite, ID_] = NONE
    return identity


@kernel
def mark_strength(
    structure: Structure, events: EventBuffer, side: int, now: int,
    level: float,
) -> None:  # fmt: skip
    """The swing the break started from is strong; the one it broke was weak if never strong."""
    row = (side + 1) >> 1
    opposite = 1 - row
    if structure.swing[opposite, ID_] != NONE and structure.swing[opposite, STRONG_] == 0:
        price = structure.price[opposite, 0]
        structure.swing[opposite, STRONG_] = 1
        if structure.level_of[opposite, ID_] == structure.swing[opposite, ID_]:
            structure.level_of[opposite, STRONG_] = 1
        label = structure.swing[opposite, LABEL_]
        emit(
            events, STRONG, -side, label, now, label, structure.swing[opposite, ID_], 1,
            price, min(price, level), max(price, level),
        )  # fmt: skip
    if structure.level_of[row, STRONG_] == 0:
        label = structure.level_of[row, LABEL_]
        emit(
            events, WEAK, side, label, now, label, structure.level_of[row, ID_], 1,
            level, level, level,
        )  # fmt: skip
