"""Liquidity: untouched swing levels, pools of equal ones, and how each level ends.

A penetration is one event split by where the close goes next: a close back inside within
`reclaim_bars` makes it a sweep, otherwise the level is taken. Prices of a side are stored times its
sign (+1 highs, -1 lows), so "beyond" is always "greater" and one source serves both sides.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.events import (
    EXPIRED,
    POOL,
    SWEEP,
    TAKEN,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import kernel

PRICE, EXTREME = range(2)
PENETRATED, ORIGIN_BAR, COUNT, SOURCE = range(4)
UNTOUCHED = -1


class Levels(NamedTuple):
    """Live levels of one side, oldest first; `size[0]` rows are filled."""

    price: FloatArray  # [capacity, 2]: PRICE, EXTREME since penetration; both times the sign
    info: IntArray  # [capacity, 4]: PENETRATED bar, ORIGIN_BAR, COUNT of swings, SOURCE event id
    size: IntArray  # [1]


def new_levels(capacity: int) -> Levels:
    """No levels, and room for `capacity`."""
    return Levels(np.zeros((capacity, 2)), np.zeros((capacity, 4), np.int64), np.zeros(1, np.int64))


@kernel
def drop(levels: Levels, row: int) -> None:
    """Forget one level; the rest keep their order."""
    size = levels.size[0]
    for i in range(row, size - 1):
        for column in range(2):
            levels.price[i, column] = levels.price[i + 1, column]
        for column in range(4):
            levels.info[i, column] = levels.info[i + 1, column]
    levels.size[0] = size - 1


@kernel
def nearest_equal(levels: Levels, price: float, tolerance: float) -> int:
    """Row of the untouched level nearest to `price` within `tolerance`, the newest on a tie.

    -1 when there is none, as when the tolerance is NaN because the ATR is not known yet.
    """
    best = -1
    best_distance = tolerance
    for i in range(levels.size[0]):
        distance = abs(levels.price[i, PRICE] - price)
        if levels.info[i, PENETRATED] == UNTOUCHED and distance <= best_distance:
            best = i
            best_distance = distance
    return best


@kernel
def append(levels: Levels, price: float, origin: int, members: int, source: int) -> None:
    """Add an untouched level; there must be room."""
    row = levels.size[0]
    levels.price[row, PRICE] = price
    levels.price[row, EXTREME] = price
    levels.info[row, PENETRATED] = UNTOUCHED
    levels.info[row, ORIGIN_BAR] = origin
    levels.info[row, COUNT] = members
    levels.info[row, SOURCE] = source
    levels.size[0] = row + 1


@kernel
def add_swing(
    levels: Levels,
    events: EventBuffer,
    identity: int,
    side: int,
    t: int,
    pivot: int,
    swing: int,
    level: float,
    tolerance: float,
) -> int:
    """Take a confirmed swing in; the number of events emitted (0 or 1).

    Within `tolerance` of an untouched level it makes a pool whose level is the outer extreme and
    which replaces that level; otherwise it is a level of its own, and the oldest expires when the
    side is full.
    """
    price = side * level
    equal = nearest_equal(levels, price, tolerance)
    if equal >= 0:
        joined = levels.price[equal, PRICE]
        outer = max(joined, price)
        members = levels.info[equal, COUNT] + 1
        source = levels.info[equal, SOURCE]
        emit(
            events, identity, POOL, side, pivot, t, pivot, source, members,
            side * outer, side * min(joined, price),
        )  # fmt: skip
        drop(levels, equal)
        append(levels, outer, pivot, members, identity)
        return 1
    emitted = 0
    if levels.size[0] == len(levels.price):
        _end(levels, 0, events, identity, EXPIRED, side, levels.info[0, ORIGIN_BAR], t)
        emitted = 1
    append(levels, price, pivot, 1, swing)
    return emitted


@kernel
def _end(
    levels: Levels,
    row: int,
    events: EventBuffer,
    identity: int,
    kind: int,
    side: int,
    at: int,
    t: int,
) -> None:
    """Emit how a level ended, and forget it."""
    emit(
        events, identity, kind, side, at, t, levels.info[row, ORIGIN_BAR],
        levels.info[row, SOURCE], levels.info[row, COUNT],
        side * levels.price[row, PRICE], side * levels.price[row, EXTREME],
    )  # fmt: skip
    drop(levels, row)


@kernel
def check_sweeps(
    levels: Levels,
    events: EventBuffer,
    identity: int,
    side: int,
    t: int,
    extreme: float,
    close: float,
    reclaim_bars: int,
) -> int:
    """Hold bar `t` against every level of `side`; the number of events emitted.

    A bar penetrates strictly beyond the level and reclaims by closing strictly inside it.
    """
    reach = side * extreme
    inside = side * close
    emitted = 0
    row = 0
    while row < levels.size[0]:
        price = levels.price[row, PRICE]
        penetrated = levels.info[row, PENETRATED]
        if penetrated == UNTOUCHED:
            if reach <= price:
                row += 1
                continue
            penetrated = t
            levels.info[row, PENETRATED] = t
        if reach > levels.price[row, EXTREME]:
            levels.price[row, EXTREME] = reach
        if inside < price:
            _end(levels, row, events, identity + emitted, SWEEP, side, penetrated, t)
            emitted += 1
        elif t - penetrated + 1 >= reclaim_bars:
            _end(levels, row, events, identity + emitted, TAKEN, side, penetrated, t)
            emitted += 1
        else:
            row += 1
    return emitted
