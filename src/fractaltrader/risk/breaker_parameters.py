"""The circuit breaker's causes, their limits and what each one does when it trips."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from fractaltrader.parameters import Parameters

MINUTE_MS = 60_000


class Cause(StrEnum):
    """Why the breaker trips."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    TRADES_PER_DAY = "trades_per_day"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    REJECTED_ORDERS = "rejected_orders"
    ERRORS = "errors"
    STALE_DATA = "stale_data"
    MISMATCH = "mismatch"
    CRITICAL = "critical"


class Action(StrEnum):
    """What a trip does, beyond the one before it; every one of them blocks entries."""

    BLOCK = "block"  # no entries; positions run on to their stop or target
    STOP = "stop"  # the bot ends too; positions keep their stop and target on the exchange
    FLATTEN = "flatten"  # every position is closed; the bot stays to see that it is flat


SEVERITY = tuple(Action)
# Only an operator closes these: what caused them does not pass with time.
GRAVE = frozenset({Cause.DRAWDOWN, Cause.MISMATCH, Cause.CRITICAL})

Choice = Literal["block", "stop", "flatten"]


class BreakerParameters(Parameters):
    """Limits of the circuit breaker. A value that reaches its limit trips."""

    max_daily_loss: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="fraction of the UTC day's opening equity: five full losses at 1 % risk",
    )
    on_daily_loss: Choice = Field(
        default="block", description="open positions have stops of their own; until midnight UTC"
    )
    max_drawdown: float = Field(
        default=0.2,
        gt=0,
        le=0.9,
        description="fraction below the highest equity; losing more asks for a person's judgement",
    )
    on_drawdown: Choice = Field(
        default="stop", description="flatten would sell at the worst moment what stops protect"
    )
    max_trades_per_day: int = Field(
        default=30, ge=1, le=1000, description="executed entries; more is a loop, not a strategy"
    )
    on_trades_per_day: Choice = Field(default="block", description="until midnight UTC")
    max_consecutive_losses: int = Field(
        default=6,
        ge=2,
        le=50,
        description="at 45 % wins six losses in a row come once in 36 trades",
    )
    on_consecutive_losses: Choice = Field(default="block", description="the market may have turned")
    losses_pause_minutes: int = Field(
        default=240, ge=1, le=10_080, description="then one probe trade decides"
    )
    max_rejected_orders: int = Field(
        default=5, ge=1, le=100, description="refused entries among the latest ones"
    )
    rejected_orders_of: int = Field(
        default=10, ge=1, le=100, description="how many of the latest entries are looked at"
    )
    on_rejected_orders: Choice = Field(
        default="block", description="every refusal is our fault and costs address budget"
    )
    rejected_pause_minutes: int = Field(
        default=30, ge=1, le=10_080, description="then one probe entry decides"
    )
    max_errors: int = Field(
        default=30,
        ge=2,
        le=500,
        description="errors within the window, unrecognised ones twice; an outage that is backed "
        "off from makes 10 in 10 minutes",
    )
    errors_window_minutes: int = Field(default=10, ge=1, le=1_440, description="sliding window")
    on_errors: Choice = Field(default="block", description="protection goes on with what works")
    errors_pause_minutes: int = Field(
        default=10, ge=1, le=10_080, description="then one probe entry decides"
    )
    max_data_age_bars: float = Field(
        default=2.0,
        gt=0,
        le=100,
        description="age of the newest market data in bars of the timeframe; one bar may pass "
        "without a trade",
    )
    on_stale_data: Choice = Field(default="block", description="blind is no reason to sell")
    stale_pause_minutes: int = Field(
        default=1, ge=1, le=10_080, description="after the data has come back"
    )
    max_mismatches: int = Field(
        default=3,
        ge=1,
        le=100,
        description="reconciliations in a row that found another position than ours; one may only "
        "be early",
    )
    on_mismatch: Choice = Field(default="block", description="protecting and reconciling go on")
    on_critical: Literal["stop", "flatten"] = Field(
        default="stop", description="the venue refuses us, so there is little left to act with"
    )
    probe_size: float = Field(
        default=0.5, ge=0.05, le=1, description="size factor of the one entry while half-open"
    )

    @model_validator(mode="after")
    def _attainable(self) -> Self:
        if self.max_rejected_orders > self.rejected_orders_of:
            raise ValueError(
                f"max_rejected_orders = {self.max_rejected_orders} must not exceed "
                f"rejected_orders_of = {self.rejected_orders_of}, or it never trips"
            )
        return self

    def action(self, cause: Cause) -> Action:
        """What a trip by `cause` does."""
        return Action(getattr(self, f"on_{cause}"))

    def pause_ms(self, cause: Cause) -> int:
        """How long a trip by `cause` lasts, one that neither a reset nor midnight ends."""
        minutes = {
            Cause.CONSECUTIVE_LOSSES: self.losses_pause_minutes,
            Cause.REJECTED_ORDERS: self.rejected_pause_minutes,
            Cause.ERRORS: self.errors_pause_minutes,
            Cause.STALE_DATA: self.stale_pause_minutes,
        }
        return minutes[cause] * MINUTE_MS
