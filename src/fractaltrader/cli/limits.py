"""`fractal limits`: what of the venue's limits is used, by whom, and who had to wait."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from fractaltrader.exchange.budget_parameters import BudgetParameters
    from fractaltrader.exchange.limits import BudgetState

DEFERRALS_SHOWN = 10


def limits() -> None:
    """Show the budget that all our processes on this machine share, for every venue used."""
    from rich.console import Console

    from fractaltrader.config import load_config
    from fractaltrader.exchange.clock import MonotonicClock
    from fractaltrader.exchange.limiter import peek
    from fractaltrader.home import fractal_home

    folder = fractal_home() / "budget"
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        typer.echo(f"nothing has been asked of a venue yet (no file in {folder})")
        return
    params, now = load_config(None).budget, MonotonicClock().now_ms()
    for path in files:
        state = peek(path, params, now)
        show_budget(Console(), path, state, params)


def show_budget(
    console: "Console", path: Path, state: "BudgetState", params: "BudgetParameters"
) -> None:
    """Weight against its limit, spenders by priority, addresses, sockets and deferrals."""
    from rich.table import Table

    from fractaltrader.exchange import limits as budget
    from fractaltrader.exchange.budget_parameters import Priority

    used = budget.used_weight(state)
    console.print(
        f"[bold]{path.stem}[/]: weight {used} of {params.weight_per_minute} this minute, "
        f"{len(state.sockets)} of {params.connections} WebSockets",
        highlight=False,
    )
    if budget.recovered_share(state, params) < 1:
        console.print(f"slowed down after {state.strikes} x HTTP 429", style="yellow")
    for address, left in sorted(state.addresses.items()):
        console.print(f"address {address}: {left.used} of {left.cap} actions used")
    table = Table("process", *(priority.name.lower() for priority in Priority), "last, s ago")
    newest = sorted(state.spenders.items(), key=lambda item: -item[1].last_ms)
    for name, spender in newest:
        idle = (state.now_ms - spender.last_ms) / 1000
        table.add_row(name, *map(str, spender.weights), f"{idle:.0f}")
    console.print(table)
    for deferral in state.deferrals[-DEFERRALS_SHOWN:]:
        ago = (state.now_ms - deferral.time_ms) / 1000
        console.print(
            f"{ago:.0f} s ago {deferral.spender} {Priority(deferral.priority).name.lower()} "
            f"{deferral.what} waited {deferral.waited_ms / 1000:.1f} s: {deferral.why}",
            highlight=False,
        )
