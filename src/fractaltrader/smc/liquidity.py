"""Liquidity: untouched levels, pools of equal ones, and how each level ends.

A penetration is one event split by where the close goes next: a close back inside within
`reclaim_bars` makes it a sweep, otherwise the level is taken. Prices of a side are kept times its
sign (+1 highs, -1 lows), so "beyond" is always "greater" and one source serves both sides.
Untouched levels are sorted, the nearest last: a bar that does not reach it touches no other.
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
from fractaltrader.smc.kernel import inlined, kernel

ORIGIN_BAR, COUNT, SOURCE, PENETRATED, PENETRATED_LABEL = range(5)
PRICE, EXTREME = range(2)
LIMIT = 2
MOST_LEVELS = 64
# What a level is, by its COUNT of swings: an extreme of a period has none.
PERIOD = 0


class Liquidity(NamedTuple):
    """Row 0 is lows, row 1 highs."""

    # [2]: beyond which a bar has to do with levels: the price of the nearest untouched one, inf
    # when there is none; -inf while penetrated ones wait.
    near: FloatArray
    price: FloatArray  # [2, MOST_LEVELS]: untouched levels, nearest last
    info: IntArray  # [2, MOST_LEVELS, 3]: ORIGIN_BAR, COUNT of swings, SOURCE event id
    size: IntArray  # [3]: untouched levels, and the most a side may remember
    raid_price: FloatArray  # [2, MOST_LEVELS, 2]: penetrated levels: PRICE, EXTREME since
    raid_info: IntArray  # [2, MOST_LEVELS, 5]: ORIGIN_BAR … PENETRATED_LABEL
    raids: IntArray  # [2]: penetrated levels whose end is open


def new_liquidity(most: int) -> Liquidity:
    """No levels, and leave to remember `most` a side."""
    return Liquidity(
        np.full(2, np.inf),
        np.zeros((2, MOST_LEVELS)),
        np.zeros((2, MOST_LEVELS, 3), np.int64),
        np.array([0, 0, most]),
        np.zeros((2, MOST_LEVELS, 2)),
        np.zeros((2, MOST_LEVELS, 5), np.int64),
        np.zeros(2, np.int64),
    )


@inlined
def refresh_near(levels: Liquidity, row: int) -> None:
    """Keep the guard equal to what the side waits for."""
    size = levels.size[row]
    nearest = levels.price[row, size - 1] if size > 0 else np.inf
    levels.near[row] = -np.inf if levels.raids[row] > 0 else nearest


@kernel
def drop(levels: Liquidity, row: int, place: int) -> None:
    """Forget one untouched level; the rest keep their order."""
    size = levels.size[row] - 1
    for i in range(place, size):
        levels.price[row, i] = levels.price[row, i + 1]
        for column in range(3):
            levels.info[row, i, column] = levels.info[row, i + 1, column]
    levels.size[row] = size
    refresh_near(levels, row)


@kernel
def insert(
    levels: Liquidity, row: int, price: float, origin: int, members: int, source: int
) -> None:
    """Add an untouched level in its place, behind equal ones; there must be room."""
    place = levels.size[row]
    while place > 0 and levels.price[row, place - 1] < price:
        levels.price[row, place] = levels.price[row, place - 1]
        for column in range(3):
            levels.info[row, place, column] = levels.info[row, place - 1, column]
        place -= 1
    levels.price[row, place] = price
    levels.info[row, place, ORIGIN_BAR] = origin
    levels.info[row, place, COUNT] = members
    levels.info[row, place, SOURCE] = source
    levels.size[row] += 1
    refresh_near(levels, row)


@kernel
def nearest_equal(levels: Liquidity, row: int, price: float, tolerance: float) -> int:
    """Place of the untouched swing level nearest to `price` within `tolerance`, newest on a tie.

    -1 when there is none, as when the tolerance is NaN because the ATR is not known yet.
    """
    best = -1
    distance = tolerance
    for i in range(levels.size[row] - 1, -1, -1):
        away = abs(levels.price[row, i] - price)
        if levels.price[row, i] - price > tolerance:
            break
        if levels.info[row, i, COUNT] == PERIOD or not away <= distance:
            continue
        newer = best < 0 or levels.info[row, i, SOURCE] > levels.info[row, best, SOURCE]
        if away < distance or newer:
            best = i
            distance = away
    return best


@kernel
def make_room(levels: Liquidity, events: EventBuffer, side: int, now: int) -> None:
    """When the side is full let the oldest untouched level expire, or the oldest penetrated one."""
    row = (side + 1) >> 1
    size = levels.size[row]
    if size + levels.raids[row] < levels.size[LIMIT]:
        return
    if size == 0:
        _end(levels, events, EXPIRED, side, row, 0, now)
        return
    oldest = 0
    for i in range(1, size):
        if levels.info[row, i, SOURCE] < levels.info[row, oldest, SOURCE]:
            oldest = i
    price = side * levels.price[row, oldest]
    emit(
        events, EXPIRED, side, levels.info[row, oldest, ORIGIN_BAR], now,
        levels.info[row, oldest, ORIGIN_BAR], levels.info[row, oldest, SOURCE],
        levels.info[row, oldest, COUNT], price, price, price,
    )  # fmt: skip
    drop(levels, row, oldest)


@kernel
def add_level(
    levels: Liquidity, events: EventBuffer, side: int, now: int,
    label: int, source: int, level: float, tolerance: float,
) -> None:  # fmt: skip
    """Take a confirmed swing in.

    Within `tolerance` of an untouched level it makes a pool whose level is the outer extreme and
    which replaces that level; otherwise it is a level of its own.
    """
    row = (side + 1) >> 1
    price = side * level
    equal = nearest_equal(levels, row, price, tolerance)
    if equal < 0:
        make_room(levels, events, side, now)
        insert(levels, row, price, label, 1, source)
        return
    joined = levels.price[row, equal]
    outer = max(joined, price)
    members = levels.info[row, equal, COUNT] + 1
    pool = emit(
        events, POOL, side, label, now, label, levels.info[row, equal, SOURCE], members,
        side * outer, min(side * joined, level), max(side * joined, level),
    )  # fmt: skip
    drop(levels, row, equal)
    insert(levels, row, outer, label, members, pool)


@kernel
def _end(
    levels: Liquidity, events: EventBuffer, kind: int, side: int,
    row: int, place: int, now: int,
) -> None:  # fmt: skip
    """Emit how a penetrated level ended unless the kind is 0, and forget it."""
    info = levels.raid_info
    if kind != 0:
        price = side * levels.raid_price[row, place, PRICE]
        extreme = side * levels.raid_price[row, place, EXTREME]
        emit(
            events, kind, side, info[row, place, PENETRATED_LABEL], now,
            info[row, place, ORIGIN_BAR], info[row, place, SOURCE], info[row, place, COUNT],
            price, min(price, extreme), max(price, extreme),
        )  # fmt: skip
    size = levels.raids[row] - 1
    for i in range(place, size):
        for column in range(2):
            levels.raid_price[row, i, column] = levels.raid_price[row, i + 1, column]
        for column in range(5):
            info[row, i, column] = info[row, i + 1, column]
    levels.raids[row] = size
    refresh_near(levels, row)


@inlined
def penetrate(levels: Liquidity, row: int, t: int, now: int, reach: float) -> None:
    """Move the levels that `reach` lies strictly beyond to the penetrated ones."""
    size = levels.size[row]
    count = levels.raids[row]
    while size > 0 and reach > levels.price[row, size - 1]:
        size -= 1
        levels.raid_price[row, count, PRICE] = levels.price[row, size]
        levels.raid_price[row, count, EXTREME] = reach
        for column in range(3):
            levels.raid_info[row, count, column] = levels.info[row, size, column]
        levels.raid_info[row, count, PENETRATED] = t
        levels.raid_info[row, count, PENETRATED_LABEL] = now
        count += 1
    levels.raids[row] = count
    levels.size[row] = size
    refresh_near(levels, row)


@inlined
def settle(
    levels: Liquidity, events: EventBuffer, side: int, t: int, now: int,
    reach: float, inside: float, reclaim_bars: int, target: int,
) -> None:  # fmt: skip
    """Hold bar `t` against the penetrated levels: sweeps, takes, or one more bar to wait.

    A level is reclaimed by a close strictly inside it. Levels that are no `target` end unsaid.
    """
    row = (side + 1) >> 1
    place = 0
    while place < levels.raids[row]:
        price = levels.raid_price[row, place, PRICE]
        if reach > levels.raid_price[row, place, EXTREME]:
            levels.raid_price[row, place, EXTREME] = reach
        if inside < price:
            kind = SWEEP
        elif t - levels.raid_info[row, place, PENETRATED] + 1 >= reclaim_bars:
            kind = TAKEN
        else:
            place += 1
            continue
        if not wanted(target, levels.raid_info[row, place, COUNT]):
            kind = 0
        _end(levels, events, kind, side, row, place, now)


@kernel
def wanted(target: int, members: int) -> bool:
    """Whether the end of a level with so many swings is an event (the clause `target`)."""
    if target == 0:
        return True
    if target == 1:
        return members > PERIOD
    if target == 2:
        return members > 1
    return members == PERIOD
