"""A venue for commands that ask it something and leave."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fractaltrader.config import Config
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.exchange.hyperliquid.signing import Signer

    Connect = Callable[[Signer | None, str], HyperliquidVenue]

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; FRACTAL_HOME/config.toml by default.")
]
Mode = Annotated[
    str | None, typer.Option("--venue", help="sim, testnet or mainnet instead of the configured.")
]
Url = Annotated[str | None, typer.Option(help="Address of the venue's API.")]


def configured(config: Path | None, mode: str | None, url: str | None) -> "Config":
    """The configuration with another venue, where one is given."""
    from fractaltrader.config import load_config

    settings = load_config(config)
    venue = settings.venue.model_dump()
    if mode is not None:
        venue |= {"mode": mode, "url": None}
    if url is not None:
        venue["url"] = url
    parsed = type(settings.venue).parse(venue, "options")
    return settings.model_copy(update={"venue": parsed})


@asynccontextmanager
async def reached(
    config: "Config", spender: str, *, administers: bool = False
) -> AsyncIterator["Connect"]:
    """Connects signers to the configured venue; what the venue refuses becomes a UserError.

    Who only looks waits while others use up the budget; who `administers` is told after 15 s."""
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.budget_parameters import Priority
    from fractaltrader.exchange.errors import ExchangeError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.exchange.hyperliquid.connect import connect
    from fractaltrader.home import fractal_home
    from fractaltrader.live.local_venue import check_local_exchange, replay_pace

    url = config.venue.endpoint
    await check_local_exchange(url)
    pace = await replay_pace(url)
    transport = HttpTransport(url)

    def make(signer: "Signer | None", account: str) -> "HyperliquidVenue":
        return connect(
            transport,
            url,
            signer,
            account=account,
            home=fractal_home(),
            spender=spender,
            params=config.budget,
            priority=Priority.RECONCILE if administers else Priority.INFORM,
            mainnet=config.venue.mainnet,
            pace=pace,
        )

    try:
        yield make
    except ExchangeError as error:
        raise UserError(f"venue {url}: {error}") from error
    finally:
        await transport.close()


async def play_account(config: "Config", connect: "Connect") -> "Signer":
    """The throwaway account of the local exchange, which `fractal run` trades too; it gets its
    play money with its first use."""
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.home import fractal_home
    from fractaltrader.live.local_venue import fund_from_faucet
    from fractaltrader.live.wallet import play_signer

    signer = play_signer(fractal_home())
    role = await connect(None, signer.address).role()
    if role.get("role") != "missing":
        return signer
    transport = HttpTransport(config.venue.endpoint)
    try:
        await fund_from_faucet(transport, signer.address)
    finally:
        await transport.close()
    return signer
