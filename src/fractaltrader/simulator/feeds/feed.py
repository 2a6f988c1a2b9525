"""Replays candles as price ticks on the local exchange."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Instrument
from fractaltrader.market.instrument import to_decimal
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.candles import TICKS_PER_BAR
from fractaltrader.simulator.feeds.replay import Replay
from fractaltrader.simulator.local_exchange import Listing, LocalExchange

VOLUME_STEP = Decimal("0.00001")


@dataclass(frozen=True, slots=True)
class Tick:
    """One price change; `jump` marks the gap from the last close to a bar's open."""

    time_ms: int
    coin: str
    price: Decimal
    volume: Decimal
    jump: bool


def ticks_of(coin: str, bar: Bar, length_ms: int) -> list[Tick]:
    """The bar as four ticks in equal steps: open, the two extremes, close.

    A rising bar visits its low first, a falling one its high. The volumes add up to the bar's.
    """
    extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    prices = [to_decimal(price) for price in (bar.open, *extremes, bar.close)]
    total = to_decimal(bar.volume)
    part = (total / TICKS_PER_BAR).quantize(VOLUME_STEP, rounding="ROUND_DOWN")
    volumes = [part] * (TICKS_PER_BAR - 1) + [total - part * (TICKS_PER_BAR - 1)]
    step = length_ms // TICKS_PER_BAR
    return [
        Tick(bar.open_time + index * step, coin, price, volume, jump=index == 0)
        for index, (price, volume) in enumerate(zip(prices, volumes, strict=True))
    ]


class Feed(Replay):
    """Replays the base candles of several coins side by side, from `start_ms` on.

    Earlier bars are history that the exchange lists from the start (`listings`). Times are the
    union of the coins' times; a coin without a bar stands still.
    """

    def __init__(
        self,
        markets: dict[str, Candles],
        *,
        start_index: int | None = None,
        start_ms: int | None = None,
    ) -> None:
        """Start at `start_ms`, or at row `start_index` of the union of times (default 0).

        Raises UserError for no candles, mixed timeframes or a start beyond the end.
        """
        super().__init__()
        if not markets:
            raise UserError("feed: no candles; give at least one coin")
        candles = list(markets.values())
        self.timeframe = candles[0].timeframe
        for item in candles:
            if item.timeframe != self.timeframe:
                raise UserError(
                    f"feed: {item.coin} has {item.timeframe} candles and {candles[0].coin} "
                    f"{self.timeframe}; give every coin the same timeframe"
                )
        self._candles = candles
        times = np.unique(np.concatenate([item.open_time for item in candles]))
        if start_ms is not None:
            start_index = int(np.searchsorted(times, start_ms))
        start = start_index or 0
        if not 0 <= start < len(times):
            raise UserError(
                f"feed: start at bar {start} of {len(times)}; start before the last bar"
            )
        self.start_ms = int(times[start])
        self.end_ms = int(times[-1]) + self.timeframe.ms
        self._times = times
        self._ticks = self._upcoming(start)
        self._next = next(self._ticks, None)

    @property
    def coins(self) -> list[str]:
        """In the order of their asset ids."""
        return [item.coin for item in self._candles]

    def instruments(self) -> list[Instrument]:
        """Instruments of the coins, unknown ones sized by their first price."""
        return instruments_for({item.coin: item for item in self._candles})

    def listings(self, instruments: list[Instrument]) -> list[Listing]:
        """What to list on the exchange: each coin with its bars before the start."""
        by_coin = {item.coin: item for item in self._candles}
        return [Listing(item, self._history(by_coin[item.coin])) for item in instruments]

    def _history(self, candles: Candles) -> Candles | None:
        count = int(np.searchsorted(candles.open_time, self.start_ms))
        return candles.slice(0, count) if count else None

    @property
    def next_ms(self) -> int | None:
        """Time of the next tick; None at the end."""
        return self._next.time_ms if self._next else None

    def skip_until(self, time_ms: int) -> None:
        """Drop ticks at or before `time_ms`: they were replayed before a restart."""
        while self._next is not None and self._next.time_ms <= time_ms:
            self._next = next(self._ticks, None)
        self._note_end()

    def step(self, exchange: LocalExchange) -> bool:
        """Move the price by one tick; the clock must show `next_ms`. False at the end."""
        tick = self._next
        if tick is None:
            return False
        exchange.move(tick.coin, tick.price, jump=tick.jump, volume=tick.volume)
        self._next = next(self._ticks, None)
        self._hold(exchange)
        return True

    def _upcoming(self, start: int) -> Iterator[Tick]:
        rows = [int(np.searchsorted(item.open_time, self._times[start])) for item in self._candles]
        for time_ms in self._times[start:].tolist():
            bars: list[list[Tick]] = []
            for index, item in enumerate(self._candles):
                row = rows[index]
                if row < len(item) and item.open_time[row] == time_ms:
                    rows[index] += 1
                    bars.append(ticks_of(item.coin, item.bar(row), self.timeframe.ms))
            for moment in zip(*bars, strict=True):
                yield from moment
