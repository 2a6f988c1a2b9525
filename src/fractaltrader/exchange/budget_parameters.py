"""Who goes first at the venue, and how much of its limits we use."""

from enum import IntEnum
from typing import Self

from pydantic import Field, model_validator

from fractaltrader.parameters import Parameters

# 20 and 1 for each 20 of the 2000 items a page of executions or orders can hold.
HEAVIEST = 120


class Priority(IntEnum):
    """Who goes first when the budget is short."""

    PROTECT = 0  # stops, reduce-only orders, cancels, and the reads they need
    RECONCILE = 1  # what the account, its orders and its executions really are
    ENTER = 2  # new positions
    INFORM = 3  # people and programs that only look


class BudgetParameters(Parameters):
    """How much of the venue's limits our processes on this machine use together."""

    weight_per_minute: int = Field(
        default=1_150, ge=300, le=1_200, description="the venue's 1200, less for a browser beside"
    )
    reconcile_share: float = Field(
        default=0.75,
        gt=0,
        le=0.9,
        description="the rest is protection's alone: ten repairs a minute",
    )
    enter_share: float = Field(
        default=0.6, gt=0, le=0.9, description="entries leave room to learn what became of them"
    )
    inform_share: float = Field(
        default=0.4, gt=0, le=0.9, description="looking must not slow trading down"
    )
    candles_per_second: int = Field(default=10, ge=1, le=50, description="reads of candles")
    price_per_second: int = Field(default=10, ge=1, le=50, description="reads of prices")
    symbols_per_second: int = Field(default=5, ge=1, le=50, description="reads of the coin list")
    portfolio_per_second: int = Field(default=10, ge=1, le=50, description="reads of the account")
    orders_per_second: int = Field(
        default=5, ge=2, le=50, description="order actions; one a second is protection's alone"
    )
    entries_per_coin_per_second: int = Field(
        default=2, ge=1, le=50, description="one coin gone mad must not use up all entries"
    )
    first_pause_seconds: float = Field(
        default=5.0, ge=1, le=60, description="pause after a 429; it doubles with each that follows"
    )
    longest_pause_seconds: float = Field(
        default=120.0, ge=5, le=600, description="a sliding minute is over by then"
    )
    recovery_seconds: float = Field(
        default=300.0, ge=10, le=3600, description="from nothing to the full budget after a pause"
    )
    address_reserve: int = Field(
        default=500, ge=0, le=10_000, description="actions of the address entries leave untouched"
    )
    connections: int = Field(
        default=9, ge=1, le=10, description="the venue's 10, one for a browser"
    )
    new_connections_per_minute: int = Field(default=25, ge=1, le=30, description="the venue's 30")
    subscriptions: int = Field(default=950, ge=1, le=1_000, description="the venue's 1000")
    messages_per_minute: int = Field(default=1_900, ge=10, le=2_000, description="the venue's 2000")

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        shares = (self.reconcile_share, self.enter_share, self.inform_share)
        if self.weight_per_minute * min(shares) < HEAVIEST:
            raise ValueError(
                f"every share of weight_per_minute must allow the heaviest request, {HEAVIEST}"
            )
        return self

    def ceiling(self, priority: Priority) -> float:
        """Weight a minute that requests of `priority` may fill the window up to."""
        shares = (1.0, self.reconcile_share, self.enter_share, self.inform_share)
        return self.weight_per_minute * shares[priority]

    def rate(self, method: str) -> int | None:
        """Calls of `method` a second; None when it is limited by weight alone."""
        return {
            "candles": self.candles_per_second,
            "price": self.price_per_second,
            "symbols": self.symbols_per_second,
            "portfolio": self.portfolio_per_second,
            "orders": self.orders_per_second,
        }.get(method)
