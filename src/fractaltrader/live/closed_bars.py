"""From candle frames to closed bars: in order, without holes, each once."""

import asyncio
from collections.abc import Sequence

from fractaltrader.exchange.errors import TransientError
from fractaltrader.exchange.port import CandleUpdate
from fractaltrader.live.decide import Decider
from fractaltrader.live.desk import Desk
from fractaltrader.live.parameters import DataParameters
from fractaltrader.market import Bar, Timeframe


class ClosedBars:
    """Knows the forming bar of every coin and when it has closed.

    `behind` says that bars are missing: until `catch_up` has succeeded nothing counts as closed, so
    no decision is made on a strategy with a hole in its history.
    """

    def __init__(
        self,
        desk: Desk,
        decider: Decider,
        coins: Sequence[str],
        timeframe: Timeframe,
        limits: DataParameters,
    ) -> None:
        self.behind = True
        self._desk = desk
        self._decider = decider
        self._coins = coins
        self._timeframe = timeframe
        self._limits = limits
        self._forming: dict[str, Bar] = {}
        self._framed: dict[str, float] = {}  # by coin: loop time of the forming bar's last frame
        self._heard_ms: dict[str, int] = {}  # by coin: our clock at the newest candle

    async def catch_up(self) -> None:
        """Feed every coin's strategy the closed bars it has not seen; none of them is acted on."""
        desk, timeframe = self._desk, self._timeframe
        now = await desk.venue.time_ms()
        for coin in self._coins:
            start = self._decider.next_bar_time(coin, now)
            if coin in self._forming:
                start -= timeframe.ms  # the last bar seen, so that a hole after it shows
            bars = await desk.venue.candles(coin, timeframe, start, now)
            for bar in without_holes(bars, timeframe):
                if timeframe.close_time(bar.open_time) < now:
                    self._decider.observe(coin, bar)
            if bars:
                self._keep(coin, bars[-1])
                desk.view.prices[coin] = bars[-1].close
            self._heard_ms[coin] = desk.clock.now_ms()
        self.behind = False

    def silent(self) -> list[str]:
        """Coins that no candle came of for longer than [data] watchdog_bars allows."""
        patience = self._limits.watchdog_bars * self._timeframe.ms
        now = self._desk.clock.now_ms()
        return [coin for coin, heard in self._heard_ms.items() if now - heard > patience]

    async def closed_by(self, update: CandleUpdate) -> Bar | None:
        """The bar that `update` shows to be closed, if it does; bars the stream did not show are
        asked for and fed to the strategy first."""
        coin, bar = update.coin, update.bar
        self._heard_ms[coin] = self._desk.clock.now_ms()
        self._desk.view.prices[coin] = bar.close
        self._desk.view.time_ms = max(self._desk.view.time_ms, bar.open_time)
        if self.behind:
            return None
        forming = self._forming.get(coin)
        if forming is not None and bar.open_time < forming.open_time:
            return None  # late news of a bar that has closed
        silence = _now() - self._framed.get(coin, _now())
        self._keep(coin, bar)
        if forming is None or bar.open_time == forming.open_time:
            return None
        # A bar with a later open time closes the one before it.
        follows = bar.open_time == forming.open_time + self._timeframe.ms
        if follows and silence <= self._limits.quiet_close_s:
            return forming
        return await self._asked_for(coin, forming, bar.open_time)

    def _keep(self, coin: str, bar: Bar) -> None:
        self._forming[coin] = bar
        self._framed[coin] = _now()

    async def _asked_for(self, coin: str, forming: Bar, before: int) -> Bar:
        """The last bar before `before`, once those from `forming` on are fed to the strategy."""
        after = forming.open_time
        try:
            bars = await self._desk.venue.candles(coin, self._timeframe, after, before - 1)
        except TransientError:
            self.behind = True
            raise
        known = [bar for bar in bars if after <= bar.open_time < before]
        if not known or known[0].open_time > after:
            known.insert(0, forming)
        closed = without_holes(known, self._timeframe, until=before)
        for bar in closed[:-1]:
            self._decider.observe(coin, bar)
        return closed[-1]


def without_holes(
    bars: Sequence[Bar], timeframe: Timeframe, *, until: int | None = None
) -> list[Bar]:
    """`bars`, as far as `until` (ms), with a flat one wherever none traded: the venue leaves those
    out at first and shows them later just so (hyperliquid.md 7.9)."""
    whole: list[Bar] = []
    for bar in bars:
        _fill(whole, bar.open_time, timeframe)
        whole.append(bar)
    if until is not None:
        _fill(whole, until, timeframe)
    return whole


def _fill(whole: list[Bar], until: int, timeframe: Timeframe) -> None:
    while whole and (missing := whole[-1].open_time + timeframe.ms) < until:
        price = whole[-1].close
        whole.append(Bar(missing, price, price, price, price, 0.0))


def _now() -> float:
    return asyncio.get_running_loop().time()
