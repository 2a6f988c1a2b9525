"""What the bot needs of a venue, in its own words; the Hyperliquid adapter is behind it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol, Self

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import Classified
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


class Trigger(NamedTuple):
    """A resting order that becomes a market order when the mark price reaches `price`."""

    price: Decimal
    kind: Literal["tp", "sl"]


class OrderRequest(NamedTuple):
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
    """The venue's answer for one order; `filled` is what the answer itself reports as executed.

    A rejected one carries the venue's text and what the catalogue makes of it: an `OrderGoneError`
    of a reduce-only order, for instance, says that the position is flat already.
    """

    kind: OutcomeKind
    oid: int | None = None
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    error: str | None = None
    classified: Classified | None = None


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
    whole_position: bool = False  # follows the position, whatever `size` says


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
    liquidated: bool = False  # the venue closed the position for want of margin


@dataclass(frozen=True, slots=True)
class Funding:
    """One hourly funding payment; `usdc` is signed, received above zero."""

    coin: str
    time_ms: int
    usdc: Decimal
    size: Decimal  # signed position it was for
    rate: Decimal  # an hour


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came to the perp balance (above zero) or left it, USDC, other than by trading and
    funding; `kind` is the venue's word."""

    time_ms: int
    hash: str
    kind: str
    usdc: Decimal


@dataclass(frozen=True, slots=True)
class Leverage:
    """How a coin's positions are margined."""

    value: int
    cross: bool

    def __str__(self) -> str:
        return f"{self.value}x {'cross' if self.cross else 'isolated'}"


@dataclass(frozen=True, slots=True)
class Position:
    """A position on the venue; `size` is signed, long above zero."""

    coin: str
    size: Decimal
    entry_price: Decimal
    unrealized_pnl: Decimal
    leverage: int
    liquidation_price: Decimal | None
    notional: Decimal  # at the mark price, USDC, without a sign

    @property
    def mark_price(self) -> Decimal:
        """What the venue values it by, and sets off its stop by."""
        return self.notional / abs(self.size)


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
    """The bar of `coin` that is still forming; its close is the coin's last price."""

    coin: str
    timeframe: Timeframe
    bar: Bar
    heard_s: float  # when its frame arrived, time of the event loop


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
    row: int | None = None  # of the error catalogue


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How far the venue's clock is ahead of ours (negative: behind), give or take `error_ms`."""

    ahead_ms: int
    error_ms: int
    measured_ms: int  # our clock


StreamEvent = CandleUpdate | OrderUpdate | FillUpdate | Connected | Disconnected


class Venue(Protocol):
    """The exchange as the bot uses it. Reads raise TransientError or CriticalError.

    Every request waits for the shared budget of the venue's limits. Reads are charged at the
    priority of this view, `RECONCILE` unless said otherwise; cancels and orders that only reduce
    are charged at `PROTECT`, other actions at `ENTER`.
    """

    @property
    def skew(self) -> ClockSkew | None:
        """How the venue's clock differs from ours, as `time_ms` last measured it."""
        ...

    def with_priority(self, priority: Priority) -> Self:
        """The same venue, its reads charged at `priority`."""
        ...

    async def learn_limits(self) -> None:
        """Ask the venue, at most once an hour, what the account has left of its lifetime of
        actions; entries are refused before they would eat protection's reserve of it."""
        ...

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

    async def account_and_prices(self) -> tuple[Account, dict[str, Decimal]]:
        """`account` and `mid_prices`, asked for at the same moment: one wait instead of two."""
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

    async def protect(
        self, orders: list[OrderRequest], *, expires_ms: int | None = None
    ) -> list[OrderOutcome]:
        """Attach a stop and a target to an open position; raises as `place` does."""
        ...

    async def cancel(self, coin: str, reference: str | int) -> bool:
        """Cancel by client order id or oid; False when the order is already gone."""
        ...

    async def set_leverage(self, coin: str, leverage: int) -> None:
        """Set cross leverage for `coin`."""
        ...

    async def leverage(self, coin: str) -> Leverage:
        """The leverage and margin mode that an order in `coin` would have now."""
        ...

    async def transfers(self, since_ms: int) -> list[Transfer]:
        """Deposits, withdrawals and the like at or after `since_ms`, oldest first, all pages."""
        ...

    async def funding(self, since_ms: int) -> list[Funding]:
        """Funding paid and received at or after `since_ms`, oldest first, all pages."""
        ...

    def stream(self, coins: list[str], timeframe: Timeframe) -> AsyncIterator[StreamEvent]:
        """Candles, order updates and fills; reconnects by itself until the iterator is closed."""
        ...
