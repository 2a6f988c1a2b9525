"""Order block: trade on at the first retest of where a break of structure came from.

The block of a break is remembered; when price comes back to it, that is an idea, and a close back
out of it in the break's direction is the trade (`retest`). The stop lies beyond the block and every
price since it was reached, the target at the nearest untouched level that pays the minimum
reward:risk.
"""

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from fractaltrader.smc.core import BARS, BIAS, Core
from fractaltrader.smc.engine import EngineState
from fractaltrader.smc.engine import new_state as new_engine_state
from fractaltrader.smc.events import (
    BOS,
    CHOCH,
    FIRST_ID,
    OB,
    OB_MITIGATED,
    OB_TOUCHED,
    EventBuffer,
    FloatArray,
    IntArray,
)
from fractaltrader.smc.kernel import kernel
from fractaltrader.strategies.base import SIDE
from fractaltrader.strategies.kernel_strategy import StrategyKind, scan_of
from fractaltrader.strategies.retest import (
    NONE,
    RETEST_AGE,
    RETEST_NOTE,
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

# Blocks remembered: no fewer than the engine can watch on both sides together.
MOST_BLOCKS = 128
# Columns: the block's event id, the bar of the break, and NOTE: a sum of what the break was.
BLOCK_ID, BROKE, NOTE = range(3)
FROM_CHOCH, DISPLACED = 1, 2
DEPTHS = {"touch": OB_TOUCHED, "mitigated": OB_MITIGATED}


class BosOrderblockParameters(RetestParameters):
    """Detection plus the choices of the setup; distances are in ATR at the signal's bar."""

    expiry_bars: int = Field(
        default=30, ge=1, le=10_000, description="age at which an untested block is forgotten"
    )
    min_rr: float = Field(default=2.0, ge=0.1, le=20, description="least reward:risk at the target")
    breaks: Literal["any", "bos", "choch"] = Field(
        default="any", description="which breaks leave blocks to trade"
    )
    require_displacement: bool = Field(
        default=True,
        description="the break's leg must hold a displacement: without force nobody left orders",
    )
    depth: Literal["touch", "mitigated"] = Field(
        default="touch", description="whether the block's edge is enough or what mitigation says"
    )

    @property
    def wanted_kind(self) -> int:
        """The event kind of the breaks to trade, 0 for any."""
        return {"any": 0, "bos": BOS, "choch": CHOCH}[self.breaks]


class Config(NamedTuple):
    """The parameters as the kernels read them."""

    setup: SetupConfig
    retest: RetestConfig
    reached: int
    expiry_bars: int
    wanted_kind: int
    require_displacement: bool


class State(NamedTuple):
    """Detection's state, the blocks that may be traded and the ideas that rest."""

    blocks: IntArray  # [MOST_BLOCKS, 3]: BLOCK_ID … NOTE
    newest: IntArray  # [1]: blocks ever stored
    engine: EngineState
    ideas: Ideas


def new_config(params: BosOrderblockParameters) -> Config:
    """`params` for the kernels."""
    return Config(
        params.setup_config(),
        retest_config(params),
        DEPTHS[params.depth],
        params.expiry_bars,
        params.wanted_kind,
        params.require_displacement,
    )


def new_state(config: Config) -> State:
    """The state before the first bar."""
    return State(
        np.full((MOST_BLOCKS, 3), NONE),
        np.zeros(1, np.int64),
        new_engine_state(config.setup.engine),
        new_ideas(),
    )


@kernel
def remember_blocks(config: Config, state: State, core: Core, events: EventBuffer, t: int) -> None:
    """Keep the blocks that breaks of this bar left behind, where the parameters want them."""
    first = events.size[FIRST_ID]
    for i in range(events.size[0]):
        if events.kind[i] != OB:
            continue
        k = events.ref[i] - first
        cause = events.kind[k] if 0 <= k < i else 0
        if cause not in (BOS, CHOCH) or (config.wanted_kind not in (0, cause)):
            continue
        displaced = core.force.displaced[(events.side[i] + 1) >> 1] >= events.at[i]
        if config.require_displacement and not displaced:
            continue
        place = state.newest[0] % MOST_BLOCKS
        state.blocks[place, BLOCK_ID] = first + i
        state.blocks[place, BROKE] = t
        state.blocks[place, NOTE] = (FROM_CHOCH if cause == CHOCH else 0) + (
            DISPLACED if displaced else 0
        )
        state.newest[0] += 1


@kernel
def reach_blocks(
    config: Config, state: State, events: EventBuffer, t: int, high: float, low: float
) -> None:
    """Begin ideas with the remembered blocks that this bar reached; the deepest comes last."""
    for i in range(events.size[0]):
        if events.kind[i] != config.reached:
            continue
        for k in range(MOST_BLOCKS):
            young = t - state.blocks[k, BROKE] <= config.expiry_bars
            if young and state.blocks[k, BLOCK_ID] == events.ref[i]:
                reach_zone(
                    state.ideas, events, i, t, state.blocks[k, BROKE], state.blocks[k, NOTE], high,
                    low,
                )  # fmt: skip
                state.blocks[k, BLOCK_ID] = NONE


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
    reach_blocks(config, state, events, t, high, low)
    remember_blocks(config, state, core, events, t)
    age_ideas(config.retest, ideas, t, core.counters[BIAS], high, low, close)
    side = confirmed(ideas, close)
    if side == 0 or not measured(setup, core, record):
        return False
    if not place_retest(setup, engine, ideas, side, close, record):
        return False
    record[F_MAIN] = MOST_MAIN if int(record[RETEST_NOTE]) & DISPLACED else 0.0
    record[F_MINOR] = MOST_MINOR * clip01(1.0 - record[RETEST_AGE] / config.expiry_bars)
    score(setup, core, high, low, close, volume, record)
    return True


def facts(record: list[float]) -> tuple[str, ...]:
    """The chain of facts behind a record, earliest first."""
    note = int(record[RETEST_NOTE])
    way = "up" if record[SIDE] > 0 else "down"
    cause = "change of character" if note & FROM_CHOCH else "break of structure"
    force = "with displacement" if note & DISPLACED else "without displacement"
    return (
        f"{cause} {way} {int(record[RETEST_AGE])} bars ago, {force}",
        *retest_facts(record, "its order block"),
        *bias_facts(record),
        *level_facts(record, "the block and what came back to it"),
    )


BOS_ORDERBLOCK = StrategyKind(
    name="bos_orderblock",
    summary="Trade on at the retest of the order block that a break of structure left.",
    parameters=BosOrderblockParameters,
    factor_names=(*COMMON_FACTORS, "displacement", "freshness"),
    record_width=WIDTH,
    new_config=new_config,
    new_state=new_state,
    step=step,
    scan=scan_of(step),
    facts=facts,
    warmup_bars=BosOrderblockParameters.setup_warmup_bars,
)
