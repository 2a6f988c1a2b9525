"""Performance figures worked by hand, and their edges."""

import math

import numpy as np
import pytest

from fractaltrader.backtest.metrics import Metrics, summarise

HOUR = 3_600_000


def figures(equity: list[float], pnl: list[float], fees: float = 0.0) -> Metrics:
    return summarise(
        times=np.arange(len(equity)) * HOUR,
        equity=np.array(equity, dtype=float),
        pnl=np.array(pnl, dtype=float),
        fees=fees,
    )


def test_figures_worked_by_hand() -> None:
    """Return, drawdown, ratios and trade figures of a four-point hourly curve."""
    m = figures([100, 110, 99, 108.9], [10, -11, 9.9], fees=1.5)
    assert m.total_return == pytest.approx(0.089)
    assert m.max_drawdown == pytest.approx(0.1)
    mean, annual = 0.1 / 3, math.sqrt(24 * 365)
    assert m.sharpe == pytest.approx(mean / math.sqrt(0.04 / 3) * annual)
    assert m.sortino == pytest.approx(mean / math.sqrt(0.01 / 3) * annual)
    assert m.win_rate == pytest.approx(2 / 3)
    assert m.profit_factor == pytest.approx(19.9 / 11)
    assert (m.trades, m.fees) == (3, 1.5)
    assert m.average_trade == pytest.approx(8.9 / 3)


def test_longer_bars_annualise_less() -> None:
    """The same returns over four-hour bars have half the Sharpe of hourly ones."""
    equity = np.array([100.0, 101.0, 100.0, 102.0])
    hourly, slower = (
        summarise(times=np.arange(4) * step, equity=equity, pnl=np.zeros(0), fees=0.0)
        for step in (HOUR, 4 * HOUR)
    )
    assert hourly.sharpe is not None
    assert slower.sharpe == pytest.approx(hourly.sharpe / 2)


def test_edges_are_defined() -> None:
    """No trades, no losses and no movement have stated figures, never a NaN or a crash."""
    idle = figures([100, 100, 100], [])
    assert (idle.total_return, idle.max_drawdown, idle.trades) == (0, 0, 0)
    assert (idle.sharpe, idle.sortino, idle.win_rate) == (None, None, None)
    assert (idle.profit_factor, idle.average_trade) == (None, None)
    perfect = figures([100, 101, 103], [1, 2])
    assert (perfect.profit_factor, perfect.win_rate, perfect.max_drawdown) == (math.inf, 1, 0)
    assert perfect.sortino == math.inf
    assert figures([100, 90, 80], [-10, -10]).profit_factor == 0
    ruined = figures([100, 50, -5], [-105])
    assert (ruined.sharpe, ruined.total_return) == (None, -1.05)
    shown = dict(idle.rows())
    assert shown["Sharpe"] == "-"
    assert dict(perfect.rows())["profit factor"] == "inf"
