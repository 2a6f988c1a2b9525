"""From candle frames to closed bars: in order, without holes, each once."""

from collections.abc import Sequence

from fractaltrader.exchange.errors import TransientError
from fractaltrader.exchange.port import CandleUpdate
from fractaltrader.live.decide import Decider
from fractaltrader.live.desk import Desk
from fractaltrader.market import Bar, Timeframe


class ClosedBars:
    """Knows the forming bar of every coin and when it has closed.

    `behind` says that bars are missing: until `catch_up` has succeeded nothing counts as closed, so
    no decision is made on a strategy with a hole in its history.
    """

    def __init__(
        self, desk: Desk, decider: Decider, coins: Sequence[str], timeframe: Timeframe
    ) -> None:
        self.behind = True
        self._desk = desk
        self._decider = decider
        self._coins = coins
        self._timeframe = timeframe
        self._forming: dict[str, Bar] = {}

    async def catch_up(self) -> None:
        """Feed every coin's strategy the closed bars it has not seen; none of them is acted on."""
        desk, timeframe = self._desk, self._timeframe
        now = await desk.venue.time_ms()
        for coin in self._coins:
            start = self._decider.next_bar_time(coin, now)
            bars = await desk.venue.candles(coin, timeframe, start, now)
            for bar in bars:
                if timeframe.close_time(bar.open_time) < now:
                    self._decider.observe(coin, bar)
            if bars:
                self._forming[coin] = bars[-1]
                desk.view.prices[coin] = bars[-1].close
        self.behind = False

    async def closed_by(self, update: CandleUpdate) -> Bar | None:
        """The bar that `update` shows to be closed, if it does; bars the stream did not show are
        asked for and fed to the strategy first."""
        coin, bar = update.coin, update.bar
        self._desk.view.prices[coin] = bar.close
        self._desk.view.time_ms = max(self._desk.view.time_ms, bar.open_time)
        if self.behind:
            return None
        forming = self._forming.get(coin)
        self._forming[coin] = bar
        if forming is None or bar.open_time <= forming.open_time:
            return None
        # A bar with a later open time closes the one before it.
        if bar.open_time == forming.open_time + self._timeframe.ms:
            return forming
        return await self._last_of_gap(coin, forming.open_time, bar.open_time)

    async def _last_of_gap(self, coin: str, after: int, before: int) -> Bar | None:
        try:
            bars = await self._desk.venue.candles(coin, self._timeframe, after, before - 1)
        except TransientError:
            self.behind = True
            raise
        closed = [bar for bar in bars if after <= bar.open_time < before]
        for bar in closed[:-1]:
            self._decider.observe(coin, bar)
        return closed[-1] if closed else None
