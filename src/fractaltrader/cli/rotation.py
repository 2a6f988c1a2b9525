"""The two halves of `fractal keys rotate`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from fractaltrader.cli.venue import Connect
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.keys.keystore import Keystore


async def start_rotation(
    store: "Keystore",
    name: str,
    owner: "Signer",
    connect: "Connect",
    password: str,
    until_ms: int,
) -> None:
    """Make, approve and try the new agent, and give it the name."""
    import asyncio
    import secrets

    from fractaltrader.keys.rotation import rotate

    old, new = await rotate(
        store,
        name,
        password,
        owner.address,
        venue=connect(owner, owner.address),
        trader=connect,
        new_key=lambda: secrets.token_bytes(32),
        until_ms=until_ms,
        sleep=asyncio.sleep,
    )
    typer.echo(f"key {name} is now {new.address}: {new}\nit was {old.address}: {old}")


async def finish_rotation(
    store: "Keystore", name: str, owner: "Signer", connect: "Connect", *, insist: bool
) -> None:
    """Deregister the old agent; without `insist` only when nothing may be running with it."""
    import asyncio

    from fractaltrader.home import fractal_home
    from fractaltrader.keys.rotation import finish

    running = [] if insist else _running_for(fractal_home(), owner.address)
    if running:
        typer.echo(
            f"the old agent still works, for {', '.join(running)}; restart and then "
            f"`fractal keys rotate {name} --finish`"
        )
        return
    venue = connect(owner, owner.address)
    gone = await finish(store, name, owner.address, venue=venue, sleep=asyncio.sleep)
    which = f"agent {gone.agent} is deregistered" if gone else "the old agent was gone already"
    typer.echo(f"{which}, its key deleted")


def _running_for(home: Path, account: str) -> list[str]:
    """Bots and guards of this folder that trade `account`."""
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.lock import FILE_NAME, GUARD_FILE_NAME, is_running
    from fractaltrader.live.state_manager import FILE_NAME as STATE_FILE
    from fractaltrader.live.state_manager import StateManager

    found = []
    for state in sorted((home / "runs").glob(f"*/{STATE_FILE}")):
        if StateManager(state.parent, SystemClock()).read().account != account:
            continue
        for file_name, what in ((FILE_NAME, "bot"), (GUARD_FILE_NAME, "guard")):
            if is_running(state.parent, file_name):
                found.append(f"{what} of run {state.parent.name}")
    return found
