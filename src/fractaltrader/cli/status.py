"""`fractal status`: what a run is doing, from its own files."""

from fractaltrader.cli.runs import RunName


def status(name: RunName = None) -> None:
    """Show whether a bot runs, its positions with their stop and target, and recent incidents."""
    import time

    from rich.console import Console
    from rich.table import Table

    from fractaltrader.cli.runs import existing_run
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.ledger import Ledger
    from fractaltrader.live.lock import is_running
    from fractaltrader.live.state_manager import StateManager
    from fractaltrader.market.bars import utc

    folder = existing_run(name)
    state = StateManager(folder, SystemClock()).read()
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
    table = Table("coin", "size", "stop", "target", "opened", title="open positions")
    for coin, epoch in sorted(state.epochs.items()):
        intent = epoch.intent
        stop, target = (str(intent.stop), str(intent.target)) if intent else ("?", "?")
        table.add_row(coin, str(epoch.size), stop, target, utc(epoch.opened_ms))
    console.print(table)
    for time_ms, kind, detail in ledger.incidents()[-5:]:
        console.print(f"{utc(time_ms)} {kind}: {detail}", highlight=False)
    ledger.close()
