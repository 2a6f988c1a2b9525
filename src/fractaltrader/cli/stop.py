"""`fractal stop`: ask a running bot to end."""

from typing import Annotated

import typer

from fractaltrader.cli.runs import RunName


def stop(
    name: RunName = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for it to end.")] = 30.0,
) -> None:
    """Stop a running bot; its positions keep their stop and target on the exchange."""
    import time

    from fractaltrader.cli.runs import existing_run
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.lock import is_running
    from fractaltrader.live.state_manager import StateManager

    folder = existing_run(name)
    if not is_running(folder):
        raise UserError(f"stop: no bot is running in {folder}")
    with StateManager(folder, SystemClock()).update() as state:
        state.control.stop_requested = True
    deadline = time.monotonic() + wait
    while is_running(folder):
        if time.monotonic() > deadline:
            raise UserError(
                f"stop: process {state.pid} has not ended within {wait:g} s; see {folder}/bot.log"
            )
        time.sleep(0.2)
    typer.echo(f"stopped {folder.name}; open positions: {len(state.epochs)}")
