"""Replay: the exchange's candles are the feed's, in order, in time, losing nothing."""

import asyncio
from decimal import Decimal

import numpy as np
import pytest
from exchange_world import ORIGIN_MS

from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.feeds.feed import Feed, ticks_of
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.virtual_time import LoopClock, SteppedClock, run_virtual

MINUTE_15 = Timeframe.parse("15m")


def market(coin: str, bars: int, seed: int, *, missing: tuple[int, ...] = ()) -> Candles:
    """A random walk with gaps between close and open, and with missing bars."""
    rng = np.random.default_rng(seed)
    rows, price = [], 100.0
    for index in range(bars):
        opened = round(price + rng.normal(0, 0.2), 2)
        closed = round(opened + rng.normal(0, 1.0), 2)
        high = round(max(opened, closed) + abs(rng.normal(0, 0.5)), 2)
        low = round(min(opened, closed) - abs(rng.normal(0, 0.5)), 2)
        volume = round(abs(rng.normal(50, 20)), 3)
        price = closed
        if index not in missing:
            rows.append(Bar(ORIGIN_MS + index * MINUTE_15.ms, opened, high, low, closed, volume))
    return Candles.of(coin, MINUTE_15, rows)


def snapshot(exchange: LocalExchange, coin: str, interval: str) -> list[Bar]:
    """Bars of a candleSnapshot."""
    request = {"coin": coin, "interval": interval, "startTime": 0}
    rows = exchange.info({"type": "candleSnapshot", "req": request})
    return [Bar(row["t"], *(float(row[key]) for key in "ohlcv")) for row in rows]


def stepped(feed: Feed, exchange: LocalExchange, clock: SteppedClock) -> None:
    while feed.next_ms is not None:
        clock.set(feed.next_ms)
        feed.step(exchange)


def test_a_replay_rebuilds_every_bar_bit_for_bit():
    """History plus replayed bars equal the file in every column, gaps and longer intervals too."""
    markets = {"AAA": market("AAA", 60, 1, missing=(7, 30)), "BBB": market("BBB", 60, 2)}
    clock = SteppedClock(ORIGIN_MS)
    feed = Feed(markets, start_index=20)
    exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock)
    before = snapshot(exchange, "AAA", "15m")
    assert before == list(markets["AAA"].bars())[: len(before)]
    assert before[-1].open_time < feed.start_ms
    stepped(feed, exchange, clock)
    assert feed.ended.is_set()
    for coin, candles in markets.items():
        assert snapshot(exchange, coin, "15m") == list(candles.bars())
        hourly = [bar[:5] for bar in candles.resampled(Timeframe.parse("1h")).bars()]
        assert [bar[:5] for bar in snapshot(exchange, coin, "1h")] == hourly


def test_a_bar_visits_its_near_extreme_first():
    """Rising bars go open, low, high, close; falling ones the other way; volumes add up."""
    rising = ticks_of("X", Bar(0, 10.0, 12.0, 9.0, 11.0, 1.00003), 1_000)
    falling = ticks_of("X", Bar(0, 11.0, 12.0, 9.0, 10.0, 0.0), 1_000)
    assert [float(tick.price) for tick in rising] == [10.0, 9.0, 12.0, 11.0]
    assert [float(tick.price) for tick in falling] == [11.0, 12.0, 9.0, 10.0]
    assert [tick.time_ms for tick in rising] == [0, 250, 500, 750]
    assert [tick.jump for tick in rising] == [True, False, False, False]
    assert sum(tick.volume for tick in rising) == Decimal("1.00003")


def test_a_feed_in_virtual_time_pushes_each_tick_at_its_time():
    """Subscribers get a frame per tick, the first of each bar at its open, and time fits."""
    markets = {"AAA": market("AAA", 6, 3)}

    async def replay() -> list[tuple[int, int]]:
        feed = Feed(markets, start_index=2)
        clock = LoopClock(feed.start_ms - 5_000)
        exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock)
        seen: list[tuple[int, int]] = []

        def sink(frame: dict) -> None:
            if frame["channel"] == "candle":
                seen.append((exchange.now_ms(), frame["data"]["t"]))

        exchange.subscribe({"type": "candle", "coin": "AAA", "interval": "15m"}, sink)
        await feed.run(exchange, clock)
        return seen[1:]

    first = ORIGIN_MS + 2 * MINUTE_15.ms
    quarter = MINUTE_15.ms // 4
    expected = [first + index * quarter for index in range(16)]
    seen = run_virtual(replay())
    assert [time for time, _ in seen] == expected
    assert [opened for _, opened in seen] == [MINUTE_15.floor(time) for time in expected]


@pytest.mark.parametrize("interval", ["15m", "1h", "4h"])
def test_streamed_and_queried_candles_are_the_same(interval):
    """After every tick the pushed candle of any interval equals the last one of candleSnapshot."""
    markets = {"AAA": market("AAA", 70, 8, missing=(16, 33, 34, 35))}
    clock = SteppedClock(ORIGIN_MS)
    feed = Feed(markets, start_index=3)
    exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock)
    pushed: list[dict] = []
    wanted = {"type": "candle", "coin": "AAA", "interval": interval}
    exchange.subscribe(wanted, pushed.append)
    query = {"coin": "AAA", "interval": interval, "startTime": 0}
    while feed.next_ms is not None:
        clock.set(feed.next_ms)
        feed.step(exchange)
        rows = exchange.info({"type": "candleSnapshot", "req": query})
        assert pushed[-1]["data"] == rows[-1]


def test_a_feed_that_lags_skips_nothing():
    """When the clock is far ahead, market time waits for every tick: the bars are the same."""
    markets = {"AAA": market("AAA", 30, 4)}

    async def replay() -> LocalExchange:
        feed = Feed(markets)
        clock = LoopClock(feed.end_ms + 10_000_000)
        exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock)
        await feed.run(exchange, clock)
        return exchange

    assert snapshot(run_virtual(replay()), "AAA", "15m") == list(markets["AAA"].bars())


@pytest.mark.parametrize("start", [30, 99])
def test_a_start_beyond_the_end_is_refused(start):
    """The error names how many bars there are."""
    with pytest.raises(UserError, match="of 30; start before the last bar"):
        Feed({"AAA": market("AAA", 30, 4)}, start_index=start)


def test_coins_of_different_timeframes_are_refused():
    """Base candles are aligned only when they are of one timeframe."""
    hourly = market("BBB", 30, 4).resampled(Timeframe.parse("1h"))
    with pytest.raises(UserError, match="same timeframe"):
        Feed({"AAA": market("AAA", 30, 4), "BBB": hourly})


def test_a_feed_of_nothing_is_refused_and_a_finished_one_moves_nothing(exchange):
    """Without coins there is no market; after the end, or skipped to it, a step says so."""
    with pytest.raises(UserError, match="no candles; give at least one coin"):
        Feed({})
    feed = Feed({"BTC": market("BTC", 30, 4)})
    feed.skip_until(feed.end_ms)
    assert feed.ended.is_set()
    assert not feed.step(exchange)
    assert exchange.mid("BTC") == 100_000


def test_a_restarted_replay_goes_on_where_it_stopped():
    """Snapshot in the middle, restore, skip what was replayed: the same bars come out."""
    markets = {"AAA": market("AAA", 30, 5), "BBB": market("BBB", 30, 6)}
    clock = SteppedClock(ORIGIN_MS)
    feed = Feed(markets, start_index=5)
    exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock)
    for _ in range(2 * 37):
        clock.set(feed.next_ms)
        feed.step(exchange)
    again = LocalExchange.restored(exchange.snapshot(), clock=clock)
    rest = Feed(markets, start_index=5)
    rest.skip_until(again.state.last_move_ms)
    assert rest.next_ms == feed.next_ms
    stepped(rest, again, clock)
    for coin, candles in markets.items():
        assert snapshot(again, coin, "15m") == list(candles.bars())


def test_virtual_time_names_a_deadlock():
    """Waiting for what never comes raises a clear error at once instead of hanging."""
    with pytest.raises(RuntimeError, match="a task awaits an event that nobody will send"):
        run_virtual(asyncio.Event().wait())


def test_virtual_time_sleeps_a_week_in_no_time_and_in_order():
    """Timers fire in order at their exact times, whatever their length and the clock's speed."""

    async def world() -> list[tuple[str, int]]:
        clock = LoopClock(ORIGIN_MS, speed=3_600)
        seen: list[tuple[str, int]] = []

        async def nap(name: str, ms: int) -> None:
            await clock.sleep_ms(ms)
            seen.append((name, clock.now_ms() - ORIGIN_MS))

        await asyncio.gather(nap("week", 604_800_000), nap("blink", 7), nap("day", 86_400_001))
        return seen

    assert run_virtual(world()) == [("blink", 7), ("day", 86_400_001), ("week", 604_800_000)]
