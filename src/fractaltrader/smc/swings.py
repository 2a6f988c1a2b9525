"""Swings: outermost bars, known `right` bars later.

The outermost price of the last so many bars comes from blocks of that many: it is the outermost
since the newest block began, or of the end of the block before. The ends of a block are reckoned
once, when it is complete: a bar costs a few comparisons, whatever the market does. Prices are kept
times the side's sign (+1 highs, -1 lows), so that "beyond" is always "greater".
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import inlined, kernel

RING = 127  # a swing looks back less than 128 bars


class Swings(NamedTuple):
    """Column 0 looks for lows, column 1 for highs; two window lengths, or one that serves both."""

    price: FloatArray  # [RING + 1, 2]: of each bar
    ending: FloatArray  # [2, RING + 1, 2]: outermost from a bar to the end of its block
    block: FloatArray  # [2, 2]: outermost of the newest block
    place: IntArray  # [2]: bars in it
    outermost: FloatArray  # [2, RING + 1, 2]: of the window that ends at a bar
    leg: IntArray  # [1]: of `leg_flip`: +1, -1, 0 before the first


def new_swings() -> Swings:
    """No bar seen."""
    return Swings(
        np.zeros((RING + 1, 2)),
        np.zeros((2, RING + 1, 2)),
        np.full((2, 2), -np.inf),
        np.zeros(2, np.int64),
        np.zeros((2, RING + 1, 2)),
        np.zeros(1, np.int64),
    )


@kernel
def end_block(swings: Swings, window: int, t: int, bars: int) -> None:
    """The block of so many bars that bar `t` completes."""
    low = -np.inf
    high = -np.inf
    for k in range(bars):
        row = (t - k) & RING
        low = max(low, swings.price[row, 0])
        high = max(high, swings.price[row, 1])
        swings.ending[window, row, 0] = low
        swings.ending[window, row, 1] = high
    swings.block[window, 0] = -np.inf
    swings.block[window, 1] = -np.inf
    swings.place[window] = 0


@inlined
def extend(swings: Swings, window: int, t: int, bars: int, below: float, above: float) -> None:
    """Take bar `t` in, and find the outermost prices of the `bars` bars that end at it."""
    block = swings.block
    low = max(block[window, 0], below)
    high = max(block[window, 1], above)
    block[window, 0] = low
    block[window, 1] = high
    first = (t - bars + 1) & RING
    place = swings.place[window] + 1
    swings.place[window] = place
    row = t & RING
    if place == bars:
        end_block(swings, window, t, bars)
    swings.outermost[window, row, 0] = max(low, swings.ending[window, first, 0])
    swings.outermost[window, row, 1] = max(high, swings.ending[window, first, 1])


@inlined
def outstanding(config: EngineConfig, swings: Swings, t: int, high: float, low: float) -> int:
    """Take bar `t` in; the sides on which bar t-right may be a swing: 1 highs, 2 lows, 3 both.

    Its extreme is strictly beyond the `left` bars before it, and at least equal to the `right` bars
    after it. Whether ties count, and whether there are that many bars, is for `fractal` to say.
    """
    swings.price[t & RING, 0] = -low
    swings.price[t & RING, 1] = high
    extend(swings, 0, t, config.right, -low, high)
    if config.left != config.right:
        extend(swings, 1, t, config.left, -low, high)
    pivot = (t - config.right) & RING
    before = (t - config.right - 1) & RING
    left = config.left_window
    price = swings.price
    outermost = swings.outermost
    row = t & RING
    # No short cuts: a branch that cannot be foreseen costs more than the comparisons.
    highs = (price[pivot, 1] >= outermost[0, row, 1]) & (
        price[pivot, 1] > outermost[left, before, 1]
    )
    lows = (price[pivot, 0] >= outermost[0, row, 0]) & (
        price[pivot, 0] > outermost[left, before, 0]
    )
    return int(highs) + 2 * int(lows)


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
    price = swings.price
    outermost = swings.outermost
    if price[pivot & RING, 1] == outermost[0, t & RING, 1]:
        found &= 2
    if price[pivot & RING, 0] == outermost[0, t & RING, 0]:
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
    price = swings.price
    outermost = swings.outermost
    high = price[pivot & RING, 1] > outermost[0, t & RING, 1]
    low = price[pivot & RING, 0] > outermost[0, t & RING, 0]
    leg = -1 if high else 1
    if not (high or low) or swings.leg[0] == leg:
        return 0
    swings.leg[0] = leg
    return 1 if high else 2
