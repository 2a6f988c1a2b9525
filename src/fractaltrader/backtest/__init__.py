"""Backtests: the bot's own decisions through a compiled broker (the `lab` extra)."""

from fractaltrader.backtest.engine import BacktestResult, run_backtest
from fractaltrader.backtest.metrics import Metrics
from fractaltrader.backtest.parameters import CostParameters

__all__ = ["BacktestResult", "CostParameters", "Metrics", "run_backtest"]
