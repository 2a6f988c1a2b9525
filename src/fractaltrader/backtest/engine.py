"""One backtest: a strategy's signals over candles, traded by the compiled broker.

The signals come from the very kernel the bot steps, the sizes from the very kernel behind
`decide_size`. Each coin trades its own account.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fractaltrader.backtest.broker import (
    CAP,
    COUNT,
    ENTRY,
    ENTRY_BAR,
    EXIT,
    EXIT_BAR,
    FATES,
    FEES,
    PNL,
    REASON,
    REASONS,
    REFUSED,
    RISK,
    SIDE,
    SIGNAL,
    SIGNAL_BAR,
    SIZE,
    STOP,
    TARGET,
    Book,
    new_book,
    trade,
)
from fractaltrader.backtest.metrics import Metrics, summarise
from fractaltrader.backtest.parameters import CostParameters
from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Instrument
from fractaltrader.market.universe import instrument_for
from fractaltrader.risk.sizing import CAPS, REFUSALS, RiskParameters, venue_of
from fractaltrader.smc.batch import columns
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import compiled
from fractaltrader.strategies import Signal, Strategy
from fractaltrader.strategies.base import SignalColumns


@dataclass(frozen=True, slots=True)
class Trades:
    """Closed trades in columns, oldest first. Bars index the candles, money is USDC.

    `signal` indexes the signals; `reason` is stop, target or end; `cap` names the limit that held
    the size below the configured risk, or is empty. `pnl` is net of both fees.
    """

    signal: IntArray
    signal_bar: IntArray
    entry_bar: IntArray
    exit_bar: IntArray
    side: IntArray
    size: FloatArray
    entry: FloatArray
    exit: FloatArray
    stop: FloatArray
    target: FloatArray
    fees: FloatArray
    pnl: FloatArray
    risk_usd: FloatArray
    reason: tuple[str, ...]
    cap: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pnl)

    @classmethod
    def of(cls, book: Book) -> "Trades":
        """The trades of a finished book."""
        count = int(book.state[COUNT])
        whole, price = book.whole[:count].copy(), book.price[:count].copy()
        return cls(
            signal=whole[:, SIGNAL],
            signal_bar=whole[:, SIGNAL_BAR],
            entry_bar=whole[:, ENTRY_BAR],
            exit_bar=whole[:, EXIT_BAR],
            side=whole[:, SIDE],
            size=price[:, SIZE],
            entry=price[:, ENTRY],
            exit=price[:, EXIT],
            stop=price[:, STOP],
            target=price[:, TARGET],
            fees=price[:, FEES],
            pnl=price[:, PNL],
            risk_usd=price[:, RISK],
            reason=tuple(REASONS[code] for code in whole[:, REASON]),
            cap=tuple(CAPS[code] for code in whole[:, CAP]),
        )


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What a backtest of one coin found; `equity` [bars] is marked at every close."""

    candles: Candles
    strategy: Strategy
    start_equity: float
    signals: SignalColumns
    fates: tuple[str, ...]
    trades: Trades
    equity: FloatArray

    @property
    def metrics(self) -> Metrics:
        """The figures of the summary table."""
        times = self.candles.open_time
        return summarise(
            times=np.append(times, times[-1] + self.candles.timeframe.ms),
            equity=np.append(self.start_equity, self.equity),
            pnl=self.trades.pnl,
            fees=float(self.trades.fees.sum()),
        )

    @property
    def said(self) -> tuple[Signal, ...]:
        """The signals in words and names, in the order of `signals`."""
        return self.strategy.described(self.candles, self.signals)

    @property
    def fate_counts(self) -> Counter[str]:
        """How many signals were traded, refused (by reason), void, or met an open position."""
        return Counter(self.fates)


def run_backtest(
    candles: Candles,
    strategy: Strategy,
    *,
    equity: float = 10_000.0,
    instrument: Instrument | None = None,
    risk: RiskParameters | None = None,
    costs: CostParameters | None = None,
) -> BacktestResult:
    """Trade `strategy` over `candles` from `equity` USDC; deterministic.

    Raises UserError for an equity that is not above zero and when the `lab` extra is missing.
    """
    if not 0 < equity < float("inf"):
        raise UserError(f"equity: {equity} must be above zero; give it in USDC")
    signals = strategy.scan(candles)
    return trade_signals(
        candles,
        strategy,
        signals,
        equity,
        instrument or instrument_for(candles.coin, 0, float(candles.close[-1])),
        risk or RiskParameters(),
        costs or CostParameters(),
    )


def trade_signals(
    candles: Candles,
    strategy: Strategy,
    signals: SignalColumns,
    equity: float,
    instrument: Instrument,
    risk: RiskParameters,
    costs: CostParameters,
) -> BacktestResult:
    """The broker's part of a backtest, for signals found before."""
    book = new_book(len(signals), equity)
    fates = np.zeros((len(signals), 2), np.int64)
    curve = np.zeros(len(candles))
    compiled(trade)(
        costs.costs(),
        risk.risk_config(),
        venue_of(instrument),
        book,
        *columns(candles)[:4],
        signals.bars,
        signals.records,
        fates,
        curve,
    )
    names = tuple(
        f"refused: {REFUSALS[why]}" if fate == REFUSED else FATES[fate]
        for fate, why in fates.tolist()
    )
    return BacktestResult(candles, strategy, equity, signals, names, Trades.of(book), curve)
