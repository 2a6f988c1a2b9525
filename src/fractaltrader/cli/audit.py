"""`fractal audit`: the ledger and the state against the exchange's own account."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fractaltrader.cli.runs import RunName

if TYPE_CHECKING:
    from rich.table import Table

    from fractaltrader.live.audit import Line

SNAPSHOT = "exchange.snapshot"


def audit(name: RunName = None) -> None:
    """Compare fills, fees, equity, positions and stops with the venue; exit code 1 on any
    difference."""
    import asyncio

    from rich.console import Console

    from fractaltrader.cli.runs import existing_run

    folder = existing_run(name)
    lines = asyncio.run(audit_run(folder))
    Console().print(audit_table(lines, folder.name))
    if not all(line.agrees for line in lines):
        raise typer.Exit(1)


async def audit_run(folder: Path) -> "list[Line]":
    """Audit the run in `folder` against its venue, or the exchange its demo left behind."""
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.budget_parameters import Priority
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.exchange.errors import ExchangeError
    from fractaltrader.exchange.http import HttpTransport
    from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
    from fractaltrader.exchange.hyperliquid.connect import connect
    from fractaltrader.exchange.transport import Transport
    from fractaltrader.home import fractal_home
    from fractaltrader.live.audit import audit as compare
    from fractaltrader.live.ledger import Ledger
    from fractaltrader.live.local_venue import replay_pace
    from fractaltrader.live.state_manager import StateManager

    state = StateManager(folder, SystemClock()).read()
    snapshot = folder / SNAPSHOT
    transport: Transport
    if snapshot.exists():
        from fractaltrader.simulator.serving.transport import transport_from_snapshot

        transport = transport_from_snapshot(snapshot.read_bytes())
        venue = HyperliquidVenue(
            transport, None, account=state.account, clock=SystemClock(), mainnet=False
        )
    else:
        transport = HttpTransport(state.venue)
        venue = connect(
            transport,
            state.venue,
            None,
            account=state.account,
            home=fractal_home(),
            spender="audit",
            priority=Priority.INFORM,
            pace=await replay_pace(state.venue),
        )
    ledger = Ledger(folder)
    try:
        return await compare(venue, ledger, state)
    except ExchangeError as error:
        raise UserError(f"venue {state.venue}: {error}") from error
    finally:
        ledger.close()
        await transport.close()


def audit_table(lines: "list[Line]", name: str) -> "Table":
    """The comparison as people read it."""
    from rich.table import Table

    table = Table("compared", "ledger and state", "exchange", "", title=f"audit of {name}")
    for line in lines:
        mark = "[green]equal[/]" if line.agrees else "[bold red]DIFFERENT[/]"
        table.add_row(line.what, line.ours, line.venue, mark)
    return table
