"""`fractal stop`, `kill`, `pause`, `resume`, `flatten`, `reset-breaker`: a running bot is told."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.runs import RunName

if TYPE_CHECKING:
    from fractaltrader.live.control import Verb
    from fractaltrader.live.state_manager import StateManager

Wait = Annotated[float, typer.Option(help="Seconds to wait for the bot.")]
POLL_SECONDS = 0.1
KILL_PATIENCE_SECONDS = 3.0


def stop(name: RunName = None, wait: Wait = 30.0) -> None:
    """Stop a running bot after the event in hand; its positions keep their stop and target."""
    from fractaltrader.errors import UserError
    from fractaltrader.live.control import Verb

    folder, manager = _running(name, "stop")
    _ask(manager, Verb.STOP)
    if not _ended(folder, wait):
        raise UserError(
            f"stop: process {manager.read().pid} has not ended within {wait:g} s; see "
            f"{folder}/bot.log, or end it with `fractal kill`"
        )
    typer.echo(f"stopped {folder.name}; open positions: {len(manager.read().epochs)}")


def kill(name: RunName = None) -> None:
    """End a running bot at once, whatever it does; its positions keep their stop and target.

    Nothing that adds risk rests on the exchange: entries execute at once or not at all. The next
    start asks the exchange what became of everything."""
    import os
    import signal

    from fractaltrader.errors import UserError
    from fractaltrader.live.control import Verb
    from fractaltrader.live.lock import holder
    from fractaltrader.live.state_manager import StateLockedError

    folder, manager = _running(name, "kill")
    try:
        _ask(manager, Verb.KILL)
        gentle = _ended(folder, KILL_PATIENCE_SECONDS)
    except (OSError, StateLockedError):
        gentle = False  # its files cannot be used, so it cannot hear us
    process = holder(folder)
    if not gentle and process is not None:
        os.kill(process, signal.SIGKILL)
        if not _ended(folder, KILL_PATIENCE_SECONDS):
            raise UserError(f"kill: process {process} does not end; look at it with `ps`")
    typer.echo(f"killed {folder.name}" + ("" if gentle else f" (SIGKILL to process {process})"))


def pause(name: RunName = None, wait: Wait = 30.0) -> None:
    """Let a running bot make no new entries; it goes on protecting what is open."""
    from fractaltrader.live.control import Verb

    _, manager = _running(name, "pause")
    _tell(manager, Verb.PAUSE, "", wait, "paused; `fractal resume` ends it")


def resume(name: RunName = None, wait: Wait = 30.0) -> None:
    """Let a paused bot make entries again."""
    from fractaltrader.live.control import Verb

    _, manager = _running(name, "resume")
    _tell(manager, Verb.RESUME, "", wait, "resumed")


def flatten(
    name: RunName = None,
    coin: Annotated[str | None, typer.Option(help="Only this coin.")] = None,
    wait: Wait = 60.0,
) -> None:
    """Close every position at the market and pause, or close one coin's and go on.

    Stops rest on the exchange until the position is flat."""
    import time

    from fractaltrader.errors import UserError
    from fractaltrader.live.control import Verb
    from fractaltrader.live.state import ALL_COINS

    folder, manager = _running(name, "flatten")
    deadline = time.monotonic() + wait
    _tell(manager, Verb.FLATTEN, coin or ALL_COINS, wait, None)
    while (state := manager.read()).flattening:
        if time.monotonic() > deadline:
            raise UserError(
                f"flatten: not flat within {wait:g} s, the bot goes on trying; see `fractal status`"
                f" and {folder}/bot.log"
            )
        time.sleep(POLL_SECONDS)
    rest = (
        f"; open positions: {len(state.epochs)}" if coin else "; paused, `fractal resume` ends it"
    )
    typer.echo(f"flat: {coin or 'all coins'}{rest}")


def reset_breaker(
    name: RunName = None,
    cause: Annotated[str, typer.Option(help="Only this cause, as `fractal status` names it.")] = "",
    wait: Wait = 30.0,
) -> None:
    """Close the circuit breaker after you have looked into it; it measures anew from now on.

    Works on a stopped bot too."""
    from fractaltrader.cli.runs import existing_run
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.control import Verb, parse_causes, reset_stopped
    from fractaltrader.live.lock import is_running

    causes = parse_causes(cause)
    folder = existing_run(name)
    if is_running(folder):
        _tell(_manager(folder), Verb.RESET_BREAKER, cause, wait, "breaker reset")
        return
    closed = reset_stopped(folder, causes, SystemClock())
    typer.echo(f"breaker of {folder.name} reset: {', '.join(closed) or 'nothing was tripped'}")


def _manager(folder: Path) -> "StateManager":
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.state_manager import StateManager

    return StateManager(folder, SystemClock())


def _running(name: str | None, what: str) -> "tuple[Path, StateManager]":
    """The run's folder and state; UserError when no bot runs there."""
    from fractaltrader.cli.runs import existing_run
    from fractaltrader.errors import UserError
    from fractaltrader.live.lock import is_running

    folder = existing_run(name)
    if not is_running(folder):
        raise UserError(f"{what}: no bot is running in {folder}; `fractal run` starts one")
    return folder, _manager(folder)


def _ask(manager: "StateManager", verb: "Verb", argument: str = "") -> int:
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.control import request

    return request(manager, verb, argument, SystemClock().now_ms())


def _tell(
    manager: "StateManager", verb: "Verb", argument: str, wait: float, done: str | None
) -> None:
    """Ask and wait for the acknowledgement; UserError when it does not come or says no."""
    import time

    from fractaltrader.errors import UserError
    from fractaltrader.live.control import DONE, acknowledgement
    from fractaltrader.live.lock import is_running
    from fractaltrader.market.bars import utc

    number = _ask(manager, verb, argument)
    deadline = time.monotonic() + wait
    while (answer := acknowledgement(manager.read(), number)) is None:
        if not is_running(manager.path.parent):
            raise UserError(
                f"{verb}: the bot has ended meanwhile; it acts on it when started again"
            )
        if time.monotonic() > deadline:
            raise UserError(
                f"{verb}: no answer within {wait:g} s; the command waits until the bot takes it, "
                f"see {manager.path.parent}/bot.log"
            )
        time.sleep(POLL_SECONDS)
    if answer.result != DONE:
        raise UserError(f"{verb}: {answer.result}")
    if done is not None:
        typer.echo(f"{done} (command {number}, acknowledged at {utc(answer.time_ms)})")


def _ended(folder: Path, patience: float) -> bool:
    import time

    from fractaltrader.live.lock import is_running

    deadline = time.monotonic() + patience
    while is_running(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
