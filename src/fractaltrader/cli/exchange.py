"""`fractal exchange`: the local exchange as a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from fractaltrader.market import Candles
    from fractaltrader.simulator.feeds.tape import Recording
    from fractaltrader.simulator.serving.serve import MirrorOptions, ServeOptions

VENUES = {
    "mainnet": "https://api.hyperliquid.xyz",
    "testnet": "https://api.hyperliquid-testnet.xyz",
}
GENERATED_START_MS = 1_735_689_600_000  # 2025-01-01


def exchange(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = 3001,
    candles: Annotated[
        list[Path] | None,
        typer.Option(help="Candle file to replay; repeatable. Without: a generated market."),
    ] = None,
    trades: Annotated[
        list[Path] | None,
        typer.Option(help="File of recorded trades to replay, named by coin; repeatable."),
    ] = None,
    books: Annotated[
        list[Path] | None,
        typer.Option(help="File of recorded order books beside --trades; repeatable."),
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
        float,
        typer.Option(min=0.001, max=1_000_000, help="Market seconds per second of wall time."),
    ] = 1.0,
    history_bars: Annotated[
        int, typer.Option(min=0, help="Candles that have closed when the market opens.")
    ] = 500,
    now: Annotated[
        bool, typer.Option("--now", help="The generated market opens now instead of in 2025.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep accounts and market here and go on from it when it exists."),
    ] = None,
    faucet: Annotated[
        list[str] | None,
        typer.Option(help="Fund ADDRESS=USD when it has no account yet; repeatable."),
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="Scenario file (TOML) of faults to inject.")
    ] = None,
    limits: Annotated[
        bool, typer.Option(help="Hold clients to the venue's limits of IP and address.")
    ] = True,
    mirror: Annotated[
        str | None,
        typer.Option(help="Follow this venue's prices: mainnet, testnet or a URL of the protocol."),
    ] = None,
) -> None:
    """Run the local exchange: Hyperliquid's protocol over a replayed or generated market."""
    import asyncio

    from fractaltrader.errors import UserError
    from fractaltrader.simulator.faults.plan import load_plan
    from fractaltrader.simulator.serving.serve import ServeOptions, serve

    funded = [_funding(text) for text in faucet or []]
    if state is not None and not state.parent.is_dir():
        raise UserError(f"state: folder {state.parent} does not exist; create it first")
    if state is not None and state.is_dir():
        raise UserError(f"state: {state} is a folder; give a file")
    if now and (state or candles or trades or books or mirror):
        raise UserError("now: only a generated market without --state can open now; drop --now")
    plan = load_plan(faults) if faults is not None else []
    if mirror is not None:
        followed = _mirrored(mirror, coins, timeframe, candles, speed)
        options = ServeOptions(port, 1.0, seed, state, funded, limits, plan, followed)
        asyncio.run(serve(None, options, typer.echo))
        return
    options = ServeOptions(port, speed, seed, state, funded, limits, plan)
    if trades or books:
        asyncio.run(_play(_recordings(trades or [], books or [], candles), options))
        return
    opens_after = history_bars if now else None
    markets = _markets(candles, coins, days, seed, timeframe, opens_after)
    rows = min(len(item) for item in markets.values())
    if history_bars >= rows:
        raise UserError(
            f"history-bars: {history_bars} of {rows} candles leave nothing to trade; give fewer, "
            "or a longer market"
        )
    asyncio.run(_replay(markets, history_bars, options))


async def _replay(markets: "dict[str, Candles]", row: int, options: "ServeOptions") -> None:
    from fractaltrader.simulator.feeds.feed import Feed
    from fractaltrader.simulator.serving.serve import serve

    await serve(Feed(markets, start_index=row), options, typer.echo)


async def _play(recordings: "list[Recording]", options: "ServeOptions") -> None:
    from fractaltrader.simulator.feeds.tape import Tape
    from fractaltrader.simulator.serving.serve import serve

    await serve(Tape(recordings), options, typer.echo)


def _recordings(
    trades: list[Path], books: list[Path], candles: list[Path] | None
) -> "list[Recording]":
    from fractaltrader.data.candle_files import coin_of
    from fractaltrader.errors import UserError
    from fractaltrader.simulator.feeds.tape import load_recording

    if candles:
        raise UserError("trades: recorded trades make their own candles; drop --candles")
    shots = {coin_of(path): path for path in books}
    recordings = [load_recording(coin_of(path), path, shots.get(coin_of(path))) for path in trades]
    for coin in shots.keys() - {one.coin for one in recordings}:
        raise UserError(f"books: {shots[coin]} has no trades beside it; give --trades of {coin}")
    return recordings


def _mirrored(
    venue: str, coins: str, timeframe: str, candles: list[Path] | None, speed: float
) -> "MirrorOptions":
    import re

    from fractaltrader.errors import UserError
    from fractaltrader.market import Timeframe
    from fractaltrader.simulator.serving.serve import MirrorOptions

    url = VENUES.get(venue, venue)
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?", url):
        raise UserError(f"mirror: {venue!r} is none of mainnet, testnet or an http(s) URL")
    if candles or speed != 1.0:
        raise UserError(
            "mirror: a live venue has its own candles and speed; drop --candles, --speed"
        )
    return MirrorOptions(url, _names(coins), Timeframe.parse(timeframe))


def _names(coins: str) -> list[str]:
    from fractaltrader.errors import UserError

    names = list(dict.fromkeys(name.strip() for name in coins.split(",") if name.strip()))
    if not names:
        raise UserError(f"coins: {coins!r} names no coin; give for example BTC,ETH")
    return names


def _markets(
    files: list[Path] | None,
    coins: str,
    days: int,
    seed: int,
    timeframe: str,
    opens_after: int | None,
) -> "dict[str, Candles]":
    """Candles of the files, else generated ones; those open now after `opens_after` bars."""
    from fractaltrader.errors import UserError
    from fractaltrader.market import Timeframe

    if not files:
        from fractaltrader.data.synthetic import generated_market
        from fractaltrader.exchange.clock import SystemClock

        interval, start_ms = Timeframe.parse(timeframe), GENERATED_START_MS
        if opens_after is not None:
            start_ms = SystemClock().now_ms() - opens_after * interval.ms
        return generated_market(
            _names(coins), days=days, timeframe=interval, seed=seed, start_ms=start_ms
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
