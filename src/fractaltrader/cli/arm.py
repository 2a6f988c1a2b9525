"""`fractal arm`, `fractal disarm`: real money only after the limits were seen and confirmed."""

from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.venue import ConfigFile

if TYPE_CHECKING:
    from rich.table import Table

    from fractaltrader.config import Config
    from fractaltrader.exchange.port import Account
    from fractaltrader.keys.agents import Standing

DAY_MS = 86_400_000
TYPED_CHARACTERS = 6


def arm(
    config: ConfigFile = None,
    key: Annotated[str | None, typer.Option(help="Name of the key that will sign.")] = None,
    allow_master_key: Annotated[
        bool, typer.Option("--allow-master-key", help="Even with an account's own key.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days until it ends by itself.")] = 30,
) -> None:
    """Show what a bot on mainnet may lose and have it confirmed; `fractal run` asks for it.

    It ends when a limit of the configuration changes."""
    import asyncio

    from fractaltrader.config import load_config
    from fractaltrader.errors import UserError
    from fractaltrader.live.assembly import check_config

    settings = load_config(config)
    if not settings.venue.mainnet:
        raise UserError(
            f"arm: [venue] mode is {settings.venue.mode!r}; only mainnet trades real money and "
            "needs to be armed"
        )
    check_config(settings)
    found, account = asyncio.run(
        _looked_up(
            settings,
            key or settings.venue.key,
            allow_master_key=allow_master_key or settings.venue.allow_master_key,
        )
    )
    _confirm(settings, found, account)
    _write(settings, found.account or found.address, days)


def _confirm(config: "Config", found: "Standing", account: "Account") -> None:
    """Show the limits; UserError unless somebody types the end of the account."""
    from rich.console import Console

    from fractaltrader.errors import UserError

    address = found.account or found.address
    console = Console()
    console.print(limits_table(config, address, account))
    console.print(f"signed by {found.address}: {found}", highlight=False)
    asked = f"Type the last {TYPED_CHARACTERS} characters of the account to arm it"
    if typer.prompt(asked).strip().lower() != address[-TYPED_CHARACTERS:]:
        raise UserError("arm: that is not the account; nothing was armed")


def _write(config: "Config", account: str, days: int) -> None:
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.home import fractal_home
    from fractaltrader.keys.arming import Arming, flat
    from fractaltrader.keys.arming import arm as write_arming

    now = SystemClock().now_ms()
    arming = Arming(
        account=account,
        url=config.venue.endpoint,
        settings=flat(config.bounds_of_loss()),
        armed_ms=now,
        expires_ms=now + days * DAY_MS,
    )
    path = write_arming(fractal_home(), arming)
    typer.echo(f"armed for {days} days: {path}; `fractal disarm` takes it back")


def disarm(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
) -> None:
    """Take every arming back. A bot that runs goes on; `fractal stop` ends it."""
    from fractaltrader.home import fractal_home
    from fractaltrader.keys.arming import disarm as remove_armings

    gone = remove_armings(fractal_home(), account.lower() if account else None)
    typer.echo(f"disarmed: {', '.join(gone) or 'nothing was armed'}")


async def _looked_up(
    config: "Config", key: str | None, *, allow_master_key: bool
) -> "tuple[Standing, Account]":
    """Who will sign and what the account holds; UserError when `fractal run` would refuse it."""
    from fractaltrader.cli.venue import reached
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.home import fractal_home
    from fractaltrader.live.bot import check_coins
    from fractaltrader.live.wallet import check_wallet, keystore_in

    if key is None:
        raise UserError(
            "arm: no key; give --key NAME or [venue] key, `fractal keys new NAME` makes one"
        )
    address = keystore_in(fractal_home()).address(key)
    async with reached(config, "arm") as connect:
        venue = connect(None, address)
        check_coins(config.trade.coins, await venue.instruments())
        found = await check_wallet(
            venue,
            address,
            config.venue.account,
            mainnet=True,
            allow_master_key=allow_master_key,
            now_ms=SystemClock().now_ms(),
        )
        return found, await connect(None, found.account or address).account()


def limits_table(config: "Config", address: str, account: "Account") -> "Table":
    """What may be lost, in USDC where it depends on the account."""
    from rich.table import Table

    equity = float(account.equity)
    risk, limits, breaker = config.risk, config.limits, config.breaker
    table = Table("real money", "", title=f"mainnet, account {address}", show_header=False)

    def share(fraction: float) -> str:
        return f"{fraction:.2%} of equity, {fraction * equity:,.2f} USDC today"

    rows = {
        "equity": f"{equity:,.2f} USDC, {len(account.positions)} open positions",
        "trades": f"{', '.join(config.trade.coins)} on {config.trade.timeframe} by "
        f"{config.trade.strategy}",
        "risk of an entry": f"{share(risk.base_risk)} at full confidence, plus fees and slippage",
        "leverage": f"{risk.leverage} x",
        "open positions": f"at most {limits.max_open_positions}",
        "notional": f"{limits.max_total_notional:g} x equity, "
        f"{limits.max_total_notional * equity:,.2f} USDC; "
        f"a coin {limits.max_coin_notional:g} x equity",
        "daily loss": f"{share(breaker.max_daily_loss)}, then {breaker.on_daily_loss}",
        "drawdown": f"{share(breaker.max_drawdown)}, then {breaker.on_drawdown}",
        "entries a day": f"at most {breaker.max_trades_per_day}",
        "foreign positions": config.reconcile.orphan_positions,
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table
