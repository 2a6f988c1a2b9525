"""Position size: the loss at the stop equals the risk configured, or the cap that binds is named.

risk fraction = base_risk x confidence factor x ATR factor x streak factor
size = equity x risk fraction / |entry - stop|, rounded down to whole lots

The loss meant is price distance times size; fees and slippage come on top. `size_lots` is the only
place this is computed: the bot calls it through `decide_size`, the backtest compiles it.
"""

import math
from decimal import Decimal
from typing import NamedTuple, Protocol

from pydantic import Field

from fractaltrader.market import Instrument
from fractaltrader.market.instrument import MIN_NOTIONAL
from fractaltrader.parameters import Parameters
from fractaltrader.smc.kernel import kernel

CAPS = ("", "max_position", "leverage", "free_margin")
NO_CAP, CAP_POSITION, CAP_LEVERAGE, CAP_MARGIN = range(4)

REFUSALS = ("", "equity", "confidence", "stop", "lot", "min_notional")
ACCEPTED, NO_EQUITY, LOW_CONFIDENCE, NO_STOP, BELOW_LOT, BELOW_NOTIONAL = range(6)


class RiskConfig(NamedTuple):
    """`RiskParameters` as the kernel reads them."""

    base_risk: float
    min_confidence: float
    atr_factor_low: float
    atr_factor_high: float
    reduce_after_wins: int
    wins_factor: float
    reduce_after_losses: int
    losses_factor: float
    max_position: float
    leverage: int
    margin_use: float
    min_notional: float


class Venue(NamedTuple):
    """What the arithmetic needs of an instrument."""

    lots_per_unit: float
    max_leverage: int


class Sizing(NamedTuple):
    """What the kernel decides; `cap` and `refusal` index CAPS and REFUSALS."""

    lots: int
    risk_fraction: float
    confidence_factor: float
    atr_factor: float
    streak_factor: float
    cap: int
    refusal: int


class Proposal(Protocol):
    """What sizing reads of a strategy's signal."""

    @property
    def entry(self) -> float: ...
    @property
    def stop(self) -> float: ...
    @property
    def confidence(self) -> float: ...
    @property
    def atr(self) -> float: ...
    @property
    def atr_baseline(self) -> float: ...


class RiskParameters(Parameters):
    """How much of the equity (a fraction) one signal may lose at its stop, and the caps on size."""

    base_risk: float = Field(
        default=0.01,
        gt=0,
        le=0.05,
        description="fraction of equity lost at the stop at full confidence in normal volatility",
    )
    min_confidence: float = Field(
        default=40.0, ge=0, le=100, description="weaker signals are not traded"
    )
    atr_factor_low: float = Field(
        default=0.5, gt=0, le=1, description="least size factor when ATR is above its baseline"
    )
    atr_factor_high: float = Field(
        default=1.5, ge=1, le=3, description="largest size factor when ATR is below its baseline"
    )
    reduce_after_wins: int = Field(
        default=3, ge=1, le=100, description="consecutive wins that call for caution"
    )
    wins_factor: float = Field(default=0.8, gt=0, le=1, description="size factor after them")
    reduce_after_losses: int = Field(
        default=2, ge=1, le=100, description="consecutive losses that call for caution"
    )
    losses_factor: float = Field(default=0.7, gt=0, le=1, description="size factor after them")
    max_position: float = Field(
        default=4.0,
        gt=0,
        le=50,
        description="largest notional of one position as a multiple of equity: a guard against "
        "absurdly near stops, not the rule that sets the size",
    )
    leverage: int = Field(
        default=10,
        ge=1,
        le=50,
        description="cross leverage set on the venue; decides the margin a position ties up",
    )
    margin_use: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="part of the margin one entry may tie up; the rest pays fees",
    )

    def risk_config(self) -> RiskConfig:
        """The same in the kernel's types."""
        return RiskConfig(
            self.base_risk,
            self.min_confidence,
            self.atr_factor_low,
            self.atr_factor_high,
            self.reduce_after_wins,
            self.wins_factor,
            self.reduce_after_losses,
            self.losses_factor,
            self.max_position,
            self.leverage,
            self.margin_use,
            float(MIN_NOTIONAL),
        )

    def leverage_for(self, instrument: Instrument) -> int:
        """The leverage to set on the venue for `instrument`."""
        return min(self.leverage, instrument.max_leverage)


def venue_of(instrument: Instrument) -> Venue:
    """`instrument` in the kernel's types."""
    return Venue(10.0**instrument.sz_decimals, instrument.max_leverage)


@kernel
def streak_factor(config: RiskConfig, streak: int) -> float:
    """Less size after a run of wins or of losses; `streak` is negative for losses."""
    if streak >= config.reduce_after_wins:
        return config.wins_factor
    if -streak >= config.reduce_after_losses:
        return config.losses_factor
    return 1.0


@kernel
def next_streak(streak: int, pnl: float) -> int:
    """The streak after a closed trade: wins count up from 0, losses down; zero changes nothing."""
    if pnl > 0.0:
        return max(streak, 0) + 1
    if pnl < 0.0:
        return min(streak, 0) - 1
    return streak


@kernel
def size_lots(
    config: RiskConfig,
    venue: Venue,
    equity: float,
    free_margin: float,
    streak: int,
    entry: float,
    stop: float,
    confidence: float,
    atr: float,
    atr_baseline: float,
) -> Sizing:
    """Whole lots to trade, the factors behind them, and the cap or refusal that decided."""
    if not equity > 0.0:
        return Sizing(0, 0.0, 0.0, 0.0, 0.0, NO_CAP, NO_EQUITY)
    by_confidence = confidence / 100.0
    by_atr = 1.0
    if atr > 0.0 and atr_baseline > 0.0:
        by_atr = min(max(atr_baseline / atr, config.atr_factor_low), config.atr_factor_high)
    by_streak = streak_factor(config, streak)
    fraction = config.base_risk * by_confidence * by_atr * by_streak
    distance = abs(entry - stop)
    if not confidence >= config.min_confidence:
        return Sizing(0, fraction, by_confidence, by_atr, by_streak, NO_CAP, LOW_CONFIDENCE)
    if not (distance > 0.0 and entry > 0.0):
        return Sizing(0, fraction, by_confidence, by_atr, by_streak, NO_CAP, NO_STOP)
    size = equity * fraction / distance
    cap = NO_CAP
    leverage = min(config.leverage, venue.max_leverage) * config.margin_use
    if size > config.max_position * equity / entry:
        size = config.max_position * equity / entry
        cap = CAP_POSITION
    if size > leverage * equity / entry:
        size = leverage * equity / entry
        cap = CAP_LEVERAGE
    by_margin = max(free_margin, 0.0) * leverage / entry
    if size > by_margin:
        size = by_margin
        cap = CAP_MARGIN
    # A hair more than whole lots lost to binary fractions: 17.5 must not become 17.49999.
    lots = math.floor(size * venue.lots_per_unit * (1.0 + 1e-12))
    refusal = ACCEPTED
    if lots < 1:
        refusal = BELOW_LOT
    elif lots / venue.lots_per_unit * entry < config.min_notional:
        refusal = BELOW_NOTIONAL
    return Sizing(lots, fraction, by_confidence, by_atr, by_streak, cap, refusal)


class SizeDecision(NamedTuple):
    """How much to trade and why.

    `size` is in base units and a legal lot, zero when `refused`. `risk_usd` is what that size loses
    between entry and stop; `risk_fraction` the fraction of equity the parameters ask for. `cap`
    names the limit that made the size smaller than that.
    """

    size: Decimal
    risk_usd: float
    risk_fraction: float
    factors: tuple[tuple[str, float], ...]
    cap: str | None
    refused: str | None


def decide_size(
    signal: Proposal,
    equity: float,
    free_margin: float,
    streak: int,
    instrument: Instrument,
    params: RiskParameters,
) -> SizeDecision:
    """The size for `signal`; equity and free margin in USDC, streak negative for losses.

    Raises ValueError for an equity or margin that is not a number: unknown money is never traded.
    """
    if not (math.isfinite(equity) and math.isfinite(free_margin)):
        raise ValueError(f"equity {equity} and free margin {free_margin} must be known")
    sizing = size_lots(
        params.risk_config(),
        venue_of(instrument),
        float(equity),
        float(free_margin),
        streak,
        signal.entry,
        signal.stop,
        signal.confidence,
        signal.atr,
        signal.atr_baseline,
    )
    asked = instrument.lot * sizing.lots
    cap = CAPS[sizing.cap] or None
    refused = _refusal(sizing, signal, equity, asked, instrument, params)
    size = Decimal(0) if refused else asked
    return SizeDecision(
        size=size,
        risk_usd=float(size) * abs(signal.entry - signal.stop),
        risk_fraction=sizing.risk_fraction,
        factors=(
            ("base_risk", params.base_risk),
            ("confidence", sizing.confidence_factor),
            ("atr", sizing.atr_factor),
            ("streak", sizing.streak_factor),
        ),
        cap=cap,
        refused=refused,
    )


def _refusal(
    sizing: Sizing,
    signal: Proposal,
    equity: float,
    asked: Decimal,
    instrument: Instrument,
    params: RiskParameters,
) -> str | None:
    if sizing.refusal == ACCEPTED:
        return None
    why = {
        NO_EQUITY: f"{equity:.2f} USDC is not above zero",
        LOW_CONFIDENCE: f"{signal.confidence:.1f} is below the minimum {params.min_confidence:g}",
        NO_STOP: f"{signal.stop:.10g} is no distance from the entry",
        BELOW_LOT: f"the risk buys less than one lot of {instrument.lot} {instrument.coin}",
        BELOW_NOTIONAL: f"{float(asked) * signal.entry:.2f} USDC is below the venue's "
        f"{MIN_NOTIONAL}",
    }[sizing.refusal]
    capped = f", capped by {CAPS[sizing.cap]}" if sizing.cap else ""
    return f"{REFUSALS[sizing.refusal]}: {why}{capped}"
