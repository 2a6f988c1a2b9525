"""`fractal guard`: keeps a dead bot's positions protected."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.runs import RunName

if TYPE_CHECKING:
    from fractaltrader.config import Config
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.live.state import BotState, Intent
    from fractaltrader.live.state_manager import StateManager

FOLDER = "guard"


def guard(
    name: RunName = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file; FRACTAL_HOME/config.toml by default.")
    ] = None,
) -> None:
    """Watch a run's heartbeat; when it stops, cancel what adds risk and keep every stop in place.

    Signs with the key in FRACTAL_GUARD_KEY, an agent of the account. Best on another machine's
    power supply or at least under another supervisor than the bot."""
    import asyncio

    from fractaltrader.cli.runs import existing_run
    from fractaltrader.config import load_config
    from fractaltrader.live.lock import only_guard

    settings, folder = load_config(config), existing_run(name)
    with only_guard(folder):
        asyncio.run(_watch(settings, folder))


async def _watch(config: "Config", folder: Path) -> None:
    import asyncio
    import signal

    from fractaltrader.errors import UserError
    from fractaltrader.exchange.budget_parameters import Priority
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.exchange.errors import CriticalError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.exchange.hyperliquid.connect import connect
    from fractaltrader.home import fractal_home
    from fractaltrader.live.guard import Guard, guard_bound_ms
    from fractaltrader.live.ledger import Ledger
    from fractaltrader.live.local_venue import replay_pace
    from fractaltrader.live.logs import configure_logs
    from fractaltrader.live.state_manager import StateManager
    from fractaltrader.live.wallet import GUARD_KEY_VARIABLE, signer_for

    manager = StateManager(folder, SystemClock())
    state = _state(manager, folder)
    own = folder / FOLDER
    ledger = Ledger(own)
    configure_logs(own, terminal=True, name="guard.log")
    home = fractal_home()
    signer = signer_for(state.venue, home, GUARD_KEY_VARIABLE)
    transport = HttpTransport(state.venue)
    venue = connect(
        transport,
        state.venue,
        signer,
        account=state.account,
        home=home,
        spender=f"guard {folder.name}",
        params=config.budget,
        priority=Priority.PROTECT,
        pace=await replay_pace(state.venue),
    )
    watcher = Guard(
        venue,
        manager,
        ledger,
        SystemClock(),
        config.guard,
        account=state.account,
        orphans=config.reconcile.orphan_positions,
        history=lambda: _decided(folder),
    )
    await _check_key(venue, signer, state.account)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, watcher.stop)
    bound = guard_bound_ms(config.guard) / 1000
    typer.echo(f"guarding {folder.name}: a naked position has its stop within {bound:.0f} s")
    try:
        await watcher.run()
    except CriticalError as error:
        raise UserError(f"venue {state.venue}: {error}") from error
    finally:
        ledger.close()
        await transport.close()


async def _check_key(venue: "HyperliquidVenue", signer: "Signer", account: str) -> None:
    """Raise UserError when the key may not trade `account`: the worst moment to learn it would be
    when the bot is dead. A venue that does not answer is asked again until it does."""
    from random import Random

    from tenacity import AsyncRetrying, retry_if_exception_type

    from fractaltrader.exchange.backoff import JitteredExponential
    from fractaltrader.exchange.errors import TransientError
    from fractaltrader.live.wallet import check_role

    attempts = AsyncRetrying(
        wait=JitteredExponential(Random(0)),  # nosec B311 - jitter, no secret
        retry=retry_if_exception_type(TransientError),
        reraise=True,
    )
    check_role(await attempts(venue.role), signer, account)


def _state(manager: "StateManager", folder: Path) -> "BotState":
    """The run's state, which names account and venue; UserError where it does not yet."""
    from fractaltrader.errors import UserError

    state = manager.read()
    if not state.account:
        raise UserError(f"guard: the bot in {folder} has never started; start it, then the guard")
    return state


def _decided(folder: Path) -> "list[Intent]":
    """Entries the bot decided on, from its ledger."""
    from fractaltrader.live.ledger import FILE_NAME, Ledger

    if not (folder / FILE_NAME).exists():
        return []
    ledger = Ledger(folder)
    try:
        return ledger.intents()
    finally:
        ledger.close()
