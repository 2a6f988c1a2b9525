"""Fair value gap fill: trade on in the gap's direction once price has come back into it.

A gap that price re-enters to the chosen depth is an idea; a close back out of it in its direction
is the trade (`retest`). The stop lies beyond the gap and every price since it was reached, the
target at the nearest untouched level that pays the minimum reward:risk.
"""

from typing import Literal, NamedTuple

from pydantic import Field

from fractaltrader.smc.core import BARS, BIAS
from fractaltrader.smc.engine import EngineState
from fractaltrader.smc.engine import new_state as new_engine_state
from fractaltrader.smc.events import (
    FVG_FILLED,
    FVG_HALF,
    FVG_TOUCHED,
    EventBuffer,
    FloatArray,
)
from fractaltrader.smc.kernel import kernel
from fractaltrader.strategies.base import SIDE
from fractaltrader.strategies.kernel_strategy import StrategyKind, scan_of
from fractaltrader.strategies.retest import (
    RETEST_AGE,
    RETEST_HEIGHT,
    WIDTH,
    Ideas,
    RetestConfig,
    RetestParameters,
    age_ideas,
    confirmed,
    new_ideas,
    place_retest,
    reach_zone,
    retest_config,
    retest_facts,
)
from fractaltrader.strategies.setups import (
    COMMON_FACTORS,
    F_MAIN,
    F_MINOR,
    MOST_MAIN,
    MOST_MINOR,
    SetupConfig,
    bias_facts,
    clip01,
    detect_bar,
    level_facts,
    measured,
    score,
)

DEPTHS = {"touch": FVG_TOUCHED, "half": FVG_HALF, "full": FVG_FILLED}


class FvgFillParameters(RetestParameters):
    """Detection plus the choices of the setup; distances are in ATR at the signal's bar."""

    fvg_min_atr: float = Field(
        default=0.25,
        ge=0,
        le=20,
        description="least height in ATR at the bar before: a thin gap says nothing about force",
    )
    depth: Literal["touch", "half", "full"] = Field(
        default="half", description="how far price must come back into the gap"
    )


class Config(NamedTuple):
    """The parameters as the kernels read them."""

    setup: SetupConfig
    retest: RetestConfig
    reached: int
    expiry_bars: int


class State(NamedTuple):
    """Detection's state and the ideas that rest."""

    engine: EngineState
    ideas: Ideas


def new_config(params: FvgFillParameters) -> Config:
    """`params` for the kernels."""
    return Config(
        params.setup_config(), retest_config(params), DEPTHS[params.depth], params.expiry_bars
    )


def new_state(config: Config) -> State:
    """The state before the first bar."""
    return State(new_engine_state(config.setup.engine), new_ideas())


@kernel
def reach_gaps(
    config: Config, ideas: Ideas, events: EventBuffer, t: int, high: float, low: float
) -> None:
    """Begin ideas with the gaps that this bar reached; the deepest of a side comes last."""
    for i in range(events.size[0]):
        born = events.origin[i] + 1  # a gap is known one bar after its middle
        if events.kind[i] == config.reached and t - born <= config.expiry_bars:
            reach_zone(ideas, events, i, t, born, 0, high, low)


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
    ideas = state.ideas
    detect_bar(setup, engine, events, time, open_, high, low, close, volume)
    core = engine.cores[0]
    t = core.counters[BARS] - 1
    reach_gaps(config, ideas, events, t, high, low)
    age_ideas(config.retest, ideas, t, core.counters[BIAS], high, low, close)
    side = confirmed(ideas, close)
    if side == 0 or not measured(setup, core, record):
        return False
    if not place_retest(setup, engine, ideas, side, close, record):
        return False
    record[F_MAIN] = MOST_MAIN * clip01(record[RETEST_HEIGHT])
    record[F_MINOR] = MOST_MINOR * clip01(1.0 - record[RETEST_AGE] / config.expiry_bars)
    score(setup, core, high, low, close, volume, record)
    return True


def facts(record: list[float]) -> tuple[str, ...]:
    """The chain of facts behind a record, earliest first."""
    name = "bullish gap" if record[SIDE] > 0 else "bearish gap"
    return (
        *retest_facts(record, name),
        *bias_facts(record),
        *level_facts(record, "the gap and what came back into it"),
    )


FVG_FILL = StrategyKind(
    name="fvg_fill",
    summary="Trade on after price came back into a fair value gap and was rejected.",
    parameters=FvgFillParameters,
    factor_names=(*COMMON_FACTORS, "gap", "freshness"),
    record_width=WIDTH,
    new_config=new_config,
    new_state=new_state,
    step=step,
    scan=scan_of(step),
    facts=facts,
    warmup_bars=FvgFillParameters.setup_warmup_bars,
)
