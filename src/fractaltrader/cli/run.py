"""`fractal run`: trade until stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fractaltrader.config import Config


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
    from fractaltrader.live.lock import only_bot
    from fractaltrader.live.logs import configure_logs

    settings = _with_options(load_config(config), url, coins, timeframe)
    folder = run_folder(name)
    with only_bot(folder):
        configure_logs(folder, terminal=True)
        asyncio.run(_trade(settings, folder))


def _with_options(
    config: "Config", url: str | None, coins: str | None, timeframe: str | None
) -> "Config":
    venue = config.venue if url is None else config.venue.model_copy(update={"url": url})
    trade: dict[str, object] = {}
    if coins is not None:
        trade["coins"] = tuple(coin.strip() for coin in coins.split(",") if coin.strip())
    if timeframe is not None:
        trade["timeframe"] = timeframe
    return config.model_copy(
        update={"venue": venue, "trade": config.trade.model_copy(update=trade)}
    )


async def _trade(config: "Config", folder: Path) -> None:
    import asyncio
    import signal

    from fractaltrader.errors import UserError
    from fractaltrader.exchange.errors import ExchangeError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.home import fractal_home
    from fractaltrader.live.assembly import build_bot, build_desk
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.wallet import check_role, fund_from_faucet, signer_for

    url = config.venue.endpoint
    signer = signer_for(url, fractal_home())
    transport = HttpTransport(url)
    clock = SystemClock()

    def venue_for(account: str) -> HyperliquidVenue:
        return HyperliquidVenue(transport, signer, account=account, clock=clock, mainnet=False)

    try:
        role = await venue_for(signer.address).role()
        if role.get("role") == "missing" and config.venue.mode == "sim":
            await fund_from_faucet(transport, signer.address)
            role = await venue_for(signer.address).role()
        account = check_role(role, signer, config.venue.account)
        desk = build_desk(folder, venue_for(account), account, clock)
        bot = build_bot(config, desk)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, bot.stop)
        await bot.run(venue_name=url)
    except ExchangeError as error:
        raise UserError(f"venue {url}: {error}") from error
    finally:
        await transport.close()
