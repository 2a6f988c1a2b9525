"""Swings: outermost bars, known `right` bars later.

The outermost price of any so many bars is that of two overlapping runs of bars, each a power of two
long; of every such length the runs that end at each bar are kept. A bar costs the same few
comparisons whatever the market does. Prices are kept times the side's sign (+1 highs, -1 lows), so
that "beyond" is always "greater".
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import inlined, kernel

RING = 127  # a swing looks back less than 128 bars
LENGTHS = 6  # runs of 1, 2, 4 … 32 bars: any two cover the most bars of a side


class Swings(NamedTuple):
    """Column 0 looks for lows, column 1 for highs."""

    outermost: FloatArray  # [LENGTHS, RING + 1, 2]: of the 1, 2, 4 … bars that end at a bar
    leg: IntArray  # [1]: of `leg_flip`: +1, -1, 0 before the first


def new_swings() -> Swings:
    """No bar seen."""
    return Swings(np.full((LENGTHS, RING + 1, 2), -np.inf), np.zeros(1, np.int64))


@inlined
def take_prices(swings: Swings, t: int, runs: int, below: float, above: float) -> None:
    """Find the runs of the `runs` shortest lengths that end at bar `t`."""
    outermost = swings.outermost
    row = t & RING
    outermost[0, row, 0] = below
    outermost[0, row, 1] = above
    for k in range(runs - 1):
        before = (t - (1 << k)) & RING
        outermost[k + 1, row, 0] = max(outermost[k, row, 0], outermost[k, before, 0])
        outermost[k + 1, row, 1] = max(outermost[k, row, 1], outermost[k, before, 1])


@inlined
def outermost_of(swings: Swings, column: int, t: int, bars: int, length: int) -> float:
    """The outermost price of a column over the `bars` bars that end at bar `t`.

    `length` is the place of the longest run that fits into them: two of it cover them.
    """
    first = (t - bars + (1 << length)) & RING
    outermost = swings.outermost
    return float(max(outermost[length, t & RING, column], outermost[length, first, column]))


@inlined
def outstanding(config: EngineConfig, swings: Swings, t: int, high: float, low: float) -> int:
    """Take bar `t` in; the sides on which bar t-right may be a swing: 1 highs, 2 lows, 3 both.

    Its extreme is strictly beyond the `left` bars before it, and at least equal to the `right` bars
    after it. Whether ties count, and whether there are that many bars, is for `fractal` to say.
    """
    take_prices(swings, t, config.runs, -low, high)
    bottom = at_pivot(config, swings, 0, t)
    top = at_pivot(config, swings, 1, t)
    # No short cuts: a branch that cannot be foreseen costs more than the comparisons.
    lows = (bottom >= after(config, swings, 0, t)) & (bottom > before(config, swings, 0, t))
    highs = (top >= after(config, swings, 1, t)) & (top > before(config, swings, 1, t))
    return int(highs) + 2 * int(lows)


@inlined
def at_pivot(config: EngineConfig, swings: Swings, column: int, t: int) -> float:
    """The price of bar t-right."""
    return float(swings.outermost[0, (t - config.right) & RING, column])


@inlined
def after(config: EngineConfig, swings: Swings, column: int, t: int) -> float:
    """The outermost price of the `right` bars that end at bar `t`."""
    return outermost_of(swings, column, t, config.right, config.right_run)


@inlined
def before(config: EngineConfig, swings: Swings, column: int, t: int) -> float:
    """The outermost price of the `left` bars before bar t-right."""
    return outermost_of(swings, column, t - config.right - 1, config.left, config.left_run)


@kernel
def fractal(config: EngineConfig, swings: Swings, found: int, t: int, since: int) -> int:
    """Which of the `outstanding` sides bar t-right is a swing on, at the close of bar `t`.

    All bars of its window are from bar `since` on. Where ties do not count it is strictly beyond
    the bars after it.
    """
    pivot = t - config.right
    if pivot - config.left < since:
        return 0
    if config.ties_count:
        return found
    if at_pivot(config, swings, 1, t) == after(config, swings, 1, t):
        found &= 2
    if at_pivot(config, swings, 0, t) == after(config, swings, 0, t):
        found &= 1
    return found


@kernel
def leg_flips(config: EngineConfig, swings: Swings, t: int, since: int) -> int:
    """Which side's swing a flip of the leg at bar `t` confirms: 1 a high, 2 a low, 0 none.

    The leg turns when bar t-right, not before `since`, lies strictly beyond the bars after it; when
    it does so on both sides the high counts.
    """
    pivot = t - config.right
    if pivot < since:
        return 0
    high = at_pivot(config, swings, 1, t) > after(config, swings, 1, t)
    low = at_pivot(config, swings, 0, t) > after(config, swings, 0, t)
    leg = -1 if high else 1
    if not (high or low) or swings.leg[0] == leg:
        return 0
    swings.leg[0] = leg
    return 1 if high else 2
