"""Liquidity sweep: trade back after stops beyond a known level were run and the level reclaimed.

Lows swept → long, highs swept → short. The stop lies beyond the sweep's extreme, the target at the
nearest untouched opposing level that pays the minimum reward:risk. A bar that sweeps both sides
says nothing.
"""

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from fractaltrader.smc.engine import BARS, BIAS, EngineState
from fractaltrader.smc.engine import new_state as new_engine_state
from fractaltrader.smc.engine import step as engine_step
from fractaltrader.smc.events import (
    AT,
    HIGH,
    KIND,
    LEVEL,
    LOW,
    MEMBERS,
    ORIGIN,
    SWEEP,
    EventBuffer,
    FloatArray,
    IntArray,
    bar_capacity,
    new_buffer,
)
from fractaltrader.smc.events import SIDE as EVENT_SIDE
from fractaltrader.smc.kernel import kernel
from fractaltrader.smc.liquidity import COUNT, ORIGIN_BAR, PENETRATED, PRICE, UNTOUCHED, Levels
from fractaltrader.smc.parameters import EngineConfig, EngineParameters
from fractaltrader.smc.window import CLOSE_, TRUE_RANGE, VOLUME_, mean
from fractaltrader.strategies.base import (
    ATR,
    BASELINE,
    CONFIDENCE,
    ENTRY,
    FACTORS,
    SIDE,
    STOP,
    TARGET,
    StrategyKind,
)

FACTOR_NAMES = (
    "structure",
    "trend",
    "pool",
    "reclaim",
    "volume",
    "volatility",
    "penetration",
    "reward",
)
(
    F_STRUCTURE,
    F_TREND,
    F_POOL,
    F_RECLAIM,
    F_VOLUME,
    F_VOLATILITY,
    F_PENETRATION,
    F_REWARD,
    SWEPT_LEVEL,
    SWEPT_MEMBERS,
    SWEPT_AGE,
    SWEEP_BARS,
    SWEEP_EXTREME,
    SWEEP_DEPTH,
    THE_BIAS,
    TARGET_MEMBERS,
    TARGET_AGE,
    WIDTH,
) = range(FACTORS, FACTORS + 18)

# Most points each factor can give; they sum to 100.
MOST_STRUCTURE, MOST_TREND, MOST_POOL, MOST_RECLAIM = 20.0, 15.0, 15.0, 15.0
MOST_VOLUME, MOST_VOLATILITY, MOST_PENETRATION, MOST_REWARD = 10.0, 10.0, 5.0, 10.0
ANY_LEVEL, SWING_ONLY, POOL_ONLY = range(3)
FAST_TREND_BARS, SLOW_TREND_BARS = 20, 80


class LiquiditySweepParameters(EngineParameters):
    """Detection plus the choices of the setup; distances are in ATR at the signal's bar."""

    levels: Literal["any", "swing", "pool"] = Field(
        default="any",
        description="which levels to trade: single swings, equal-level pools, or both",
    )
    min_penetration_atr: float = Field(
        default=0.05, ge=0, le=5, description="a shallower poke is noise, not a raid on stops"
    )
    stop_buffer_atr: float = Field(
        default=0.1, ge=0, le=5, description="room between the sweep's extreme and the stop"
    )
    min_stop_atr: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="least stop distance: nearer ones are hit by noise and pay more than they risk",
    )
    min_rr: float = Field(default=1.5, ge=0.1, le=20, description="least reward:risk at the target")
    baseline_bars: int = Field(
        default=100, ge=10, le=200, description="window of the ATR that calls volatility normal"
    )
    volume_bars: int = Field(default=50, ge=5, le=200, description="window of the mean volume")


class Config(NamedTuple):
    """The parameters as the kernels read them."""

    engine: EngineConfig
    levels: int
    min_penetration_atr: float
    stop_buffer_atr: float
    min_stop_atr: float
    min_rr: float
    baseline_bars: int
    volume_bars: int


class State(NamedTuple):
    """Detection's state and the events of the newest bar."""

    engine: EngineState
    events: EventBuffer


def new_config(params: LiquiditySweepParameters) -> Config:
    """`params` for the kernels."""
    return Config(
        params.engine_config(),
        {"any": ANY_LEVEL, "swing": SWING_ONLY, "pool": POOL_ONLY}[params.levels],
        params.min_penetration_atr,
        params.stop_buffer_atr,
        params.min_stop_atr,
        params.min_rr,
        params.baseline_bars,
        params.volume_bars,
    )


def new_state(config: Config) -> State:
    """The state before the first bar."""
    most = bar_capacity(config.engine.max_levels)
    return State(new_engine_state(config.engine), new_buffer(most))


@kernel
def clip01(value: float) -> float:
    """`value` held within 0…1."""
    return min(max(value, 0.0), 1.0)


@kernel
def pick_sweep(config: Config, events: EventBuffer, atr: float) -> int:
    """Row of the sweep to trade: most members, then the deepest; -1 for none or for both sides."""
    best = -1
    best_depth = 0.0
    for i in range(events.size[0]):
        if events.whole[i, KIND] != SWEEP:
            continue
        members = events.whole[i, MEMBERS]
        if (config.levels == SWING_ONLY and members > 1) or (
            config.levels == POOL_ONLY and members < 2
        ):
            continue
        depth = events.price[i, HIGH] - events.price[i, LOW]
        if depth < config.min_penetration_atr * atr:
            continue
        if best >= 0:
            if events.whole[i, EVENT_SIDE] != events.whole[best, EVENT_SIDE]:
                return -1
            more = members - events.whole[best, MEMBERS]
            if more < 0 or (more == 0 and depth <= best_depth):
                continue
        best = i
        best_depth = depth
    return best


@kernel
def sweep_extreme(events: EventBuffer, chosen: int) -> float:
    """The outermost price of all sweeps of the chosen one's side that ended at this bar."""
    side = events.whole[chosen, EVENT_SIDE]
    extreme: float = events.price[chosen, HIGH] if side > 0 else events.price[chosen, LOW]
    for i in range(events.size[0]):
        if events.whole[i, KIND] == SWEEP and events.whole[i, EVENT_SIDE] == side:
            if side > 0:
                extreme = max(extreme, events.price[i, HIGH])
            else:
                extreme = min(extreme, events.price[i, LOW])
    return extreme


@kernel
def pick_target(opposing: Levels, signed_entry: float, least: float) -> int:
    """Row of the nearest untouched level at least `least` beyond the entry; -1 for none.

    `signed_entry` is the entry times the trade's side, as the levels' prices are.
    """
    best = -1
    best_reward = 0.0
    for i in range(opposing.size[0]):
        reward = opposing.price[i, PRICE] - signed_entry
        if opposing.info[i, PENETRATED] != UNTOUCHED or reward < least or reward <= 0.0:
            continue
        if best < 0 or reward < best_reward:
            best = i
            best_reward = reward
    return best


@kernel
def score(
    config: Config,
    engine: EngineState,
    record: FloatArray,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Fill the factors and their sum; every factor that has a direction looks at the trade's."""
    t = engine.counters[BARS] - 1
    side = record[SIDE]
    atr = record[ATR]
    aligned = side * engine.counters[BIAS]
    record[F_STRUCTURE] = MOST_STRUCTURE * (aligned + 1.0) / 2.0
    fast = mean(engine.window, t, FAST_TREND_BARS, CLOSE_)
    slow = mean(engine.window, t, SLOW_TREND_BARS, CLOSE_)
    trend = side * (fast - slow) / atr
    # Not known yet (NaN) earns nothing.
    record[F_TREND] = MOST_TREND * clip01(trend / 2.0) if trend > 0.0 else 0.0
    record[F_POOL] = MOST_POOL * min(record[SWEPT_MEMBERS], 3.0) / 3.0
    # Where in its range the reclaiming bar closed, seen from the trade's side.
    place = 0.5
    if high > low:
        place = (close - low) / (high - low) if side > 0 else (high - close) / (high - low)
    record[F_RECLAIM] = MOST_RECLAIM * clip01((place - 0.5) / 0.5)
    usual = mean(engine.window, t, config.volume_bars, VOLUME_)
    record[F_VOLUME] = MOST_VOLUME * clip01(volume / usual - 1.0) if usual > 0.0 else 0.0
    record[F_VOLATILITY] = MOST_VOLATILITY * clip01(2.0 - atr / record[BASELINE])
    # Stops were reached, but it is not yet a breakout: best from 0.25 ATR, nothing from 2 ATR.
    depth = record[SWEEP_DEPTH]
    record[F_PENETRATION] = MOST_PENETRATION * min(
        clip01(depth / 0.25), clip01((2.0 - depth) / 1.75)
    )
    reward_risk = abs(record[TARGET] - record[ENTRY]) / abs(record[ENTRY] - record[STOP])
    record[F_REWARD] = MOST_REWARD * clip01((reward_risk - config.min_rr) / 2.0)
    total = 0.0
    for i in range(F_STRUCTURE, F_REWARD + 1):
        total += record[i]
    record[CONFIDENCE] = total


@kernel
def place_levels(
    config: Config, engine: EngineState, events: EventBuffer, chosen: int, close: float,
    record: FloatArray,
) -> bool:  # fmt: skip
    """Stop and target of the chosen sweep into `record`; False when no target pays enough."""
    t = engine.counters[BARS] - 1
    atr = record[ATR]
    side = -events.whole[chosen, EVENT_SIDE]
    extreme = sweep_extreme(events, chosen)
    distance = max(
        side * (close - extreme) + config.stop_buffer_atr * atr, config.min_stop_atr * atr
    )
    stop = close - side * distance
    opposing = engine.highs if side > 0 else engine.lows
    # Measured from the stop as it was rounded, so that what is promised is what is recorded.
    row = pick_target(opposing, side * close, config.min_rr * abs(close - stop))
    if row < 0 or stop <= 0.0:
        return False
    level = events.price[chosen, LEVEL]
    record[SIDE] = side
    record[ENTRY] = close
    record[STOP] = stop
    record[TARGET] = side * opposing.price[row, PRICE]
    record[SWEPT_LEVEL] = level
    record[SWEPT_MEMBERS] = events.whole[chosen, MEMBERS]
    record[SWEPT_AGE] = t - events.whole[chosen, ORIGIN]
    record[SWEEP_BARS] = t - events.whole[chosen, AT]
    record[SWEEP_EXTREME] = extreme
    record[SWEEP_DEPTH] = abs(extreme - level) / atr
    record[THE_BIAS] = engine.counters[BIAS]
    record[TARGET_MEMBERS] = opposing.info[row, COUNT]
    record[TARGET_AGE] = t - opposing.info[row, ORIGIN_BAR]
    return True


@kernel
def step(
    config: Config,
    state: State,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    record: FloatArray,
) -> bool:
    """Take in one closed bar; True when it makes a signal, which is then in `record`."""
    events = state.events
    engine = state.engine
    events.size[0] = 0
    engine_step(config.engine, engine, events, open_, high, low, close, volume)
    if events.size[0] == 0:
        return False
    atr = engine.atr[0]
    if not atr > 0.0:
        return False
    chosen = pick_sweep(config, events, atr)
    if chosen < 0:
        return False
    baseline = mean(engine.window, engine.counters[BARS] - 1, config.baseline_bars, TRUE_RANGE)
    if not baseline > 0.0:
        return False
    record[ATR] = atr
    record[BASELINE] = baseline
    if not place_levels(config, engine, events, chosen, close, record):
        return False
    score(config, engine, record, high, low, close, volume)
    return True


@kernel
def scan(
    config: Config,
    state: State,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
) -> tuple[IntArray, FloatArray]:
    """`step` over every bar: the bars that made a signal and their records."""
    # Room for one signal a bar; memory that is never written costs nothing.
    bars = np.empty(len(close), np.int64)
    records = np.empty((len(close), WIDTH))
    count = 0
    for t in range(len(close)):
        if step(config, state, open_[t], high[t], low[t], close[t], volume[t], records[count]):
            bars[count] = t
            count += 1
    return bars[:count], records[:count]


def facts(record: list[float]) -> tuple[str, ...]:
    """The chain of facts behind a record, earliest first."""
    long = record[SIDE] > 0
    swept, opposing = ("low", "high") if long else ("high", "low")
    depth = f"{record[SWEEP_DEPTH]:.2f} ATR"
    bias = {1: "bullish", -1: "bearish", 0: "undecided"}[int(record[THE_BIAS])]
    reward_risk = abs(record[TARGET] - record[ENTRY]) / abs(record[ENTRY] - record[STOP])
    since = int(record[SWEEP_BARS])
    when = "on this bar" if since == 0 else f"{since} bar{'s' if since > 1 else ''} ago"
    return (
        f"{_level(record[SWEPT_MEMBERS], swept)} at {record[SWEPT_LEVEL]:.10g}, "
        f"{int(record[SWEPT_AGE])} bars old",
        f"penetrated {when}, by {depth} to {record[SWEEP_EXTREME]:.10g}",
        f"close back {'above' if long else 'below'} it at {record[ENTRY]:.10g}",
        f"structure is {bias}",
        f"stop {record[STOP]:.10g} beyond the sweep's extreme",
        f"target {record[TARGET]:.10g} at the {_level(record[TARGET_MEMBERS], opposing)} of "
        f"{int(record[TARGET_AGE])} bars ago, reward:risk {reward_risk:.2f}",
    )


def _level(members: float, side: str) -> str:
    return f"{int(members)} equal {side}s" if members > 1 else f"swing {side}"


def warmup_bars(params: LiquiditySweepParameters) -> int:
    """Every window full, and levels enough on both sides to sweep and to aim at."""
    windows = max(params.baseline_bars, params.volume_bars, params.atr_bars, SLOW_TREND_BARS)
    return windows + 16 * max(params.max_levels, params.left + params.right)


LIQUIDITY_SWEEP = StrategyKind(
    name="liquidity_sweep",
    summary="Trade back after a known level was swept and reclaimed.",
    parameters=LiquiditySweepParameters,
    factor_names=FACTOR_NAMES,
    record_width=WIDTH,
    new_config=new_config,
    new_state=new_state,
    step=step,
    scan=scan,
    facts=facts,
    warmup_bars=warmup_bars,
)
