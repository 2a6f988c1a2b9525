"""`fractal guard`: keeps a dead bot's positions protected."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.runs import RunName

if TYPE_CHECKING:
    from fractaltrader.config import Config
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.exchange.transport import Transport
    from fractaltrader.live.guard import Guard
    from fractaltrader.live.ledger import Ledger
    from fractaltrader.live.notify import Notifier
    from fractaltrader.live.state import BotState, Intent
    from fractaltrader.live.state_manager import StateManager

FOLDER = "guard"


def guard(
    name: RunName = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file; FRACTAL_HOME/config.toml by default.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Name of the key that signs.")] = None,
    allow_master_key: Annotated[
        bool, typer.Option("--allow-master-key", help="Guard mainnet with an account's own key.")
    ] = False,
) -> None:
    """Watch a run's heartbeat; when it stops, cancel what adds risk and keep every stop in place.

    Signs with an agent's key of its own: --key, `[venue] guard_key`, or FRACTAL_GUARD_KEY. Best
    under another supervisor than the bot."""
    import asyncio

    from fractaltrader.cli.runs import existing_run
    from fractaltrader.config import load_config
    from fractaltrader.live.lock import only_guard

    settings, folder = load_config(config), existing_run(name)
    venue = settings.venue.model_copy(
        update={
            "guard_key": key or settings.venue.guard_key,
            "allow_master_key": allow_master_key or settings.venue.allow_master_key,
        }
    )
    with only_guard(folder):
        asyncio.run(_watch(settings.model_copy(update={"venue": venue}), folder))


async def _watch(config: "Config", folder: Path) -> None:
    import asyncio
    import os
    import signal
    from contextlib import closing

    from fractaltrader.cli.secrets import unlock
    from fractaltrader.config import is_mainnet
    from fractaltrader.environment import GUARD_KEY
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.exchange.errors import ExchangeError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.home import fractal_home
    from fractaltrader.live.guard import guard_bound_ms
    from fractaltrader.live.ledger import Ledger
    from fractaltrader.live.logs import configure_logs
    from fractaltrader.live.notify import Notifier
    from fractaltrader.live.state_manager import StateManager
    from fractaltrader.live.wallet import KeySource

    manager = StateManager(folder, SystemClock())
    state = _state(manager, folder)
    own = folder / FOLDER
    mainnet = config.venue.mainnet or is_mainnet(state.venue)
    source = KeySource(config.venue.guard_key, GUARD_KEY)
    signer = unlock(state.venue, fractal_home(), source, mainnet=mainnet)
    own.mkdir(exist_ok=True)
    configure_logs(own, terminal=True, name="guard.log", redact=signer.redact)
    transport = HttpTransport(state.venue)
    venue = await _connected(config, state, transport, signer, folder.name, mainnet=mainnet)
    allowed = config.venue.allow_master_key
    with closing(Ledger(own)) as ledger, closing(Notifier(os.environ)) as notify:
        watcher = _guard(config, folder, manager, venue, ledger, notify)
        try:
            await _check_key(
                venue, signer, state.account, mainnet=mainnet, allow_master_key=allowed
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, watcher.stop)
            bound = guard_bound_ms(config.guard) / 1000
            typer.echo(
                f"guarding {folder.name}: a naked position has its stop within {bound:.0f} s"
            )
            notify("READY=1")
            await watcher.run()
        except ExchangeError as error:
            raise UserError(f"venue {state.venue}: {error}") from error
        finally:
            await transport.close()


def _guard(
    config: "Config",
    folder: Path,
    manager: "StateManager",
    venue: "HyperliquidVenue",
    ledger: "Ledger",
    notify: "Notifier",
) -> "Guard":
    """The guard of the run in `folder`; each look shows on its lock file and to systemd."""
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.guard import Guard
    from fractaltrader.live.lock import guard_looked

    def looked() -> None:
        guard_looked(folder)
        notify("WATCHDOG=1")

    return Guard(
        venue,
        manager,
        ledger,
        SystemClock(),
        config.guard,
        account=manager.read().account,
        orphans=config.reconcile.orphan_positions,
        history=lambda: _decided(folder),
        looked=looked,
    )


async def _connected(
    config: "Config",
    state: "BotState",
    transport: "Transport",
    signer: "Signer",
    run: str,
    *,
    mainnet: bool,
) -> "HyperliquidVenue":
    """The run's venue; the guard goes before everybody else."""
    from fractaltrader.exchange.budget_parameters import Priority
    from fractaltrader.exchange.hyperliquid.connect import connect
    from fractaltrader.home import fractal_home
    from fractaltrader.live.local_venue import replay_pace

    return connect(
        transport,
        state.venue,
        signer,
        account=state.account,
        home=fractal_home(),
        spender=f"guard {run}",
        params=config.budget,
        priority=Priority.PROTECT,
        mainnet=mainnet,
        pace=await replay_pace(state.venue),
    )


async def _check_key(
    venue: "HyperliquidVenue",
    signer: "Signer",
    account: str,
    *,
    mainnet: bool,
    allow_master_key: bool,
) -> None:
    """Raise UserError when the key may not trade `account`: the worst moment to learn it would be
    when the bot is dead. A venue that does not answer is asked again until it does."""
    from random import Random

    from tenacity import AsyncRetrying, retry_if_exception_type

    from fractaltrader.exchange.backoff import JitteredExponential
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.exchange.errors import TransientError
    from fractaltrader.live.wallet import check_wallet

    attempts = AsyncRetrying(
        wait=JitteredExponential(Random(0)),  # nosec B311 - jitter, no secret
        retry=retry_if_exception_type(TransientError),
        reraise=True,
    )
    await attempts(
        check_wallet,
        venue,
        signer.address,
        account,
        mainnet=mainnet,
        allow_master_key=allow_master_key,
        now_ms=SystemClock().now_ms(),
    )


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
