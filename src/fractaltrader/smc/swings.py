"""Swings: outermost bars, known `right` bars later.

The outermost price of any number of bars is that of two overlapping spans of a power of two, and a
span's comes from two of half its length: a bar costs a few comparisons, whatever the market does.
Prices are kept times the side's sign (+1 highs, -1 lows), so that "beyond" is always "greater".
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import inlined

SPANS = 6  # of 1, 2, 4 … 32 bars: the longest window is 50
RING = 127  # a swing looks back less than 128 bars


class Swings(NamedTuple):
    """Row 0 looks for lows, row 1 for highs."""

    outermost: FloatArray  # [2, SPANS, RING + 1]: of the 1, 2, 4 … bars that end at a bar
    leg: IntArray  # [1]: of `leg_flip`: +1, -1, 0 before the first


def new_swings() -> Swings:
    """No bar seen."""
    return Swings(np.zeros((2, SPANS, RING + 1)), np.zeros(1, np.int64))


@inlined
def extend(swings: Swings, t: int, high: float, low: float, spans: int) -> None:
    """Take in the extremes of bar `t`, for spans of up to 2**`spans` bars."""
    outermost = swings.outermost
    row = t & RING
    below = -low
    above = high
    outermost[0, 0, row] = below
    outermost[1, 0, row] = above
    for span in range(spans):
        before = (t - (1 << span)) & RING
        earlier_low = outermost[0, span, before]
        earlier_high = outermost[1, span, before]
        below = earlier_low if earlier_low > below else below
        above = earlier_high if earlier_high > above else above
        outermost[0, span + 1, row] = below
        outermost[1, span + 1, row] = above


@inlined
def extreme(swings: Swings, row: int, t: int, bars: int, span: int) -> float:
    """The outermost price of the `bars` bars that end at `t`; 2**`span` of them are over half."""
    late = swings.outermost[row, span, t & RING]
    early = swings.outermost[row, span, (t - bars + (1 << span)) & RING]
    return float(early if early > late else late)


@inlined
def fractal(config: EngineConfig, swings: Swings, row: int, t: int, since: int) -> bool:
    """Whether bar t-right is a swing at the close of bar `t`.

    Its extreme is strictly beyond the `left` bars before it, none of them before bar `since`, and
    strictly beyond the `right` bars after it or, where ties count, at least equal to them.
    """
    pivot = t - config.right
    price = swings.outermost[row, 0, pivot & RING]
    before = extreme(swings, row, pivot - 1, config.left, config.left_span)
    after = extreme(swings, row, t, config.right, config.right_span)
    # No short cuts: a branch that cannot be foreseen costs more than the comparisons.
    held = (price > after) | (config.ties_count & (price == after))
    return bool((price > before) & held & (pivot - config.left >= since))


@inlined
def beyond_later(config: EngineConfig, swings: Swings, row: int, t: int, since: int) -> bool:
    """Whether bar t-right, not before `since`, lies strictly beyond the `right` bars after it."""
    pivot = t - config.right
    price = swings.outermost[row, 0, pivot & RING]
    return bool(
        (price > extreme(swings, row, t, config.right, config.right_span)) & (pivot >= since)
    )
