"""Order blocks, and the breaker and mitigation blocks that failed ones become."""

import numpy as np

from fractaltrader.smc.clauses import CLOSE_THROUGH, MIDPOINT, TOUCH, EngineConfig
from fractaltrader.smc.events import (
    BLOCK_TOUCHED,
    BREAKER,
    MITIGATION,
    OB,
    OB_TOUCHED,
    EventBuffer,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import kernel
from fractaltrader.smc.window import CAPACITY, MASK, Window
from fractaltrader.smc.zones import FAR, SECOND, Zones, add_zone

NONE = -1


@kernel
def extreme_candle(
    window: Window, side: int, first: int, last: int, ties_last: bool, widest: float
) -> int:
    """The bar of first…last that reaches furthest against `side`; -1 when all are too wide."""
    best = NONE
    reach = -np.inf
    for k in range(first, last + 1):
        row = k & MASK
        low = window.low[row]
        high = window.high[row]
        # No short cuts: which candle is further cannot be foreseen.
        fits = not high - low >= widest
        price = -low if side > 0 else high
        price = price if fits else -np.inf
        further = (price > reach) | (ties_last & fits & (price == reach))
        best = k if further else best
        reach = max(reach, price)
    return best


@kernel
def opposite_candle(window: Window, side: int, first: int, last: int, widest: float) -> int:
    """The last bar of first…last that closed against `side`; -1 when there is none."""
    for k in range(last, first - 1, -1):
        row = k & MASK
        if side * (window.close[row] - window.open[row]) < 0.0 and not (
            window.high[row] - window.low[row] >= widest
        ):
            return k
    return NONE


@kernel
def add_block(
    config: EngineConfig, zones: Zones, window: Window, bars: IntArray, events: EventBuffer,
     side: int, t: int, now: int, start: int, end: int, cause: int,
    atr: float,
) -> None:  # fmt: skip
    """Find the block of the leg start…end (own bars), emit and watch it.

    The ring bounds how far back the leg is known. `atr` is that of the bar before; while it is not
    known no bar is too wide.
    """
    first = max(start, t - CAPACITY + 1, 0)
    widest = config.block_volatile_atr * atr
    if not (config.block_volatile_atr > 0.0 and widest > 0.0):
        widest = float("inf")
    if config.block_last_opposite:
        chosen = opposite_candle(window, side, first, end, widest)
    else:
        chosen = extreme_candle(window, side, first, end, config.block_ties_last, widest)
    if chosen == NONE:
        return
    row = chosen & MASK
    low = window.low[row]
    high = window.high[row]
    if config.block_body:
        low = min(window.open[row], window.close[row])
        high = max(window.open[row], window.close[row])
    label = bars[row]
    block = emit(
        events, OB, side, label, now, label, cause, 1, high if side > 0 else low,
        low, high,
    )  # fmt: skip
    near = high if side > 0 else low
    far = low if side > 0 else high
    middle = 0.5 * (low + high)
    second = near if config.mitigation == TOUCH else far
    firm = FAR
    if config.mitigation == MIDPOINT:
        second = middle
    elif config.mitigation == CLOSE_THROUGH:
        firm = SECOND
    add_zone(
        zones, events, side, t, now, OB_TOUCHED, firm, FAR, second, block, label, low, high,
        config.expiry_bars,
    )  # fmt: skip


@kernel
def turn_failed(
    config: EngineConfig, zones: Zones, events: EventBuffer, side: int,
    t: int, now: int, raided: bool,
) -> None:  # fmt: skip
    """A break of `side` turns the other side's invalidated blocks round.

    They are breakers when the leg that failed had `raided` the extreme before it, else mitigation
    blocks.
    """
    row = (1 - side) >> 1
    for i in range(zones.failed[row]):
        low = zones.failed_price[row, i, 0]
        high = zones.failed_price[row, i, 1]
        label = zones.failed_info[row, i, 1]
        block = emit(
            events, (BREAKER if raided else MITIGATION), side, label, now, label,
            zones.failed_info[row, i, 0], 1, high if side > 0 else low, low, high,
        )  # fmt: skip
        add_zone(
            zones, events, side, t, now, BLOCK_TOUCHED, SECOND, SECOND, low if side > 0 else high,
            block, label, low, high, config.expiry_bars,
        )  # fmt: skip
    zones.failed[row] = 0
