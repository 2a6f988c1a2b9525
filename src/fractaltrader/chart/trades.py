"""A backtest's signals and trades as drawings and lines."""

from collections.abc import Iterator

from fractaltrader.backtest import BacktestResult
from fractaltrader.chart.drawings import Drawing, Stage
from fractaltrader.chart.facts import Line, price
from fractaltrader.strategies import Signal

SIDES = {1: "long", -1: "short"}


def signals_of(result: BacktestResult, first: int, last: int) -> Iterator[tuple[Drawing, Line]]:
    """A mark a signal known at bars first…last, with its score and the chain of facts behind it."""
    candles, found = result.candles, result.signals
    rows = [row for row, bar in enumerate(found.bars.tolist()) if first <= bar <= last]
    said = result.said
    for row in rows:
        bar, signal = int(found.bars[row]), said[row]
        long = signal.side > 0
        edge = float(candles.low[bar] if long else candles.high[bar])
        # What the broker did with it shows at the next bar's open.
        fate = [(bar + 1, f"then: {result.fates[row]}")]
        yield (
            Drawing(
                "signal+" if long else "signal-", bar, bar, bar, edge, edge,
                _signal_hover(signal, bar), notes=fate,
            ),
            Line(bar, signal.side, f"Signal {SIDES[signal.side]}",
                 "; ".join((_levels(signal), *signal.facts))),
        )  # fmt: skip


def _levels(signal: Signal) -> str:
    return (
        f"{SIDES[signal.side]} at {price(signal.entry)}, stop {price(signal.stop)}, target "
        f"{price(signal.target)}, reward:risk {signal.reward_risk:.2f}, "
        f"confidence {signal.confidence:.0f}"
    )


def _signal_hover(signal: Signal, bar: int) -> str:
    factors = ", ".join(f"{name} {points:.0f}" for name, points in signal.factors)
    head = f"<b>Signal {signal.strategy}</b>, known at bar {bar}"
    return "<br>".join((head, _levels(signal), *signal.facts, factors))


def trades_of(result: BacktestResult) -> Iterator[Drawing]:
    """A line a trade from its entry, known at the entry's bar, to its exit; its stop and target."""
    trades = result.trades
    for row in range(len(trades)):
        entered, left = int(trades.entry_bar[row]), int(trades.exit_bar[row])
        entry, pnl = float(trades.entry[row]), float(trades.pnl[row])
        yield Drawing(
            "held", entered, entered, None, entry, entry,
            f"<b>Trade</b>, entered at bar {entered}<br>{_opened(result, row)}",
            stages=[Stage(left, "won" if pnl > 0 else "lost", float(trades.exit[row]))],
            notes=[(left, f"{_closed(result, row)} at bar {left}")],
        )  # fmt: skip
        for name, levels in (("stop", trades.stop), ("target", trades.target)):
            level = float(levels[row])
            yield Drawing(
                "stop", entered, entered, None, level, level,
                f"{name} {price(level)} of the trade entered at bar {entered}",
                name if left > entered else "", [Stage(left, "stop")],
            )  # fmt: skip


def trade_lines(result: BacktestResult) -> Iterator[Line]:
    """Entry and exit of every trade in words."""
    trades = result.trades
    for row in range(len(trades)):
        side, won = int(trades.side[row]), float(trades.pnl[row]) > 0
        yield Line(int(trades.entry_bar[row]), side, "Entry", _opened(result, row))
        yield Line(
            int(trades.exit_bar[row]), 1 if won else -1, f"Exit by {trades.reason[row]}",
            _closed(result, row),
        )  # fmt: skip


def _opened(result: BacktestResult, row: int) -> str:
    trades = result.trades
    return f"{SIDES[int(trades.side[row])]} {trades.size[row]:.6g} at {price(trades.entry[row])}"


def _closed(result: BacktestResult, row: int) -> str:
    trades = result.trades
    return (
        f"left at {price(trades.exit[row])} by {trades.reason[row]}, "
        f"{trades.pnl[row]:+,.2f} USDC net"
    )
