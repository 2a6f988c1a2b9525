"""`fractal backtest`: a strategy over candle files, with costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from fractaltrader.backtest import BacktestResult

Candles = Annotated[
    list[Path],
    typer.Option(
        "--candles",
        help="Parquet or CSV candle file whose name begins with the coin; repeat for more coins.",
        show_default=False,
    ),
]
StrategyName = Annotated[str, typer.Option("--strategy", help="Name of the strategy.")]
TimeframeName = Annotated[
    str | None,
    typer.Option("--timeframe", help="Build the candles up to this interval; as they are without."),
]
Equity = Annotated[
    float, typer.Option("--equity", help="USDC each coin's own account starts with.")
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="A strategy parameter; repeat for more."),
]


def backtest(
    candles: Candles,
    strategy: StrategyName = "liquidity_sweep",
    timeframe: TimeframeName = None,
    equity: Equity = 10_000.0,
    param: Params = None,
) -> None:
    """Trade a strategy over candle files with fees and slippage, each coin on its own account."""
    from rich.console import Console

    from fractaltrader.backtest import run_backtest
    from fractaltrader.data.candle_files import load_candles
    from fractaltrader.market import Timeframe
    from fractaltrader.strategies import load_strategy

    chosen = load_strategy(strategy, parse_params(param or []))
    interval = Timeframe.parse(timeframe) if timeframe else None
    if not 0 < equity < float("inf"):
        raise UserError(f"--equity: {equity} must be above zero; give it in USDC")
    loaded = [load_candles(path) for path in candles]
    results = [
        run_backtest(one.resampled(interval or one.timeframe), chosen, equity=equity)
        for one in loaded
    ]
    console = Console()
    console.print(summary_table(results))
    for result in results:
        console.print(signals_line(result), highlight=False)


def parse_params(pairs: list[str]) -> dict[str, str]:
    """`key=value` pairs; UserError for one without a key or given twice."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not (equals and key):
            raise UserError(f"--param: {pair!r} must be KEY=VALUE, like min_rr=2")
        if key in parsed:
            raise UserError(f"--param: {key} is given twice; give it once")
        parsed[key] = value.strip()
    return parsed


def summary_table(results: list["BacktestResult"]) -> "Table":
    """One column a coin, in the order given."""
    from rich.table import Table

    from fractaltrader.market.bars import utc

    first = results[0]
    table = Table(
        "measure",
        title=f"{first.strategy.name}, {first.start_equity:,.2f} USDC a coin, costs included",
    )
    for result in results:
        table.add_column(
            f"{result.candles.coin} {result.candles.timeframe}", justify="right", no_wrap=True
        )
    spans = [result.candles.open_time for result in results]
    table.add_row("from", *(utc(int(times[0]))[:10] for times in spans))
    table.add_row("to", *(utc(int(times[-1]))[:10] for times in spans))
    for rows in zip(*(result.metrics.rows() for result in results), strict=True):
        table.add_row(rows[0][0], *(value for _, value in rows))
    return table


def signals_line(result: "BacktestResult") -> str:
    """What became of the signals, and how often a cap held a size below its configured risk."""
    fates = ", ".join(f"{count} {fate}" for fate, count in result.fate_counts.most_common())
    capped = [cap for cap in result.trades.cap if cap]
    caps = ", ".join(f"{capped.count(cap)} {cap}" for cap in sorted(set(capped))) or "none"
    return (
        f"{result.candles.coin}: {len(result.signals)} signals ({fates or 'none'}); capped: {caps}"
    )
