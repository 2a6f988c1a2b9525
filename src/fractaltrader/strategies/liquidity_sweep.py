"""Liquidity sweep: trade back after stops beyond a known level were run and the level reclaimed.

Lows swept → long, highs swept → short. The stop lies beyond the sweep's extreme, the target at the
nearest untouched opposing level that pays the minimum reward:risk. A bar that sweeps both sides
says nothing, and a sweep is traded at the bar that reclaims or never.
"""

from typing import Literal, NamedTuple

from pydantic import Field

from fractaltrader.smc.core import BARS, NOW
from fractaltrader.smc.engine import EngineState
from fractaltrader.smc.engine import new_state as new_engine_state
from fractaltrader.smc.events import (
    SWEEP,
    EventBuffer,
    FloatArray,
)
from fractaltrader.smc.kernel import kernel
from fractaltrader.strategies.base import ATR, ENTRY, SIDE
from fractaltrader.strategies.kernel_strategy import StrategyKind, scan_of
from fractaltrader.strategies.setups import (
    COMMON_FACTORS,
    F_MAIN,
    F_MINOR,
    MOST_MAIN,
    MOST_MINOR,
    OWN,
    SetupConfig,
    SetupParameters,
    bias_facts,
    clip01,
    detect_bar,
    higher_bias,
    level_facts,
    level_name,
    measured,
    place_levels,
    score,
)

(
    SWEPT_LEVEL, SWEPT_MEMBERS, SWEPT_AGE, SWEEP_BARS, SWEEP_EXTREME, SWEEP_DEPTH, WIDTH,
) = range(OWN, OWN + 7)  # fmt: skip
ANY_LEVEL, SWING_ONLY, POOL_ONLY = range(3)


class LiquiditySweepParameters(SetupParameters):
    """Detection plus the choices of the setup; distances are in ATR at the signal's bar."""

    levels: Literal["any", "swing", "pool"] = Field(
        default="any",
        description="which levels to trade: single swings, equal-level pools, or all that the "
        "clause target makes events",
    )
    min_penetration_atr: float = Field(
        default=0.05, ge=0, le=5, description="a shallower poke is noise, not a raid on stops"
    )


class Config(NamedTuple):
    """The parameters as the kernels read them."""

    setup: SetupConfig
    levels: int
    min_penetration_atr: float


class State(NamedTuple):
    """Detection's state; the setup itself remembers nothing."""

    engine: EngineState


def new_config(params: LiquiditySweepParameters) -> Config:
    """`params` for the kernels."""
    return Config(
        params.setup_config(),
        ("any", "swing", "pool").index(params.levels),
        params.min_penetration_atr,
    )


def new_state(config: Config) -> State:
    """The state before the first bar."""
    return State(new_engine_state(config.setup.engine))


@kernel
def pick_sweep(config: Config, events: EventBuffer, atr: float) -> int:
    """Row of the sweep to trade: most members, then the deepest; -1 for none or for both sides."""
    best = -1
    best_depth = 0.0
    for i in range(events.size[0]):
        if events.kind[i] != SWEEP:
            continue
        members = events.members[i]
        if (config.levels == SWING_ONLY and members != 1) or (
            config.levels == POOL_ONLY and members < 2
        ):
            continue
        depth = events.high[i] - events.low[i]
        if depth < config.min_penetration_atr * atr:
            continue
        if best >= 0:
            if events.side[i] != events.side[best]:
                return -1
            more = members - events.members[best]
            if more < 0 or (more == 0 and depth <= best_depth):
                continue
        best = i
        best_depth = depth
    return best


@kernel
def sweep_extreme(events: EventBuffer, chosen: int) -> float:
    """The outermost price of all sweeps of the chosen one's side that ended at this bar."""
    side = events.side[chosen]
    extreme: float = events.high[chosen] if side > 0 else events.low[chosen]
    for i in range(events.size[0]):
        if events.kind[i] == SWEEP and events.side[i] == side:
            extreme = max(extreme, events.high[i]) if side > 0 else min(extreme, events.low[i])
    return extreme


@kernel
def own_factors(record: FloatArray) -> None:
    """The pool's size, and a penetration that reached stops without becoming a breakout."""
    record[F_MAIN] = MOST_MAIN * min(max(record[SWEPT_MEMBERS], 1.0), 3.0) / 3.0
    # Best from 0.25 ATR, nothing from 2 ATR.
    depth = record[SWEEP_DEPTH]
    record[F_MINOR] = MOST_MINOR * min(clip01(depth / 0.25), clip01((2.0 - depth) / 1.75))


@kernel
def step(
    config: Config,
    state: State,
    events: EventBuffer,
    time: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    record: FloatArray,
) -> bool:
    """Take in one closed bar; True when it makes a signal, which is then in `record`."""
    setup = config.setup
    engine = state.engine
    detect_bar(setup, engine, events, time, open_, high, low, close, volume)
    core = engine.cores[0]
    chosen = pick_sweep(config, events, core.atr[NOW])
    if chosen < 0 or not measured(setup, core, record):
        return False
    side = -int(events.side[chosen])
    if higher_bias(setup, engine) == -side:
        return False
    extreme = sweep_extreme(events, chosen)
    if not place_levels(setup, engine, side, extreme, close, record):
        return False
    t = core.counters[BARS] - 1
    level = events.level[chosen]
    record[SWEPT_LEVEL] = level
    record[SWEPT_MEMBERS] = events.members[chosen]
    record[SWEPT_AGE] = t - events.origin[chosen]
    record[SWEEP_BARS] = t - events.at[chosen]
    record[SWEEP_EXTREME] = extreme
    record[SWEEP_DEPTH] = abs(extreme - level) / record[ATR]
    own_factors(record)
    score(setup, core, high, low, close, volume, record)
    return True


def facts(record: list[float]) -> tuple[str, ...]:
    """The chain of facts behind a record, earliest first."""
    long = record[SIDE] > 0
    since = int(record[SWEEP_BARS])
    when = "on this bar" if since == 0 else f"{since} bar{'s' if since > 1 else ''} ago"
    return (
        f"{level_name(record[SWEPT_MEMBERS], 'low' if long else 'high')} at "
        f"{record[SWEPT_LEVEL]:.10g}, {int(record[SWEPT_AGE])} bars old",
        f"penetrated {when}, by {record[SWEEP_DEPTH]:.2f} ATR to {record[SWEEP_EXTREME]:.10g}",
        f"close back {'above' if long else 'below'} it at {record[ENTRY]:.10g}",
        *bias_facts(record),
        *level_facts(record, "the sweep's extreme"),
    )


LIQUIDITY_SWEEP = StrategyKind(
    name="liquidity_sweep",
    summary="Trade back after a known level was swept and reclaimed.",
    parameters=LiquiditySweepParameters,
    factor_names=(*COMMON_FACTORS, "pool", "penetration"),
    record_width=WIDTH,
    new_config=new_config,
    new_state=new_state,
    step=step,
    scan=scan_of(step),
    facts=facts,
    warmup_bars=LiquiditySweepParameters.setup_warmup_bars,
)
