"""A whole backtest of the default strategy: detection, signals, sizing and the broker."""

from benchmarks.timing import Row, seconds_each
from fractaltrader.backtest import run_backtest
from fractaltrader.market import Candles
from fractaltrader.strategies import load_strategy


def rows(candles: Candles) -> list[Row]:
    """The first run compiles; the others are the speed."""
    strategy = load_strategy("liquidity_sweep")
    trades = run_backtest(candles, strategy).metrics.trades
    (seconds,) = seconds_each([lambda: run_backtest(candles, strategy)], runs=3)
    return [Row("backtest liquidity_sweep", seconds / len(candles), "bar", f"{trades:,} trades")]
