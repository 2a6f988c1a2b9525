"""What the three setups share: detection, the stop, the target, and the factors of confidence.

Every factor that has a direction looks at the trade's. Distances are in ATR at the signal's bar.
"""

from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from fractaltrader.market import Timeframe
from fractaltrader.smc.clauses import EngineConfig, EngineParameters
from fractaltrader.smc.core import BARS, BIAS, NOW, Core
from fractaltrader.smc.engine import EngineState, begin, end
from fractaltrader.smc.engine import step as engine_step
from fractaltrader.smc.events import EventBuffer, FloatArray
from fractaltrader.smc.kernel import kernel
from fractaltrader.smc.liquidity import COUNT, ORIGIN_BAR, PERIOD, Liquidity
from fractaltrader.smc.window import mean
from fractaltrader.strategies.base import (
    ATR,
    BASELINE,
    CONFIDENCE,
    ENTRY,
    FACTORS,
    SIDE,
    STOP,
    TARGET,
)

COMMON_FACTORS = (
    "structure", "higher_timeframe", "trend", "rejection", "volume", "volatility", "reward",
)  # fmt: skip
# The seven above, two of the setup's own, then what the facts need; the setup's own begin at OWN.
(
    F_STRUCTURE, F_HIGHER, F_TREND, F_REJECTION, F_VOLUME, F_VOLATILITY, F_REWARD, F_MAIN, F_MINOR,
    THE_BIAS, HIGHER_BIAS, TARGET_MEMBERS, TARGET_AGE, OWN,
) = range(FACTORS, FACTORS + 14)  # fmt: skip

# Most points each factor can give; they sum to 100.
MOST_STRUCTURE, MOST_HIGHER, MOST_TREND, MOST_REJECTION = 15.0, 10.0, 10.0, 15.0
MOST_VOLUME, MOST_VOLATILITY, MOST_REWARD, MOST_MAIN, MOST_MINOR = 10.0, 10.0, 10.0, 15.0, 5.0
FAST_TREND_BARS, SLOW_TREND_BARS = 20, 80
# Higher bars by which a bias that starts from nothing is nearly always that of a longer run.
HIGHER_WARMUP_BARS = 48


class SetupParameters(EngineParameters):
    """Detection plus what every setup chooses; distances are in ATR at the signal's bar."""

    bias_timeframe: Literal["off", "30m", "1h", "2h", "4h", "8h", "12h", "1d"] = Field(
        default="1h",
        description="higher timeframe whose structure a trade must not oppose; undecided structure "
        "opposes nothing",
    )
    stop_buffer_atr: float = Field(
        default=0.1, ge=0, le=5, description="room between the setup's extreme and the stop"
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

    @model_validator(mode="after")
    def _one_higher_timeframe(self) -> Self:
        if self.htf:
            raise ValueError("htf is set by bias_timeframe; leave htf out")
        return self

    def setup_config(self) -> "SetupConfig":
        """The same for the kernels."""
        biased = self.bias_timeframe != "off"
        higher = (self.bias_timeframe,) if biased else ()
        return SetupConfig(
            self.model_copy(update={"htf": higher}).engine_config(),
            biased,
            self.stop_buffer_atr,
            self.min_stop_atr,
            self.min_rr,
            self.baseline_bars,
            self.volume_bars,
        )

    def setup_warmup_bars(self, timeframe: Timeframe) -> int:
        """Every window full, levels enough on both sides to aim at, and a bias."""
        windows = max(self.baseline_bars, self.volume_bars, self.atr_bars, SLOW_TREND_BARS)
        bars = windows + 16 * max(self.max_levels, self.left + self.right)
        if self.bias_timeframe == "off":
            return bars
        history_ms = HIGHER_WARMUP_BARS * Timeframe.parse(self.bias_timeframe).ms
        return max(bars, -(-history_ms // timeframe.ms))


class SetupConfig(NamedTuple):
    """`SetupParameters` as the kernels read them."""

    engine: EngineConfig
    biased: bool
    stop_buffer_atr: float
    min_stop_atr: float
    min_rr: float
    baseline_bars: int
    volume_bars: int


@kernel
def detect_bar(
    setup: SetupConfig, engine: EngineState, events: EventBuffer, time: int,
    open_: float, high: float, low: float, close: float, volume: float,
) -> None:  # fmt: skip
    """Take one closed bar in; `events` then holds what its close makes known."""
    begin(engine, events)
    engine_step(setup.engine, engine, events, time, open_, high, low, close, volume)
    end(engine, events)


@kernel
def measured(setup: SetupConfig, core: Core, record: FloatArray) -> bool:
    """Put the ATR and its baseline into `record`; False while they are not known."""
    window = core.window
    t = core.counters[BARS] - 1
    record[ATR] = core.atr[NOW]
    record[BASELINE] = mean(window.true_range, t, setup.baseline_bars)
    # NaN compares false.
    return bool(record[ATR] > 0.0 and record[BASELINE] > 0.0)


@kernel
def higher_bias(setup: SetupConfig, engine: EngineState) -> int:
    """Structure of the higher timeframe: +1, -1, or 0 when undecided or switched off."""
    if not setup.biased:
        return 0
    bias: int = engine.cores[1].counters[BIAS]
    return bias


@kernel
def clip01(value: float) -> float:
    """`value` held within 0…1."""
    return min(max(value, 0.0), 1.0)


@kernel
def nearest_paying(opposing: Liquidity, row: int, signed_entry: float, least: float) -> int:
    """Place of the nearest untouched level at least `least` beyond the entry; -1 for none.

    `signed_entry` is the entry times the trade's side, as the levels' prices are.
    """
    for i in range(opposing.size[row] - 1, -1, -1):
        reward = opposing.price[row, i] - signed_entry
        if reward >= least and reward > 0.0:
            return i
    return -1


@kernel
def place_levels(
    setup: SetupConfig, engine: EngineState, side: int, extreme: float, close: float,
    record: FloatArray,
) -> bool:  # fmt: skip
    """Stop beyond `extreme`, target at a level: into `record`; False when no target pays enough."""
    core = engine.cores[0]
    t = core.counters[BARS] - 1
    atr = record[ATR]
    distance = max(side * (close - extreme) + setup.stop_buffer_atr * atr, setup.min_stop_atr * atr)
    stop = close - side * distance
    # Measured from the stop as it was rounded, so that what is promised is what is recorded.
    least = setup.min_rr * abs(close - stop)
    levels = core.liquidity
    row = (side + 1) >> 1
    place = nearest_paying(levels, row, side * close, least)
    if place < 0 or stop <= 0.0 or stop == close:
        return False
    record[SIDE] = side
    record[ENTRY] = close
    record[STOP] = stop
    record[TARGET] = side * levels.price[row, place]
    record[THE_BIAS] = core.counters[BIAS]
    record[HIGHER_BIAS] = higher_bias(setup, engine)
    record[TARGET_MEMBERS] = levels.info[row, place, COUNT]
    record[TARGET_AGE] = t - levels.info[row, place, ORIGIN_BAR]
    return True


@kernel
def score(
    setup: SetupConfig, core: Core, high: float, low: float, close: float, volume: float,
    record: FloatArray,
) -> None:  # fmt: skip
    """Fill the common factors, and the confidence with them and the setup's own two."""
    window = core.window
    t = core.counters[BARS] - 1
    side = record[SIDE]
    atr = record[ATR]
    record[F_STRUCTURE] = MOST_STRUCTURE * (side * record[THE_BIAS] + 1.0) / 2.0
    record[F_HIGHER] = MOST_HIGHER * (side * record[HIGHER_BIAS] + 1.0) / 2.0
    fast = mean(window.close, t, FAST_TREND_BARS)
    slow = mean(window.close, t, SLOW_TREND_BARS)
    trend = side * (fast - slow) / atr
    # Not known yet (NaN) earns nothing.
    record[F_TREND] = MOST_TREND * clip01(trend / 2.0) if trend > 0.0 else 0.0
    # Where in its range the bar closed, seen from the trade's side.
    place = 0.5
    if high > low:
        place = (close - low) / (high - low) if side > 0 else (high - close) / (high - low)
    record[F_REJECTION] = MOST_REJECTION * clip01((place - 0.5) / 0.5)
    usual = mean(window.volume, t, setup.volume_bars)
    record[F_VOLUME] = MOST_VOLUME * clip01(volume / usual - 1.0) if usual > 0.0 else 0.0
    record[F_VOLATILITY] = MOST_VOLATILITY * clip01(2.0 - atr / record[BASELINE])
    reward_risk = abs(record[TARGET] - record[ENTRY]) / abs(record[ENTRY] - record[STOP])
    record[F_REWARD] = MOST_REWARD * clip01((reward_risk - setup.min_rr) / 2.0)
    total = 0.0
    for i in range(F_STRUCTURE, F_MINOR + 1):
        total += record[i]
    record[CONFIDENCE] = total


def bias_facts(record: list[float]) -> tuple[str, ...]:
    """The structure behind a record, and the higher timeframe's where it has one."""
    names = {1: "bullish", -1: "bearish", 0: "undecided"}
    own = f"structure is {names[int(record[THE_BIAS])]}"
    higher = int(record[HIGHER_BIAS])
    return (f"{own}, on the higher timeframe {names[higher]}" if higher else own,)


def level_facts(record: list[float], extreme: str) -> tuple[str, ...]:
    """Stop and target of a record; `extreme` says what the stop lies beyond."""
    opposing = "high" if record[SIDE] > 0 else "low"
    reward_risk = abs(record[TARGET] - record[ENTRY]) / abs(record[ENTRY] - record[STOP])
    return (
        f"stop {record[STOP]:.10g} beyond {extreme}",
        f"target {record[TARGET]:.10g} at the {level_name(record[TARGET_MEMBERS], opposing)} of "
        f"{int(record[TARGET_AGE])} bars ago, reward:risk {reward_risk:.2f}",
    )


def level_name(members: float, side: str) -> str:
    """What a level with so many swings is called."""
    if members == PERIOD:
        return f"previous period's {side}"
    return f"{int(members)} equal {side}s" if members > 1 else f"swing {side}"
