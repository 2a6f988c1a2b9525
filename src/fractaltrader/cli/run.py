"""`fractal run`: trade until stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fractaltrader.config import Config
    from fractaltrader.exchange.port import Venue


def run(
    config: Annotated[
        Path | None, typer.Option(help="TOML file; FRACTAL_HOME/config.toml by default.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the venue's API.")] = None,
    coins: Annotated[str | None, typer.Option(help="Coins to trade, e.g. BTC,ETH.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Candle interval, e.g. 15m.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run.")] = "bot",
) -> None:
    """Trade on the configured venue until stopped (Ctrl-C, SIGTERM or `fractal stop`)."""
    import asyncio

    from fractaltrader.cli.runs import run_folder
    from fractaltrader.config import load_config

    settings = _with_options(load_config(config), url, coins, timeframe)
    asyncio.run(_trade(settings, run_folder(name)))


def _with_options(
    config: "Config", url: str | None, coins: str | None, timeframe: str | None
) -> "Config":
    venue, trade = config.venue.model_dump(), config.trade.model_dump()
    if url is not None:
        venue["url"] = url
    if coins is not None:
        trade["coins"] = [coin.strip() for coin in coins.split(",") if coin.strip()]
    if timeframe is not None:
        trade["timeframe"] = timeframe
    return config.model_copy(
        update={
            "venue": type(config.venue).parse(venue, "options"),
            "trade": type(config.trade).parse(trade, "options"),
        }
    )


async def _trade(config: "Config", folder: Path) -> None:
    """Check everything a user can get wrong before anything is written, then trade."""
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.exchange.errors import ExchangeError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.home import fractal_home
    from fractaltrader.live.assembly import check_config
    from fractaltrader.live.bot import check_coins
    from fractaltrader.live.wallet import check_role, fund_from_faucet, signer_for

    check_config(config)
    url = config.venue.endpoint
    signer = signer_for(url, fractal_home())
    transport = HttpTransport(url)

    def venue_for(account: str) -> HyperliquidVenue:
        return HyperliquidVenue(
            transport, signer, account=account, clock=SystemClock(), mainnet=False
        )

    try:
        probe = venue_for(signer.address)
        check_coins(config.trade.coins, await probe.instruments())
        await _check_candles(probe, config)
        role = await probe.role()
        if role.get("role") == "missing" and config.venue.mode == "sim":
            await fund_from_faucet(transport, signer.address)
            role = await probe.role()
        account = check_role(role, signer, config.venue.account)
        await _run_bot(config, folder, venue_for(account), account)
    except ExchangeError as error:
        raise UserError(f"venue {url}: {error}") from error
    finally:
        await transport.close()


async def _check_candles(venue: "Venue", config: "Config") -> None:
    """Raise UserError when the venue has no candles of the timeframe to trade on."""
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.errors import CriticalError
    from fractaltrader.market import Timeframe

    timeframe = Timeframe.parse(config.trade.timeframe)
    now = await venue.time_ms()
    for coin in config.trade.coins:
        try:
            await venue.candles(coin, timeframe, now - 2 * timeframe.ms, now)
        except CriticalError as error:
            raise UserError(
                f"timeframe: the venue serves no {timeframe} candles of {coin} ({error}); give "
                "another --timeframe"
            ) from error


async def _run_bot(config: "Config", folder: Path, venue: "Venue", account: str) -> None:
    import asyncio
    import signal

    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.home import fractal_home
    from fractaltrader.live.assembly import build_bot, build_desk
    from fractaltrader.live.lock import only_bot, only_trader
    from fractaltrader.live.logs import configure_logs

    url = config.venue.endpoint
    with only_bot(folder), only_trader(fractal_home(), account, url):
        configure_logs(folder, terminal=True)
        bot = build_bot(config, build_desk(folder, venue, account, SystemClock()))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, bot.stop)
        await bot.run(venue_name=url)
