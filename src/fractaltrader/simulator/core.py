"""The exchange's working set: its state, the books built from it, and what is to be told."""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

from fractaltrader.market import Clock, Instrument
from fractaltrader.simulator.candles import CandleSeries
from fractaltrader.simulator.state import (
    Account,
    ExchangeState,
    Fill,
    Liquidation,
    Order,
    Trade,
    Twap,
)
from fractaltrader.simulator.trading.book import Claims, CoinBook
from fractaltrader.simulator.trading.market_model import MarketModel

TRADES_KEPT = 30
FILLS_KEPT = 10_000
FILLS_FORGOTTEN_AT_ONCE = 500
ORDERS_KEPT = 2_000
# Ends that the owner did not ask for; `nonUserCancel` tells them (hyperliquid.md 3.3 and 5.2).
NON_USER_CANCELS = frozenset(
    (
        "marginCanceled",
        "liquidatedCanceled",
        "selfTradeCanceled",
        "openInterestCapCanceled",
        "delistedCanceled",
        "perpMaxPositionCanceled",
    )
)


class OrderChange(NamedTuple):
    """An order took a new status at `time_ms`, `size` of it left; rendered only if heard."""

    order: Order
    status: str
    time_ms: int
    size: Decimal


class Outbox:
    """What happened since the last publication, by user or coin, in the order it happened.

    While nobody listens (`is_heard`), new statuses and trades are not noted.
    """

    def __init__(self) -> None:
        self.is_heard = False
        self.order_updates: dict[str, list[OrderChange]] = {}
        self.fills: dict[str, list[Fill]] = {}
        self.trades: dict[str, list[Trade]] = {}
        self.slice_fills: dict[str, list[Fill]] = {}
        self.twap_changes: dict[str, list[Twap]] = {}
        # Ready to be shown: entries of `userFundings` and `userNonFundingLedgerUpdates`, and what
        # else `userEvents` tells ({"liquidation": …}, {"funding": …}, {"nonUserCancel": […]}).
        self.fundings: dict[str, list[dict[str, Any]]] = {}
        self.ledger_updates: dict[str, list[dict[str, Any]]] = {}
        self.user_events: dict[str, list[dict[str, Any]]] = {}
        self._everything: tuple[dict[str, Any], ...] = (
            self.fills,
            self.order_updates,
            self.trades,
            self.slice_fills,
            self.twap_changes,
            self.fundings,
            self.ledger_updates,
            self.user_events,
        )

    def clear(self) -> None:
        """Forget everything; most of the time most of it is empty."""
        for told in self._everything:
            if told:
                told.clear()


class Core:
    """State and its indexes; modules of the simulator are functions over it.

    `filled` and `touched` queue consequences (children, siblings, reduce-only orders) until the
    execution that caused them is over.
    """

    def __init__(
        self,
        state: ExchangeState,
        clock: Clock,
        model: MarketModel,
        candles: dict[str, CandleSeries],
    ) -> None:
        self.state = state
        self.model = model
        self.candles = candles
        self._clock = clock
        # What clients stamp nonces and expiries with; another clock than market time in a replay.
        self.client_clock = clock
        # What limits of a span of time are measured with.
        self.limit_clock = clock
        # Whether addresses have the venue's budget of actions (hyperliquid.md 6.2).
        self.address_limits = True
        # Says why an order is refused before it is looked at: the status it ends with and the text.
        self.order_veto: Callable[[Order], tuple[str, str] | None] | None = None
        self.horizon_ms: int | None = None
        self._block_ms: int | None = None
        self.instruments = {
            market.coin: Instrument(
                market.coin,
                market.asset,
                market.sz_decimals,
                market.max_leverage,
                market.is_delisted,
            )
            for market in state.markets.values()
        }
        self.by_asset = {item.asset: item for item in self.instruments.values()}
        # What resting orders claim of margin, by user and coin; the books keep it.
        self.claims: dict[str, dict[str, Claims]] = {}
        self.books = {
            coin: CoinBook(self.instruments[coin], market, model, state.seed, self.claims)
            for coin, market in state.markets.items()
        }
        for order in sorted(state.orders.values(), key=lambda order: order.rank):
            if order.phase in ("resting", "armed"):
                self.books[order.coin].add(order)
        self.outbox = Outbox()
        # Accounts with an open position by coin and address, the modelled market's among them.
        self.holders: dict[str, dict[str, Account]] = {coin: {} for coin in self.books}
        for holder in (*state.accounts.values(), state.house, state.backstop):
            for coin in holder.positions:
                self.holders[coin][holder.address] = holder
        # Marks the fills of a forced close while it is under way.
        self.liquidating: Liquidation | None = None
        self.filled: deque[int] = deque()
        self.touched: dict[tuple[str, str], None] = {}

    def now_ms(self) -> int:
        """Market time: the clock's, never back, and never past a replayed tick still to come."""
        if self._block_ms is not None:
            return self._block_ms
        now = self._clock.now_ms()
        if self.horizon_ms is not None:
            now = min(now, self.horizon_ms)
        state = self.state
        if now > state.now_ms:
            state.now_ms = now
        return state.now_ms

    def block(self, time_ms: int | None = None) -> "Core":
        """Everything inside happens at one market time (now), as within a block of the venue."""
        self._block_ms = self.now_ms() if time_ms is None else time_ms
        return self

    def __enter__(self) -> None:
        """A block begins, see `block`."""

    def __exit__(self, *_: object) -> None:
        """The block ends: time goes on."""
        self._block_ms = None

    def mark(self, coin: str) -> Decimal:
        """Mark price (`clearing.prices`); raises LookupError before the first price."""
        market = self.state.markets[coin]
        if market.mid is None:
            raise LookupError(f"{coin} has no price yet")
        shift = market.prices.mark_shift
        return market.mid + shift if shift else market.mid

    def oracle(self, coin: str) -> Decimal:
        """Oracle price; raises LookupError before the first price."""
        market = self.state.markets[coin]
        if market.mid is None:
            raise LookupError(f"{coin} has no price yet")
        return market.mid + market.prices.oracle_offset

    def account(self, user: str) -> Account:
        """The account of `user`; raises KeyError when it was never funded."""
        return self.state.accounts[user]

    def account_or_empty(self, user: str) -> Account:
        """The account, or an empty one for a user the exchange has never seen."""
        return self.state.accounts.get(user) or Account(user)

    def live_orders(self, user: str) -> list[Order]:
        """Orders of `user` that rest, wait or are armed, oldest first."""
        account = self.state.accounts.get(user)
        return [self.state.orders[oid] for oid in account.live] if account else []

    def new_oid(self) -> int:
        self.state.next_oid += 1
        return self.state.next_oid

    def new_rank(self) -> int:
        """Time priority: the next place in every queue."""
        self.state.next_rank += 1
        return self.state.next_rank

    def _next_digest(self) -> bytes:
        self.state.next_trade += 1
        text = b"%d:%d" % (self.state.seed, self.state.next_trade)
        return blake2b(text, digest_size=32).digest()

    def new_hash(self) -> str:
        """Transaction hash that the trades of one taker share; a function of seed and count."""
        return "0x" + self._next_digest().hex()

    def new_tid(self) -> int:
        """50-bit trade id."""
        return _tid_of(self._next_digest())

    def new_trade(self) -> tuple[str, int]:
        """Transaction hash and trade id of a trade that stands alone."""
        digest = self._next_digest()
        # From the other end, so that the one cannot be read off the other.
        return "0x" + digest.hex(), _tid_of(digest[::-1])

    def set_status(self, order: Order, status: str) -> None:
        """Note a new status and tell the owner."""
        order.status = status
        order.status_ms = self.now_ms()
        if self.outbox.is_heard:
            change = OrderChange(order, status, order.status_ms, order.size)
            self.outbox.order_updates.setdefault(order.user, []).append(change)
        if status in NON_USER_CANCELS:
            told = {"nonUserCancel": [{"coin": order.coin, "oid": order.oid}]}
            self.tell_user(order.user, told)

    def tell_user(self, user: str, event: dict[str, Any]) -> None:
        """Queue an event of the `user` channel."""
        self.outbox.user_events.setdefault(user, []).append(event)

    def record_fill(self, account: Account, fill: Fill) -> None:
        """Remember and tell a fill; those of TWAP slices go by themselves (hyperliquid.md 5.2)."""
        fills, told = account.fills, self.outbox.fills
        if fill.twap is not None:
            fills, told = account.slice_fills, self.outbox.slice_fills
        fills.append(fill)
        # In lots: forgetting them one by one would move all the others every time.
        if len(fills) >= FILLS_KEPT + FILLS_FORGOTTEN_AT_ONCE:
            del fills[:-FILLS_KEPT]
        told.setdefault(account.address, []).append(fill)

    def record_trade(self, trade: Trade) -> None:
        trades = self.state.markets[trade.coin].trades
        trades.append(trade)
        if len(trades) > TRADES_KEPT:
            del trades[0]
        if self.outbox.is_heard:
            self.outbox.trades.setdefault(trade.coin, []).append(trade)


def _tid_of(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") >> 14


# Executes an action of its class for the acting user; raises RefusedError with the venue's text.
Handler = Callable[[Core, str, Any], dict[str, Any]]
