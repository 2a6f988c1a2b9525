"""The quality report against candles whose faults are known."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fractaltrader.data.candle_files import load_candles
from fractaltrader.data.quality import quality
from fractaltrader.market import Bar, Candles, Timeframe

MINUTE = 60_000


@given(st.sets(st.integers(0, 60), min_size=2))
def test_gaps_are_exactly_the_absent_bars(kept: set[int]) -> None:
    """For any set of bars kept, the report counts the absent ones and finds the longest run."""
    bars = sorted(kept)
    candles = Candles.of(
        "BTC", Timeframe.parse("1m"), [Bar(bar * MINUTE, 1.0, 1.0, 1.0, 1.0, 0.0) for bar in bars]
    )
    runs: list[list[int]] = []
    for bar in range(bars[0], bars[-1]):
        if bar in kept:
            runs.append([])
        else:
            runs[-1].append(bar)
    runs = [run for run in runs if run]
    report = quality(candles)
    assert report.gaps == len(runs)
    assert report.missing_bars == sum(map(len, runs))
    longest = max(runs, key=len, default=[])
    assert report.longest_gap == len(longest)
    assert report.longest_gap_time == (longest[0] * MINUTE if longest else None)
    assert (report.first_time, report.last_time) == (bars[0] * MINUTE, bars[-1] * MINUTE)
    assert report.zero_volume == report.flat == report.bars == len(bars)
    assert (report.largest_jump, report.largest_jump_time) == (0.0, None)


def test_odd_bars_and_the_largest_jump_are_found() -> None:
    """Bars without volume, flat bars and the largest move between closes are told apart."""
    prices = [100.0, 101.0, 80.8, 85.0]
    candles = Candles.of(
        "BTC",
        Timeframe.parse("1m"),
        [
            Bar(row * MINUTE, price, price + (row != 1), price, price, float(row))
            for row, price in enumerate(prices)
        ],
    )
    report = quality(candles)
    assert (report.zero_volume, report.flat) == (1, 1)
    assert report.largest_jump_time == 2 * MINUTE
    assert np.isclose(report.largest_jump, -0.2)


def test_known_outages_of_real_files(shared_folder: Path) -> None:
    """Binance's 2020 outages and Hyperliquid's filled bars come out as their index records them."""
    folder = shared_folder / "data" / "ohlcv"
    binance = quality(load_candles(folder / "BTCUSDT-1m-binance_spot-2020.parquet"))
    assert (binance.bars, binance.gaps, binance.missing_bars) == (525_766, 8, 1_274)
    assert (binance.longest_gap, binance.zero_volume) == (354, 0)
    hyperliquid = quality(load_candles(folder / "BTC-5m-hyperliquid.parquet"))
    assert (hyperliquid.bars, hyperliquid.gaps, hyperliquid.zero_volume) == (26_664, 0, 10)
