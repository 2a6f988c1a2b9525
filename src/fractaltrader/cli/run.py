"""`fractal run`: trade until stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fractaltrader.config import Config
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.exchange.port import Venue
    from fractaltrader.exchange.transport import Transport

EXIT_INTERRUPTED = 130
DAY_MS = 86_400_000
EXPIRY_WARNING_MS = 7 * DAY_MS


def run(
    config: Annotated[
        Path | None, typer.Option(help="TOML file; FRACTAL_HOME/config.toml by default.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the venue's API.")] = None,
    coins: Annotated[str | None, typer.Option(help="Coins to trade, e.g. BTC,ETH.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Candle interval, e.g. 15m.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run.")] = "bot",
    key: Annotated[str | None, typer.Option(help="Name of the key that signs.")] = None,
    allow_master_key: Annotated[
        bool, typer.Option("--allow-master-key", help="Trade mainnet with an account's own key.")
    ] = False,
) -> None:
    """Trade on the configured venue until stopped (Ctrl-C, SIGTERM or `fractal stop`).

    Mainnet must be armed first (`fractal arm`)."""
    import asyncio

    from fractaltrader.cli.runs import run_folder
    from fractaltrader.config import load_config

    settings = _with_options(load_config(config), url, coins, timeframe)
    venue = settings.venue.model_copy(
        update={
            "key": key or settings.venue.key,
            "allow_master_key": allow_master_key or settings.venue.allow_master_key,
        }
    )
    asyncio.run(_trade(settings.model_copy(update={"venue": venue}), run_folder(name)))


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
    from fractaltrader.cli.secrets import unlock
    from fractaltrader.environment import PRIVATE_KEY
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.errors import ExchangeError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.exchange.hyperliquid.connect import connect
    from fractaltrader.home import fractal_home
    from fractaltrader.live.assembly import check_config
    from fractaltrader.live.local_venue import check_local_exchange, replay_pace
    from fractaltrader.live.wallet import KeySource

    check_config(config)
    url, home = config.venue.endpoint, fractal_home()
    source = KeySource(config.venue.key, PRIVATE_KEY)
    signer = unlock(url, home, source, mainnet=config.venue.mainnet)
    await check_local_exchange(url)
    pace = await replay_pace(url)
    transport = HttpTransport(url)

    def venue_for(account: str) -> HyperliquidVenue:
        return connect(
            transport,
            url,
            signer,
            account=account,
            home=home,
            spender=folder.name,
            params=config.budget,
            mainnet=config.venue.mainnet,
            pace=pace,
        )

    try:
        account = await _probed(config, venue_for(signer.address), transport, signer)
        _require_armed(config, account)
        await _run_bot(config, folder, venue_for(account), account, signer.redact)
    except ExchangeError as error:
        raise UserError(f"venue {url}: {error}") from error
    finally:
        await transport.close()


async def _probed(
    config: "Config", venue: "HyperliquidVenue", transport: "Transport", signer: "Signer"
) -> str:
    """The account to trade. A venue that does not answer is asked again until it does."""
    import os
    from random import Random

    from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

    from fractaltrader.exchange.backoff import JitteredExponential
    from fractaltrader.exchange.errors import TransientError

    def tell(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        typer.echo(f"the venue does not answer ({failure}); asking again", err=True)

    attempts = AsyncRetrying(
        wait=JitteredExponential(Random(os.getpid())),  # nosec B311
        retry=retry_if_exception_type(TransientError),
        before_sleep=tell,
        reraise=True,
    )
    return await attempts(_probe, config, venue, transport, signer)


async def _probe(
    config: "Config", venue: "HyperliquidVenue", transport: "Transport", signer: "Signer"
) -> str:
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.bot import check_coins
    from fractaltrader.live.local_venue import fund_from_faucet
    from fractaltrader.live.wallet import check_wallet

    check_coins(config.trade.coins, await venue.instruments())
    await _check_candles(venue, config)
    plays = config.venue.mode == "sim" and config.venue.account is None
    if plays and (await venue.role()).get("role") == "missing":
        await fund_from_faucet(transport, signer.address)
    now = SystemClock().now_ms()
    found = await check_wallet(
        venue,
        signer.address,
        config.venue.account,
        mainnet=config.venue.mainnet,
        allow_master_key=config.venue.allow_master_key,
        now_ms=now,
    )
    if found.valid_until_ms is not None and found.valid_until_ms < now + EXPIRY_WARNING_MS:
        days = (found.valid_until_ms - now) / DAY_MS
        typer.echo(
            f"warning: agent {found.agent} expires in {days:.1f} days; `fractal keys rotate`",
            err=True,
        )
    return found.account or signer.address


def _require_armed(config: "Config", account: str) -> None:
    """Raise UserError when real money would be traded by limits that nobody confirmed."""
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.home import fractal_home
    from fractaltrader.keys.arming import require_armed

    if config.venue.mainnet:
        bounds, now = config.bounds_of_loss(), SystemClock().now_ms()
        require_armed(fractal_home(), account, config.venue.endpoint, bounds, now)


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


async def _run_bot(
    config: "Config", folder: Path, venue: "Venue", account: str, redact: "Callable[[str], str]"
) -> None:
    import asyncio
    import os
    from contextlib import closing

    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.home import fractal_home
    from fractaltrader.live.assembly import build_bot, build_desk
    from fractaltrader.live.lock import only_bot, only_trader
    from fractaltrader.live.logs import configure_logs
    from fractaltrader.live.notify import Notifier
    from fractaltrader.live.signals import stop_on_signals

    url = config.venue.endpoint
    with only_bot(folder), only_trader(fractal_home(), account, url):
        configure_logs(folder, terminal=True, redact=redact)
        desk = build_desk(folder, venue, account, SystemClock(), config.breaker, config.reconcile)
        with closing(Notifier(os.environ)) as notify:
            bot = build_bot(config, desk, notify=notify)
            stop_on_signals(asyncio.get_running_loop(), bot)
            try:
                await bot.run(venue_name=url)
            except asyncio.CancelledError:
                typer.echo("ended at once; positions keep their stops on the exchange", err=True)
                raise typer.Exit(EXIT_INTERRUPTED) from None
