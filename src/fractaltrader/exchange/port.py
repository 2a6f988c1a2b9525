"""What the bot needs of a venue, in its own words; the Hyperliquid adapter is behind it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

from fractaltrader.market import Bar, Instrument, Timeframe


class Side(StrEnum):
    """Direction of an order, as the venue spells it."""

    BUY = "B"
    SELL = "A"

    @property
    def opposite(self) -> "Side":
        return SELL if self is BUY else BUY


# For hot paths: looking a member up on its class takes Python 3.11 as long as thirty names.
BUY, SELL = Side.BUY, Side.SELL


@dataclass(frozen=True, slots=True)
class Trigger:
    """A resting order that becomes a market order when the mark price reaches `price`."""

    price: Decimal
    kind: Literal["tp", "sl"]


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order to place. `price` is the limit; for a trigger the worst price to accept."""

    instrument: Instrument
    side: Side
    size: Decimal
    price: Decimal
    cloid: str
    tif: Literal["Gtc", "Ioc", "Alo"] = "Gtc"
    reduce_only: bool = False
    trigger: Trigger | None = None


class OutcomeKind(StrEnum):
    """What the venue said of one order of an action."""

    RESTING = "resting"
    FILLED = "filled"
    WAITING = "waiting"  # a stop or target that lives, or will once its entry has filled
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The venue's answer for one order; `filled` is what the answer itself reports as executed."""

    kind: OutcomeKind
    oid: int | None = None
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests on the venue."""

    coin: str
    side: Side
    size: Decimal
    limit_price: Decimal
    oid: int
    cloid: str | None
    reduce_only: bool
    trigger_price: Decimal | None
    kind: Literal["limit", "tp", "sl"]
    placed_ms: int


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the venue remembers it; `status` is the venue's word ('filled', …)."""

    coin: str
    oid: int
    cloid: str | None
    status: str
    size: Decimal
    original_size: Decimal
    placed_ms: int
    status_ms: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `closed_pnl` excludes the fee; a negative fee is a rebate. USDC."""

    coin: str
    side: Side
    price: Decimal
    size: Decimal
    time_ms: int
    oid: int
    tid: int
    cloid: str | None
    fee: Decimal
    closed_pnl: Decimal
    start_position: Decimal
    direction: str
    taker: bool


@dataclass(frozen=True, slots=True)
class Position:
    """A position on the venue; `size` is signed, long above zero."""

    coin: str
    size: Decimal
    entry_price: Decimal
    unrealized_pnl: Decimal
    leverage: int
    liquidation_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Account:
    """The account as the venue sees it, USDC."""

    equity: Decimal
    withdrawable: Decimal
    margin_used: Decimal
    positions: dict[str, Position]
    time_ms: int


@dataclass(frozen=True, slots=True)
class CandleUpdate:
    """The bar of `coin` that is still forming, as of now."""

    coin: str
    timeframe: Timeframe
    bar: Bar


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order changed its status."""

    record: OrderRecord


@dataclass(frozen=True, slots=True)
class FillUpdate:
    """Executions, oldest first; `snapshot` marks the replay that follows a subscription."""

    fills: tuple[Fill, ...]
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Connected:
    """The stream is up (again): whatever happened in between must be asked for."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The stream is down; nothing more is known until `Connected`."""

    reason: str


StreamEvent = CandleUpdate | OrderUpdate | FillUpdate | Connected | Disconnected


class Venue(Protocol):
    """The exchange as the bot uses it. Reads raise TransientError or CriticalError."""

    async def instruments(self) -> dict[str, Instrument]:
        """Perpetuals by coin, delisted ones marked."""
        ...

    async def time_ms(self) -> int:
        """The venue's own clock."""
        ...

    async def account(self) -> Account:
        """Equity, margin and positions."""
        ...

    async def mid_prices(self) -> dict[str, Decimal]:
        """Mid price by coin."""
        ...

    async def open_orders(self) -> list[OpenOrder]:
        """Every order that rests, triggers included."""
        ...

    async def order(self, reference: str | int) -> OrderRecord | None:
        """The order with this client order id or oid; None when the venue knows none."""
        ...

    async def order_history(self) -> list[OrderRecord]:
        """Recent orders with their last status, newest first."""
        ...

    async def fills(self, since_ms: int) -> list[Fill]:
        """Executions at or after `since_ms`, oldest first, all pages."""
        ...

    async def funding(self, since_ms: int) -> Decimal:
        """USDC received in funding at or after `since_ms`, less what was paid."""
        ...

    async def candles(self, coin: str, timeframe: Timeframe, start: int, end: int) -> list[Bar]:
        """Bars that open in start…end, oldest first; the last one may still be forming."""
        ...

    async def place(
        self, orders: list[OrderRequest], *, bracket: bool, expires_ms: int | None = None
    ) -> list[OrderOutcome]:
        """Place orders in one signed action; `bracket` ties stop and target to the first. After
        `expires_ms` (our clock) the venue refuses the action, so it surely came to nothing.

        Raises RejectedError when the whole action was refused, UnknownOutcomeError when it may or
        may not have been executed.
        """
        ...

    async def protect(self, orders: list[OrderRequest]) -> list[OrderOutcome]:
        """Attach a stop and a target to an open position; raises as `place` does."""
        ...

    async def cancel(self, coin: str, cloid: str) -> bool:
        """Cancel by client order id; False when the order is already gone."""
        ...

    async def set_leverage(self, coin: str, leverage: int) -> None:
        """Set cross leverage for `coin`."""
        ...

    def stream(self, coins: list[str], timeframe: Timeframe) -> AsyncIterator[StreamEvent]:
        """Candles, order updates and fills; reconnects by itself until the iterator is closed."""
        ...
