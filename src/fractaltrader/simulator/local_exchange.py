"""The local exchange: Hyperliquid offline, as a library."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import msgspec

from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Clock, Instrument
from fractaltrader.simulator import timetable
from fractaltrader.simulator.candles import DEFAULT_TIMEFRAME, CandleSeries
from fractaltrader.simulator.clearing import liquidation, tiers, transfers
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.market import Disturbance, SkewedClock
from fractaltrader.simulator.numbers import MICRO, ZERO
from fractaltrader.simulator.protocol import actions
from fractaltrader.simulator.protocol.forms.common import UnprocessableError, address_of
from fractaltrader.simulator.protocol.info import answers
from fractaltrader.simulator.protocol.limits import ClientLimits, FasterClock
from fractaltrader.simulator.protocol.topics.streams import Sink, Streams
from fractaltrader.simulator.state import ExchangeState, MarginMode, Market
from fractaltrader.simulator.trading import path
from fractaltrader.simulator.trading.market_model import MarketModel

Quoted = tuple[Decimal, Decimal]
FAUCET_MOST = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Listing:
    """A coin to list; `history` are candles that have already closed and set its first price.

    `margin_table` is an id of the venue's tables or a leverage for a single tier, by default the
    venue's for the coin; with a `margin_mode` the coin has isolated margin only. A delisted coin
    keeps its place in `meta` and takes no orders.
    """

    instrument: Instrument
    history: Candles | None = None
    margin_table: int | None = None
    margin_mode: MarginMode | None = None


def _margin_terms(listing: Listing) -> tuple[int, MarginMode | None]:
    item = listing.instrument
    default = tiers.default_table_id(item.coin, item.max_leverage)
    table = default if listing.margin_table is None else listing.margin_table
    return table, listing.margin_mode


class LocalExchange:
    """Speaks the venue's protocol in plain objects; HTTP and WebSocket are `gateway`'s.

    Everything is synchronous and happens at the clock's time. Real clients use wall-clock nonces
    while market time may be replayed, so nonces have a clock of their own.
    """

    def __init__(
        self,
        listings: list[Listing],
        *,
        clock: Clock,
        nonce_clock: Clock | None = None,
        mainnet: bool = False,
        seed: int = 0,
        model: MarketModel | None = None,
    ) -> None:
        """Raises UserError unless coins are unique and asset ids count from 0."""
        markets: dict[str, Market] = {}
        candles: dict[str, CandleSeries] = {}
        for listing in listings:
            item = listing.instrument
            if item.coin in markets:
                raise UserError(f"listing {item.coin}: the coin is listed twice; list it once")
            if item.asset != len(markets):
                # Clients take a coin's place in `meta` for its asset id.
                raise UserError(
                    f"listing {item.coin}: asset {item.asset} must be {len(markets)}; number the "
                    "listings from 0"
                )
            timeframe = listing.history.timeframe if listing.history else DEFAULT_TIMEFRAME
            series = CandleSeries(item.coin, timeframe, listing.history)
            market = Market(item.coin, item.asset, item.sz_decimals, item.max_leverage)
            market.mid = series.last_close
            market.margin_table, market.margin_mode = _margin_terms(listing)
            market.is_delisted = item.delisted
            markets[item.coin], candles[item.coin] = market, series
        state = ExchangeState(seed, mainnet, 0, markets)
        self._open(Core(state, clock, model or MarketModel(), candles), nonce_clock or clock)

    def _open(self, core: Core, nonce_clock: Clock) -> None:
        self._core = core
        core.client_clock = nonce_clock
        self._nonce_clock = nonce_clock
        self._streams = Streams(core)
        self._faults: Injector | None = None
        self._disturbance: Disturbance | None = None
        core.limit_clock = FasterClock(core.limit_clock, nonce_clock)
        self.client_limits = ClientLimits(core.limit_clock)

    def disturb(self, faults: Injector) -> None:
        """Let the faults of prices, book, candles, clock and orders act on this exchange.

        Doing it again changes nothing; ValueError for a second injector.
        """
        if self._faults is faults:
            return
        if self._faults is not None:
            raise ValueError("the exchange has an injector already; add the fault to that one")
        faults.begin(self._core)
        self._faults = faults
        self._disturbance = Disturbance(self._core, faults)
        self._nonce_clock = self._core.client_clock = SkewedClock(self._nonce_clock, faults)

    @property
    def faults(self) -> Injector | None:
        """What disturbs this exchange."""
        return self._faults

    @property
    def address_limits(self) -> bool:
        """Whether addresses have the venue's budget of actions (hyperliquid.md 6.2)."""
        return self._core.address_limits

    @address_limits.setter
    def address_limits(self, on: bool) -> None:
        self._core.address_limits = on

    @property
    def coins(self) -> list[str]:
        """Listed coins."""
        return list(self._core.books)

    @property
    def state(self) -> ExchangeState:
        """The books behind every answer, for audits; changing it is asking for trouble."""
        return self._core.state

    def now_ms(self) -> int:
        """Market time, UTC epoch ms."""
        return self._core.now_ms()

    def hold_time_at(self, time_ms: int | None) -> None:
        """Market time stops at `time_ms` until told otherwise: a replay's next tick is pending."""
        self._core.horizon_ms = time_ms

    def advance(self) -> None:
        """Let happen what the clock alone brings about (funding, scheduled cancels) until now."""
        self._catch_up()
        self._streams.publish()

    def _catch_up(self) -> None:
        """Everything due by now; states that follow a cadence are told after what comes next."""
        timetable.advance(self._core)
        if self._disturbance is not None:
            self._suffer(self._disturbance)
        self._streams.publish_events()

    def _suffer(self, disturbance: Disturbance) -> None:
        disturbance.thin_out()
        for coin, price in disturbance.jumps():
            self._move(coin, disturbance.price(coin, price), jump=True, volume=ZERO)
        for user, only in disturbance.liquidations():
            with self._core.block():
                liquidation.force(self._core, user, only)

    def info(self, request: object) -> Any:
        """Answer an `/info` request; raises UnprocessableError where the venue says 422."""
        self.advance()
        result = answers.answer(self._core, request)
        return result if self._disturbance is None else self._disturbance.answer(request, result)

    def act(self, envelope: object) -> dict[str, Any]:
        """Verify and execute an `/exchange` body; raises UnprocessableError like `info`."""
        self._catch_up()
        with self._core.block():
            response = actions.act(self._core, envelope, self._nonce_clock)
            liquidation.after_executions(self._core)
        self._streams.publish()
        return response

    def faucet(self, address: str, usd: Decimal) -> None:
        """Credit `usd` USDC to `address`, opening the account; raises UserError for bad input."""
        try:
            user = address_of(address)
        except UnprocessableError:
            raise UserError(
                f"faucet: address {address!r} is not 0x followed by 40 hex digits"
            ) from None
        if not usd.is_finite() or not 0 < usd <= FAUCET_MOST:
            raise UserError(f"faucet: amount {usd} must be above zero and at most {FAUCET_MOST}")
        transfers.deposit(self._core, user, usd.quantize(MICRO))
        self._streams.publish()

    def subscribe(self, subscription: object, sink: Sink) -> None:
        """Push frames of `subscription` to `sink`, beginning with ack and snapshot.

        Raises SubscriptionError with the venue's text, UnprocessableError for a wrong form.
        """
        self._streams.subscribe(subscription, sink)

    def unsubscribe(self, subscription: object, sink: Sink) -> None:
        """Stop pushing; raises SubscriptionError with the venue's text."""
        self._streams.unsubscribe(subscription, sink)

    def forget(self, sink: Sink) -> None:
        """Drop every subscription of a closed socket."""
        self._streams.forget(sink)

    def move(
        self, coin: str, price: Decimal, *, jump: bool = False, volume: Decimal = ZERO
    ) -> None:
        """Take the market price of `coin` to `price` (USDC) and execute what that reaches.

        `jump` skips the prices between; `volume` is in base units. Raises KeyError for a coin
        that is not listed.
        """
        self._catch_up()
        if self._disturbance is not None:
            price = self._disturbance.price(coin, price)
        self._move(coin, price, jump=jump, volume=volume)

    def _move(self, coin: str, price: Decimal, *, jump: bool, volume: Decimal) -> None:
        with self._core.block():
            path.move(self._core, coin, price, jump=jump, volume=volume)
            liquidation.after_executions(self._core)
        self._streams.publish()

    def mid(self, coin: str) -> Decimal | None:
        """Price of `coin` in USDC; None before the first. KeyError when it is not listed."""
        return self._core.state.markets[coin].mid

    def adopt_candle(self, coin: str, bar: Bar) -> None:
        """The bar of `coin` that forms is `bar`, whatever the price path made of it."""
        self._core.candles[coin].adopt(bar)

    def resemble(self, coin: str, bids: list[Quoted], asks: list[Quoted]) -> None:
        """The modelled market of `coin` gets spread and depth of this book (price, size; best
        first); a book with an empty side changes nothing."""
        if bids and asks:
            book = self._core.books[coin]
            book.use_model(self._core.model.resembling(bids, asks))

    def snapshot(self) -> bytes:
        """The whole exchange, to be given to `restored`; subscriptions are not part of it."""
        self._core.now_ms()
        for coin, series in self._core.candles.items():
            self._core.state.markets[coin].candles = series.saved()
        written = msgspec.msgpack.encode(self._core.state)
        for market in self._core.state.markets.values():
            market.candles = None
        return written

    @classmethod
    def restored(
        cls,
        snapshot: bytes,
        *,
        clock: Clock,
        nonce_clock: Clock | None = None,
        model: MarketModel | None = None,
    ) -> Self:
        """The exchange that wrote `snapshot`; raises UserError when it cannot be read."""
        state = _decoded(snapshot)
        candles = {}
        for coin, market in state.markets.items():
            if market.candles is not None:
                candles[coin] = CandleSeries.restored(coin, market.candles)
                market.candles = None
        exchange = cls.__new__(cls)
        core = Core(state, clock, model or MarketModel(), candles)
        exchange._open(core, nonce_clock or clock)
        return exchange

    @staticmethod
    def time_of(snapshot: bytes) -> int:
        """Market time when `snapshot` was written, UTC epoch ms; raises UserError."""
        return _decoded(snapshot).now_ms


def _decoded(snapshot: bytes) -> ExchangeState:
    try:
        return msgspec.msgpack.decode(snapshot, type=ExchangeState)
    except msgspec.DecodeError as error:
        raise UserError(
            f"exchange snapshot: cannot be read ({error}); delete it to start afresh"
        ) from None


__all__ = ["Listing", "LocalExchange", "UnprocessableError"]
