"""Backtests over whole markets: one decision path, honest accounts, no free lunch."""

from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from fractaltrader.backtest import CostParameters, run_backtest
from fractaltrader.backtest.engine import trade_signals
from fractaltrader.cli.backtest import backtest
from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Timeframe
from fractaltrader.market.universe import instrument_for
from fractaltrader.risk import RiskParameters, decide_size, next_streak
from fractaltrader.strategies import load_strategy
from fractaltrader.strategies.base import SignalColumns
from fractaltrader.strategies.liquidity_sweep import WIDTH

M15 = Timeframe.parse("15m")
START_MS = 1_735_689_600_000  # 2025
FREE = CostParameters(taker_fee=0, slippage=0)


def random_walk(seed: int, count: int, start: float = 2_000.0) -> Candles:
    """A driftless geometric walk of twenty steps a bar."""
    rng = np.random.default_rng(seed)
    path = start * np.exp(np.cumsum(rng.normal(0, 0.0008, size=(count, 20))).reshape(count, 20))
    opens = np.append(start, path[:-1, -1])
    return Candles(
        "ETH",
        M15,
        START_MS + np.arange(count) * M15.ms,
        opens,
        np.maximum(opens, path.max(axis=1)),
        np.minimum(opens, path.min(axis=1)),
        np.ascontiguousarray(path[:, -1]),
        rng.lognormal(3, 0.6, count),
    ).validated()


def test_every_trade_is_what_the_bot_would_decide() -> None:
    """Sessions and `decide_size`, stepped as the bot does, reproduce every trade's size and cap."""
    candles = random_walk(1, 6_000)
    strategy, risk = load_strategy("liquidity_sweep"), RiskParameters(base_risk=0.03)
    instrument = instrument_for("ETH", 1, 2_000)
    result = run_backtest(candles, strategy, risk=risk)
    trades = result.trades
    assert len(trades) > 30
    assert any(trades.cap)
    session = strategy.session("ETH")
    signals = {t: s for t, bar in enumerate(candles.bars()) if (s := session.on_bar(bar))}
    assert list(signals) == result.signals.bars.tolist()
    cash, streak = 10_000.0, 0
    for i in range(len(trades)):
        signal = signals[int(trades.signal_bar[i])]
        decision = decide_size(signal, cash, cash, streak, instrument, risk)
        assert float(decision.size) == trades.size[i]
        assert (decision.cap or "") == trades.cap[i]
        assert (signal.side, signal.stop, signal.target) == (
            trades.side[i],
            trades.stop[i],
            trades.target[i],
        )
        cash += trades.pnl[i]
        streak = next_streak(streak, trades.pnl[i])
    assert result.equity[-1] == pytest.approx(cash)


def test_cut_candles_have_the_trades_of_the_whole() -> None:
    """No trade closed before a cut changes when later bars are taken away."""
    candles = random_walk(2, 5_000)
    strategy = load_strategy("liquidity_sweep")
    whole = run_backtest(candles, strategy)
    for cut in (1_500, 3_333):
        part = run_backtest(candles.slice(0, cut), strategy)
        closed = int((whole.trades.exit_bar < cut - 1).sum())
        assert closed > 5
        assert part.trades.pnl[:closed].tolist() == whole.trades.pnl[:closed].tolist()
        assert part.equity[: cut - 1].tolist() == whole.equity[: cut - 1].tolist()


def test_random_entries_have_no_edge() -> None:
    """Random trades on a driftless walk gain nothing before costs, within noise, and lose after."""
    candles = random_walk(3, 20_000)
    rng = np.random.default_rng(4)
    bars = np.sort(rng.choice(len(candles) - 1, 6_000, replace=False))
    close = candles.close[bars]
    side = rng.choice([-1.0, 1.0], len(bars))
    records = np.zeros((len(bars), WIDTH))
    distance = 0.01 * close
    records[:, :7] = np.column_stack(
        [side, close, close - side * distance, close + side * 2 * distance, 100 + 0 * close,
         distance, distance]
    )  # fmt: skip
    columns = SignalColumns(bars, records)

    def rewards(costs: CostParameters) -> np.ndarray:
        result = trade_signals(
            candles, load_strategy("liquidity_sweep"), columns, 10_000.0,
            instrument_for("ETH", 1, 2_000), RiskParameters(base_risk=0.001), costs,
        )  # fmt: skip
        return result.trades.pnl / result.trades.risk_usd

    free, paid = rewards(FREE), rewards(CostParameters())
    assert len(free) > 1_000
    error = free.std() / np.sqrt(len(free))
    assert abs(free.mean()) < 3 * error
    # 0.065 % a side on a 1 % stop is 13 % of the risk.
    assert (paid.mean() - free.mean()) == pytest.approx(-0.13, abs=0.02)


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL"])
def test_caps_are_the_exception_on_real_candles(shared_folder: Path, coin: str) -> None:
    """On real 15-minute candles the default caps bind on less than a tenth of the trades."""
    from fractaltrader.data.candle_files import load_candles

    path = shared_folder / "data" / "ohlcv" / f"{coin}-5m-hyperliquid.parquet"
    result = run_backtest(load_candles(path).resampled(M15), load_strategy("liquidity_sweep"))
    trades = result.trades
    assert len(trades) > 60
    assert sum(1 for cap in trades.cap if cap) < 0.1 * len(trades)
    assert 0.3 < (trades.side > 0).mean() < 0.7
    assert np.allclose(
        trades.pnl,
        trades.side * trades.size * (trades.exit - trades.entry) - trades.fees,
    )
    assert result.equity[-1] == pytest.approx(10_000 + trades.pnl.sum())
    assert result.metrics.fees == pytest.approx(
        0.00045 * (trades.size * (trades.entry + trades.exit)).sum()
    )


def test_equity_must_be_money() -> None:
    """A start without money is refused."""
    with pytest.raises(UserError, match="equity: -5 must be above zero"):
        run_backtest(random_walk(1, 10), load_strategy("liquidity_sweep"), equity=-5)


def test_command_prints_the_summary(tmp_path: Path) -> None:
    """`backtest` prints every promised figure per file; bad options are one-line errors."""
    candles = random_walk(5, 1_500)
    path = tmp_path / "ETH-15m.csv"
    lines = ["open_time,open,high,low,close,volume"]
    lines += [",".join(map(str, bar)) for bar in candles.bars()]
    path.write_text("\n".join(lines))
    app = Typer()
    app.command()(backtest)
    runner = CliRunner(env={"COLUMNS": "200"})
    done = runner.invoke(app, ["--candles", str(path), "--param", "min_rr=2"])
    assert done.exit_code == 0, done.output
    figures = ("return", "Sharpe", "Sortino", "max drawdown", "win rate", "profit factor",
               "trades", "fees")  # fmt: skip
    for figure in figures:
        assert figure in done.output
    strategy = load_strategy("liquidity_sweep", {"min_rr": 2})
    assert f"{run_backtest(candles, strategy).metrics.total_return:+.2%}" in done.output
    for bad, message in (
        (["--param", "min_rr"], "must be KEY=VALUE"),
        (["--param", "min_rrr=2"], "did you mean 'min_rr'"),
        (["--timeframe", "7m"], "timeframe: '7m'"),
        (["--strategy", "moon"], "unknown name 'moon'"),
        (["--equity", "0"], "--equity: 0.0 must be above zero"),
        (["--timeframe", "5m"], "cannot build 5m from 15m"),
    ):
        failed = runner.invoke(app, ["--candles", str(path), *bad])
        assert isinstance(failed.exception, UserError)
        assert message in str(failed.exception)
        assert "\n" not in str(failed.exception)
