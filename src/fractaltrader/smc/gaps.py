"""Fair value gaps and displacement: what three bars, and one body, say about force."""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import (
    DISPLACEMENT,
    FVG,
    FVG_MERGED,
    FVG_TOUCHED,
    MSS,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import inlined, kernel
from fractaltrader.smc.window import MASK, Window
from fractaltrader.smc.zones import AFTER, FAR, Zones, add_zone

# `displaced`: own bar of the last displacement of a side; `choch`: id, own bar, base bar and side
# of the last change of character that may still become a market structure shift; `pending`: own bar
# and side of a large body that waits for its gap.
CHOCH_ID, CHOCH_BAR, CHOCH_LABEL, CHOCH_SIDE = range(4)
GAP, PUSHED, PUSHED_BAR, PUSH_ID = range(4)


class Force(NamedTuple):
    """What gaps and displacement remember; row 0 bearish, row 1 bullish."""

    displaced: IntArray  # [2]: own bar of the last displacement, -1 for none
    choch: IntArray  # [4]
    choch_price: FloatArray  # [3]: level, low, high of that change of character
    pending: IntArray  # [2]: own bar and side of a body that waits for its gap
    found: IntArray  # [4]: of the newest bar: its gap, its displacement, that one's own bar and id


def new_force() -> Force:
    """Nothing seen."""
    return Force(
        np.full(2, -1),
        np.array([-1, -1, -1, 0]),
        np.zeros(3),
        np.array([-1, 0]),
        np.zeros(4, np.int64),
    )


@inlined
def gap_side(config: EngineConfig, window: Window, t: int, low: float, high: float) -> int:
    """+1 or -1 when bars t-2…t leave a gap that the clauses accept, else 0.

    Call it for t >= 2 only where the outer bars do not overlap and the gap has its height in ATR.
    """
    first = (t - 2) & MASK
    middle = (t - 1) & MASK
    if low > window.high[first]:
        side = 1
        bottom = window.high[first]
        top = low
    else:
        side = -1
        bottom = high
        top = window.low[first]
    height = top - bottom
    if height < config.fvg_min_bp * 1e-4 * bottom:
        return 0
    open_ = window.open[middle]
    close = window.close[middle]
    if config.fvg_same_colour and side * (close - open_) <= 0.0:
        return 0
    if config.fvg_close_beyond and side * close <= side * (bottom if side > 0 else top):
        return 0
    if config.fvg_body_mult > 0.0 and not large_body(config, window, t - 1):
        return 0
    return side


@kernel
def large_body(config: EngineConfig, window: Window, t: int) -> bool:
    """Whether the body of bar `t`, as a share of its open, beats the mean over its window."""
    bars = config.body_bars
    if t + 1 < bars:
        return False
    total = 0.0
    for k in range(t - bars + 1, t + 1):
        row = k & MASK
        total += abs(window.close[row] - window.open[row]) / window.open[row]
    row = t & MASK
    body = abs(window.close[row] - window.open[row]) / window.open[row]
    return bool(body > config.fvg_body_mult * total / bars)


@inlined
def add_gap(
    config: EngineConfig, zones: Zones, window: Window, events: EventBuffer,
     side: int, t: int, now: int, label: int, low: float, high: float,
) -> None:  # fmt: skip
    """Emit the gap of bars t-2…t (middle bar `label`), unite it with the one before, watch it."""
    row = (side + 1) >> 1
    first = (t - 2) & MASK
    outer_high = window.high[first]
    outer_low = window.low[first]
    bottom = outer_high if side > 0 else high
    top = low if side > 0 else outer_low
    gap = emit(
        events, FVG, side, label, now, label, -1, 1, top if side > 0 else bottom,
        bottom, top,
    )  # fmt: skip
    if config.fvg_merge:
        # NaN, no open gap before, compares false.
        if bottom <= zones.united[row, 1] and top >= zones.united[row, 0]:
            zones.united[row, 0] = min(bottom, zones.united[row, 0])
            zones.united[row, 1] = max(top, zones.united[row, 1])
            zones.members[row] += 1
            low_edge = zones.united[row, 0]
            high_edge = zones.united[row, 1]
            emit(
                events, FVG_MERGED, side, label, now, label, gap, zones.members[row],
                high_edge if side > 0 else low_edge, low_edge, high_edge,
            )  # fmt: skip
        else:
            zones.united[row, 0] = bottom
            zones.united[row, 1] = top
            zones.members[row] = 1
    last = AFTER if config.fvg_inverse else FAR
    add_zone(
        zones, events, side, t, now, FVG_TOUCHED, AFTER, last, 0.5 * (bottom + top), gap, label,
        bottom, top, config.expiry_bars,
    )  # fmt: skip


@kernel
def displace(
    config: EngineConfig, force: Force, window: Window, bars: IntArray, events: EventBuffer,
     side: int, t: int, now: int,
) -> int:  # fmt: skip
    """Emit the displacement of bar `t` (own number) and the MSS it completes; its event id."""
    row = t & MASK
    open_ = window.open[row]
    close = window.close[row]
    label = bars[row]
    identity = emit(
        events, DISPLACEMENT, side, label, now, label, -1, 1, close,
        min(open_, close), max(open_, close),
    )  # fmt: skip
    force.displaced[(side + 1) >> 1] = t
    choch = force.choch
    if config.mss and choch[CHOCH_SIDE] == side and choch[CHOCH_BAR] == t:
        shift(force, events, now)
    return identity


@kernel
def shift(force: Force, events: EventBuffer, now: int) -> None:
    """Emit that the last change of character is a market structure shift, once."""
    choch = force.choch
    price = force.choch_price
    label = choch[CHOCH_LABEL]
    emit(
        events, MSS, choch[CHOCH_SIDE], label, now, label, choch[CHOCH_ID], 1,
        price[0], price[1], price[2],
    )  # fmt: skip
    choch[CHOCH_SIDE] = 0


@kernel
def changed_character(
    force: Force, events: EventBuffer, side: int, t: int, now: int,
    identity: int, level: float, beyond: float, leg_start: int,
) -> None:  # fmt: skip
    """Remember a CHoCH, and emit the MSS when its leg, from own bar `leg_start`, was displaced."""
    choch = force.choch
    choch[CHOCH_ID] = identity
    choch[CHOCH_BAR] = t
    choch[CHOCH_LABEL] = now
    choch[CHOCH_SIDE] = side
    force.choch_price[0] = level
    force.choch_price[1] = min(level, beyond)
    force.choch_price[2] = max(level, beyond)
    last = force.displaced[(side + 1) >> 1]
    if last >= 0 and last >= leg_start:
        shift(force, events, now)
