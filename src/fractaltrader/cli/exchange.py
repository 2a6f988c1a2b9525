"""`fractal exchange`: the local exchange as a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from fractaltrader.market import Candles

GENERATED_START_MS = 1_735_689_600_000  # 2025-01-01


def exchange(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = 3001,
    candles: Annotated[
        list[Path] | None,
        typer.Option(help="Candle file to replay; repeatable. Without: a generated market."),
    ] = None,
    coins: Annotated[
        str, typer.Option(help="Coins of the generated market, comma-separated.")
    ] = "BTC,ETH,SOL",
    days: Annotated[int, typer.Option(min=1, help="Days of the generated market.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Seed of market and order book.")] = 0,
    timeframe: Annotated[
        str, typer.Option(help="Candle interval of the generated market.")
    ] = "15m",
    speed: Annotated[
        float, typer.Option(min=0.001, help="Market seconds per second of wall time.")
    ] = 1.0,
    history_bars: Annotated[
        int, typer.Option(min=0, help="Candles that have closed when the market opens.")
    ] = 500,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep accounts and market here and go on from it when it exists."),
    ] = None,
    faucet: Annotated[
        list[str] | None,
        typer.Option(help="Fund ADDRESS=USD when it has no account yet; repeatable."),
    ] = None,
) -> None:
    """Run the local exchange: Hyperliquid's protocol over a replayed or generated market."""
    import asyncio

    from fractaltrader.errors import UserError
    from fractaltrader.simulator.serving.serve import ServeOptions, serve

    funded = [_funding(text) for text in faucet or []]
    if state is not None and not state.parent.is_dir():
        raise UserError(f"state: folder {state.parent} does not exist; create it first")
    if state is not None and state.is_dir():
        raise UserError(f"state: {state} is a folder; give a file")
    markets = _markets(candles, coins, days, seed, timeframe)
    rows = min(len(item) for item in markets.values())
    if history_bars >= rows:
        raise UserError(
            f"history-bars: {history_bars} of {rows} candles leave nothing to trade; give fewer, "
            "or a longer market"
        )
    options = ServeOptions(port, speed, history_bars, seed, state, funded)
    asyncio.run(serve(markets, options, typer.echo))


def _markets(
    files: list[Path] | None, coins: str, days: int, seed: int, timeframe: str
) -> "dict[str, Candles]":
    from fractaltrader.errors import UserError
    from fractaltrader.market import Timeframe

    if not files:
        from fractaltrader.data.synthetic import generated_market

        names = list(dict.fromkeys(name.strip() for name in coins.split(",") if name.strip()))
        if not names:
            raise UserError(f"coins: {coins!r} names no coin; give for example BTC,ETH")
        interval = Timeframe.parse(timeframe)
        return generated_market(
            names, days=days, timeframe=interval, seed=seed, start_ms=GENERATED_START_MS
        )
    from fractaltrader.data.candle_files import load_candles

    markets: dict[str, Candles] = {}
    for path in files:
        loaded = load_candles(path)
        if loaded.coin in markets:
            raise UserError(f"candles: {path} is a second file of {loaded.coin}; give one a coin")
        markets[loaded.coin] = loaded
    return markets


def _funding(text: str) -> "tuple[str, Decimal]":
    import re
    from decimal import Decimal, InvalidOperation

    from fractaltrader.errors import UserError

    address, _, amount = text.partition("=")
    try:
        usd = Decimal(amount)
    except InvalidOperation:
        usd = Decimal(0)
    if not re.fullmatch("0x[0-9a-fA-F]{40}", address) or not usd.is_finite() or usd <= 0:
        raise UserError(
            f"faucet: {text!r} is not ADDRESS=USD; give for example 0x{'12' * 20}=10000"
        )
    return address, usd
