"""`fractal demo`: the bot trades on the local exchange, in accelerated time, in one process."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fractaltrader.market import Candles

DAY_MS = 86_400_000
HISTORY_BARS = 500
DEMO_START_MS = 1_735_689_600_000  # 2025-01-01, where the generated market begins


def demo(
    candles: Annotated[
        list[Path] | None,
        typer.Option(help="Candle files to replay instead of a generated market."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days to trade.")] = 30,
    timeframe: Annotated[str, typer.Option(help="Candle interval to trade on.")] = "15m",
    strategy: Annotated[str, typer.Option(help="Strategy to trade.")] = "liquidity_sweep",
    seed: Annotated[int, typer.Option(help="Seed of the market and the exchange.")] = 7,
    seconds: Annotated[
        float, typer.Option(min=0, max=600, help="How long to show it on a terminal.")
    ] = 25.0,
) -> None:
    """Watch the bot trade on the local exchange, then read its report and audit."""
    from rich.console import Console

    from fractaltrader.cli.demo_run import Plan, play_and_report
    from fractaltrader.config import Config, TradeConfig
    from fractaltrader.risk.breaker_parameters import BreakerParameters

    markets = _markets(candles, days, timeframe, seed)
    base_ms = next(iter(markets.values())).timeframe.ms
    history_bars = _history_days(timeframe) * DAY_MS // base_ms
    trade = TradeConfig(coins=tuple(markets), timeframe=timeframe, strategy=strategy)
    # A month is shown whole; a real bot would stop at this loss and ask for a person.
    config = Config(trade=trade, breaker=BreakerParameters(max_drawdown=0.9))
    plan = Plan(markets, history_bars, config, seed)
    play_and_report(plan, seconds=seconds, console=Console())


def _history_days(timeframe: str) -> int:
    """Days of candles the exchange lists before trading starts, for the strategy's warm-up."""
    from fractaltrader.market import Timeframe

    return -(-HISTORY_BARS * Timeframe.parse(timeframe).ms // DAY_MS)


def _markets(
    files: list[Path] | None, days: int, timeframe: str, seed: int
) -> "dict[str, Candles]":
    """History plus the days to trade, by coin."""
    from fractaltrader.errors import UserError
    from fractaltrader.market import Timeframe

    interval = Timeframe.parse(timeframe)
    history_days = _history_days(timeframe)
    if not files:
        from fractaltrader.data.synthetic import generated_market

        return generated_market(
            ["BTC", "ETH", "SOL"],
            days=history_days + days,
            timeframe=interval,
            seed=seed,
            start_ms=DEMO_START_MS - history_days * DAY_MS,
        )
    from fractaltrader.data.candle_files import load_candles

    markets: dict[str, Candles] = {}
    for path in files:
        loaded = load_candles(path)
        if loaded.coin in markets:
            raise UserError(f"candles: {path} is a second file of {loaded.coin}; give one a coin")
        if interval.ms % loaded.timeframe.ms:
            raise UserError(
                f"timeframe: {interval} cannot be built from the {loaded.timeframe} candles of "
                f"{path}; give a multiple of {loaded.timeframe}"
            )
        rows = (history_days + days) * DAY_MS // loaded.timeframe.ms
        markets[loaded.coin] = loaded.slice(max(len(loaded) - rows, 0), len(loaded))
    return markets
