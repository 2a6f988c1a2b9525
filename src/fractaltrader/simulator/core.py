"""The exchange's working set: its state, the books built from it, and what is to be told."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from fractaltrader.market import Clock, Instrument
from fractaltrader.simulator.candles import CandleSeries
from fractaltrader.simulator.protocol.views import order_update
from fractaltrader.simulator.state import Account, ExchangeState, Fill, Order, Trade
from fractaltrader.simulator.trading.book import CoinBook
from fractaltrader.simulator.trading.market_model import MarketModel

TRADES_KEPT = 30
FILLS_KEPT = 10_000
ORDERS_KEPT = 2_000


class Outbox:
    """What happened since the last publication, by user or coin, in the order it happened."""

    def __init__(self) -> None:
        self.order_updates: dict[str, list[dict[str, Any]]] = {}
        self.fills: dict[str, list[Fill]] = {}
        self.trades: dict[str, list[Trade]] = {}

    def clear(self) -> None:
        self.order_updates.clear()
        self.fills.clear()
        self.trades.clear()


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
        self.horizon_ms: int | None = None
        self._block_ms: int | None = None
        self.instruments = {
            market.coin: Instrument(
                market.coin, market.asset, market.sz_decimals, market.max_leverage
            )
            for market in state.markets.values()
        }
        self.by_asset = {item.asset: item for item in self.instruments.values()}
        self.books = {
            coin: CoinBook(self.instruments[coin], market, model, state.seed)
            for coin, market in state.markets.items()
        }
        for order in sorted(state.orders.values(), key=lambda order: order.rank):
            if order.phase in ("resting", "armed"):
                self.books[order.coin].add(order)
        self.outbox = Outbox()
        self.filled: deque[int] = deque()
        self.touched: dict[tuple[str, str], None] = {}

    def now_ms(self) -> int:
        """Market time: the clock's, never back, and never past a replayed tick still to come."""
        if self._block_ms is not None:
            return self._block_ms
        now = self._clock.now_ms()
        if self.horizon_ms is not None:
            now = min(now, self.horizon_ms)
        self.state.now_ms = max(self.state.now_ms, now)
        return self.state.now_ms

    @contextmanager
    def block(self, time_ms: int | None = None) -> Iterator[None]:
        """Everything inside happens at one market time (now), as within a block of the venue."""
        self._block_ms = self.now_ms() if time_ms is None else time_ms
        try:
            yield
        finally:
            self._block_ms = None

    def mark(self, coin: str) -> Decimal:
        """Mark price; equal to the mid for now. Raises LookupError before the first price."""
        mid = self.state.markets[coin].mid
        if mid is None:
            raise LookupError(f"{coin} has no price yet")
        return mid

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
        text = f"{self.state.seed}:{self.state.next_trade}".encode()
        return hashlib.blake2b(text, digest_size=32).digest()

    def new_hash(self) -> str:
        """Transaction hash that the trades of one taker share; a function of seed and count."""
        return "0x" + self._next_digest().hex()

    def new_tid(self) -> int:
        """50-bit trade id."""
        return int.from_bytes(self._next_digest()[:8], "big") >> 14

    def set_status(self, order: Order, status: str) -> None:
        """Note a new status and tell the owner."""
        order.status = status
        order.status_ms = self.now_ms()
        self.outbox.order_updates.setdefault(order.user, []).append(order_update(order))

    def record_fill(self, user: str, fill: Fill) -> None:
        fills = self.account(user).fills
        fills.append(fill)
        if len(fills) > FILLS_KEPT:
            del fills[: len(fills) - FILLS_KEPT]
        self.outbox.fills.setdefault(user, []).append(fill)

    def record_trade(self, trade: Trade) -> None:
        trades = self.state.markets[trade.coin].trades
        trades.append(trade)
        del trades[:-TRADES_KEPT]
        self.outbox.trades.setdefault(trade.coin, []).append(trade)


# Executes an action of its class for the acting user; raises RefusedError with the venue's text.
Handler = Callable[[Core, str, Any], dict[str, Any]]
