"""Follows another venue's public feed, so that the local exchange trades at its prices."""

import asyncio
from dataclasses import replace

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.port import CandleUpdate, Connected
from fractaltrader.market import Bar, Candles, Clock, Timeframe
from fractaltrader.market.instrument import to_decimal
from fractaltrader.simulator.local_exchange import Listing, LocalExchange

# Any address but the bot's own: the public feed needs none.
NOBODY = "0x" + "0" * 40
BARS = 5_000
BOOK_SECONDS = 5.0


class Mirror:
    """The candles and books of `coins` on `venue`.

    The price follows every change of the venue's candle, visiting a new high or low on the way,
    and the candles are the venue's own. Spread and depth of the modelled market are those of the
    venue's book, asked for every few seconds.
    """

    def __init__(
        self, venue: HyperliquidVenue, coins: list[str], timeframe: Timeframe, clock: Clock
    ) -> None:
        """`clock` shows the venue's time, UTC epoch ms."""
        self._venue = venue
        self._coins = coins
        self._timeframe = timeframe
        self._clock = clock
        self._known: dict[str, Bar] = {}

    async def listings(self) -> list[Listing]:
        """The coins as the venue lists them, with its newest 5000 candles.

        Raises UserError for a coin it does not list, ExchangeError when it does not answer.
        """
        listed = await self._venue.instruments()
        found = []
        for asset, coin in enumerate(self._coins):
            if coin not in listed or listed[coin].delisted:
                hint = did_you_mean(coin, list(listed)) or "; see its `meta` for what it lists"
                raise UserError(f"coins: the venue does not trade {coin!r}{hint}")
            instrument = replace(listed[coin], asset=asset)
            bars = await self._bars(coin, self._clock.now_ms() - BARS * self._timeframe.ms)
            closed = [bar for bar in bars if not self._is_open(bar)]
            history = Candles.of(coin, self._timeframe, closed) if closed else None
            found.append(Listing(instrument, history))
        return found

    def _is_open(self, bar: Bar) -> bool:
        return bar.open_time + self._timeframe.ms > self._clock.now_ms()

    async def _bars(self, coin: str, start_ms: int) -> list[Bar]:
        return await self._venue.candles(coin, self._timeframe, start_ms, self._clock.now_ms())

    async def run(self, exchange: LocalExchange) -> None:
        """Follow for ever; a lost connection comes back and what was missed is fetched."""
        books = asyncio.create_task(self._follow_books(exchange))
        try:
            async for event in self._venue.stream(self._coins, self._timeframe):
                if isinstance(event, Connected):
                    await self._catch_up(exchange)
                elif isinstance(event, CandleUpdate):
                    self._apply(exchange, event.coin, event.bar)
        finally:
            books.cancel()
            await asyncio.gather(books, return_exceptions=True)

    async def _catch_up(self, exchange: LocalExchange) -> None:
        """Bars since the last known one: whatever was missed while not connected."""
        for coin in self._coins:
            known = self._known.get(coin)
            start = known.open_time if known else self._clock.now_ms() - self._timeframe.ms
            try:
                bars = await self._bars(coin, start)
            except ExchangeError:
                continue  # the stream itself brings the newest; the next reconnect the rest
            for bar in bars:
                self._apply(exchange, coin, bar)

    def _apply(self, exchange: LocalExchange, coin: str, bar: Bar) -> None:
        known = self._known.get(coin)
        if bar == known or (known is not None and bar.open_time < known.open_time):
            return
        self._known[coin] = bar
        traded = bar.volume
        if known is not None and known.open_time == bar.open_time:
            traded = max(bar.volume - known.volume, 0.0)
            extremes = [bar.high] * (bar.high > known.high) + [bar.low] * (bar.low < known.low)
        else:
            rising = bar.close >= bar.open
            extremes = [bar.open, *((bar.low, bar.high) if rising else (bar.high, bar.low))]
        exchange.adopt_candle(coin, bar)
        path = [to_decimal(price) for price in extremes]
        for price in path:
            exchange.move(coin, price)
        exchange.move(coin, to_decimal(bar.close), volume=to_decimal(traded))

    async def _follow_books(self, exchange: LocalExchange) -> None:
        while True:
            for coin in self._coins:
                try:
                    bids, asks = await self._venue.book(coin)
                except ExchangeError:
                    continue  # a book that is seconds old does no harm
                exchange.resemble(coin, bids, asks)
            await asyncio.sleep(BOOK_SECONDS)
