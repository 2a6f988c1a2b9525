"""Trades worked by hand, to the cent, by the kernels' machine code and by their plain source."""

import numpy as np
import pytest

from fractaltrader.backtest import BacktestResult, CostParameters, engine
from fractaltrader.backtest.engine import trade_signals
from fractaltrader.market import Bar, Candles, Instrument, Timeframe
from fractaltrader.risk import RiskParameters
from fractaltrader.strategies import load_strategy
from fractaltrader.strategies.base import SignalColumns
from fractaltrader.strategies.liquidity_sweep import WIDTH

M15 = Timeframe.parse("15m")
COIN = Instrument("BTC", 0, 5, 40)
QUIET = (100.0, 100.5, 99.5, 100.0)
NO_SLIPPAGE = CostParameters(taker_fee=0.001, slippage=0)


@pytest.fixture(params=["compiled", "interpreted"], autouse=True)
def _way_to_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trade here is found both ways."""
    if request.param == "interpreted":
        monkeypatch.setattr(engine, "compiled", lambda function: function)


def record(side: int, reward: float = 6.0) -> list[float]:
    """Entry 100, stop 2 away, full confidence in normal volatility: 1 % of 10,000 buys 50."""
    common = [side, 100.0, 100.0 - 2 * side, 100.0 + reward * side, 100.0, 1.0, 1.0]
    return common + [0.0] * (WIDTH - len(common))


def trade(
    after: list[tuple[float, float, float, float]],
    side: int,
    *,
    costs: CostParameters = NO_SLIPPAGE,
    signals: tuple[int, ...] = (0,),
) -> BacktestResult:
    """A quiet bar with a signal at its close, then `after` (open, high, low, close)."""
    bars = [Bar(i * M15.ms, *prices, 1.0) for i, prices in enumerate([QUIET, *after])]
    columns = SignalColumns(np.array(signals), np.array([record(side) for _ in signals]))
    return trade_signals(
        Candles.of("BTC", M15, bars),
        load_strategy("liquidity_sweep"),
        columns,
        10_000.0,
        COIN,
        RiskParameters(),
        costs,
    )


# Fees are 0.1 % of 50 x the entry and of 50 x the exit.
@pytest.mark.parametrize(
    ("after", "side", "reason", "exit_price", "pnl"),
    [
        ([QUIET, (101, 107, 101, 106.5)], 1, "target", 106.0, 300 - 5 - 5.3),
        ([QUIET, (99, 99.5, 97, 97.5)], 1, "stop", 98.0, -100 - 5 - 4.9),
        ([QUIET, (99, 99, 93, 94)], -1, "target", 94.0, 300 - 5 - 4.7),
        ([QUIET, (101, 103, 101, 102)], -1, "stop", 102.0, -100 - 5 - 5.1),
        ([QUIET, (100, 107, 97, 100)], 1, "stop", 98.0, -100 - 5 - 4.9),  # both: stop first
        ([QUIET, (100, 103, 93, 100)], -1, "stop", 102.0, -100 - 5 - 5.1),
        ([QUIET, (95, 96, 94, 95)], 1, "stop", 95.0, -250 - 5 - 4.75),  # gap: at the open
        ([QUIET, (105, 106, 104, 105)], -1, "stop", 105.0, -250 - 5 - 5.25),
        ([QUIET, (110, 111, 109, 110)], 1, "target", 106.0, 300 - 5 - 5.3),  # never better
        ([(100, 100, 97, 99)], 1, "stop", 98.0, -100 - 5 - 4.9),  # on the entry's own bar
        ([QUIET, (100, 101, 100, 101)], 1, "end", 101.0, 50 - 5 - 5.05),
        ([QUIET, (100, 101, 100, 101)], -1, "end", 101.0, -50 - 5 - 5.05),
    ],
)
def test_one_trade(
    after: list[tuple[float, float, float, float]],
    side: int,
    reason: str,
    exit_price: float,
    pnl: float,
) -> None:
    """One position of 50 units closes by the right reason, at the right price, to the cent."""
    result = trade(after, side)
    trades = result.trades
    assert len(trades) == 1
    assert (trades.reason, trades.cap) == ((reason,), ("",))
    assert (trades.size[0], trades.entry[0], trades.exit[0]) == (50.0, 100.0, exit_price)
    assert (trades.signal_bar[0], trades.entry_bar[0]) == (0, 1)
    assert trades.exit_bar[0] == len(after)
    assert trades.pnl[0] == pytest.approx(pnl, abs=1e-9)
    assert trades.risk_usd[0] == 100.0
    assert result.equity[-1] == pytest.approx(10_000 + pnl, abs=1e-9)
    assert result.equity[0] == 10_000.0


def test_slippage_worsens_both_fills() -> None:
    """At 0.1 % slippage a long buys at 100.10 and its 106 target fills at 105.894."""
    costs = CostParameters(taker_fee=0.001, slippage=0.001)
    trades = trade([QUIET, (101, 107, 101, 106.5)], 1, costs=costs).trades
    assert (trades.entry[0], trades.exit[0]) == (pytest.approx(100.1), pytest.approx(105.894))
    fees = 50 * 100.1 * 0.001 + 50 * 105.894 * 0.001
    assert trades.fees[0] == pytest.approx(fees)
    assert trades.pnl[0] == pytest.approx(50 * (105.894 - 100.1) - fees)


def test_open_position_is_marked_at_the_close() -> None:
    """While a long of 50 is open at 100, a close of 103 marks the equity 150 up, less the fee."""
    result = trade([(100, 103, 99, 103), (103, 103, 102, 102)], 1)
    assert result.equity[1] == pytest.approx(10_000 - 5 + 150)


@pytest.mark.parametrize("open_", [97.0, 98.0, 106.0, 107.0])
def test_signal_that_the_open_has_passed_is_void(open_: float) -> None:
    """When the next open lies at or beyond stop or target nothing is traded."""
    result = trade([(open_, open_ + 1, open_ - 1, open_), QUIET], 1)
    assert (len(result.trades), result.fates) == (0, ("void",))
    assert (result.equity == 10_000).all()
    assert (result.metrics.win_rate, result.metrics.sharpe) == (None, None)


def test_one_position_at_a_time_and_size_follows_equity_and_streak() -> None:
    """A signal during a position is passed over; after two losses sizes shrink by the streak."""
    stopped = (99.0, 99.5, 97.0, 98.0)
    after = [QUIET, stopped, QUIET, stopped, QUIET, stopped]
    result = trade(after, 1, signals=(0, 1, 2, 4, 6))
    assert result.fates == ("traded", "in position", "traded", "traded", "no bar left")
    loss = 109.9
    second = int((10_000 - loss) * 0.01 / 2 * 1e5) / 1e5
    assert result.trades.size[:2].tolist() == [50.0, second]
    left = 10_000 + result.trades.pnl[:2].sum()
    assert result.trades.size[2] == pytest.approx(left * 0.01 * 0.7 / 2, abs=1e-5)
    assert result.equity[-1] == pytest.approx(10_000 + result.trades.pnl.sum())
