"""The detectors of one timeframe in their fixed order.

Confirm swings, see displacement, test breaks, hold the bar against the zones known before it,
create new zones, then liquidity and the dealing range. The order decides ties within one bar.
State is a few small arrays of declared capacity.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import LEG_FLIP, EngineConfig
from fractaltrader.smc.dealing_range import Dealing, add_point, follow, new_dealing
from fractaltrader.smc.events import (
    CANDIDATE,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.gaps import (
    GAP,
    PUSH_ID,
    PUSHED,
    PUSHED_BAR,
    Force,
    add_gap,
    changed_character,
    displace,
    gap_side,
    new_force,
)
from fractaltrader.smc.kernel import inlined, kernel
from fractaltrader.smc.liquidity import (
    Liquidity,
    add_level,
    new_liquidity,
    penetrate,
    settle,
)
from fractaltrader.smc.order_blocks import add_block, turn_failed
from fractaltrader.smc.structure import (
    ALT_ID,
    BAR_,
    BREAK_BAR,
    BREAK_ID,
    ID_,
    LABEL_,
    PIVOT_BAR,
    Structure,
    add_swing,
    break_level,
    new_structure,
)
from fractaltrader.smc.swings import Swings, fractal, leg_flips, new_swings, outstanding
from fractaltrader.smc.window import (
    CAPACITY,
    MASK,
    Window,
    mean,
    new_window,
    push,
)
from fractaltrader.smc.zones import Zones, expire, new_zones, visit

BARS, BIAS, SINCE = range(3)
NOW, BEFORE, SUM = range(3)


class Core(NamedTuple):
    """Everything the detectors of one timeframe remember."""

    counters: IntArray  # BARS seen, BIAS (+1, -1, 0 before any break), SINCE the hole
    atr: FloatArray  # [3]: at the newest bar, the one before (NaN while not known), sum of ranges
    window: Window
    bars: IntArray  # [CAPACITY]: the base bar at whose close each bar of the ring was known
    swings: Swings
    structure: Structure
    force: Force
    zones: Zones
    liquidity: Liquidity
    dealing: Dealing
    candidate: FloatArray  # [2]: outermost price since the last opposite swing, times the sign


def new_core(config: EngineConfig) -> Core:
    """The state before the first bar of a timeframe."""
    return Core(
        np.zeros(3, np.int64),
        np.array([np.nan, np.nan, 0.0]),
        new_window(),
        np.zeros(CAPACITY, np.int64),
        new_swings(),
        new_structure(),
        new_force(),
        new_zones(config.max_zones),
        new_liquidity(config.max_levels),
        new_dealing(),
        np.full(2, -np.inf),
    )


@inlined
def take_swing(
    config: EngineConfig, core: Core, events: EventBuffer, side: int, t: int, now: int
) -> None:
    """Take in the swing that bar `t` confirms."""
    pivot = t - config.right
    row = pivot & MASK
    level = core.window.high[row] if side > 0 else core.window.low[row]
    label = core.bars[row]
    structure = core.structure
    # A swing before the last break is the one it started from, though it is confirmed only now.
    broke = structure.breaks[(1 - side) >> 1, BREAK_BAR]
    fixed = config.bos_origin and core.counters[BIAS] == -side and pivot > broke
    alternates = add_swing(
        structure, events, side, now, pivot, label, level, config.labels, fixed
    )  # fmt: skip
    if alternates and config.dealing_range:
        add_point(core.dealing, events, side, now, label, level, structure.alternating[ALT_ID])
    core.candidate[(1 - side) >> 1] = -np.inf


@inlined
def take_swings(
    config: EngineConfig, core: Core, events: EventBuffer, outstanding: int, t: int, now: int
) -> int:
    """Take in the swings that bar `t` confirms, the high first: 1 a high, 2 a low, 3 both."""
    since = core.counters[SINCE]
    if config.detector == LEG_FLIP:
        found = leg_flips(config, core.swings, t, since)
    else:
        found = fractal(config, core.swings, outstanding, t, since)
    for side in (1, -1):
        if found & (1 if side > 0 else 2):
            take_swing(config, core, events, side, t, now)
    return found


@inlined
def judge_force(
    config: EngineConfig, core: Core, events: EventBuffer, apart: bool, body: float, high: float,
    low: float, t: int, now: int,
) -> None:  # fmt: skip
    """Find the gap and the displacement that bar `t` makes known.

    `apart` says that bars t-2 and t are far enough apart for a gap, `body` is 0 unless it is
    large. With `require_fvg` a large body waits one bar for the gap around it.
    """
    force = core.force
    found = force.found
    found[GAP] = 0
    found[PUSHED] = 0
    if apart and t >= core.counters[SINCE] + 2:
        found[GAP] = gap_side(config, core.window, t, low, high)
    side = 1 if body > 0.0 else -1 if body < 0.0 else 0
    if config.require_fvg:
        if found[GAP] != 0 and force.pending[0] == t - 1 and force.pending[1] == found[GAP]:
            found[PUSHED] = found[GAP]
            found[PUSHED_BAR] = t - 1
        if side != 0:
            force.pending[0] = t
            force.pending[1] = side
    elif side != 0:
        found[PUSHED] = side
        found[PUSHED_BAR] = t
    if found[PUSHED] != 0:
        found[PUSH_ID] = displace(
            config, force, core.window, core.bars, events, found[PUSHED], found[PUSHED_BAR], now
        )


@kernel
def broken(
    config: EngineConfig, core: Core, events: EventBuffer, side: int, t: int, now: int,
    beyond: float,
) -> None:  # fmt: skip
    """A break of structure: emits it, the shift it is, and remembers it for its order block."""
    counters = core.counters
    structure = core.structure
    row = (side + 1) >> 1
    bias = counters[BIAS]
    level = side * structure.level[row]
    structure.breaks[row, PIVOT_BAR] = structure.level_of[row, BAR_]
    structure.breaks[row, BREAK_BAR] = t
    # The leg of a reversal begins at the last swing of the other side.
    start = max(structure.swing[1 - row, BAR_], 0)
    counters[BIAS] = side
    identity = break_level(
        structure, events, side, now, bias, beyond, config.bos_origin, config.strength
    )  # fmt: skip
    structure.breaks[row, BREAK_ID] = identity
    if config.mss and bias == -side:
        changed_character(core.force, events, side, t, now, identity, level, beyond, start)


@inlined
def test_breaks(
    config: EngineConfig, core: Core, events: EventBuffer, t: int, now: int, up: float, down: float
) -> int:
    """Test the breaks of both sides, upward first: 1 for up, 2 for down, 3 for both."""
    level = core.structure.level
    sides = 0
    if up > level[1]:
        broken(config, core, events, 1, t, now, up)
        sides = 1
    if -down > level[0]:
        broken(config, core, events, -1, t, now, down)
        sides += 2
    return sides


@inlined
def visit_zones(
    config: EngineConfig, core: Core, events: EventBuffer, t: int, now: int, high: float,
    low: float, close: float,
) -> None:  # fmt: skip
    """Hold the bar against the zones it reaches, and drop the expired."""
    zones = core.zones
    for side in (1, -1):
        row = (side + 1) >> 1
        extreme = low if side > 0 else high
        if -side * extreme >= zones.near[row]:
            visit(config, zones, events, side, now, extreme, close)
        if config.expiry_bars > 0 and t >= zones.due[row]:
            expire(zones, events, row, t, now, config.expiry_bars)


@kernel
def block_of_break(
    config: EngineConfig, core: Core, events: EventBuffer, side: int, t: int, now: int
) -> None:
    """What a break leaves: the other side's failed blocks turn round, and an order block."""
    structure = core.structure
    other = (1 - side) >> 1
    if config.breakers and core.zones.failed[other] > 0:
        price = structure.price
        # NaN, no swing before it, compares false: nothing was raided.
        raided = -side * price[other, 0] > -side * price[other, 1]
        turn_failed(config, core.zones, events, side, t, now, raided)
    if config.block_on_break:
        add_block(
            config, core.zones, core.window, core.bars, events, side, t, now,
            structure.breaks[1 - other, PIVOT_BAR], t - 1, structure.breaks[1 - other, BREAK_ID],
            core.atr[BEFORE],
        )  # fmt: skip


@inlined
def create_zones(
    config: EngineConfig, core: Core, events: EventBuffer, breaks: int, forced: bool, high: float,
    low: float, t: int, now: int,
) -> None:  # fmt: skip
    """Watch what bar `t` creates: blocks of breaks, blocks of displacement, gaps."""
    if breaks & 1:
        block_of_break(config, core, events, 1, t, now)
    if breaks & 2:
        block_of_break(config, core, events, -1, t, now)
    if not forced:
        return
    found = core.force.found
    pushed = found[PUSHED]
    if pushed != 0 and config.block_on_displacement:
        bar = found[PUSHED_BAR]
        start = core.structure.swing[(1 - pushed) >> 1, BAR_]
        if start >= bar:
            start = bar - 1
        add_block(
            config, core.zones, core.window, core.bars, events, pushed, t, now, start, bar - 1,
            found[PUSH_ID], core.atr[BEFORE],
        )  # fmt: skip
    if found[GAP] != 0 and config.fvg:
        add_gap(
            config, core.zones, core.window, events, found[GAP], t, now, core.bars[(t - 1) & MASK],
            low, high,
        )  # fmt: skip


@inlined
def run_for_liquidity(
    config: EngineConfig, core: Core, events: EventBuffer, found: int, t: int, now: int,
    high: float, low: float, close: float,
) -> None:  # fmt: skip
    """Watch the levels of the swings just confirmed, and hold the bar against all levels."""
    levels = core.liquidity
    structure = core.structure
    tolerance = config.equal_atr * core.atr[NOW]
    for side in (1, -1):
        row = (side + 1) >> 1
        if found & (1 if side > 0 else 2):
            add_level(
                levels, events, side, now, structure.swing[row, LABEL_], structure.swing[row, ID_],
                structure.price[row, 0], tolerance,
            )  # fmt: skip
    for side in (1, -1):
        row = (side + 1) >> 1
        reach = side * (high if side > 0 else low)
        if reach > levels.near[row]:
            penetrate(levels, row, t, now, reach)
            settle(
                levels, events, side, t, now, reach, side * close, config.reclaim_bars,
                config.target,
            )  # fmt: skip


@kernel
def candidates(core: Core, events: EventBuffer, now: int, high: float, low: float) -> None:
    """Tentative swings: the outermost price since the last confirmed opposite swing."""
    if high > core.candidate[1]:
        core.candidate[1] = high
        emit(events, CANDIDATE, 1, now, now, now, -1, 1, high, high, high)
    if -low > core.candidate[0]:
        core.candidate[0] = -low
        emit(events, CANDIDATE, -1, now, now, now, -1, 1, low, low, low)


@kernel
def sum_ranges(core: Core, t: int, bars: int) -> None:
    """Take the sum of the true ranges afresh once there are as many as the ATR needs."""
    if t >= bars - 1:
        core.atr[SUM] = bars * mean(core.window.true_range, t, bars)
        core.atr[NOW] = core.atr[SUM] / bars


@inlined
def average_range(core: Core, t: int, bars: int, afresh: bool) -> None:
    """Update the ATR: the sum over the window moves with it and is taken afresh now and then."""
    atr = core.atr
    window = core.window
    atr[BEFORE] = atr[NOW]
    if afresh or t < bars:
        sum_ranges(core, t, bars)
    else:
        moved = window.true_range[t & MASK] - window.true_range[(t - bars) & MASK]
        total = max(atr[SUM] + moved, 0.0)
        atr[SUM] = total
        atr[NOW] = total / bars


@inlined
def core_step(
    config: EngineConfig,
    core: Core,
    events: EventBuffer,
    now: int,
    hole: bool,
    afresh: bool,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Take in one closed bar of this timeframe, known at base bar `now`.

    What most bars do not need is behind one comparison each, and in a kernel of its own. `afresh`
    takes running sums anew, so that they forget what was before them.
    """
    counters = core.counters
    t = counters[BARS]
    counters[BARS] = t + 1
    window = core.window
    push(window, t, open_, high, low, close, volume)
    core.bars[t & MASK] = now
    average_range(core, t, config.atr_bars, afresh)

    if hole and config.holes_void:
        counters[SINCE] = t
    found = outstanding(config, core.swings, t, high, low)
    if (found != 0) | (config.detector == LEG_FLIP):
        found = take_swings(config, core, events, found, t, now)
    if config.candidates:
        candidates(core, events, now, high, low)

    apart = False
    before = core.atr[BEFORE]
    if config.gaps:
        first = (t - 2) & MASK
        height = max(low - window.high[first], window.low[first] - high)
        least = config.fvg_min_atr * before if config.fvg_min_atr > 0.0 else 0.0
        apart = (height > 0.0) & (height >= least)
    body = close - open_
    large = abs(body) >= config.displacement_atr * before
    forced = apart | large
    if forced:
        judge_force(config, core, events, apart, body if large else 0.0, high, low, t, now)

    breaks = 0
    if config.structure:
        up = high if config.wick_breaks else close
        down = low if config.wick_breaks else close
        level = core.structure.level
        if (up > level[1]) | (-down > level[0]):
            breaks = test_breaks(config, core, events, t, now, up, down)

    zones = core.zones
    if (
        (-low >= zones.near[1])
        | (high >= zones.near[0])
        | (config.expiry_bars > 0) & ((t >= zones.due[0]) | (t >= zones.due[1]))
    ):
        visit_zones(config, core, events, t, now, high, low, close)
    if forced or breaks != 0:
        create_zones(config, core, events, breaks, forced, high, low, t, now)

    if config.liquidity:
        levels = core.liquidity
        if (found != 0) | (high > levels.near[1]) | (-low > levels.near[0]):
            run_for_liquidity(config, core, events, found, t, now, high, low, close)

    follow(config, core.dealing, events, now, high, low, close)
