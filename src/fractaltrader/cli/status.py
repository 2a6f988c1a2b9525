"""`fractal status`: what a run is doing, from its own files."""

from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.runs import RunName

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from fractaltrader.live.state import BotState
    from fractaltrader.risk.breaker_state import Latch

INCIDENTS_SHOWN = 5
FRACTIONS = ("daily_loss", "drawdown")


def status(
    name: RunName = None,
    health: Annotated[
        bool, typer.Option("--health", help="One line; exit code 1 unless the bot beats.")
    ] = False,
    guard: Annotated[
        bool, typer.Option("--guard", help="With --health: of the run's guard instead.")
    ] = False,
) -> None:
    """Show whether a bot runs, its positions with their stop and target, the circuit breaker, and
    recent incidents."""
    import time

    from rich.console import Console

    from fractaltrader.cli.runs import existing_run
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.ledger import Ledger
    from fractaltrader.live.lock import is_running
    from fractaltrader.live.state_manager import StateManager
    from fractaltrader.market.bars import utc

    folder = existing_run(name)
    if guard:
        _tell_guard_health(folder, time.time())
        return
    state = StateManager(folder, SystemClock()).read()
    if health:
        _tell_health(state)
        return
    ledger = Ledger(folder)
    console = Console()
    age = time.time() - state.heartbeat_ms / 1000
    running = is_running(folder)
    console.print(
        f"[bold]{folder.name}[/] "
        + (f"running, process {state.pid}, heartbeat {age:.0f} s ago" if running else "not running")
    )
    console.print(f"venue {state.venue}\naccount {state.account}")
    curve = ledger.equity()
    if curve:
        console.print(f"equity {curve[-1][1]:.2f} USDC at {utc(curve[-1][0])}")
    console.print(f"fills {len(ledger.fills())}, streak {state.streak:+d}")
    for line in entries_lines(state):
        console.print(line)
    console.print(_positions_table(state))
    console.print(breaker_table(state))
    for time_ms, kind, detail in ledger.incidents()[-INCIDENTS_SHOWN:]:
        console.print(f"{utc(time_ms)} {kind}: {detail}", highlight=False)
    ledger.close()


def _tell_health(state: "BotState") -> None:
    """Exit with 1 unless the newest heartbeat is as young as [guard] heartbeat_limit_s demands.

    The bot's lock is not asked: a bot that hangs holds it too.
    """
    import time

    from fractaltrader.config import load_config

    limit_s = load_config(None).guard.heartbeat_limit_s
    age_s = time.time() - state.heartbeat_ms / 1000
    if state.ended:
        typer.echo("unhealthy: the bot has ended")
    elif abs(age_s) > limit_s:
        typer.echo(f"unhealthy: the last heartbeat was {age_s:.0f} s ago, limit {limit_s:g} s")
    else:
        typer.echo(f"healthy: heartbeat {age_s:.0f} s ago")
        return
    raise typer.Exit(1)


def _tell_guard_health(folder: "Path", now_s: float) -> None:
    """Exit with 1 unless the guard has looked at the bot a short while ago."""
    from fractaltrader.live.lock import GUARD_SILENT_SECONDS, guard_silence

    silence_s = guard_silence(folder, now_s)
    if silence_s is None:
        typer.echo("unhealthy: no guard has watched over this run")
    elif abs(silence_s) > GUARD_SILENT_SECONDS:
        limit = f"limit {GUARD_SILENT_SECONDS:g} s"
        typer.echo(f"unhealthy: the guard last looked {silence_s:.0f} s ago, {limit}")
    else:
        typer.echo(f"healthy: the guard looked {silence_s:.0f} s ago")
        return
    raise typer.Exit(1)


def entries_lines(state: "BotState") -> list[str]:
    """What keeps the bot from making entries, and commands that wait for it."""
    lines = ["paused by the operator; `fractal resume` ends it"] if state.paused else []
    if state.flattening:
        coins = ", ".join(state.flattening).replace("*", "all coins")
        lines.append(f"flattening {coins}")
    if state.control.pending:
        lines.append(f"commands waiting: {', '.join(c.verb for c in state.control.pending)}")
    return lines


def _positions_table(state: "BotState") -> "Table":
    from rich.table import Table

    from fractaltrader.market.bars import utc

    table = Table("coin", "size", "stop", "target", "opened", title="open positions")
    for coin, epoch in sorted(state.epochs.items()):
        intent = epoch.intent
        stop, target = (str(intent.stop), str(intent.target or "-")) if intent else ("?", "?")
        table.add_row(coin, str(epoch.size), stop, target, utc(epoch.opened_ms))
    return table


def breaker_table(state: "BotState") -> "Table":
    """Per cause: value, limit, distance between them, trips today, where it stands, and why."""
    from rich.table import Table

    table = Table(
        "cause",
        "value",
        "limit",
        "distance",
        "trips today",
        "state",
        "last reason",
        title="breaker",
    )
    for cause, latch in state.breaker.latches.items():
        percent = cause in FRACTIONS
        numbers = (latch.value, latch.limit, max(latch.limit - latch.value, 0.0))
        table.add_row(
            str(cause),
            *(f"{number:.2%}" if percent else f"{number:.4g}" for number in numbers),
            str(latch.trips_today),
            _standing(latch),
            latch.reason,
        )
    return table


def _standing(latch: "Latch") -> str:
    from fractaltrader.market.bars import utc

    if latch.phase == "closed":
        return "armed"
    if latch.phase == "half_open":
        return "[yellow]half-open: one probe entry[/]"
    end = f"until {utc(latch.until_ms)}" if latch.until_ms else "until `fractal reset-breaker`"
    return f"[bold red]TRIPPED[/] {end}"
