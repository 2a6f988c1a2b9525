"""`fractal report`: what a run has earned, from its ledger."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.runs import RunName

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fractaltrader.live.book import Trade
    from fractaltrader.live.ledger import Ledger


def report(
    name: RunName = None,
    trades: Annotated[int, typer.Option(help="How many of the last trades to list.")] = 20,
) -> None:
    """Show return, risk figures and the last trades of a run."""
    from rich.console import Console

    from fractaltrader.cli.runs import existing_run

    print_report(existing_run(name), Console(), trades)


def print_report(folder: Path, console: "Console", trades_shown: int) -> None:
    """The report of the run in `folder`."""
    from fractaltrader.live.book import Book
    from fractaltrader.live.ledger import Ledger

    ledger = Ledger(folder)
    book = Book.folded(ledger.intents(), ledger.fills())
    console.print(_summary(ledger, book.trades, folder.name))
    console.print(_trade_table(book.trades[-trades_shown:]))
    counts = dict(ledger.verdicts())
    entered = counts.pop("enter", 0)
    refused = ", ".join(f"{count} by {verdict}" for verdict, count in counts.items())
    console.print(f"signals: {entered} entered; refused: {refused or 'none'}", highlight=False)
    console.print(f"incidents: {len(ledger.incidents())}; open positions: {len(book.epochs)}")
    ledger.close()


def _summary(ledger: "Ledger", trades: "list[Trade]", name: str) -> "Table":
    from decimal import Decimal

    import numpy as np
    from rich.table import Table

    from fractaltrader.backtest.metrics import summarise

    curve = ledger.equity()
    fees = sum((fill.fee for fill in ledger.fills()), Decimal(0))
    table = Table("measure", "value", title=f"report of {name}")
    if len(curve) < 2:
        table.add_row("equity", "not enough bars yet")
        return table
    metrics = summarise(
        times=np.array([time_ms for time_ms, _ in curve], dtype=np.int64),
        equity=np.array([float(equity) for _, equity in curve]),
        pnl=np.array([float(trade.pnl) for trade in trades]),
        fees=float(fees),
    )
    table.add_row("equity", f"{curve[0][1]:.2f} → {curve[-1][1]:.2f} USDC")
    for label, value in metrics.rows():
        table.add_row(label, value)
    return table


def _trade_table(trades: "list[Trade]") -> "Table":
    from rich.table import Table

    from fractaltrader.market.bars import utc

    table = Table(
        "closed", "coin", "side", "size", "entry", "exit", "by", "PnL", title="last trades"
    )
    for trade in trades:
        colour = "green" if trade.pnl > 0 else "red"
        table.add_row(
            utc(trade.closed_ms),
            trade.coin,
            "long" if trade.side > 0 else "short",
            str(trade.size),
            f"{trade.entry_price:.6g}",
            f"{trade.exit_price:.6g}",
            trade.exit_reason,
            f"[{colour}]{trade.pnl:+.2f}[/]",
        )
    return table
